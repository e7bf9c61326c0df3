"""Tests broken connections, servers that ask to wait and full mailboxes.

Waiting is no failure, and no message comes twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

import worker.copying.arrivals
import worker.copying.copy_search
import worker.copying.recognise
from shared.model import Options
from shared.model.lifecycle import MailboxState
from shared.model.uids import UidSet
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.servers.faults import close, cut, late, lost_ok, reply, reset, retag, stall
from tests.servers.faulty import Command, Quirk
from tests.servers.faulty_incomplete import fetching
from tests.servers.proxy import FaultProxy, Rule
from worker.copying.copy import CopyRules
from worker.copying.recovery import Looked
from worker.verifying.verify import MailboxVerification

ONE_GROUP = CopyRules(group_messages=100)


def stage_of(wires: Wires, **options: object) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, **options)  # type: ignore[arg-type]


def attempts(in_process: InProcessImport) -> int:
    return max((row.unit.attempts for row in in_process.store._rows.units.values()), default=0)


# -- full, and busy


def test_a_full_mailbox_is_parked_with_what_fits_and_goes_on_when_there_is_room(wires: Wires) -> None:
    for number in range(40):
        wires.old.folder(b"INBOX").add(plain(number, text="x" * 500))
    wires.destination.behaviour.append.quota_bytes = 12_000
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert in_process.mailbox().state == "parked"
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == "destination_over_quota"
    assert "Quota exceeded" in failure.detail
    assert "mailhaul retry" in failure.advice
    held = wires.bodies()
    assert held.total() == in_process.outcomes()["copied"] > 0
    assert in_process.outcomes()["pending"] == 40 - held.total()
    logins = wires.destination.logins()
    in_process.work()
    assert wires.destination.logins() == logins, "a parked mailbox is left alone"
    wires.destination.behaviour.append.quota_bytes = None
    assert in_process.store.retry(in_process.import_id, in_process.mailbox_id, ())
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 40}
    assert wires.bodies() == wires.sent()


@pytest.mark.parametrize(
    "words",
    [
        b"NO [THROTTLED] slow down",
        b"NO [INUSE] locked by another session",
        b"NO [UNAVAILABLE] not now",
        b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds",
        b"* BYE [UNAVAILABLE] too busy",
    ],
)
@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_server_that_asks_to_wait_is_waited_for_and_no_attempt_is_spent(
    wires: Wires, side: str, words: bytes
) -> None:
    wires.fill(20)
    server, what = (wires.source, rb"^EXAMINE") if side == "source" else (wires.destination, rb"^APPEND")
    server.faults.add(reply(what, words, times=8))
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work()
    commands = len(server.commands)
    in_process.work()
    assert len(server.commands) == commands, "not before the time it asked for"
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == f"{side}_throttled"
    in_process.later(50)
    in_process.work()
    assert len(server.commands) == commands
    for _ in range(12):
        in_process.later(300)
        in_process.work()
        assert attempts(in_process) <= 2, "an attempt was spent"
    assert in_process.finished
    assert in_process.outcomes() == {"copied": 20}
    assert wires.bodies() == wires.sent()


def test_throttled_on_an_ok_line_is_no_refusal(wires: Wires) -> None:
    wires.fill(5)
    wires.source.faults.add(retag(rb"^UID FETCH .*BODY", b"OK [THROTTLED] Success", times=None))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent()


# -- broken off

BREAKS: dict[str, Callable[[Wires], object]] = {
    "BYE in place of a FETCH": lambda w: w.source.faults.add(
        reply(rb"^UID FETCH .*BODY\.PEEK\[\]", b"* BYE Session expired")
    ),
    "reset at a FETCH": lambda w: w.source.faults.add(reset(rb"^UID FETCH .*BODY\.PEEK\[\]")),
    "cut in a body": lambda w: w.source.faults.add(cut(rb"^UID FETCH .*BODY\.PEEK\[\]", 3000)),
    "closed at EXAMINE": lambda w: w.source.faults.add(close(rb"^EXAMINE", skip=1)),
    "closed at LIST": lambda w: w.source.faults.add(close(rb"^LIST")),
    "closed at the destination's LIST": lambda w: w.destination.faults.add(close(rb"^LIST")),
    "closed at SELECT": lambda w: w.destination.faults.add(close(rb"^SELECT")),
    "closed at CREATE": lambda w: w.destination.faults.add(close(rb"^CREATE")),
    "closed at APPEND": lambda w: w.destination.faults.add(close(rb"^APPEND")),
    "reset at the second APPEND": lambda w: w.destination.faults.add(reset(rb"^APPEND", skip=1)),
    "lost OK": lambda w: w.destination.faults.add(lost_ok(rb"^APPEND")),
    "lost OK, twice": lambda w: w.destination.faults.add(lost_ok(rb"^APPEND", times=2, skip=1)),
    "lost OK by FIN": lambda w: w.destination.faults.add(lost_ok(rb"^APPEND", rst=False)),
    "closed at read-back": lambda w: w.destination.faults.add(close(rb"^UID FETCH")),
    "BAD to APPEND": lambda w: w.destination.faults.add(reply(rb"^APPEND", b"BAD what")),
    "BAD to FETCH": lambda w: w.source.faults.add(reply(rb"^UID FETCH .*BODY\.PEEK\[\]", b"BAD what")),
}


@pytest.mark.parametrize("name", BREAKS)
@pytest.mark.parametrize("multiappend", [True, False])
def test_broken_off_and_resumed_each_message_is_there_once(wires: Wires, name: str, multiappend: bool) -> None:
    wires.fill(35)
    wires.fill(10, b"Work")
    for _ in range(3):
        wires.old.folder(b"INBOX").add(plain(500))
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    in_process = stage_of(wires)
    before = in_process.marks()
    BREAKS[name](wires)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 48}
    assert wires.bodies() == wires.sent()
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert len(in_process.pairs()) == 38
    wires.source.faults.clear()
    assert in_process.marks() == before


@pytest.mark.parametrize("words", [b"* BYE [UNAVAILABLE] too busy\r\n", b"* BYE enough for today\r\n"])
def test_a_source_that_ends_each_connection_after_some_bodies_gives_them_all(wires: Wires, words: bytes) -> None:
    wires.fill(20)
    fetching(wires.source, lambda them, end: b"".join(them[:3]) + words, rb"^UID FETCH .*BODY")
    in_process = stage_of(wires)
    in_process.submit()
    for count in range(1, 7):
        in_process.work()
        assert in_process.outcomes()["copied"] == 3 * count, "what came whole is copied"
        assert attempts(in_process) <= 2, "an attempt was spent"
        in_process.later(100)
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 20}
    assert wires.bodies() == wires.sent()


def test_without_looking_a_lost_ok_would_be_a_second_copy(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    def blind(lease, store, source, destination, status, intents, *rest):  # type: ignore[no-untyped-def]
        uids = UidSet.of(uid for intent in intents for uid in intent.uids)
        word = store.progress(lease, withdrawn=[intent.intent_id for intent in intents]).word
        return Looked(found=UidSet(), absent=uids, wait_seconds=0, wanted=word)

    monkeypatch.setattr(worker.copying.copy_search, "look", blind)
    # Without the search the copies would be taken for another client's, which would stop the import.
    monkeypatch.setattr(worker.copying.arrivals.Arrivals, "before", lambda *_: ((), UidSet(), 0))
    wires.fill(15)
    BREAKS["lost OK"](wires)
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies().total() > 15


@pytest.mark.parametrize("by_bytes", [True, False])
def test_what_a_source_tells_another_size_of_is_found_again_by_its_bytes(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, by_bytes: bool
) -> None:
    """Uses sizes that differ from the bytes sent, as POP3's and Exchange's do.

    For a message without a header, or with a twin, only the bytes tell.
    """
    if not by_bytes:
        monkeypatch.setattr(worker.copying.recognise, "matched", lambda theirs, ours: {})
    for body in (plain(1), b"x\r\n", plain(2), b"y\r\n", plain(3), plain(3)):
        wires.old.folder(b"INBOX").add(body).size = 1
    wires.destination.faults.add(lost_ok(rb"^APPEND"))
    in_process = stage_of(wires)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent(), "verification removes what came twice, where its date tells that it is ours"
    assert (wires.new.folder(b"INBOX").uidnext == 7) is by_bytes, "sent again"
    assert in_process.outcomes() == {"copied": 6}


def test_a_message_whose_body_always_breaks_off_fails_alone(wires: Wires) -> None:
    wires.fill(7)
    wires.old.folder(b"INBOX").add(plain(77, text="x" * 5000), quirks=frozenset({Quirk.BODY_CUT}))
    wires.fill(7, first=100)
    in_process = stage_of(wires)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"copied": 14, "failed": 1}
    assert wires.bodies() == wires.sent() - Counter([plain(77, text="x" * 5000)])
    assert 8 in in_process.noted("failed")


def test_a_server_that_hangs_is_given_up_in_time(wires: Wires) -> None:
    wires.fill(12)
    hang = wires.source.faults.add(stall(rb"^UID FETCH .*BODY\.PEEK\[\]"))
    in_process = stage_of(wires, timeout_seconds=3)
    in_process.to_the_end()
    hang.release()
    assert in_process.outcomes() == {"copied": 12}
    assert wires.bodies() == wires.sent()


def test_a_server_that_is_away_is_waited_for(wires: Wires) -> None:
    wires.fill(5)
    with FaultProxy(wires.destination.host, wires.destination.port) as proxy:
        proxy.refuse()
        in_process = InProcessImport(wires.source, proxy)
        in_process.submit()
        in_process.work()
        for _ in range(5):
            in_process.later()
            in_process.work()
        failure = in_process.mailbox().failure
        assert failure is not None
        assert failure.code == "destination_unreachable"
        assert attempts(in_process) <= 1
        proxy.refuse(False)
        in_process.to_the_end(submit=False)
        assert in_process.outcomes() == {"copied": 5}


# -- delivered late


def test_what_a_proxy_delivers_before_the_settle_time_is_not_sent_again(wires: Wires) -> None:
    wires.fill(10)
    with FaultProxy(wires.destination.host, wires.destination.port) as proxy:
        rule = Rule("late", "c2s", at=b" APPEND ")
        proxy.plan(rule)
        in_process = InProcessImport(wires.source, proxy, copy_rules=ONE_GROUP)
        in_process.submit()
        in_process.work()
        in_process.later(10)
        in_process.work()
        assert not wires.bodies(), "sent again although the first may still arrive"
        rule.release()
        rule.await_delivered()
        in_process.to_the_end(submit=False)
    assert wires.bodies() == wires.sent()
    assert in_process.outcomes() == {"copied": 10}


@pytest.mark.parametrize("protected", [True, False])
def test_what_is_delivered_after_the_settle_time_is_removed_by_verification(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, protected: bool
) -> None:
    if not protected:
        monkeypatch.setattr(
            MailboxVerification, "_remove_second_copies", lambda self, d, f, e, status, *_, **__: status
        )
        monkeypatch.setattr(worker.copying.arrivals.Arrivals, "unlike", lambda *_: False)
    wires.fill(10)
    for _ in range(2):
        wires.old.folder(b"INBOX").add(plain(500))
    foreign = wires.new.folder(b"INBOX").add(plain(9000))
    held_back = wires.destination.faults.add(late(rb"^APPEND"))

    def arrives(command: Command) -> bool:  # delivers the first copies just before the second ones
        if command.name == b"APPEND":
            held_back.release()
            held_back.await_done()
        return False

    wires.destination.faults.add(reply(arrives, b"OK"))
    in_process = stage_of(wires, copy_rules=ONE_GROUP)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 12}
    assert in_process.mailbox().state is MailboxState.COMPLETE, "a late copy of ours is nobody else's"
    once = wires.sent() + Counter([foreign.body])
    assert wires.bodies() == (once if protected else once + wires.sent())
    assert foreign.uid in {message.uid for message in wires.new.folder(b"INBOX").messages}


def test_two_mailboxes_of_which_one_breaks_do_not_meet(wires: Wires) -> None:
    wires.fill(10)
    other = wires.source.add_account("other@example.org", PASSWORD)
    wires.destination.add_account("other@example.org", PASSWORD)
    for number in range(10):
        other.folder(b"INBOX").add(plain(number))
    wires.destination.faults.add(
        reply(lambda c: c.text.startswith(b"APPEND") and c.connection % 2 == 1, b"NO [OVERQUOTA] full", times=None)
    )
    in_process = stage_of(wires, logins=(LOGIN, "other@example.org"))
    in_process.to_the_end()
    states = {in_process.mailbox(login).state for login in in_process.logins}
    assert states == {"parked", "complete"}


@pytest.mark.parametrize("broken", ["nothing", "EXAMINE"])
def test_sides_that_were_swapped_are_noticed_although_the_first_look_broke_off(wires: Wires, broken: str) -> None:
    """Breaks off when the first folder is opened: it is entered as unreadable, and nothing else is known of the mailbox."""
    wires.old.folder(b"INBOX")
    for number in range(3):
        wires.new.folder(b"INBOX").add(plain(number))
    wires.source.faults.add(reply(rb"^STATUS", b"NO not now", times=None))
    wires.source.faults.add(close(broken.encode()))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.options = Options(same_mailbox=False)
    in_process.to_the_end()
    failure = in_process.mailbox().failure
    assert failure is not None
    assert failure.code == "same_mailbox"
