"""Tests servers that spell their answers in their own way: the same mail arrives.

Nonsense is reported, never skipped.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import rewrite
from tests.servers.faulty import Quirk

Spell = Callable[[bytes], bytes]


def each(pattern: bytes, by: bytes | Callable[[re.Match[bytes]], bytes]) -> Spell:
    return lambda answer: re.sub(pattern, by, answer, flags=re.MULTILINE)


def untagged_first(answer: bytes) -> bytes:
    """Moves the line that ends the command to the end, behind the untagged lines."""
    lines = answer.splitlines(keepends=True)
    return b"".join(sorted(lines, key=lambda line: line.startswith(b"*")))


def everywhere(answer: bytes) -> bytes:
    """Puts spaces and tabs between the words of lines without a literal or a text for people."""
    return re.sub(
        rb"^\* (?:\d+ EXISTS|LIST|LSUB|STATUS|SEARCH|ESEARCH|FLAGS).*$",
        lambda line: line[0].replace(b" ", b" \t ") if b'"' not in line[0] else line[0].replace(b" (", b" \t ( ", 1),
        answer,
        flags=re.MULTILINE,
    )


SPELLINGS = {
    "two blanks before EXISTS": each(rb"^\* (\d+) EXISTS", rb"*  \1 EXISTS"),
    "tabs around EXISTS": each(rb"^\* (\d+) EXISTS", rb"*\t\1\tEXISTS"),
    "a blank behind EXISTS": each(rb"(\d+) EXISTS", rb"\1 EXISTS \t"),
    "exists": each(rb"EXISTS", b"exists"),
    "EXISTS behind the end": lambda answer: untagged_first(answer) if b" EXISTS" in answer else answer,
    "in progress": each(rb"^(\* \d+ EXISTS)", rb"* OK in progress\r\n*  OK  still\r\n\1"),
    "no attributes": each(rb"^\* (LIST|LSUB) \([^)]*\)", rb"* \1"),
    "NIL attributes": each(rb"^\* (LIST|LSUB) \([^)]*\)", rb"* \1 NIL"),
    "bare names": each(rb'^(\* (?:LIST|LSUB) .*) "([^"]+)"', rb"\1 \2"),
    "bare separator": each(rb'^(\* (?:LIST|LSUB) \([^)]*\)) "/"', rb"\1 /"),
    "names as literals": each(
        rb'^(\* (?:LIST|LSUB) .*) "([^"]+)"', lambda found: b"%b {%d}\r\n%b" % (found[1], len(found[2]), found[2])
    ),
    "blanks in LIST": each(rb"^\* (LIST|LSUB) \(([^)]*)\) ", rb"*  \1\t( \2 )  "),
    "list": each(rb"^\* (LIST|LSUB|STATUS)", lambda found: found[0].lower()),
    "blanks in STATUS": each(rb"^\* STATUS (.*) \((.*)\)", rb"*  STATUS  \1\t(  \2  ) "),
    "numbers as strings": each(rb"(MESSAGES|UIDNEXT) (\d+)", rb'\1 "\2"'),
    "FETCH with two blanks": each(rb"^\* (\d+) FETCH \(", rb"*  \1  FETCH  ( "),
    "FETCH with tabs": each(rb"^\* (\d+) FETCH \(UID (\d+) ", rb"*\t\1\tFETCH\t(UID\t\2\t"),
    "fetch": each(rb"^\* (\d+) FETCH", rb"* \1 fetch"),
    "FETCH without a number": each(rb"^\* (\d+) FETCH", rb"* FETCH"),
    "ends with tabs": each(rb"^(m\d+) OK ", rb"\1\tOK\t"),
    "ends with two blanks": each(rb"^(m\d+) OK ", rb"\1  ok  "),
    "codes with blanks": each(rb"\[(UIDVALIDITY|UIDNEXT|APPENDUID) ([^\]]*)\]", rb"[ \1  \2 ]"),
    "all of it": everywhere,
}


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("how", SPELLINGS)
def test_the_same_mail_arrives_however_it_is_spelled(wires: Wires, side: str, how: str) -> None:
    wires.fill(4)
    wires.fill(3, b"Work/Plans", first=5)
    wires.old.folder(b"Sent Items").add(plain(9))
    server = wires.source if side == "source" else wires.destination
    # Messages are not changed: none of them has a line that looks like an answer.
    server.faults.add(rewrite(rb"^(?!AUTHENTICATE|LOGIN|CAPABILITY|LOGOUT)", SPELLINGS[how]))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 8}
    wires.fill(2, first=20)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 10}
    assert not in_process.failures()
    for folder in (b"INBOX", b"Work/Plans", b"Sent Items"):
        assert wires.bodies(folder) == wires.sent(folder)


@pytest.mark.parametrize("line", [b"* twelve EXISTS", b"* -3 EXISTS", b"* 3,064 EXISTS", b"* EXISTS 4", b"* EXISTS"])
def test_an_exists_that_makes_no_sense_is_told_with_its_text(wires: Wires, line: bytes) -> None:
    wires.fill(4)
    wires.fill(3, b"Work", first=5)
    wires.source.faults.add(rewrite(rb"^EXAMINE .?INBOX", each(rb"^\* \d+ EXISTS", line)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    inbox = next(folder for folder in in_process.every_folder() if folder.source_name == b"INBOX")
    assert inbox.unreadable
    assert line.decode() in inbox.note
    assert wires.bodies(b"Work") == wires.sent(b"Work")


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize(
    "line", [b'* LIST (\\Marked "/" Work', b'* LIST () "/" "Work', b"* LIST ()", b'* LSUB () "/" "a" "b"', b"* LIST"]
)
def test_a_folder_that_is_listed_in_no_sense_is_an_error_with_its_text(wires: Wires, side: str, line: bytes) -> None:
    wires.fill(2)
    server = wires.source if side == "source" else wires.destination
    server.faults.add(rewrite(rb'^LIST "" "\*"', lambda answer: line + b"\r\n" + answer))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    for _ in range(20):
        in_process.work()
        in_process.later()
    failure = in_process.failures()[0]
    assert failure.code == f"{side}_protocol"
    assert line.decode() in failure.detail
    assert in_process.mailbox().state == "parked"


FETCHES: dict[str, Spell] = {
    "a parenthesis in a flag": each(rb"(UID 3 FLAGS \()[^)]*", rb"\1(paren"),
    "a quotation mark in a flag": each(rb"(UID 3 FLAGS \()[^)]*", rb'\1kw"q'),
    "no end": each(rb"(this is message 3\r\n)\)", rb"\1"),
    "nested": each(rb"(UID 3 FLAGS )\([^)]*\)", rb"\1" + b"(" * 500),
    "no list": each(rb"FETCH \((UID 3 )", rb"FETCH \1"),
}


@pytest.mark.parametrize("how", FETCHES)
def test_a_fetch_answer_that_makes_no_sense_costs_one_message(wires: Wires, how: str) -> None:
    wires.fill(20)
    fault = wires.source.faults.add(rewrite(rb"^UID FETCH .*BODY.PEEK\[\]", FETCHES[how]))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert fault.struck, "it was asked for"
    assert in_process.outcomes() == {"copied": 19, "failed": 1}
    assert "FETCH" in in_process.noted("failed")[3]
    assert (wires.sent() - wires.bodies()).total() == 1


def test_a_search_that_makes_no_sense_is_an_error_with_its_text(wires: Wires) -> None:
    """Sends a SEARCH answer of which everything after the odd word would have been dropped."""
    wires.fill(4)
    wires.old.folder(b"INBOX").add(plain(5), quirks=frozenset({Quirk.MISSING}))
    wires.source.faults.add(rewrite(rb"^UID SEARCH", each(rb"^\* E?SEARCH.*", rb"* SEARCH 1 2 3 and 4 5\r")))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    for _ in range(20):
        in_process.work()
        in_process.later()
    assert any("SEARCH 1 2 3 and 4 5" in failure.detail for failure in in_process.failures())
