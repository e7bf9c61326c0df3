"""Tests sources that tell one message in several FETCH answers: UID, body, flags and date are joined by its number."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import pytest

from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.imap.imap_source import ImapSource
from shared.model.uids import UidSet
from tests.integration.in_process_import import LOGIN, InProcessImport, Wires, plain
from tests.servers.faults import rewrite

LARGE = plain(77, text="line of a large message\r\n" * 40_000)


def items_of(answer: bytes) -> tuple[bytes, dict[bytes, bytes]]:
    """Returns number and items of a FETCH answer with a body."""
    found = re.match(
        rb'\* (\d+) FETCH \((UID \d+) (FLAGS \([^)]*\)) (INTERNALDATE "[^"]*") '
        rb"(RFC822\.SIZE \d+) (BODY\[\] \{(\d+)\}\r\n.*)\)\r\n\Z",
        answer,
        re.DOTALL,
    )
    assert found, answer[:200]
    return found[1], dict(zip((b"UID", b"FLAGS", b"DATE", b"SIZE", b"BODY"), found.groups()[1:6], strict=True))


def answers_of(text: bytes) -> tuple[list[bytes], bytes]:
    """Splits what a command brought into its FETCH answers and the rest."""
    answers: list[bytes] = []
    while head := re.match(rb"\* \d+ FETCH \([^\r\n]*\{(\d+)\}\r\n", text):
        end = head.end() + int(head[1]) + len(b")\r\n")
        answers.append(text[:end])
        text = text[end:]
    return answers, text


def split(*orders: Sequence[bytes], extra: bytes = b"") -> Callable[[bytes], bytes]:
    """Returns a spelling in which each message comes in one answer for each group of items in `orders`."""

    def spelled(text: bytes) -> bytes:
        answers, rest = answers_of(text)
        told = []
        for order in orders:
            for answer in answers:
                number, items = items_of(answer)
                told.append(b"* %b FETCH (%b)\r\n" % (number, b" ".join(items[name] for name in order)) + extra)
        return b"".join(told) + rest

    return spelled


FORMS = {
    "one by one": split([b"UID"], [b"BODY"], [b"FLAGS"], [b"DATE"], [b"SIZE"]),
    "the date last": split([b"UID", b"FLAGS", b"BODY"], [b"DATE"]),
    "the UID last": split([b"BODY", b"FLAGS"], [b"DATE", b"UID"]),
    "the body last": split([b"DATE"], [b"FLAGS"], [b"UID"], [b"BODY"]),
    "the UID in each": split([b"UID", b"DATE"], [b"UID", b"BODY"], [b"UID", b"FLAGS", b"SIZE"]),
    "a header between": split(
        [b"UID", b"FLAGS"], [b"BODY"], [b"DATE"], extra=b"* 1 FETCH (BODY[HEADER] {4}\r\nX: y)\r\n"
    ),
    "no flags": split([b"UID", b"BODY"], [b"DATE"]),
}


@pytest.mark.parametrize("form", FORMS)
def test_what_is_told_in_several_answers_is_one_message(wires: Wires, form: str) -> None:
    wires.fill(8)
    wires.old.folder(b"INBOX").add(LARGE, [b"\\Flagged"], b"11-Nov-2011 11:11:11 +0000")
    wires.source.faults.add(rewrite(rb"^UID FETCH \S+ \(UID FLAGS", FORMS[form]))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 9}
    assert wires.bodies() == wires.sent()
    there = {m.body: (m.flags, m.internaldate) for m in wires.old.folder(b"INBOX").messages}
    for copy in wires.new.folder(b"INBOX").messages:
        flags, date = there[copy.body]
        assert copy.internaldate is not None
        assert copy.internaldate.strip().rjust(26, b"0") == date.strip().rjust(26, b"0"), "not the date of its header"
        assert copy.flags == (flags if form != "no flags" else ())


def test_without_joining_them_the_date_is_another(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FetchTold, "keep", lambda self, line, items, wanted: False)
    wires.fill(4)
    wires.source.faults.add(rewrite(rb"^UID FETCH \S+ \(UID FLAGS", FORMS["the date last"]))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    dates = {(copy.internaldate or b"")[:11] for copy in wires.new.folder(b"INBOX").messages}
    assert dates == {b"01-Jan-2024"}, "that of the header"


def test_nothing_is_joined_over_a_message_that_was_removed() -> None:
    parts = FetchTold()
    assert parts.keep(b"* 1 FETCH (", {b"UID": b"5"}, {b"UID"})
    assert parts.known(b"* 1 FETCH (", {b"FLAGS": []}, 0) == {b"UID": b"5", b"FLAGS": []}
    assert parts.known(b"* 1 FETCH (", {b"FLAGS": []}, 1) == {b"FLAGS": []}


_ITEM = re.compile(rb'(BODY\[[^]]*\](?:<\d+>)?|[A-Z0-9.]+) (\([^)]*\)|"[^"]*"|\{(\d+)\}\r\n|[^ )\r\n]+)')


def one_item_each(text: bytes) -> bytes:
    """Returns what a command brought with an answer for each item of a message, in the opposite order: the UID last."""
    answers: list[bytes] = []
    while head := re.match(rb"\* \d+ FETCH \(", text):
        told: list[bytes] = []
        number, text = head[0], text[head.end() :]
        while item := _ITEM.match(text):
            end = item.end() + int(item[3] or 0)
            told.append(text[:end])
            text = text[end:].removeprefix(b" ")
        assert text.startswith(b")\r\n"), text[:100]
        text = text[3:]
        answers += [number + item + b")\r\n" for item in reversed(told)]
    return b"".join(answers) + text


@pytest.mark.parametrize("joined", [True, False])
def test_sizes_flags_headers_bytes_and_marks_are_joined_too(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, *, joined: bool
) -> None:
    if not joined:
        monkeypatch.setattr(FetchTold, "keep", lambda self, line, items, wanted: False)
    wires.fill(6)
    in_process = InProcessImport(wires.source, wires.destination)
    source = ImapSource(in_process.open("source", LOGIN))
    opened = source.open(b"INBOX")
    every, flags, told = UidSet.span(1, 6), [("\\Seen",) if uid % 2 else () for uid in range(1, 7)], {}
    usual = list(source.sightings(every))
    looks = [{"full": True}, {"full": True, "text_bytes": 20}]
    usual_looks = [list(source.sightings(every, **look)) for look in looks]  # type: ignore[arg-type]
    marks = source.marks(every)
    wires.source.faults.add(rewrite(rb"^UID FETCH", one_item_each))
    assert (list(source.sightings(every)) == usual) is joined
    assert (sorted(source.flags(every)) == list(enumerate(flags, start=1))) is joined
    for look, whole in zip(looks, usual_looks, strict=True):
        assert (list(source.sightings(every, **look)) == whole) is joined, look  # type: ignore[arg-type]
    shown: dict[int, tuple[str, ...]] = {}
    assert (source.marks(every, told=shown.__setitem__) == marks) is joined
    assert (shown == dict(enumerate(flags, start=1))) is joined
    sizes = list(source.sizes(opened, told=told.__setitem__))
    assert (sizes == [(seen.uid, seen.size_bytes) for seen in usual]) is joined
    assert (told == dict(enumerate(flags, start=1))) is joined
    source.abort()


def test_copies_are_recognised_by_what_is_told_in_several_answers(wires: Wires) -> None:
    wires.fill(6)
    InProcessImport(wires.source, wires.destination).to_the_end()
    wires.source.faults.add(rewrite(rb"^UID FETCH \S+ \(UID (?!.*BODY\.PEEK\[\])", one_item_each))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 6}
