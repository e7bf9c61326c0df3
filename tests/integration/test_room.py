"""Tests a full mailbox on a real server.

It is parked, its missing room is reported, and it goes on once there is room.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot, available
from worker.decisions.failures import ROOM_SECONDS

pytestmark = pytest.mark.skipif(not available(), reason="needs Dovecot")

SMALL = 100 * 1024
MESSAGES = 30


@pytest.fixture
def in_process() -> Iterator[InProcessImport]:
    """Yields a stage with 30 messages of about 10 KB, and a destination with room for a third of them."""
    with Dovecot() as source, Dovecot(quota_bytes=SMALL) as destination:
        for server in (source, destination):
            server.add_user(LOGIN, PASSWORD)
        populate(source.host, source.port, LOGIN, PASSWORD, make_mailbox(5, {"INBOX": MESSAGES}, size=10_000))
        yield InProcessImport(source, destination)


def seal(in_process: InProcessImport) -> None:
    """Stores dummy passwords, without which no mailbox could go on."""
    in_process.store.seal(
        in_process.import_id, {(in_process.mailbox_id, side): b"x" for side in ("source", "destination")}
    )


def test_a_full_mailbox_goes_on_by_itself_when_there_is_room(in_process: InProcessImport) -> None:
    destination = in_process.destination
    assert isinstance(destination, Dovecot)
    in_process.submit()
    seal(in_process)
    in_process.to_the_end(submit=False)
    failure = in_process.mailbox().failure
    assert in_process.mailbox().state == "parked"
    assert failure is not None
    assert failure.code == "destination_over_quota"
    copied = in_process.outcomes()["copied"]
    left = in_process.tally().size_bytes - in_process.tally().done_bytes
    assert 0 < copied < MESSAGES
    assert left - SMALL < failure.missing_bytes < left, "what is left, less the room that there is"
    assert in_process.mailbox().again_at == in_process.time + ROOM_SECONDS[0]

    # After a try in vain the next wait is longer, no attempt counts, and no request is sent in between.
    for seconds in (*ROOM_SECONDS[1:], ROOM_SECONDS[-1]):
        logins = destination.logins()
        in_process.work()
        assert destination.logins() == logins, "left alone until its moment"
        in_process.time = in_process.mailbox().again_at
        in_process.store.reap(5)
        assert not in_process.finished, "the import goes on"
        in_process.work()
        assert in_process.finished
        assert in_process.mailbox().again_at == in_process.time + seconds
        assert in_process.outcomes()["copied"] == copied
    assert max(row.unit.attempts for row in in_process.store._rows.units.values()) == 0

    destination.set_quota(10 << 20)
    in_process.time = in_process.mailbox().again_at
    in_process.store.reap(5)
    in_process.to_the_end(submit=False)
    assert in_process.mailbox().state == "complete"
    assert in_process.mailbox().failure is None
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert in_process.held("destination") == in_process.held("source")


def test_a_person_who_made_room_need_not_wait(in_process: InProcessImport) -> None:
    destination = in_process.destination
    assert isinstance(destination, Dovecot)
    in_process.submit()
    seal(in_process)
    in_process.to_the_end(submit=False)
    destination.set_quota(10 << 20)
    assert in_process.store.retry(in_process.import_id, in_process.mailbox_id, ())
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert in_process.held("destination") == in_process.held("source")


def test_without_the_moment_it_would_stay_parked(in_process: InProcessImport, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the moment of the next try the mailbox stays parked."""
    release = in_process.store.release
    monkeypatch.setattr(
        in_process.store, "release", lambda *args, **more: release(*args, **{**more, "again_seconds": 0})
    )
    destination = in_process.destination
    assert isinstance(destination, Dovecot)
    in_process.submit()
    seal(in_process)
    in_process.to_the_end(submit=False)
    destination.set_quota(10 << 20)
    for _ in range(5):
        in_process.later(3600)
        in_process.work()
    assert in_process.mailbox().state == "parked"
