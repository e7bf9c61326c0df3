"""Tests looks at mailboxes that stand, on real servers: what they see, what they cost, and what follows them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from shared.model import UnitKind
from shared.model.lifecycle import MailboxState
from shared.rules.standing import LOOK_HOLD, Standing
from tests.conftest import DovecotPair
from tests.integration.test_delta import BODY, WHEN, WITHOUT_CONDSTORE, Both
from tests.mail import Mail, populate
from tests.servers import cyrus
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from worker.decisions import looking

OFTEN = Standing(least_seconds=60, most_seconds=3600)


class Stood(Both):
    """A pair of servers after a first pass, between which the import stands."""

    def __init__(self, source: Any, destination: Dovecot, login: str, password: str) -> None:
        super().__init__(source, destination, login, password)
        store = self.in_process.store
        store.seal(self.in_process.import_id, {(self.in_process.mailbox_id, "source"): b"sealed"})
        store.set_standing(self.in_process.import_id, "", OFTEN)

    def look(self) -> bool:
        """Waits until the mailbox is due, and looks; returns whether a pass followed, which is done too."""
        self.in_process.told.sessions.clear()
        before = self.in_process.store.standing_tally(self.in_process.import_id)
        self.in_process.later(self.in_process.mailbox().look_at - self.in_process.time + 0.001)
        self.in_process.to_the_end(submit=False)
        after = self.in_process.store.standing_tally(self.in_process.import_id)
        assert after.looks == before.looks + 1
        assert self.in_process.mailbox().state is MailboxState.COMPLETE
        return after.found > before.found

    def deliver(self, folder: str = "INBOX", text: bytes = b"new") -> None:
        """Delivers a message at the source."""
        fresh = {folder: [Mail(b"Subject: %b\r\n\r\n%b\r\n" % (text, text), (), WHEN)]}
        populate(self.source.host, self.source.port, self.login, self.password, fresh)


@pytest.fixture(params=["CONDSTORE", "none"])
def stood(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair) -> Stood:
    """Returns servers of which the source has CONDSTORE, or not."""
    source, login = dovecot_pair.source, dovecot_pair.account()
    if request.param == "none":
        source = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
        source.add_user(login, dovecot_pair.password)
    return Stood(source, dovecot_pair.destination, login, dovecot_pair.password)


def test_a_quiet_mailbox_costs_one_sign_in_and_one_flight(stood: Stood) -> None:
    sent: list[bytes] = []
    tap = stood.in_process.told.tap

    def counting(session: Any) -> None:
        tap(session)
        send = session.wire.send

        def counted(parts: Any) -> None:
            sent.append(b"".join(parts))
            send(parts)

        session.wire.send = counted

    stood.in_process.told.tap = counting  # type: ignore[method-assign]
    opened: list[object] = []
    stood.in_process.spoil = lambda session: opened.append(session) or session
    assert not stood.look()
    assert not stood.look(), "nor after the first look"
    assert len(sent) == 4, "each look is one flight, and LOGOUT, whose answer nobody waits for"
    flight, logout = sent[2:]
    assert logout.endswith(b"LOGOUT\r\n")
    assert (flight.count(b"LIST "), flight.count(b"STATUS ")) == (1, 4)
    assert opened == [], "the destination is not asked"


def test_new_mail_is_found_and_copied(stood: Stood) -> None:
    stood.deliver()
    assert stood.look()
    stood.assert_same()
    assert stood.in_process.told.count(BODY) == 1
    assert not stood.look()


def test_flags_are_seen_with_condstore_and_else_by_the_full_pass(stood: Stood, monkeypatch: pytest.MonkeyPatch) -> None:
    condstore = b"HIGHESTMODSEQ" in b"".join(map(bytes, stood.in_process.told.sessions)) or any(
        folder.highestmodseq for folder in stood.in_process.every_folder()
    )
    stood.at(stood.source, b"SELECT INBOX", b"STORE 1:5 +FLAGS.SILENT (\\Flagged)")
    assert stood.look() is condstore
    if not condstore:
        monkeypatch.setattr(looking, "FULL_WITHOUT_CONDSTORE_SECONDS", 1.0)
        assert stood.look(), "a full pass is due"
        monkeypatch.undo()
    stood.assert_same()
    assert not stood.look()


def test_what_was_deleted_is_seen(stood: Stood) -> None:
    stood.at(stood.source, b"SELECT INBOX", b"STORE 1:2 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    assert stood.look()
    assert stood.in_process.tally().deleted_at_source == 2
    assert not stood.look()


@pytest.mark.parametrize("change", [b"CREATE Brand", b"RENAME Work/deep Elsewhere", b"DELETE Work/deep"])
def test_a_folder_that_is_new_renamed_or_gone_is_seen(stood: Stood, change: bytes) -> None:
    stood.at(stood.source, change)
    assert stood.look()
    assert not stood.look()


def test_a_full_pass_follows_after_a_day(stood: Stood) -> None:
    passes = 0
    began = stood.in_process.time
    while stood.in_process.time < began + 25 * 3600:
        passes += stood.look()
    condstore = any(folder.highestmodseq for folder in stood.in_process.every_folder())
    assert passes == (1 if condstore else 4)


def test_a_refused_password_parks_the_mailbox_until_it_is_given(stood: Stood) -> None:
    stood.in_process.passwords["source"] = "another"
    stood.in_process.later(61)
    stood.in_process.work()
    assert stood.in_process.mailbox().state is MailboxState.PARKED
    assert [failure.code for failure in stood.in_process.failures()] == ["source_auth_refused"]
    stood.in_process.passwords["source"] = stood.password
    assert stood.in_process.store.retry(stood.in_process.import_id, stood.in_process.mailbox_id, [])
    stood.in_process.to_the_end(submit=False)
    assert not stood.look()


def test_a_server_that_is_away_parks_nobody(stood: Stood) -> None:
    there, stood.in_process.source = stood.in_process.source, _Away()
    for _ in range(20):
        stood.in_process.later(700)
        stood.in_process.work()
    found = stood.in_process.mailbox()
    assert (found.state, found.failure and found.failure.code) == (MailboxState.COMPLETE, "source_unreachable")
    tally = stood.in_process.store.standing_tally(stood.in_process.import_id)
    assert tally.due == 1
    assert stood.in_process.time - tally.due_since > 10_000, "the lag tells it"
    stood.in_process.source = there
    stood.in_process.later(700)
    stood.in_process.work()
    assert stood.in_process.mailbox().failure is None
    assert not stood.look()


def test_a_server_that_is_away_is_left_alone_by_other_looks_for_a_minute_at_most(stood: Stood) -> None:
    store, in_process = stood.in_process.store, stood.in_process
    key = f"{LOOK_HOLD}:{store.limits_of(in_process.mailbox_id)['source_host']}"
    in_process.source, held = _Away(), []
    with pytest.MonkeyPatch.context() as patched:
        release = type(store).release

        def noted(self: object, *args: Any, **more: Any) -> None:
            held.append((more["hold"], more["hold_seconds"]))
            release(self, *args, **more)  # type: ignore[arg-type]

        patched.setattr(type(store), "release", noted)
        for _ in range(4):
            in_process.later(700)
            in_process.work()
    assert held == [(key, 15.0), (key, 30.0), (key, 60.0), (key, 60.0)]


def test_a_worker_that_dies_in_a_look_leaves_nothing_behind(stood: Stood) -> None:
    stood.deliver()
    stood.in_process.later(61)
    lease = stood.in_process.store.claim("dead/0")
    assert lease is not None
    assert lease.unit.kind is UnitKind.LOOK
    stood.in_process.later(70)
    stood.in_process.to_the_end(submit=False)
    stood.in_process.work()
    stood.assert_same()


def test_a_difference_runs_the_whole_pass_and_doubles_nothing(stood: Stood) -> None:
    for number in range(4):
        stood.deliver(text=b"same")  # identical messages
        stood.deliver("Work", b"other %d" % number)
        assert stood.look()
        stood.assert_same()


def test_a_verification_that_a_person_asked_for_is_not_repeated(stood: Stood) -> None:
    """A pass that follows a look checks as usual, whatever was asked of the pass before."""
    stood.in_process.options = replace(stood.in_process.options, verify="full")
    stood.again()
    assert stood.in_process.told.count(BODY) > 0
    stood.deliver()
    assert stood.look()
    assert stood.in_process.told.count(BODY) == 1


class _Away:
    """A server that does not answer."""

    host = "127.0.0.1"
    port = 9


@pytest.fixture
def cyrus_stood(dovecot_pair: DovecotPair) -> Iterator[Stood]:
    if not cyrus.available():
        pytest.skip("Cyrus cannot be had here" if (cyrus.UNPACKED.parent / "no-cyrus").exists() else "needs Cyrus")
    with Cyrus(munge8bit=False) as source:
        login = "stander"
        source.add_user(login, dovecot_pair.password)
        dovecot_pair.destination.add_user(login, dovecot_pair.password)
        yield Stood(source, dovecot_pair.destination, login, dovecot_pair.password)


def test_on_cyrus(cyrus_stood: Stood) -> None:
    assert not cyrus_stood.look()
    cyrus_stood.deliver()
    assert cyrus_stood.look()
    cyrus_stood.assert_same()
    cyrus_stood.at(cyrus_stood.source, b"SELECT INBOX", b"STORE 1:5 +FLAGS.SILENT (\\Flagged)")
    assert cyrus_stood.look()
    cyrus_stood.assert_same()
    assert not cyrus_stood.look()
