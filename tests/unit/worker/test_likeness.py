"""The changes that servers are known to make: a message with them is recognised as the same, and nothing else is."""

from __future__ import annotations

import hashlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.content.fingerprint import (
    Canonical,
    canonical_digest,
    fingerprint_of,
    header_of,
    identifying,
    in_ascii,
    message_id_of,
)
from shared.model.messages import Sighting
from shared.model.uids import Uid
from worker.decisions.likeness import Reasons, likely, matched

WHEN = 1_400_000_000
KOI8 = "Привет".encode("koi8-r")
HEAD = b"Message-ID: <1@k.example>\r\nFrom: a@example.org\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n"


def canonical(body: bytes, cuts: tuple[int, ...] = ()) -> Canonical:
    made = Canonical()
    for low, high in zip((0, *cuts), (*cuts, len(body)), strict=True):
        made.update(body[low:high])
    return made


def seen(uid: int, body: bytes, when: int | None = WHEN, size: int | None = None) -> Sighting:
    fields, made = identifying(header_of(body)), canonical(body)
    return Sighting(
        uid=Uid(uid),
        size_bytes=len(body) if size is None else size,
        internaldate=when,
        fingerprint=fingerprint_of(fields),
        message_id=message_id_of(fields),
        digest=made.digest(),
        alike=made.alike(),
        in_ascii=in_ascii(fields),
    )


def munged(body: bytes, by: bytes = b"X") -> bytes:
    header, blank, text = body.partition(b"\r\n\r\n")
    return b"".join(by if byte >= 128 else bytes([byte]) for byte in header) + blank + text


#: The message that was sent, and what a server is known to have made of it.
REWRITTEN = {
    "Cyrus: 8-bit Subject": (HEAD + b"Subject: " + KOI8 + b"\r\n\r\ntext\r\n", None),
    "Cyrus: 8-bit To": (HEAD + b"To: " + KOI8 + b" <b@e>\r\nSubject: s\r\n\r\ntext \xd0\r\n", None),
    "Cyrus: 8-bit Message-ID": (b"Message-ID: <" + KOI8 + b"@x>\r\nSubject: s\r\n\r\ntext\r\n", None),
    "Courier: CRs without LF": (
        HEAD + b"X-A: 1\rSubject: s\r\n\r\none\rtwo\r\n",
        HEAD + b"X-A: 1Subject: s\r\n\r\nonetwo\r\n",
    ),
    "Dovecot: final CR": (HEAD + b"Subject: s\r\n\r\ntext\r", HEAD + b"Subject: s\r\n\r\ntext"),
    "Dovecot: nothing but CRs": (
        b"Received: from a by b\rX-Mac: 1\r\rtext\r",
        b"Received: from a by b\rX-Mac: 1\r\rtext",
    ),
    "Dovecot: CR CR LF": (HEAD + b"Subject: s\r\r\n\r\r\nte\r\r\nxt\r\r\n", HEAD + b"Subject: s\r\n\r\nte\r\nxt\r\n"),
    "Dovecot: bare LF": (b"Subject: s\n\na\nb\n", b"Subject: s\r\n\r\na\r\nb\r\n"),
    "Dovecot: bare LF, no header": (b"\na\nb\n\n\n", b"\r\na\r\nb\r\n\r\n\r\n"),
    "Dovecot: NUL": (HEAD + b"Subject: a\0b\r\n\r\na\0b\r\n", HEAD + b"Subject: a\x80b\r\n\r\na\x80b\r\n"),
    "POP3: no final line end": (HEAD + b"\r\nno final line end", HEAD + b"\r\nno final line end\r\n"),
    "mbox: blank lines at the end": (HEAD + b"\r\ntext\r\n\r\n\r\n", HEAD + b"\r\ntext\r\n"),
    "mbox: fields are taken away": (
        b"Status: RO\r\n" + HEAD + b"X-UID: 12\r\nX-Keywords: a\r\n b\r\nSubject: s\r\n\r\nStatus: text\r\n",
        HEAD + b"Subject: s\r\n\r\nStatus: text\r\n",
    ),
    "mbox: a message of one byte": (b"x", b"x\r\n\r\n\r\n"),
    "mbox: fields are added, no header": (
        b"\r\nx",
        b"Status: O\r\nX-UID: 3\r\nX-Keywords:" + b" " * 60 + b"\r\n\r\nx\r\n",
    ),
    "mbox: fields are added": (HEAD + b"\r\ntext\r\n", HEAD + b"X-UID: 3\r\nContent-Length: 6\r\n\r\ntext\r\n"),
    "mbox: other fields": (
        HEAD + b"Status: O\r\n\r\ntext\n",
        b"X-IMAPbase: 1 2\r\n" + HEAD + b"STATUS: RO\r\n\r\ntext\r\n",
    ),
    "mbox: no text": (HEAD + b"Status: O", HEAD),
    "mbox: no header but theirs": (b"\r\ntext of a message\r\n", b"X-UID: 3\r\n\r\ntext of a message\r\n"),
    "mbox: a first line From": (
        b"From a@example.org Thu Jan  1 2015\r\n" + HEAD + b"\r\ntext\r\n",
        HEAD + b"\r\ntext\r\n",
    ),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_what_servers_are_known_to_do_is_recognised(name: str) -> None:
    original, stored = REWRITTEN[name]
    copies = [munged(original), munged(original, b"?")] if stored is None else [stored]
    for copy in copies:
        assert copy != original
        assert Reasons([seen(7, copy)]).meet(seen(3, original)), "there is no reason to read it"
        assert Reasons([seen(3, original)]).meet(seen(7, copy))
        assert matched([seen(3, original)], [seen(7, copy)]) == {3: 7}


@pytest.mark.parametrize(
    "copy",
    [
        HEAD + b"Subject: " + KOI8[:-1] + b"a\r\n\r\ntext\r\n",  # one 8-bit letter fewer: not the result of munging
        HEAD + b"Subject: XXXXXX\r\n\r\nother text\r\n",
        HEAD + b"Subject: XXXXX\r\n\r\ntext\r\n",
        HEAD + b"Subject: " + "Пакетъ".encode("koi8-r") + b"\r\n\r\ntext\r\n",
        HEAD + b"Subject: XXXXXX\r\n\r\nte xt\r\n",
        HEAD + b"Status: O\r\nSubject: " + KOI8 + b"\r\n\r\nother text\r\n",
        HEAD + b"Subject: " + KOI8 + b"\r\nX-Status-Of: O\r\n\r\ntext\r\n",
        HEAD + b"Subject: " + KOI8 + b"\r\n\r\nStatus: O\r\ntext\r\n",
    ],
)
def test_what_no_server_makes_of_it_is_another_message(copy: bytes) -> None:
    assert matched([seen(3, HEAD + b"Subject: " + KOI8 + b"\r\n\r\ntext\r\n")], [seen(7, copy)]) == {}


def test_bytes_of_the_body_are_not_replaced() -> None:
    assert matched([seen(1, HEAD + b"\r\n" + KOI8 + b"\r\n")], [seen(1, HEAD + b"\r\nXXXXXX\r\n")]) == {}


def test_control_the_text_of_a_message_is_no_mark_of_mbox() -> None:
    one, other = (HEAD + b"\r\nStatus: %b\r\ntext\r\n" % mark for mark in (b"O", b"RO"))
    assert matched([seen(1, one)], [seen(1, other)]) == {}
    assert canonical(one).unmarked() == canonical(one).digest()


def test_the_identity_of_a_message_does_not_depend_on_marks_of_mbox() -> None:
    one, other = HEAD + b"\r\ntext\r\n", HEAD + b"Status: RO\r\n\r\ntext\r\n"
    assert canonical(one).unmarked() == canonical(other).unmarked() == canonical(one).digest()
    assert canonical(one + b"\r\n").unmarked() != canonical(one).unmarked()


def test_the_closest_is_taken_first() -> None:
    plain, longer = HEAD + b"\r\ntext\r\n", HEAD + b"\r\ntext\r\n\r\n"
    assert matched([seen(1, plain), seen(2, longer)], [seen(5, longer)]) == {2: 5}
    assert matched([seen(1, plain), seen(2, longer)], [seen(5, longer), seen(6, longer)]) == {1: 6, 2: 5}
    dated = [seen(1, plain, WHEN), seen(2, plain, WHEN + 1)]
    assert matched(dated, [seen(8, plain, WHEN + 1), seen(9, plain, WHEN)]) == {1: 9, 2: 8}


def test_one_copy_belongs_to_one_message() -> None:
    twin = HEAD + b"\r\ntwin\r\n"
    assert matched([seen(n, twin) for n in (1, 2, 3)], [seen(n, twin) for n in (8, 9)]) == {1: 8, 2: 9}


def test_there_is_no_reason_without_something_in_common() -> None:
    reasons = Reasons([seen(1, HEAD + b"Subject: s\r\n\r\ntext\r\n")])
    other = b"Message-ID: <2@k.example>\r\nSubject: t\r\n\r\nwith some more text\r\n"
    assert not reasons.meet(seen(1, other, WHEN + 1))
    assert reasons.meet(seen(1, other, WHEN)), "the same second, and a size that could be"
    assert not reasons.meet(seen(1, other + b"x" * 1000, WHEN)), "no server doubles a message"
    assert reasons.meet(seen(1, HEAD + b"Subject: other\r\n\r\nanother text\r\n", WHEN + 1)), "the same Message-ID"


def test_what_agrees_in_all_else_is_compared_by_its_beginning_first() -> None:
    body = HEAD + b"Subject: s\r\n\r\ntext\r\n"
    assert likely([seen(1, body)], [seen(2, body)]) == {1: 2}
    assert likely([seen(1, body)], [seen(2, body), seen(3, body)]) == {}, "the Message-ID stands twice"
    assert likely([seen(1, body)], [seen(2, body, WHEN + 1)]) == {}
    assert likely([seen(1, body, None)], [seen(2, body, None)]) == {}
    assert likely([seen(1, body)], [seen(2, body + b"x")]) == {}
    nameless = body.removeprefix(b"Message-ID: <1@k.example>\r\n")
    assert likely([seen(1, nameless)], [seen(2, nameless)]) == {}


BITS = st.lists(
    st.sampled_from(
        [
            b"\r",
            b"\n",
            b"\r\n",
            b"\r\n\r\n",
            b"a",
            b"Subject: \xd0",
            b"\0",
            b"\x80",
            b"x" * 9,
            b"\nStatus: O\n",
            b"From a\n",
        ]
    ),
    max_size=14,
)


@given(BITS, st.lists(st.integers(0, 60), max_size=4))
def test_how_the_bytes_come_makes_no_difference(bits: list[bytes], cuts: list[int]) -> None:
    body = b"".join(bits)
    whole, cut = canonical(body), canonical(body, tuple(sorted(min(at, len(body)) for at in cuts)))
    assert (cut.digest(), cut.alike()) == (whole.digest(), whole.alike())


@given(BITS)
def test_the_forms_are_what_they_are_said_to_be(bits: list[bytes]) -> None:
    """Compares the forms with a model that has the whole message before it."""
    body = b"".join(bits)
    lines = body.replace(b"\0", b"\x80").removesuffix(b"\r")
    while b"\r\n" in lines:
        lines = lines.replace(b"\r\n", b"\n")
    lines = lines.replace(b"\n", b"\r\n")
    trimmed = lines.rstrip(b"\r\n")
    header = b"" if lines.startswith(b"\r\n") else trimmed.partition(b"\r\n\r\n")[0]
    replaced = [munged(header, by) + trimmed[len(header) :] for by in (b"X", b"?")]
    stripped = trimmed.replace(b"\r\n", b"\n").replace(b"\r", b"").replace(b"\n", b"\r\n")
    lines_of_header = re.sub(rb"\A>?From [^\r\n]*\r\n", b"", header + b"\r\n") if header else header
    unmarked = b"".join(
        line for line in re.findall(rb"[^\n]*\n", lines_of_header) if not line.lower().startswith(b"status:")
    )
    rest = trimmed[len(header) + 2 :] if trimmed[len(header) :] else None
    unmarked = trimmed if not header else unmarked[:-2] if rest is None else unmarked + rest
    forms = [trimmed, *(form if form != trimmed else None for form in (*replaced, stripped, unmarked))]
    made = canonical(body)
    assert made.alike() == tuple(b"" if form is None else hashlib.sha256(form).digest() for form in forms)
    assert made.digest() == canonical_digest(body) == hashlib.sha256(lines).digest()
