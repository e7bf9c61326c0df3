"""Tests an import with hours between real servers.

It stops when they end, says until when, and goes on when they begin.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from producer.intake.submit import set_hours
from producer.operations import verbs
from producer.show.lines import progress_line
from producer.show.waiting import waiting_lines
from shared.mail.imap.imap_destination import ImapDestination
from shared.rules.hours import read_hours
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate

HOURS = read_hours("20:00-06:00 Europe/Berlin")
NEARLY_SIX = datetime(2026, 11, 24, 5, 59, 50, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()
MESSAGES = 60


@pytest.fixture
def stage(dovecot_pair: DovecotPair) -> InProcessImport:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, make_mailbox(9, {"INBOX": MESSAGES, "Work": 10}))
    stage = InProcessImport(source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password)
    stage.time = NEARLY_SIX
    return stage


def _line(stage: InProcessImport) -> str:
    request = verbs.find_import(stage.store, stage.import_id)
    return progress_line(verbs.progress_of(stage.store, request))


def _until_six(stage: InProcessImport) -> None:
    """Moves the clock to 06:00 after the second group was sent."""
    sent = []

    def spoil(session: ImapDestination) -> ImapDestination:
        send = session.send

        def sending(*args: object) -> None:
            send(*args)  # type: ignore[arg-type]
            sent.append(args)
            if len(sent) >= 2:  # two lanes may both have sent before either looks
                stage.time = max(stage.time, NEARLY_SIX + 10)

        session.send = sending  # type: ignore[method-assign]
        return session

    stage.spoil = spoil


def _told_the_next(stage: InProcessImport) -> None:
    """Sets the next time window, as the coordinator does."""
    span = HOURS.span(stage.time)
    assert stage.store.set_window(stage.import_id, HOURS.text, span.opens_at, span.shuts_at, renew=True)


def test_it_stops_at_the_end_of_its_hours_and_goes_on_in_the_next(stage: InProcessImport) -> None:
    stage.submit()
    set_hours(stage.store, stage.import_id, HOURS, NEARLY_SIX)
    _until_six(stage)
    stage.work(2)
    copied = stage.outcomes().get("copied", 0)
    assert 0 < copied <= 40, "what was on its way, and no more"
    assert stage.mailbox().failure is None
    assert stage.mailbox().control == "run"
    _told_the_next(stage)
    assert f"; {copied} of 70 messages; " in _line(stage)
    assert re.match(r"waiting: [\d.]+%; waiting until ", _line(stage))
    assert "20:00 (Europe/Berlin)" in _line(stage)
    logins = len(stage.told.sessions)
    for _ in range(3):
        stage.later(3600)
        stage.work(2)
    assert stage.outcomes()["copied"] == copied
    assert len(stage.told.sessions) == logins, "nobody signs in outside of the hours"
    stage.time = NEARLY_SIX + 10 + 14 * 3600
    stage.store.reap(5)
    stage.to_the_end(submit=False, lanes=2)
    assert stage.outcomes() == {"copied": MESSAGES + 10}
    assert stage.held("destination") == stage.held("source")
    assert max((row.unit.attempts for row in stage.store._rows.units.values()), default=0) == 0


def test_planning_and_verification_are_held_too(stage: InProcessImport) -> None:
    stage.submit()
    set_hours(stage.store, stage.import_id, HOURS, stage.time)
    stage.time += 10
    stage.work()
    assert stage.mailbox().state == "queued"
    set_hours(stage.store, stage.import_id, read_hours("none"), stage.time)
    done = iter([False] * 3)
    stage.stopping = lambda: next(done, True) or stage.mailbox().state == "verifying"
    while stage.mailbox().state != "verifying":
        done = iter([False] * 3)
        stage.work()
    stage.stopping = lambda: False
    set_hours(stage.store, stage.import_id, HOURS, stage.time)
    stage.work()
    assert stage.mailbox().state == "verifying"
    request = verbs.find_import(stage.store, stage.import_id)
    assert waiting_lines(verbs.progress_of(stage.store, request), stage.time) == [
        "waiting until 20:00 (Europe/Berlin): its hours are 20:00-06:00 Europe/Berlin"
    ]
    set_hours(stage.store, stage.import_id, read_hours("none"), stage.time)
    stage.to_the_end(submit=False)
    assert stage.mailbox().state == "complete"


def test_without_hours_it_would_not_have_stopped(stage: InProcessImport) -> None:
    """The negative control: without hours the import does not stop."""
    stage.submit()
    _until_six(stage)
    stage.to_the_end(submit=False, lanes=2)
    assert stage.outcomes() == {"copied": MESSAGES + 10}
