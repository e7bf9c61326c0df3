"""Tests a full mailbox on a real server.

It is parked, its missing room is reported, and it goes on once there is room.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot, available
from worker.failures import ROOM_SECONDS

pytestmark = pytest.mark.skipif(not available(), reason="needs Dovecot")

SMALL = 100 * 1024
MESSAGES = 30


@pytest.fixture
def stage() -> Iterator[InProcessImport]:
    """Yields a stage with 30 messages of about 10 KB, and a destination with room for a third of them."""
    with Dovecot() as source, Dovecot(quota_bytes=SMALL) as destination:
        for server in (source, destination):
            server.add_user(LOGIN, PASSWORD)
        populate(source.host, source.port, LOGIN, PASSWORD, make_mailbox(5, {"INBOX": MESSAGES}, size=10_000))
        yield InProcessImport(source, destination)


def seal(stage: InProcessImport) -> None:
    """Stores dummy passwords, without which no mailbox could go on."""
    stage.store.seal(stage.import_id, {(stage.mailbox_id, side): b"x" for side in ("source", "destination")})


def test_a_full_mailbox_goes_on_by_itself_when_there_is_room(stage: InProcessImport) -> None:
    destination = stage.destination
    assert isinstance(destination, Dovecot)
    stage.submit()
    seal(stage)
    stage.to_the_end(submit=False)
    failure = stage.mailbox().failure
    assert stage.mailbox().state == "parked"
    assert failure is not None
    assert failure.code == "destination_over_quota"
    copied = stage.outcomes()["copied"]
    left = stage.tally().size_bytes - stage.tally().done_bytes
    assert 0 < copied < MESSAGES
    assert left - SMALL < failure.missing_bytes < left, "what is left, less the room that there is"
    assert stage.mailbox().again_at == stage.time + ROOM_SECONDS[0]

    # After a try in vain the next wait is longer, no attempt counts, and no request is sent in between.
    for seconds in (*ROOM_SECONDS[1:], ROOM_SECONDS[-1]):
        logins = destination.logins()
        stage.work()
        assert destination.logins() == logins, "left alone until its moment"
        stage.time = stage.mailbox().again_at
        stage.store.reap(5)
        assert not stage.finished, "the import goes on"
        stage.work()
        assert stage.finished
        assert stage.mailbox().again_at == stage.time + seconds
        assert stage.outcomes()["copied"] == copied
    assert max(row.unit.attempts for row in stage.store._rows.units.values()) == 0

    destination.set_quota(10 << 20)
    stage.time = stage.mailbox().again_at
    stage.store.reap(5)
    stage.to_the_end(submit=False)
    assert stage.mailbox().state == "complete"
    assert stage.mailbox().failure is None
    assert stage.outcomes() == {"copied": MESSAGES}
    assert stage.held("destination") == stage.held("source")


def test_a_person_who_made_room_need_not_wait(stage: InProcessImport) -> None:
    destination = stage.destination
    assert isinstance(destination, Dovecot)
    stage.submit()
    seal(stage)
    stage.to_the_end(submit=False)
    destination.set_quota(10 << 20)
    assert stage.store.retry(stage.import_id, stage.mailbox_id, ())
    stage.to_the_end(submit=False)
    assert stage.outcomes() == {"copied": MESSAGES}
    assert stage.held("destination") == stage.held("source")


def test_without_the_moment_it_would_stay_parked(stage: InProcessImport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the moment of the next try the mailbox stays parked."""
    release = stage.store.release
    monkeypatch.setattr(stage.store, "release", lambda *args, **more: release(*args, **{**more, "again_seconds": 0}))
    destination = stage.destination
    assert isinstance(destination, Dovecot)
    stage.submit()
    seal(stage)
    stage.to_the_end(submit=False)
    destination.set_quota(10 << 20)
    for _ in range(5):
        stage.later(3600)
        stage.work()
    assert stage.mailbox().state == "parked"
