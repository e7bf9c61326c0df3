"""Tests an import with hours between real servers.

It stops when they end, says until when, and goes on when they begin.
"""

from __future__ import annotations

import re
from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from producer.operations.finding import find_import, progress_of
from producer.operations.submission import set_hours
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
def in_process(dovecot_pair: DovecotPair) -> InProcessImport:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, make_mailbox(9, {"INBOX": MESSAGES, "Work": 10}))
    in_process = InProcessImport(source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password)
    in_process.time = NEARLY_SIX
    return in_process


def _line(in_process: InProcessImport) -> str:
    import_ = find_import(in_process.store, in_process.import_id)
    return progress_line(progress_of(in_process.store, import_))


def _until_six(in_process: InProcessImport) -> None:
    """Moves the clock to 06:00 after the second group was sent."""
    sent = []

    def spoil(session: ImapDestination) -> ImapDestination:
        send = session.send

        def sending(*args: object) -> None:
            send(*args)  # type: ignore[arg-type]
            sent.append(args)
            if len(sent) >= 2:  # two lanes may both have sent before either looks
                in_process.time = max(in_process.time, NEARLY_SIX + 10)

        session.send = sending  # type: ignore[method-assign]
        return session

    in_process.spoil = spoil


def _told_the_next(in_process: InProcessImport) -> None:
    """Sets the next time window, as the coordinator does."""
    span = HOURS.span(in_process.time)
    assert in_process.store.set_window(in_process.import_id, HOURS.text, span.opens_at, span.shuts_at, renew=True)


def test_it_stops_at_the_end_of_its_hours_and_goes_on_in_the_next(in_process: InProcessImport) -> None:
    in_process.submit()
    set_hours(in_process.store, in_process.import_id, HOURS, NEARLY_SIX)
    _until_six(in_process)
    in_process.work(2)
    copied = in_process.outcomes().get("copied", 0)
    assert 0 < copied <= 40, "what was on its way, and no more"
    assert in_process.mailbox().failure is None
    assert in_process.mailbox().control == "run"
    _told_the_next(in_process)
    assert f"; {copied} of 70 messages; " in _line(in_process)
    assert re.match(r"waiting: [\d.]+%; waiting until ", _line(in_process))
    assert "20:00 (Europe/Berlin)" in _line(in_process)
    logins = len(in_process.told.sessions)
    for _ in range(3):
        in_process.later(3600)
        in_process.work(2)
    assert in_process.outcomes()["copied"] == copied
    assert len(in_process.told.sessions) == logins, "nobody signs in outside of the hours"
    in_process.time = NEARLY_SIX + 10 + 14 * 3600
    in_process.store.reap(5)
    in_process.to_the_end(submit=False, lanes=2)
    assert in_process.outcomes() == {"copied": MESSAGES + 10}
    assert in_process.held("destination") == in_process.held("source")
    assert max((row.unit.attempts for row in in_process.store._rows.units.values()), default=0) == 0


def test_planning_and_verification_are_held_too(in_process: InProcessImport) -> None:
    in_process.submit()
    set_hours(in_process.store, in_process.import_id, HOURS, in_process.time)
    in_process.time += 10
    in_process.work()
    assert in_process.mailbox().state == "queued"
    set_hours(in_process.store, in_process.import_id, read_hours("none"), in_process.time)
    done = iter([False] * 3)
    in_process.stopping = lambda: next(done, True) or in_process.mailbox().state == "verifying"
    while in_process.mailbox().state != "verifying":
        done = iter([False] * 3)
        in_process.work()
    in_process.stopping = lambda: False
    set_hours(in_process.store, in_process.import_id, HOURS, in_process.time)
    in_process.work()
    assert in_process.mailbox().state == "verifying"
    import_ = find_import(in_process.store, in_process.import_id)
    assert waiting_lines(progress_of(in_process.store, import_), in_process.time) == [
        "waiting until 20:00 (Europe/Berlin): its hours are 20:00-06:00 Europe/Berlin"
    ]
    set_hours(in_process.store, in_process.import_id, read_hours("none"), in_process.time)
    in_process.to_the_end(submit=False)
    assert in_process.mailbox().state == "complete"


def test_without_hours_it_would_not_have_stopped(in_process: InProcessImport) -> None:
    """The negative control: without hours the import does not stop."""
    in_process.submit()
    _until_six(in_process)
    in_process.to_the_end(submit=False, lanes=2)
    assert in_process.outcomes() == {"copied": MESSAGES + 10}
