"""The manifest: every form that operators have, and every fault at once, never with a password in it."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.intake import headings
from producer.intake.columns import Reading
from producer.intake.headings import NAMES
from producer.intake.manifest import parse_credentials, parse_manifest, template
from producer.intake.manifest_row import Manifest, Row
from producer.intake.sheet import ManifestInvalid, RowError
from shared.model.errors import UsageError
from shared.runtime.secret import Secret
from tests.unit.intake.manifest_kit import errors

ENCODINGS = ("utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1251")


def plain(row: Row) -> tuple[str, str, str, str, str, str]:
    return (
        row.login,
        row.password.reveal(),
        row.new_login,
        row.new_password.reveal(),
        row.first_name,
        row.last_name,
    )


def only(text: str | bytes, encoding: str = "", separator: str = "") -> tuple[str, str, str, str, str, str]:
    data = text if isinstance(text, bytes) else text.encode()
    manifest = parse_manifest(data, encoding=encoding, separator=separator)
    (row,) = manifest.rows
    return plain(row)


def read(data: bytes) -> tuple[Manifest, tuple[RowError, ...]]:
    """Returns the rows or the errors, never neither and never both."""
    manifest, found = Manifest(rows=()), tuple[RowError, ...]()
    try:
        manifest = parse_manifest(data)
    except ManifestInvalid as invalid:
        found = invalid.errors
    assert bool(manifest.rows) != bool(found)
    return manifest, found


class TestForms:
    def test_two_columns_quoted_with_a_space_after_the_separator(self) -> None:
        login, password, new_login, new_password, *_ = only('"ivan@old.example", "s3cret,;\'x"\n')
        assert (login, password) == ("ivan@old.example", "s3cret,;'x")
        assert (new_login, new_password) == (login, password)

    def test_six_columns(self) -> None:
        text = '"ivan@old.example", "s3cret", "Иван", "Петров", "i.petrov@new.example", " another secret"\n'
        manifest = parse_manifest(text.encode())
        assert [plain(row) for row in manifest.rows] == [
            ("ivan@old.example", "s3cret", "i.petrov@new.example", " another secret", "Иван", "Петров")
        ]
        assert manifest.warnings == (
            "row 1: new_password begins or ends with a space, which is kept since it is in quotation marks",
        )

    def test_four_columns(self) -> None:
        assert only("user1;pass1;newuser1;newpass1") == ("user1", "pass1", "newuser1", "newpass1", "", "")
        assert only("user1;password1;user2;password2")[2:4] == ("user2", "password2")
        assert only("user1;pass1;;") == ("user1", "pass1", "user1", "pass1", "", "")

    def test_a_header_in_any_order_and_any_case(self) -> None:
        assert only("login,password,new_login\na,b,c") == ("a", "b", "c", "b", "", "")
        assert only("New_Login , PASSWORD,Login\nc,b,a") == ("a", "b", "c", "b", "", "")
        assert only("Фамилия;Логин;Пароль;Имя\nПетров;a;b;Иван") == ("a", "b", "a", "b", "Иван", "Петров")

    @pytest.mark.parametrize(
        ("header", "login", "new_login"),
        [
            ("EmailAddress,UserName,Password", "2", "1"),
            ('"yandex_login";"external_email";"external_password"', "2", "1"),
            ("Source Email,Source Password,Target Email", "1", "3"),
            ("e-mail\tpass\tNEW EMAIL", "1", "3"),
        ],
    )
    def test_other_programs_headers(self, header: str, login: str, new_login: str) -> None:
        separator = next(s for s in ";,\t" if s in header)
        row = parse_manifest(f"{header}\n1{separator}2{separator}3".encode()).rows[0]
        assert (row.login, row.new_login) == (login, new_login)
        assert row.line == 2

    @pytest.mark.parametrize("separator", [",", ";", "\t"])
    @pytest.mark.parametrize("encoding", ENCODINGS)
    def test_every_encoding_with_every_separator(self, encoding: str, separator: str) -> None:
        rows = [
            ["login", "password", "first_name", "last_name"],
            ["ivan@old.example", "s3cret,;'x\tпароль", "Иван", "Петров"],
            ["anna@old.example", 'two "quotes"', "Анна", "Ёлкина"],
        ]
        rows[1][1] = rows[1][1].replace("\t", " ")
        for quoting in (csv.QUOTE_ALL, csv.QUOTE_MINIMAL):
            for end in ("\r\n", "\n", "\r"):
                out = io.StringIO()
                csv.writer(out, delimiter=separator, quoting=quoting, lineterminator=end).writerows(rows)
                manifest = parse_manifest(out.getvalue().encode(encoding))
                assert [[r.login, r.password.reveal(), r.first_name, r.last_name] for r in manifest.rows] == rows[1:]
                assert manifest.separator == separator

    def test_the_examples_in_every_encoding_and_with_every_separator(self) -> None:
        for separator in (",", ";", "\t"):
            six = ["ivan@old.example", "s3cret", "Иван", "Петров", "i.petrov@new.example", " another secret"]
            text = f"{separator} ".join(f'"{value}"' for value in six)
            for encoding in ENCODINGS:
                assert only(text.encode(encoding))[2:] == (six[4], six[5], six[2], six[3])
            for two in (["ivan@old.example", "s3cret,;'x"], ["user1", "pass1", "newuser1", "newpass1"]):
                text = f"{separator} ".join(f'"{value}"' for value in two)
                for encoding in (*ENCODINGS, "cp1252"):
                    assert only(text.encode(encoding))[: len(two)] == (*two, two[0], two[1])[: len(two)]

    @pytest.mark.parametrize(
        ("encoding", "first", "last"),
        [
            ("cp1252", "Jürgen", "Größe"),
            ("cp1252", "Ö", "Ü"),
            ("cp1252", "François", "Lefèvre"),
            ("cp1251", "Ян", "Ё"),
            ("cp1251", "Олексій", "Їжак"),
            ("cp1251", "Иван", ""),
        ],
    )
    def test_short_files_in_a_code_page(self, encoding: str, first: str, last: str) -> None:
        manifest = parse_manifest(f"a@b.c;s;{first};{last};d@e.f;g".encode(encoding))
        assert (manifest.rows[0].first_name, manifest.rows[0].last_name) == (first, last)
        assert manifest.encoding == encoding
        assert encoding.upper() in manifest.warnings[0]

    def test_what_is_said_wins(self) -> None:
        assert only(b"a,b;c\n", separator="semicolon")[:2] == ("a,b", "c")
        assert only("a,Ж\n".encode("koi8-r"), encoding="koi8-r")[1] == "Ж"
        with pytest.raises(UsageError, match="separator"):
            parse_manifest(b"a,b", separator="|")

    def test_a_password_may_hold_anything_printable(self) -> None:
        text = 'a;#x,"y";\nb;"a;b""c";\n#c;=cmd|x;\n'
        manifest = parse_manifest(text.encode())
        assert [(r.login, r.password.reveal()) for r in manifest.rows] == [
            ("a", '#x,"y"'),
            ("b", 'a;b"c'),
            ("#c", "=cmd|x"),
        ]

    def test_a_header_without_a_login_column_is_no_account(self) -> None:
        with pytest.raises(ManifestInvalid, match="no login column"):
            parse_manifest(b"password,new_login\nx,y\n")

    @pytest.mark.parametrize("header", ["name,surname", "user,city", "name;password", "ФИО;город", "Name;Bemerkung"])
    def test_a_row_of_other_headings_is_no_account(self, header: str) -> None:
        rows = f"{header}\nx,y\n".replace(",", ";").encode()
        with pytest.raises(ManifestInvalid, match="a header without columns for login and password"):
            parse_manifest(rows)
        known = parse_manifest(rows, reading=Reading(no_header=True))
        assert len(known.rows) == 2, "the operator may say that it is one"

    def test_an_account_that_is_named_like_a_heading_is_one(self) -> None:
        assert only("office,s3cret")[:2] == ("office", "s3cret")

    def test_spaces_outside_quotation_marks_are_dropped_and_inside_kept(self) -> None:
        manifest = parse_manifest(b'a ,  b c  \n"d" , " e " \n" f",g\n')
        assert [(r.login, r.password.reveal()) for r in manifest.rows] == [("a", "b c"), ("d", " e "), (" f", "g")]
        assert len(manifest.warnings) == 2
        assert only('a\t"b"\t\t')[:2] == ("a", "b")

    def test_blank_lines_are_left_out_and_lines_counted_as_in_an_editor(self) -> None:
        manifest = parse_manifest("\n\nlogin;password\r\n\r\na;b\r\n   \nc;d\r\re;f\u2028\x85".encode()[:-5])
        assert [row.line for row in manifest.rows] == [5, 7, 9]

    def test_a_known_heading_without_meaning_is_left_out_and_said(self) -> None:
        manifest = parse_manifest(b"department;login;password;phone;\nh;a;b;1;\n")
        assert manifest.rows[0].login == "a"
        assert manifest.warnings == ("these columns are left out: department, phone",)
        assert manifest.columns == ("", "login", "password", "")

    def test_an_unknown_heading_over_values_is_a_question(self) -> None:
        data = b"shade;login;password;;quux\nh;a@x;b;w;\nh;c@x;d;;\n"
        known = "this heading is not known, and values stand under it: rename it, or leave the column out"
        assert errors(data) == [(1, "shade", known), (1, "column 4", known)]
        ((where, _, _),) = errors(data, reading=Reading(ignored=("SHADE",)))
        assert where == 1

    def test_an_unknown_heading_that_is_to_be_left_out_is_no_question(self) -> None:
        manifest = parse_manifest(b"Shade;login;password\nh;a;b\n", reading=Reading(ignored=("shade",)))
        assert manifest.rows[0].login == "a"
        assert manifest.warnings == ("these columns are left out: Shade",)

    def test_an_unknown_heading_over_nothing_is_no_question(self) -> None:
        assert parse_manifest(b"login;password;shade\na;b;\n").warnings == ("these columns are left out: shade",)

    @pytest.mark.parametrize(
        "header",
        [
            'Login,Password,Owner,"Owner\'s password"',
            "Логин,Пароль,Владелец,Пароль владельца",
            "Benutzername,Kennwort,Neue E-Mail,Neues Passwort",
            "Courriel,Mot de passe,Nouvelle adresse,Nouveau mot de passe",
            "Source email,Source password,Destination email,Destination password",
            "login,password,new-login,new-password",
            "Owner’s login,OWNER PASSWORD,e-mail,pass",
        ],
    )
    def test_the_owner_gets_the_mail_however_the_columns_are_called(self, header: str) -> None:
        cells = "new@y,new-pw,old@x,old-pw" if header.startswith("Owner’s") else "old@x,old-pw,new@y,new-pw"
        (row,) = parse_manifest(f"{header}\n{cells}\n".encode()).rows
        assert (row.login, row.password.reveal()) == ("old@x", "old-pw")
        assert (row.new_login, row.new_password.reveal()) == ("new@y", "new-pw")
        assert row.own_new_login

    def test_a_first_row_unlike_all_others_is_a_question(self) -> None:
        data = "Käyttäjä;Salasana\na@x;b\nc@x;d\n".encode()
        ((line, _, what),) = errors(data)
        assert line == 1
        assert "every other login is an address: use" in what
        assert len(parse_manifest(data, reading=Reading(no_header=True)).rows) == 3

    def test_logins_without_a_domain_are_mailboxes(self) -> None:
        assert len(parse_manifest(b"anna;b\nbob;d\n").rows) == 2

    def test_a_row_without_its_own_login_says_that_it_was_assumed(self) -> None:
        first, second = parse_manifest(b"login,password,owner\na@x,b,\nc@x,d,e@y\n").rows
        assert (first.new_login, first.own_new_login) == ("a@x", False)
        assert (second.new_login, second.own_new_login) == ("e@y", True)

    @pytest.mark.parametrize("first", ["sep=;", "SEP=;\r", '"sep=;"', "\ufeffsep=;"])
    def test_the_separator_that_excel_states_is_taken(self, first: str) -> None:
        (row,) = parse_manifest(f"{first}\nlogin;password\na,b;c,d,e\n".encode()).rows
        assert (row.login, row.password.reveal()) == ("a,b", "c,d,e")
        assert row.line == 3

    def test_a_bare_value_beside_a_quoted_one_loses_its_spaces(self) -> None:
        assert only('leo@x , " pw "')[:2] == ("leo@x", " pw ")
        assert only('leo@x\u00a0,"pw"')[:2] == ("leo@x", "pw")

    def test_a_byte_order_mark_of_a_joined_file_is_no_text(self) -> None:
        assert [row.login for row in parse_manifest('\ufeff"a","b"\n\ufeff"c","d"\n'.encode()).rows] == ["a", "c"]

    def test_what_excel_made_of_a_value_is_said(self) -> None:
        manifest = parse_manifest(b"login;password\n1.23E+15;b\n=A1&B1;c\n=SUM(A1);1.5E+3\n")
        assert manifest.warnings == (
            "row 2: login looks like a number that Excel rounded: write it as text in the spreadsheet",
            "rows 3, 4: login looks like a formula, not its value: save the values",
            "row 4: password looks like a number that Excel rounded: write it as text in the spreadsheet",
        )

    @pytest.mark.parametrize("column", ["password", "new_password", "login", "first_name"])
    @pytest.mark.parametrize(
        ("value", "why"),
        [
            ("1.23E+15", "a number that Excel rounded: write it as text in the spreadsheet"),
            ("1,23E+15", "a number that Excel rounded: write it as text in the spreadsheet"),
            ("=A1&B1", "a formula, not its value: save the values"),
            ("#NAME?", "an error of a spreadsheet, not a value: correct the cell"),
            ("#Н/Д", "an error of a spreadsheet, not a value: correct the cell"),
        ],
    )
    def test_what_excel_made_of_any_value_is_said_without_the_value(self, column: str, value: str, why: str) -> None:
        names = ("login", "password", "new_password", "first_name")
        cells = [value if name == column else f"{name}-x" for name in names]
        manifest = parse_manifest(f"{';'.join(names)}\n{';'.join(cells)}\n".encode())
        assert manifest.warnings == (f"row 2: {column} looks like {why}",)

    @pytest.mark.parametrize("password", ["=", "=x", "==A1", "1.5", "#1!", "a#REF!"])
    def test_an_ordinary_password_is_not_doubted(self, password: str) -> None:
        assert parse_manifest(f"a@x;{password}\n".encode()).warnings == ()

    @pytest.mark.parametrize("blank", ["\u00a0", " \u00a0", "\u00a0 ", "\u202f", "\u3000"])
    def test_any_blank_around_a_quoted_value_is_no_text(self, blank: str) -> None:
        for line in (f'leo@x,{blank}"p,w"', f'leo@x{blank},{blank}"p,w"{blank}', f'{blank}"leo@x"{blank},"p,w"{blank}'):
            manifest = parse_manifest(line.encode())
            (row,) = manifest.rows
            assert (row.login, row.password.reveal(), manifest.warnings) == ("leo@x", "p,w", ())
        kept = parse_manifest(f'leo@x,"a,{blank}""b"\n'.encode()).rows[0].password.reveal()
        assert kept == f'a,{blank}"b', "within the quotation marks nothing changes"

    @pytest.mark.parametrize(
        ("written", "bytes_"),
        [("", None), ("500", 500 << 20), ("2 GB", 2 << 30), ("1,5г", 3 << 29), ("10 МБ", 10 << 20), ("1TiB", 1 << 40)],
    )
    def test_quotas(self, written: str, bytes_: int | None) -> None:
        assert parse_manifest(f"login;password;quota\na;b;{written}".encode()).rows[0].quota_bytes == bytes_

    def test_the_template_can_be_imported(self) -> None:
        for separator in (",", ";", "\t", "tab"):
            manifest = parse_manifest(template(separator).encode())
            assert [row.server is None for row in manifest.rows] == [True, True, False]
            assert manifest.columns == tuple(NAMES)

    def test_a_row_may_name_its_server(self) -> None:
        rows = parse_manifest(
            b"login,password,server\na,b,\nc,d,pop3s://pop.old.example\ne,f,POP3S://POP.old.example:995\n"
        ).rows
        assert [row.server.url if row.server else None for row in rows] == [
            None,
            "pop3s://pop.old.example:995",
            "pop3s://pop.old.example:995",
        ]

    def test_one_login_at_two_servers_is_two_mailboxes(self) -> None:
        text = b"login,password,new_login,server\ninfo,b,info@a,imaps://a.example\ninfo,d,info@b,imaps://b.example\n"
        assert len(parse_manifest(text).rows) == 2
        said = errors(text.replace(b"imaps://b", b"imaps://a"))
        assert said == [(3, "login", "the same login as in row 2, but the rest differs: keep one of them")]

    def test_every_wrong_server_is_told_with_its_row(self) -> None:
        said = errors("login,password,server\na,b,pop.old.example\nc,d,imap://far.example\ne,f,pop.old.example\n")
        assert [(line, column) for line, column, _ in said] == [(2, "server"), (3, "server"), (4, "server")]
        assert "say how to connect" in said[0][2]
        assert "--allow-plaintext" in said[1][2]

    def test_no_name_means_two_columns(self) -> None:
        names = [headings.plain(name) for column, others in NAMES.items() for name in {column, *others}]
        assert len({*names}) == len([*{(n, c) for c, o in NAMES.items() for n in map(headings.plain, (c, *o))}])

    def test_credentials_are_the_same_form(self) -> None:
        assert parse_credentials(b"a,b").rows == parse_manifest(b"a,b").rows


_value = st.text(st.characters(exclude_categories=("Cc", "Cs", "Zl", "Zp")), min_size=1, max_size=12)


class TestRoundTrips:
    @given(
        st.lists(
            st.tuples(_value, _value), min_size=1, max_size=6, unique_by=(lambda r: r[0], lambda r: r[0].casefold())
        ),
        st.sampled_from([",", ";", "\t"]),
        st.sampled_from(["utf-8", "utf-8-sig", "utf-16"]),
        st.sampled_from(["\n", "\r\n"]),
    )
    def test_what_the_csv_module_writes_in_quotation_marks_is_read_back(
        self, rows: list[tuple[str, str]], separator: str, encoding: str, end: str
    ) -> None:
        out = io.StringIO()
        writer = csv.writer(out, delimiter=separator, quoting=csv.QUOTE_ALL, lineterminator=end)
        writer.writerows([("login", "password"), *rows])
        manifest = parse_manifest(out.getvalue().encode(encoding))
        assert [(row.login, row.password.reveal()) for row in manifest.rows] == rows

    @given(st.binary(max_size=200))
    def test_any_bytes_give_rows_or_errors(self, data: bytes) -> None:
        read(data)

    @given(st.text(st.sampled_from('ab,;"\t\n\r #é'), max_size=40))
    def test_any_text_gives_rows_or_errors(self, text: str) -> None:
        manifest, found = read(text.encode())
        assert all(0 <= error.line <= text.count("\n") + text.count("\r") + 1 for error in found)
        assert all(row.login and row.password for row in manifest.rows)


# -- logins alone, where an administrator signs in


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("login\nanna@old.example\nbob", [("anna@old.example", "anna@old.example"), ("bob", "bob")]),
        ("anna@old.example\nbob\n", [("anna@old.example", "anna@old.example"), ("bob", "bob")]),
        ("login,new_login\nanna,anna@new\nbob,", [("anna", "anna@new"), ("bob", "bob")]),
        ("login;password\nanna;\nbob;pw", [("anna", "anna"), ("bob", "bob")]),
        ("email\nanna", [("anna", "anna")]),
    ],
)
def test_logins_alone(text: str, rows: list[tuple[str, str]]) -> None:
    found = parse_manifest(text.encode(), passwords=False)
    assert [(row.login, row.new_login) for row in found.rows] == rows
    with pytest.raises(ManifestInvalid):
        parse_manifest(text.encode())


def test_without_a_header_two_columns_stay_login_and_password() -> None:
    (row,) = parse_manifest(b"anna,word", passwords=False).rows
    assert (row.login, row.password) == ("anna", Secret("word"))


@pytest.mark.parametrize("odd", ["a\x00b", "a\x01b", "a\u2028b", '"a\r\nb"', "a\tb\x7f"])
def test_a_login_that_could_become_a_command_is_an_error(odd: str) -> None:
    with pytest.raises(ManifestInvalid):
        parse_manifest(f"login,new_login\n{odd},x\n".encode(), passwords=False)
