"""Tests a person on Dovecot who moves copies into another folder before anybody could record them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import pytest

from shared.model.choices import Verification
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.integration.test_missing import exit_code
from tests.mail import make_mailbox, populate
from tests.servers.proxy import FaultProxy, Rule
from tests.servers.wire import Wire
from worker.copying.moved_copies import MovedSearch

COUNTS = {"INBOX": 30, "Work": 12}


@pytest.fixture
def broken(dovecot_pair: DovecotPair) -> Iterator[InProcessImport]:
    """An import whose connection broke before the answer to the first group came, so that INBOX has messages of no record."""
    pair, login = dovecot_pair, dovecot_pair.account()
    populate(pair.source.host, pair.source.port, login, pair.password, make_mailbox(1, COUNTS))
    with FaultProxy(pair.destination.host, pair.destination.port) as proxy:
        rule = Rule("rst", "s2c", at=b"[APPENDUID")
        proxy.plan(rule)
        in_process = InProcessImport(pair.source, proxy, logins=(login,), password=pair.password)
        in_process.submit()
        in_process.work()
        rule.await_reached()
        yield in_process


def move(in_process: InProcessImport, into: bytes) -> int:
    """Moves what is in the destination's INBOX, as its user does. Returns how many messages that were."""
    server, login = in_process.destination, in_process.logins[0]
    with Wire(server.host, server.port, login, "s3cret-canary") as wire:
        answers, _ = wire.command(b"STATUS INBOX (MESSAGES)")
        wire.command(b"SELECT INBOX")
        wire.command(b"UID MOVE 1:* " + into)
    (line,) = [one.line for one in answers if one.line.startswith(b"* STATUS")]
    return int(line.rpartition(b"MESSAGES ")[2].rstrip(b")\r\n "))


def anywhere(in_process: InProcessImport, side: str) -> Counter[object]:
    """Returns what one side holds, whatever the folder."""
    found: Counter[object] = Counter()
    for kept, number in in_process.held(side).items():
        found[kept[1:]] += number
    return found


def test_they_count_as_moved(broken: InProcessImport) -> None:
    moved = move(broken, b"Work")
    assert moved > 0
    broken.later()
    broken.to_the_end(submit=False)
    assert anywhere(broken, "destination") == anywhere(broken, "source")
    assert broken.outcomes() == {"copied": 42}
    for mode in (None, Verification.ANEW, Verification.FULL, Verification.DEFAULT):
        broken.told.sessions.clear()
        if mode is not None:
            broken.options = replace(broken.options, verify=mode)
            broken.to_the_end()
        tally = broken.tally()
        assert (tally.moved, tally.missing, tally.doubled, tally.altered) == (moved, 0, 0, 0), mode
        assert len([one for one in broken.noted("moved").values() if "it is in Work (UID " in one]) == moved
        assert exit_code(broken) == 0
    assert broken.told.count(b"BODY.PEEK[]") == 0


@pytest.mark.parametrize("folder", [b"Work", b"Kept"], ids=["control: not looked for", "a folder of the user's own"])
def test_otherwise_they_are_sent_again_and_told(
    broken: InProcessImport, folder: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    if folder == b"Work":
        monkeypatch.setattr(MovedSearch, "find", lambda *_: {})
    else:
        server = broken.destination
        with Wire(server.host, server.port, broken.logins[0], "s3cret-canary") as wire:
            wire.command(b"CREATE " + folder)
    moved = move(broken, folder)
    broken.later()
    broken.to_the_end(submit=False)
    for _ in range(2):
        more = anywhere(broken, "destination") - anywhere(broken, "source")
        assert more.total() == moved == broken.tally().doubled > 0
        assert not anywhere(broken, "source") - anywhere(broken, "destination")
        told = [one for one in broken.noted("doubled").values() if f"{folder.decode()} (UID " in one]
        assert len(told) == moved
        broken.to_the_end()
