"""Dialogues that vendors' servers are known for (docs/compatibility.md): each message arrives once, and no mailbox is parked.

A row of a table is one server's habit. None of these servers can be run here: the dialogue is what their
users and other programs reported.
"""

from __future__ import annotations

import re

import pytest

from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import Fault, FaultTable, preface, reply, retag, rewrite

_ALERTS = b"* OK [ALERT] Your mailbox is nearly full. Please read the notice.\r\n" * 300
_NOISE = b'* 1 FETCH (FLAGS (\\Seen))\r\n* FLAGS (\\Seen)\r\n* 4 RECENT\r\n* OK Still here\r\n* LIST () "/" Other\r\n'


def _items_more(answer: bytes) -> bytes:
    """Returns FETCH answers with items that nobody asked for, before and after those that were."""
    return re.sub(rb"(\* \d+ FETCH \()", rb"\1X-GUID {3}\r\na)b MODSEQ (7) ", answer)


def _lists_as_literals(answer: bytes) -> bytes:
    return re.sub(
        rb'(\* LIST \([^)]*\) \S+ )"?([^"\r]+?)"?\r\n', lambda m: m[1] + b"{%d}\r\n%b\r\n" % (len(m[2]), m[2]), answer
    )


def _without_next(answer: bytes) -> bytes:
    return re.sub(rb"\* OK \[UIDNEXT[^\r]*\r\n", b"", answer)


def _hidden(answer: bytes) -> bytes:
    return re.sub(rb"\* LIST [^\r]*Work[^\r]*\r\n", b"", answer)


def _at_source() -> dict[str, list[Fault]]:
    return {
        "alerts before every answer": [preface(rb".", _ALERTS, times=None)],
        "unasked answers before every FETCH": [preface(rb"^UID FETCH", _NOISE, times=None)],
        "unasked items in every FETCH": [rewrite(rb"^UID FETCH", _items_more)],
        "names as literals": [rewrite(rb"^LIST", _lists_as_literals)],
        "no UIDNEXT at EXAMINE": [rewrite(rb"^EXAMINE", _without_next)],
        "BYE at a FETCH, twice": [reply(rb"^UID FETCH", b"* BYE Connection closed. 14", times=2)],
        "UNAVAILABLE once": [
            reply(rb"^UID FETCH .*BODY", b"NO [UNAVAILABLE] UID FETCH Server error, please try again")
        ],
        "THROTTLED on every OK": [retag(rb"^UID FETCH", b"OK [THROTTLED] FETCH completed", times=2)],
    }


def _at_destination() -> dict[str, list[Fault]]:
    return {
        "alerts before every answer": [preface(rb"^(?!APPEND)", _ALERTS, times=None)],
        "the folder exists already": [
            reply(rb"^CREATE", b"NO [ALREADYEXISTS] Mailbox already exists", times=None),
            rewrite(rb"^LIST", _hidden),
        ],
        "it exists, without a code": [
            reply(rb"^CREATE", b"NO CREATE failed: Mailbox already exists!", times=None),
            rewrite(rb"^LIST", _hidden),
        ],
        "no UIDNEXT at SELECT": [
            rewrite(rb"^(SELECT|EXAMINE)", _without_next),
        ],
        "no APPENDUID in spite of UIDPLUS": [retag(rb"^APPEND", b"OK APPEND completed", times=None)],
    }


def _plays(wires: Wires, faults: FaultTable, dialogue: list[Fault], *, existing: bool = False) -> None:
    wires.fill(9)
    for number in range(100, 104):
        wires.old.folder(b"Work").add(plain(number))
    if existing:
        wires.new.folder(b"Work")
    for fault in dialogue:
        faults.add(fault)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 13}
    assert wires.bodies() == wires.sent()
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert in_process.mailbox().state == "complete"
    assert all(fault.struck for fault in dialogue), "the control: the habit was met"


@pytest.mark.parametrize("habit", _at_source())
def test_a_habit_of_the_source_costs_no_message(wires: Wires, habit: str) -> None:
    _plays(wires, wires.source.faults, _at_source()[habit])


@pytest.mark.parametrize("habit", _at_destination())
def test_a_habit_of_the_destination_costs_no_message(wires: Wires, habit: str) -> None:
    _plays(wires, wires.destination.faults, _at_destination()[habit], existing="exist" in habit)


def test_a_habit_that_costs_messages_is_seen(wires: Wires) -> None:
    """The negative control."""
    with pytest.raises(AssertionError):
        _plays(wires, wires.source.faults, [reply(rb"^UID FETCH .*BODY", b"NO [SERVERBUG] not this one", times=None)])
