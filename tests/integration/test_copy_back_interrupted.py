"""Tests that a copy back that dies, or is asked for twice or cancelled, brings each message once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from producer.cutover.copy_back import LATE
from shared.mail.imap.imap_destination import ImapDestination
from shared.model.lifecycle import Control, ImportState
from tests.conftest import DovecotPair
from tests.integration.copy_back_kit import WHEN, BothWays, gained, switched
from tests.integration.in_process_import import plain
from tests.mail import Mail, populate
from tests.servers.dovecot import Dovecot
from worker.copying.recognise import Recognition


@pytest.fixture
def ways(dovecot_pair: DovecotPair) -> BothWays:
    return switched(dovecot_pair)


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
