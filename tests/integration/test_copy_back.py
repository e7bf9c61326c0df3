"""Tests the rollback on real servers: what came to the destination since the switch goes back, and nothing else, once."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from cryptography.fernet import Fernet

from producer.cutover.copy_back import LATE, CopyBack, WaveBack, no_way_back, wave_back
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import Session, open_session
from shared.model import Account, Endpoint, Mailbox, Options, SwitchMarks, Tls
from shared.model.binding import bound_to
from shared.model.errors import CredentialsError, UsageError
from shared.model.lifecycle import Control, ImportState
from shared.model.sides import Side
from shared.model.uids import NO_UIDS
from shared.runtime.credentials import Credentials, Secret, Vault
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, plain
from tests.mail import Kept, Mail, make_mailbox, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire
from worker.copying.neighbours import Neighbours
from worker.copying.recognise import Recognition
from worker.copying.returning import WayBack

COUNTS = {"INBOX": 12, "Work": 6, "Work/deep": 3}
WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
_numbers = itertools.count(900_000)


class BothWays(InProcessImport):
    """An import, and the copy back of a rollback, served by the same lanes."""

    def __init__(self, source: Dovecot, destination: Dovecot, login: str, password: str, **more: Any) -> None:
        super().__init__(source, destination, logins=(login,), password=password, **more)
        self.vault = Vault([Fernet.generate_key()])
        self.back = CopyBack(self.store, self.vault, self, 14, now=lambda: self.time)
        self.back_id = ""

    def submit(self) -> None:
        """Opens the import with its credentials, or its next pass."""
        super().submit()
        import_ = self.store.import_(self.import_id)
        assert import_
        for login in self.logins:
            mailbox = self.mailbox(login)
            given = Credentials(login=login, password=Secret(self.passwords["source"]))
            bound = bound_to(import_, mailbox)
            for side in ("source", "destination"):
                sealed = self.vault.seal(mailbox.mailbox_id, side, given, bound=bound)
                self.store.seal(self.import_id, {(mailbox.mailbox_id, side): sealed})

    def session(self, side: str, mailbox: Mailbox) -> Session:
        """Signs in at the mailbox's own end, with what is sealed for it."""
        account = mailbox.source if side == "source" else mailbox.destination
        import_ = self.store.import_(mailbox.import_id)
        sealed = self.store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        assert import_
        assert sealed
        given = self.vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
        return open_session(
            Side(side),
            host=account.endpoint.host,
            port=account.endpoint.port,
            tls="none",
            proof=Proof(login=account.login, secret=given.password),
            connect_timeout_seconds=self.timeout_seconds,
            command_timeout_seconds=self.timeout_seconds,
            broken=self._servers.of(account.endpoint.host, account.endpoint.port),
        )

    def dialer(self) -> Any:
        outer = self

        class Dialing:
            def source(self, mailbox: Mailbox) -> ImapSource:
                return ImapSource(outer.session("source", mailbox))

            def destination(self, mailbox: Mailbox) -> Any:
                return outer.spoil(ImapDestination(outer.session("destination", mailbox)))

        return Dialing()

    def destination_of(self, mailbox: Mailbox) -> ImapDestination:
        return ImapDestination(self.session("destination", mailbox))

    def mark(self) -> None:
        """Marks every mailbox, as just before a switch."""
        opening = self

        class Opening:
            def destination(self, mailbox: Mailbox) -> ImapDestination:
                return opening.destination_of(mailbox)

        self.back._opening = Opening()
        for login in self.logins:
            self.back.mark(self.mailbox(login))

    def begin_back(self) -> None:
        """Asks for the copy back of every mailbox."""
        for login in self.logins:
            self.back_id = self.back.begin(self.mailbox(login))

    def bring_back(self, *, limit: int = 30) -> None:
        """Brings back, to the end."""
        self.later(60)
        self.begin_back()
        for _ in range(limit):
            self.work()
            found = self.store.import_(self.back_id)
            if found is not None and found.state is ImportState.FINISHED:
                return
            self.later()
        raise AssertionError(f"not finished: {self.back.progress(self.mailbox())}")

    def back_outcomes(self) -> dict[str, int]:
        """Returns the messages of the copy back, by outcome."""
        tally = self.store.import_tally(self.back_id)[0]
        return {outcome.value: number for outcome, number in tally.outcomes.items() if number}

    def put(self, side: str, *folders: str, number: int = 1, flags: tuple[str, ...] = ("\\Seen",)) -> list[bytes]:
        """Delivers new messages to one side, and returns their bodies."""
        server = self.source if side == "source" else self.destination
        mails = {name: [Mail(plain(next(_numbers)), flags, WHEN) for _ in range(number)] for name in folders}
        populate(server.host, server.port, self.logins[0], self.passwords[side], mails)
        return [one.body for several in mails.values() for one in several]

    def at(self, side: str, *commands: bytes) -> None:
        """Sends commands to one side."""
        server = self.source if side == "source" else self.destination
        with Wire(server.host, server.port, self.logins[0], self.passwords[side]) as wire:
            for command in commands:
                wire.command(command)

    def again(self) -> None:
        """Runs another pass from the source to the destination."""
        self.later(3600)
        self.to_the_end()


@pytest.fixture
def ways(dovecot_pair: DovecotPair) -> BothWays:
    return switched(dovecot_pair)


def switched(pair: DovecotPair, **more: Any) -> BothWays:
    """Returns servers after a first pass and the marks of a switch."""
    login = pair.account()
    populate(pair.source.host, pair.source.port, login, pair.password, make_mailbox(7, COUNTS))
    in_process = BothWays(pair.source, pair.destination, login, pair.password, **more)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": sum(COUNTS.values())}
    in_process.mark()
    return in_process


def gained(in_process: BothWays, before: Counter[Kept]) -> Counter[str]:
    """Returns how many messages each folder of the source has gained; asserts that it has lost none."""
    now = in_process.held("source")
    assert before - now == Counter(), "lost"
    return Counter(kept.folder.decode() for kept in (now - before).elements())


def test_what_came_since_the_switch_goes_back_and_nothing_else(ways: BothWays) -> None:
    before, there = ways.held("source"), ways.held("destination")
    ways.put("destination", "INBOX", "Work/deep", number=3, flags=("\\Flagged", "kw"))
    came = ways.held("destination") - there
    ways.bring_back()
    assert ways.held("source") - before == came, "with its flags and dates, in its folders"
    assert gained(ways, before) == {"INBOX": 3, "Work/deep": 3}
    progress = ways.back.progress(ways.mailbox())
    assert progress.whole
    assert (progress.back, progress.pending, progress.failed) == (6, 0, 0)
    after = ways.held("source")
    ways.bring_back()
    assert ways.held("source") == after, "a second time nothing comes"


def test_of_a_wave_it_is_told_how_far_its_mail_is(ways: BothWays) -> None:
    import_ = ways.store.import_(ways.import_id)
    assert import_
    begun = [ways.mailbox()]
    assert wave_back(ways.store, import_, begun) == WaveBack(mailboxes=1), "nothing was begun"
    ways.put("destination", "INBOX", number=3)
    ways.later(60)
    ways.begin_back()
    assert wave_back(ways.store, import_, begun).whole == 0
    ways.bring_back()
    assert wave_back(ways.store, import_, begun) == WaveBack(mailboxes=1, whole=1, messages=3)
    assert wave_back(ways.store, import_, []) == WaveBack()


def test_mail_that_comes_late_to_the_new_server_goes_back_until_a_new_cutover_begins(ways: BothWays) -> None:
    before = ways.held("source")
    ways.bring_back()

    def comes_late() -> Counter[str]:
        ways.put("destination", "INBOX")
        for _ in range(6):
            ways.later(300)
            ways.work()
        return gained(ways, before)

    assert comes_late() == {"INBOX": 1}
    assert comes_late() == {"INBOX": 2}
    origin = ways.store.import_(ways.import_id)
    assert origin
    ways.back.rest(origin, "")
    assert comes_late() == {"INBOX": 2}


def test_what_its_user_put_there_before_the_switch_stays_there(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.mark()
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {}


def test_without_the_marks_it_would_go_back(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.store.mark_switch(ways.mailbox_id, SwitchMarks(at=1.0))
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 1}


def test_mail_that_its_user_moved_or_copied_since_does_not_go_back(ways: BothWays) -> None:
    before = ways.held("source")
    ways.at("destination", b"CREATE Mine", b"SELECT INBOX", b"MOVE 1:3 Work", b"COPY 1:2 Mine", b"COPY 1 Mine")
    ways.put("destination", "Work", "Mine")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 1, "Mine": 1}
    assert ways.back_outcomes() == {"copied": 2, "skipped": sum(COUNTS.values()) + 3}


def test_without_the_look_at_the_bytes_moved_mail_would_go_back_twice(
    ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WayBack, "_there", lambda *arguments: NO_UIDS)
    before = ways.held("source")
    ways.at("destination", b"SELECT INBOX", b"MOVE 1:3 Work")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 3}


def test_a_new_folder_is_made_only_for_new_mail(ways: BothWays) -> None:
    ways.at("destination", b"CREATE Empty", b"CREATE Sorted", b"SELECT INBOX", b"MOVE 1:2 Sorted")
    ways.put("destination", "Project/2026")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Project/2026": 1}
    names = {name.decode() for name in ways.marks("source")}
    assert "Project/2026" in names
    assert not names & {"Empty", "Sorted"}
    ways.put("destination", "Sorted")
    ways.bring_back()
    assert gained(ways, before) == {"Project/2026": 1, "Sorted": 1}


def test_a_folder_that_was_renamed_goes_back_to_the_one_it_was_made_from(ways: BothWays) -> None:
    ways.at("destination", b"RENAME Work Office")
    ways.put("destination", "Office", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2}


def test_another_uidvalidity_leaves_the_bytes_to_decide(ways: BothWays) -> None:
    ways.put("destination", "Work", number=2)
    ways.destination.wipe_uidlist(ways.logins[0], "Work")  # type: ignore[attr-defined]
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2}


def test_what_an_import_put_below_a_folder_comes_out_of_it_again(dovecot_pair: DovecotPair) -> None:
    ways = switched(dovecot_pair, options=Options(into="Old"))
    ways.put("destination", "Old/Work", "Old/New", "INBOX")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 1, "New": 1, "INBOX": 1}


def test_mail_that_came_to_the_source_since_is_not_brought_back_twice(ways: BothWays) -> None:
    """The passes of the draining run on: what they bring has UIDs above the mark, and is known by the ledger."""
    ways.put("source", "INBOX", number=4)
    ways.again()
    ways.put("destination", "INBOX")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 1}


def test_a_later_pass_does_not_bring_again_what_came_back(ways: BothWays) -> None:
    ways.put("destination", "INBOX", "Project/2026", number=2)
    ways.bring_back()
    ways.put("source", "INBOX", "Project/2026")
    here = ways.held("destination")
    ways.again()
    new = Counter(kept.folder.decode() for kept in (ways.held("destination") - here).elements())
    assert new == {"INBOX": 1, "Project/2026": 1}
    assert ways.held("destination") == ways.held("source")
    assert ways.outcomes() == {"copied": sum(COUNTS.values()) + 2, "already_present": 4}


def test_what_came_back_is_asked_once_a_pass_however_many_batches_it_has(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = switched(dovecot_pair, batch_messages=2)
    ways.put("destination", "INBOX", number=3)
    ways.bring_back()
    asked: list[str] = []
    imports = type(ways.store).imports
    monkeypatch.setattr(type(ways.store), "imports", lambda self: [asked.append(""), imports(self)][1])
    for again in range(1, 3):
        ways.put("source", "INBOX", "Work", number=8)
        before = len(asked)
        ways.again()
        assert len(asked) - before <= 4, "once at its start, and once in a lane"
        assert ways.outcomes() == {"copied": sum(COUNTS.values()) + 16 * again, "already_present": 3}


@pytest.mark.parametrize("known", [True, False])
def test_where_bytes_tell_nothing_the_ledger_turned_round_does(
    known: bool, ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that rewrites what it takes leaves nothing to recognise: then only the ledger tells, and without it mail doubles."""
    monkeypatch.setattr(Recognition, "among", lambda *arguments: {})
    if not known:
        monkeypatch.setattr(Neighbours, "_back", lambda self, folder: iter(()))
    ways.put("destination", "INBOX")
    ways.bring_back()
    ways.again()
    assert sum((ways.held("destination") - ways.held("source")).values()) == (0 if known else 1)


def test_switched_and_rolled_back_a_second_time(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.bring_back()
    ways.put("destination", "INBOX")  # its user's, between the two cutovers
    ways.again()
    ways.later(60)
    ways.mark()
    ways.put("destination", "INBOX", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 2}


class Died(BaseException):
    """Ends a lane where it is, as a kill would."""


@pytest.mark.parametrize(
    ("method", "nth"),
    [
        ("send", 1),
        ("send", 3),
        ("answers", 1),
        ("answers", 3),
        ("create", 1),
        ("sightings", 2),
        ("open", 2),
        ("open", 5),
    ],
)
@pytest.mark.parametrize("late", [False, True])
def test_killed_around_each_effect_it_brings_each_message_once(
    method: str, nth: int, late: bool, dovecot_pair: DovecotPair
) -> None:
    ways = switched(dovecot_pair)
    ways.put("destination", "INBOX", number=25)
    ways.put("destination", "Project/2026", number=2)
    ways.at("destination", b"SELECT INBOX", b"MOVE 1:3 Work")
    before = ways.held("source")
    left = [nth]

    def dying(session: ImapDestination) -> ImapDestination:
        real = getattr(session, method)

        def dies(*arguments: Any, **named: Any) -> Any:
            left[0] -= 1
            if left[0] == 0:
                if late:
                    found = real(*arguments, **named)
                    list(found) if method in ("answers", "sightings") else None
                session.abort()
                raise Died
            return real(*arguments, **named)

        setattr(session, method, dies)
        return session

    ways.spoil = dying
    for _ in range(12):
        try:
            ways.bring_back()
            break
        except Died:
            ways.later(120)
    assert left[0] <= 0, "nothing died"
    assert gained(ways, before) == {"INBOX": 25, "Project/2026": 2}
    assert ways.back.progress(ways.mailbox()).whole


def test_asked_for_twice_while_it_runs_it_brings_each_message_once(ways: BothWays) -> None:
    ways.put("destination", "INBOX", number=60)
    before = ways.held("source")
    ways.later(60)
    ways.begin_back()
    ways.begin_back()
    ways.stopping = lambda: bool(ways.store.import_tally(ways.back_id)[0].messages)
    ways.work()
    ways.stopping = lambda: False
    ways.begin_back()
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 60}


def test_a_mailbox_that_was_moved_into_another_wave_is_looked_at_with_that_wave(ways: BothWays) -> None:
    ways.later(60)
    ways.begin_back()
    assert ways.store.move(ways.import_id, ways.mailbox().mailbox_id, wave="later")
    ways.begin_back()
    there = ways.store.mailbox(ways.back.progress(ways.mailbox()).mailbox_id)
    assert there is not None
    assert there.wave == "later"
    assert ways.store.standings(ways.back_id).get("later") == LATE
    origin = ways.store.import_(ways.import_id)
    assert origin is not None
    ways.back.rest(origin, "later")
    assert not ways.store.standings(ways.back_id).get("later")


def test_while_it_is_brought_back_no_pass_goes_the_other_way(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.later(60)
    ways.begin_back()
    ways.submit()
    for _ in range(20):
        ways.work()
        if ways.finished and ways.store.import_(ways.back_id).state is ImportState.FINISHED:  # type: ignore[union-attr]
            break
        ways.later()
    assert ways.held("source") == ways.held("destination")


@pytest.mark.parametrize("asked", [True, False])
def test_a_copy_back_that_was_cancelled_in_doubt_is_awaited(
    asked: bool, ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lets bytes tell nothing: then only its ledger knows what it sent, and without the question mail doubles."""
    monkeypatch.setattr(Recognition, "among", lambda *arguments: {})
    if not asked:
        monkeypatch.setattr(ways.store, "in_doubt", lambda mailbox_id: False)
    ways.put("destination", "INBOX")
    here = ways.held("destination")

    def dying(session: ImapDestination) -> ImapDestination:
        real = session.answers

        def dies(*arguments: Any, **named: Any) -> Any:
            list(real(*arguments, **named))
            session.abort()
            raise Died

        monkeypatch.setattr(session, "answers", dies)
        return session

    ways.spoil = dying
    with pytest.raises(Died):
        ways.bring_back()
    ways.spoil = lambda session: session
    ways.store.control(ways.back_id, None, Control.CANCEL)
    ways.later(3600)
    ways.submit()
    for _ in range(4):
        ways.work()
        ways.later()
    found = ways.mailbox().failure
    assert (found is not None and found.code == "return_in_doubt") == asked
    assert (ways.held("destination") == here) == asked
    if asked:
        ways.bring_back()
        ways.again()
        assert ways.held("source") == ways.held("destination") == here


def test_a_source_that_refuses_mail_parks_it_and_nothing_is_lost(
    dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair
) -> None:
    login = dovecot_pair.account()
    source = dovecot(quota_bytes=200_000)
    source.add_user(login, dovecot_pair.password)
    populate(source.host, source.port, login, dovecot_pair.password, {"INBOX": [Mail(plain(1), (), WHEN)]})
    ways = BothWays(source, dovecot_pair.destination, login, dovecot_pair.password)
    ways.to_the_end()
    ways.mark()
    ways.put("destination", "INBOX")
    source.set_quota(100)
    here = ways.held("destination")
    ways.later(60)
    ways.begin_back()
    for _ in range(12):
        ways.work()
        ways.later()
    progress = ways.back.progress(ways.mailbox())
    assert not progress.whole
    assert progress.pending or progress.failed
    assert ways.held("destination") == here
    source.set_quota(10_000_000)
    ways.bring_back()
    assert ways.back.progress(ways.mailbox()).whole


def test_what_cannot_be_brought_back_says_so(ways: BothWays) -> None:
    mailbox = ways.mailbox()
    pop3 = Endpoint(protocol="pop3", host="pop.old.example", port=995, tls=Tls.IMPLICIT)
    assert "POP3" in no_way_back(replace(mailbox, source=Account(endpoint=pop3, login="x")))
    assert no_way_back(mailbox) == ""
    ways.store.forget(ways.import_id)
    with pytest.raises(CredentialsError, match="no longer stored"):
        ways.back.begin(mailbox)
    ways.store.close(ways.import_id)
    with pytest.raises(UsageError, match="never switched"):
        ways.back.begin(mailbox)


def test_once_the_import_is_closed_nothing_goes_back_by_guessing(ways: BothWays) -> None:
    ways.bring_back()
    ways.put("destination", "INBOX")
    ways.later(60)
    ways.begin_back()
    ways.store.close(ways.import_id)
    before = ways.held("source")
    ways.work()
    found = ways.store.mailboxes(ways.back_id)[0][0]
    assert found.failure
    assert found.failure.code == "nothing_known"
    assert ways.held("source") == before


def test_a_folder_that_the_folder_map_put_elsewhere_gives_back_to_where_it_came_from(dovecot_pair: DovecotPair) -> None:
    ways = switched(dovecot_pair, options=Options(folder_map=(("Work", "Office/Work"),)))
    ways.put("destination", "Office/Work", "Office/Work/deep", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2, "Work/deep": 2}
    here = ways.held("destination")
    ways.again()
    assert ways.held("destination") == here
