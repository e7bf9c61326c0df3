"""Tests servers that ask for fewer requests, end to end with two lanes.

Both lanes leave the server alone for the time it named. This counts as no failure and no attempt, and the operator is
told until when and why.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pytest

from producer.operations.finding import errors_of, find_import, progress_of
from producer.show.document import import_fields
from producer.show.waiting import waiting_lines
from shared.mail.answers.hints import Hint
from shared.mail.transport import tls
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires
from tests.servers.faults import reply, retag
from tests.servers.faulty import FaultyServer

OTHER = "other@example.org"


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        wires = Wires(source, destination)
        for server in (source, destination):
            server.add_account(OTHER, PASSWORD)
        yield wires


def stage_of(wires: Wires) -> InProcessImport:
    return InProcessImport(wires.source, wires.destination, logins=(LOGIN, OTHER), batch_messages=10)


def told(in_process: InProcessImport) -> list[str]:
    in_process.store.attend("worker", [], extend=False)  # the worker that these lanes stand for is alive
    import_ = find_import(in_process.store, in_process.import_id)
    return waiting_lines(progress_of(in_process.store, import_), in_process.time)


def at(in_process: InProcessImport, seconds: float) -> str:
    return f"{datetime.fromtimestamp(in_process.time + seconds):%H:%M}"


def spent(in_process: InProcessImport) -> int:
    return max((row.unit.attempts for row in in_process.store._rows.units.values()), default=0)


@pytest.mark.parametrize(
    ("words", "seconds"),
    [
        (b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds", 299.961),
        (b"* BYE Account exceeded command or bandwidth limits", 900),
        (b"NO [THROTTLED] slow down", 60),
        (b"NO [LIMIT] Too many simultaneous connections", 60),
    ],
)
def test_the_account_is_left_alone_by_both_lanes_and_the_other_goes_on(
    wires: Wires, words: bytes, seconds: float
) -> None:
    wires.fill(30)
    for number in range(5):
        wires.source.behaviour.accounts[OTHER].folder(b"INBOX").add(b"Subject: %d\r\n\r\nx\r\n" % number)
    wires.source.faults.add(
        reply(lambda c: c.name == b"EXAMINE" and c.connection == 1 and not c.text.startswith(b"x"), words)  # type: ignore[arg-type]
    )
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work(2)
    states = {login: in_process.mailbox(login).state for login in (LOGIN, OTHER)}
    assert sorted(states.values()) in (["complete", "planning"], ["complete", "copying"], ["complete", "queued"]), (
        states
    )
    held = next(login for login, state in states.items() if state != "complete")
    url = in_process.store.limits_of(in_process.mailbox(held).mailbox_id)["source_account"]
    said = words.decode().removeprefix("* ").split(" ", 1)[1]
    assert told(in_process) == [f"waiting until {at(in_process, seconds)}: {said} (the source account {url})"]
    import_ = find_import(in_process.store, in_process.import_id)
    progress = progress_of(in_process.store, import_)
    assert errors_of(in_process.store, import_) == [], "waiting is no failure"
    (wait,) = import_fields(progress)["waits"]
    assert (wait["what"], wait["why"]) == ("source_account", said)
    assert wait["until"] == pytest.approx(in_process.time + seconds, abs=0.002)
    assert spent(in_process) == 0
    commands = _asked(wires)
    in_process.later(seconds - 1)
    in_process.work(2)
    assert _asked(wires) == commands, "not a moment before"
    in_process.later(2)
    assert told(in_process) == []
    in_process.to_the_end(submit=False, lanes=2)
    assert in_process.outcomes() == {"copied": 35}
    assert wires.bodies() == wires.sent()


def _asked(wires: Wires) -> int:
    """Counts the commands that ask for data.

    LOGOUT is left out: no client waits for its answer, so the server may note it late.
    """
    return sum(command.name != b"LOGOUT" for command in wires.source.commands)


def test_a_host_that_is_full_at_its_greeting_is_left_alone_by_all(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A server that is slow to greet is looked at by another connection, which is counted, too.
    monkeypatch.setattr(tls, "_SILENT_SECONDS", 60.0)
    wires.fill(5)
    wires.source.greeting = b"* BYE Too many connections, try again in 10 minutes\r\n"
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work(2)
    connections = wires.source.connections
    assert connections <= 2, "one for each lane at most"
    in_process.later(500)
    in_process.work(2)
    assert wires.source.connections == connections
    assert {in_process.mailbox(login).state for login in (LOGIN, OTHER)} <= {"planning", "queued"}
    assert told(in_process) == [
        f"waiting until {at(in_process, 100)}: Too many connections, try again in 10 minutes (the source server 127.0.0.1)"
    ]
    wires.source.greeting = None
    in_process.later(101)
    in_process.to_the_end(submit=False, lanes=2)
    assert wires.bodies() == wires.sent()


def test_an_ok_that_asks_for_less_holds_everybody_when_the_batch_is_done(wires: Wires) -> None:
    wires.fill(30)
    wires.source.faults.add(retag(rb"^UID FETCH .*BODY", b"OK Success [THROTTLED]", times=1))
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work(2)
    copied = in_process.outcomes().get("copied", 0)
    assert 10 <= copied < 30, "the batch at hand came to its end, and no other was begun"
    assert told(in_process)[0].startswith(
        f"waiting until {at(in_process, 60)}: Success [THROTTLED] (the source account "
    )
    in_process.later(50)
    in_process.work(2)
    assert in_process.outcomes()["copied"] == copied
    in_process.later(11)
    in_process.to_the_end(submit=False, lanes=2)
    assert in_process.outcomes() == {"copied": 30}
    assert wires.bodies() == wires.sent()
    assert in_process.failures() == []


def test_without_the_table_it_would_be_asked_again_at_once(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: without the table the wait would be shorter than the server demanded."""
    monkeypatch.setattr("shared.mail.answers.refusals.hint_in", lambda text, greeting=False: None)
    monkeypatch.setattr("shared.mail.answers.refusals.hint_of", lambda code, text, greeting=False: Hint(seconds=1))
    wires.fill(5)
    words = b"BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds"
    wires.source.faults.add(reply(rb"^EXAMINE", words))
    in_process = stage_of(wires)
    in_process.submit()
    in_process.work()
    commands = len(wires.source.commands)
    in_process.later(2)
    in_process.work()
    assert len(wires.source.commands) > commands
