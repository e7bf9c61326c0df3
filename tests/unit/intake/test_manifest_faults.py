"""Tests the faults of a manifest: each is told with its row, and all at once."""

from __future__ import annotations

import time

import pytest

from producer.intake.allowed import Allowed
from producer.intake.manifest import parse_manifest
from producer.intake.manifest_row import Limits
from producer.intake.sheet import ManifestInvalid
from tests.unit.intake.manifest_kit import errors

_TWO_IN_ONE = "goes to the same mailbox as row 2: two would become one; where that is meant, give --share-destination"
_CAPITALS = (
    "the same login as in row 1 but for capital letters, which servers do not tell apart: keep one of them, or give "
    "--case-sensitive-logins"
)


class TestFaults:
    def test_all_rows_at_once_with_their_lines(self) -> None:
        text = 'login;password\na;\n;b\n"c\nd";e\nf;g;h\ni;"x\ty"\nj;k"\n"l";"m"n\n"o;p\nq;r\n'
        assert [(line, column) for line, column, _ in errors(text)] == [
            (2, "password"),
            (3, "login"),
            (4, ""),
            (6, ""),
            (7, "password"),
            (9, ""),
            (10, ""),
        ]

    def test_a_line_break_in_a_value_is_one_error_and_the_next_row_has_its_own_line(self) -> None:
        assert errors('"a","b\nc\nd"\n"e","f"\n"g",\n') == [
            (1, "", "a value holds a line break (or a quotation mark is not closed)"),
            (5, "password", "is missing"),
        ]

    def test_an_unclosed_quotation_mark_costs_its_own_row_only(self) -> None:
        found = errors('"a","b\n"c","d"\n"e"\n')
        assert [line for line, _, _ in found] == [1, 3]
        assert "never closed" in found[0][2]

    @pytest.mark.parametrize("control", ["\0", "\x1b", "\x7f", "\x85", "\u2028"])
    def test_control_characters(self, control: str) -> None:
        for text in (f'"a{control}b","c"\n', f"a,b{control}c\n"):
            ((line, column, what),) = errors(text)
            assert line == 1
            assert column in ("login", "password")
            assert "control character" in what

    @pytest.mark.parametrize("control", "\u061c\u200e\u200f\u202a\u202e\u2066\u2069")
    def test_a_login_that_turns_text_round_is_refused_and_a_password_is_not(self, control: str) -> None:
        """A login "anna", U+202E, "moc.elpmaxe@" is read on the page as one of example.com."""
        ((_, column, what),) = errors(f"anna{control}moc,b{control}c\n")
        assert (column, "control character" in what) == ("login", True)

    def test_rows_that_repeat(self) -> None:
        assert errors("x,1\na,b\na,b\na,c\n") == [
            (3, "login", "repeats row 2: keep one of them"),
            (4, "login", "the same login as in row 2, but the rest differs: keep one of them"),
        ]

    def test_a_header_that_stands_again_is_no_mailbox(self) -> None:
        repeated = [(3, "", "repeats the header: delete this row")]
        assert errors("login,password\na,b\nlogin,password\nc,d\n") == repeated
        assert len(parse_manifest(b"login,password\na,b\nlogin,other\n").rows) == 2  # such a login counts all the same

    def test_two_mailboxes_into_one(self) -> None:
        found = errors("login,password,new_login\na,b,x\nc,d,x\nx,e,y\nz,e,a\na2,b,z2\n")
        assert found == [(3, "new_login", _TWO_IN_ONE)]
        assert errors("a,b,,\nc,d,a,\n")[0][:2] == (2, "new_login")

    def test_several_may_share_a_destination_when_that_is_meant(self) -> None:
        text = b"login,password,new_login\na,b,x\nc,d,X\ne,f,x\n"
        assert [line for line, _, _ in errors(text.decode())] == [3, 4]
        assert len(parse_manifest(text, allowed=Allowed(share_destination=True)).rows) == 3
        with pytest.raises(ManifestInvalid):
            parse_manifest(b"a,b\na,b\n", allowed=Allowed(share_destination=True))

    def test_the_same_login_in_other_capitals_is_refused_like_a_repetition(self) -> None:
        assert errors("Ivan@x,b\nivan@x,b\nIVAN@X,c\n") == [(2, "login", _CAPITALS), (3, "login", _CAPITALS)]
        found = errors("login,password,new_login\na,b,Anna@x\nc,d,anna@x\n")
        assert found == [
            (3, "new_login", _CAPITALS.replace("the same login as in row 1", "goes to the same mailbox as row 2"))
        ]

    def test_capitals_count_where_a_person_says_so(self) -> None:
        manifest = parse_manifest(b"Ivan@x,b\nivan@x,b\n", allowed=Allowed(case_sensitive_logins=True))
        assert len(manifest.rows) == 2
        assert manifest.warnings == ("row 2: login differs from that of row 1 only in capital letters",)

    def test_a_server_is_the_same_by_each_of_its_doors(self) -> None:
        text = "login,password,server,new_login\na,b,imaps://o.example,x\nA,b,{},y\n"
        assert [line for line, _, _ in errors(text.format("pop3s://O.EXAMPLE"))] == [3]
        assert len(parse_manifest(text.format("imaps://other.example").encode()).rows) == 2

    def test_three_columns_need_a_header(self) -> None:
        ((line, _, what),) = errors("a,b,c\nd,e,f\n")
        assert line == 1
        assert "login,password,new_login" in what
        assert "2, 4 or 6" in errors("a,b,c,d,e\n")[0][2]

    def test_headers_that_cannot_be(self) -> None:
        assert "no password column" in errors('"yandex_login";"external_email"\na;b\n')[0][2]
        assert "2 columns mean login" in errors("login,password,email\na,b,c\n")[0][2]
        assert errors("login,password,new_pasword\na,b,c\n") == [
            (1, "new_pasword", "this column is not known; did you mean new_password?")
        ]
        assert "header and no rows" in errors("login,password\n")[0][2]
        ((_, _, what),) = errors("login,pasword\na,b\n")
        assert "looks like a header" in what
        assert "pasword" not in what

    def test_a_first_row_with_one_known_name_is_a_mailbox_and_is_said(self) -> None:
        manifest = parse_manifest(b"user,s3cret\n")
        assert manifest.rows[0].login == "user"
        assert "row 1 is read as a mailbox" in manifest.warnings[0]

    @pytest.mark.parametrize(
        ("data", "what"),
        [
            (b"", "empty"),
            (b"\n \n", "empty"),
            (b"\xef\xbb\xbf", "empty"),
            (b"a b\nc d\n", "comma, a semicolon or a tab"),
            (b"PK\x03\x04rest", "save it as CSV"),
            (b"a,\x81\x98\n", "no text"),
            (b"\xff\xfea,b", "utf-16"),
        ],
    )
    def test_what_is_no_manifest(self, data: bytes, what: str) -> None:
        assert what in errors(data)[0][2]

    def test_a_wrong_encoding_is_said_with_the_line(self) -> None:
        assert errors("a,b\nc,ж\n".encode("cp1251"), encoding="utf-8")[0][0] == 2
        assert "not known" in errors(b"a,b", encoding="klingon")[0][2]
        assert "not known" in errors(b"a,b", encoding="rot13")[0][2]

    def test_limits(self) -> None:
        limits = Limits(file_bytes=100, rows=3, value_characters=10)
        assert "larger than 100 bytes" in errors(b"a" * 101, limits)[0][2]
        assert "more than 3 rows" in errors("".join(f"{n},b\n" for n in range(4)), limits)[0][2]
        assert "more than 3 rows" in errors("login,password\n" + "".join(f"{n},b\n" for n in range(4)), limits)[0][2]
        assert len(parse_manifest(b"login,password\n1,b\n2,b\n3,b\n", limits=limits).rows) == 3
        assert errors(b"a,bbbbbbbbbbb\n", limits) == [(1, "password", "longer than 10 characters")]
        assert "more than 3 rows" in errors(b"\n" * 5000 + b"a,b", Limits(rows=3))[0][2]

    def test_the_text_says_where_what_and_what_to_do_and_never_a_password(self) -> None:
        text = "".join(f'u{n};"pa\tTOPSECRET{n}"\n' for n in range(80)) + 'v;"TOPSECRET\nw;TOPSECRET\nw;TOPSECRET2\n'
        with pytest.raises(ManifestInvalid) as caught:
            parse_manifest(text.encode())
        assert "TOPSECRET" not in str(caught.value)
        assert "TOPSECRET" not in repr(caught.value.errors)
        lines = str(caught.value).splitlines()
        assert lines[0] == f"the manifest has {len(caught.value.errors)} errors; nothing was started:"
        assert lines[-2].endswith("more")
        assert "mailhaul template" in lines[-1]
        for first in ("user,TOPSECRET,x\n", "TOPSECRET,TOPSECRET\nTOPSECRET,\n"):
            with pytest.raises(ManifestInvalid) as caught:
                parse_manifest(first.encode())
            assert "TOPSECRET" not in str(caught.value)

    def test_hostile_files_cost_no_more_than_others(self) -> None:
        """Bounds the processor time of hostile files, whatever else the machine does.

        Code whose time grows with the square takes minutes.
        """
        began = time.process_time()
        errors('"' * 1_000_001 + "\na,b\n")
        errors('"a\n' * 50_000 + "x,y\n")
        errors("a," + "b" * 5_000_000)
        errors("," * 1_000_000)
        blanks = "\u00a0" * 65_000
        for line in (blanks + "x", '"a' + blanks + "x", '"a"' + blanks + "x", ("," + blanks[:500] + "x") * 120):
            errors(("a,b\n" + line + "\n") * 20)
        assert time.process_time() - began < 30

    def test_two_hundred_thousand_rows(self) -> None:
        text = "".join(f'"user{n}@old.example","pass{n}","user{n}@new.example",""\n' for n in range(200_000))
        began = time.process_time()
        assert len(parse_manifest(text.encode()).rows) == 200_000
        assert time.process_time() - began < 60
