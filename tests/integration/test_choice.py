"""Tests the selection of messages, pass by pass, between two Dovecots: what is fetched again, and in which order."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.mail.imap.imap_source import ImapSource
from shared.model import Options
from shared.model.uids import UidSet
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, plain
from tests.mail import Mail, populate
from tests.servers.wire import Wire

BODY = b"BODY.PEEK[]"
WHEN = datetime(2022, 1, 1, tzinfo=UTC)
SINCE = int((WHEN + timedelta(days=50)).timestamp())


class Passes:
    """An import with a selection, from a hundred messages, each a day after the last, the odd ones read."""

    def __init__(self, pair: DovecotPair, **options: object) -> None:
        self.pair, self.login = pair, pair.account()
        self.add(range(100))
        self.in_process = InProcessImport(
            pair.source,
            pair.destination,
            logins=(self.login,),
            password=pair.password,
            batch_messages=30,
            options=Options(**options),  # type: ignore[arg-type]
        )
        self.in_process.to_the_end()

    def add(self, numbers: range) -> None:
        letters = [Mail(plain(n), ("\\Seen",) if n % 2 else (), WHEN + timedelta(days=n)) for n in numbers]
        populate(self.pair.source.host, self.pair.source.port, self.login, self.pair.password, {"INBOX": letters})

    def again(self, **options: object) -> None:
        self.in_process.told.sessions.clear()
        self.in_process.options = replace(self.in_process.options, **options)  # type: ignore[arg-type]
        self.in_process.later(3600)
        self.in_process.to_the_end()

    def at_source(self, *commands: bytes) -> None:
        with Wire(self.pair.source.host, self.pair.source.port, self.login, self.pair.password) as wire:
            for command in commands:
                wire.command(command)

    @property
    def uids(self) -> list[int]:
        """Returns the source UIDs that were copied, in the order of their arrival."""
        return [uid for uid, _ in sorted(self.in_process.pairs().items(), key=lambda pair: pair[1])]


def test_what_can_never_be_wanted_is_not_asked_for_again(dovecot_pair: DovecotPair) -> None:
    run = Passes(dovecot_pair, since=SINCE)
    assert run.in_process.outcomes() == {"copied": 50, "skipped": 50}
    assert run.in_process.told.count(b"UID SEARCH") == 2, "searched, in one flight"
    assert run.in_process.folders()["INBOX"].skipped == "50 before 2022-02-20"
    run.again()
    assert run.in_process.told.count(b"UID FETCH") == run.in_process.told.count(b"SEARCH") == 0
    run.add(range(40, 60))
    run.again()
    assert run.in_process.outcomes() == {"copied": 60, "skipped": 60}
    assert run.in_process.told.count(BODY) > 0
    run.again(since=None)
    assert run.in_process.outcomes() == {"copied": 120}
    assert run.in_process.held("source") == run.in_process.held("destination")
    assert run.in_process.folders()["INBOX"].skipped == ""


def test_flags_are_asked_for_again_and_what_is_wanted_now_is_copied(dovecot_pair: DovecotPair) -> None:
    run = Passes(dovecot_pair, unseen=True)
    assert run.in_process.outcomes() == {"copied": 50, "skipped": 50}
    run.at_source(b"SELECT INBOX", b"UID STORE 2,4 -FLAGS.SILENT (\\Seen)", b"UID STORE 1 +FLAGS.SILENT (\\Seen)")
    run.again()
    assert run.in_process.outcomes() == {"copied": 52, "skipped": 48}
    assert 1 in run.in_process.pairs(), "what was copied stays, and its flags are carried over"
    assert {2, 4} <= run.in_process.pairs().keys()


def test_what_was_left_out_and_is_gone_is_not_looked_for(dovecot_pair: DovecotPair) -> None:
    run = Passes(dovecot_pair, since=SINCE)
    run.at_source(b"SELECT INBOX", b"UID STORE 1:10 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    run.again(since=None)
    assert run.in_process.outcomes() == {"copied": 90, "skipped": 10}
    assert run.in_process.folders()["INBOX"].skipped == "10 no longer at the source"
    run.again()
    assert run.in_process.told.count(b"RFC822.SIZE") == run.in_process.told.count(b"SEARCH") == 0


@pytest.mark.parametrize("newest_first", [True, False])
def test_the_newest_go_first_batch_by_batch(dovecot_pair: DovecotPair, newest_first: bool) -> None:
    run = Passes(dovecot_pair, newest_first=newest_first)
    order = run.uids
    if newest_first:
        assert order == [*range(91, 101), *range(61, 91), *range(31, 61), *range(1, 31)]
    else:
        assert order == list(range(1, 101))
    assert run.in_process.held("source") == run.in_process.held("destination")


def test_a_folder_that_is_numbered_anew_is_chosen_from_anew(dovecot_pair: DovecotPair) -> None:
    run = Passes(dovecot_pair, since=SINCE)
    run.pair.source.wipe_uidlist(run.login)
    run.again()
    assert run.in_process.outcomes() == {"already_present": 50, "skipped": 50}


def test_a_crash_between_the_passes_changes_nothing(dovecot_pair: DovecotPair) -> None:
    """Kills the planner after it has entered messages that are selected after all, before it is done."""
    run = Passes(dovecot_pair, since=SINCE)
    run.in_process.options = Options()
    run.in_process.submit()
    finish, dead = run.in_process.store.finish, []

    def dying(*given: object, **more: object) -> None:
        if not dead:
            dead.append(True)
            raise ConnectionError("killed")
        finish(*given, **more)  # type: ignore[arg-type]

    run.in_process.store.finish = dying  # type: ignore[method-assign]
    run.in_process.to_the_end(submit=False)
    assert dead
    assert run.in_process.outcomes() == {"copied": 100}
    assert run.in_process.held("source") == run.in_process.held("destination")


@pytest.mark.parametrize(("options", "foreseen"), [({}, True), ({"since": SINCE}, False)])
def test_folders_are_foreseen_where_nothing_is_chosen(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, options: dict[str, object], foreseen: bool
) -> None:
    """Tests both cases: a folder that is searched cannot be opened before its turn."""
    ahead: list[bytes] = []
    foresee = ImapSource.foresee

    def watched(source: ImapSource, name: bytes, uids: UidSet | None = None) -> None:
        if uids is None:
            ahead.append(name)
        foresee(source, name, uids)

    monkeypatch.setattr(ImapSource, "foresee", watched)
    Passes(dovecot_pair, **options)
    assert (set(ahead) == {b"INBOX"}) is foreseen
