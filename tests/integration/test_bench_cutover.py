"""Tests `make prove-cutover`: a small run of it, and that its judge sees what is lost, doubled, changed, strange or slow."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.chaos.oracle import Kept, Snapshot
from bench.cutover.__main__ import Plan, Proof, prove
from bench.cutover.judge import CopyTimes, at_destination, at_source, brought_back, copy_times
from bench.cutover.post import Delivery, Side
from shared.model.lifecycle import CutoverState

WHEN = 1_700_000_000


@pytest.mark.slow
def test_two_waves_are_cut_over_and_one_rolled_back_while_processes_are_killed() -> None:
    proof = prove(
        Plan(
            mailboxes=4,
            waves=2,
            rate=3.0,
            seed=7,
            threads=4,
            lease_seconds=8,
            kills=1,
            synced_minutes=0.5,
            quiet_hours=0.008,
            late_seconds=8.0,
            arrivals=4,
        )
    )
    assert not proof.faults
    assert proof.returned
    assert proof.late
    assert {state for state, _ in proof.killed} == {str(state) for state in CutoverState}


class Server:
    """Maildirs without a server."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def mail_folder(self, login: str) -> Path:
        return self._home / login

    def put(self, login: str, body: bytes, *, at: float = WHEN, name: str = "") -> Kept:
        """Puts a message into somebody's INBOX."""
        (place := self._home / login / "cur").mkdir(parents=True, exist_ok=True)
        path = place / f"{int(at)}.M0P1.{name or hashlib.sha256(body).hexdigest()[:8]}:2,"
        path.write_bytes(body)
        os.utime(path, (WHEN, WHEN))
        return Kept("INBOX", hashlib.sha256(body).hexdigest(), frozenset(), WHEN)


def _came(kept: Kept, side: Side = "old", at: float = WHEN) -> Delivery:
    return Delivery(login="ann", side=side, late=False, at=at, kept=kept)


@pytest.fixture
def server(tmp_path: Path) -> Any:
    return Server(tmp_path)


@pytest.fixture
def before(server: Server) -> dict[str, Snapshot]:
    return {"ann": Counter([server.put("ann", b"old mail\n")])}


def _path(server: Server) -> Path:
    (found,) = (server.mail_folder("ann") / "cur").iterdir()
    return found


SPOILT: dict[str, tuple[Callable[[Server], object], tuple[int, int, int]]] = {
    "lost": (lambda server: _path(server).unlink(), (1, 0, 0)),
    "twice": (lambda server: server.put("ann", b"old mail\n", name="again"), (0, 1, 0)),
    "redated": (lambda server: os.utime(_path(server), (1, 1)), (0, 0, 1)),
    "nothing": (lambda server: None, (0, 0, 0)),
}


@pytest.mark.parametrize("spoilt", SPOILT)
def test_what_is_wrong_at_the_new_server_is_seen(server: Any, before: dict[str, Snapshot], spoilt: str) -> None:
    spoil, wanted = SPOILT[spoilt]
    spoil(server)
    verdict = at_destination(server, before, ())
    assert (verdict.lost_messages, verdict.doubled, verdict.changed) == wanted


def test_what_came_at_either_side_must_be_at_the_new_server(server: Any, before: dict[str, Snapshot]) -> None:
    came = [_came(server.put("ann", b"one\n")), _came(server.put("ann", b"two\n"), "new")]
    assert at_destination(server, before, came).clean
    gone = Kept("INBOX", "0" * 64, frozenset(), WHEN)
    assert at_destination(server, before, [*came, _came(gone)]).lost_messages == 1


def test_only_what_was_rolled_back_may_stand_at_the_old_server_too_and_once(
    server: Any, before: dict[str, Snapshot]
) -> None:
    came = [_came(server.put("ann", b"back\n"), "new")]
    assert at_source(server, before, came, ["ann"]).clean
    assert at_source(server, before, came, []).doubled == 1
    assert brought_back(server, came, ["ann"]) == (1, 1)
    server.put("ann", b"back\n", name="again")
    assert at_source(server, before, came, ["ann"]).doubled == 1


def test_the_time_of_a_copy_is_from_its_delivery_to_its_file(server: Any) -> None:
    fast, slow = server.put("ann", b"1\n", at=WHEN + 30), server.put("ann", b"2\n", at=WHEN + 90)
    came = [_came(fast), _came(slow)]
    times = copy_times(server, came, ())
    assert (times.count, times.median, times.longest) == (2, 60.0, 90.0)
    assert copy_times(server, came, [("ann", WHEN - 1.0, WHEN + 1.0)]).count == 0


def test_a_slow_or_an_unstruck_run_does_not_hold() -> None:
    fine = CopyTimes(count=9, median=60.0, nearly_all=90.0, longest=100.0)
    assert not Proof(plan=Plan(), times=fine).faults
    assert Proof(plan=Plan(), times=CopyTimes(count=9, median=121.0, nearly_all=130.0, longest=140.0)).faults
    assert Proof(plan=Plan(), times=CopyTimes(count=9, median=60.0, nearly_all=90.0, longest=601.0)).faults
    assert Proof(plan=Plan(), times=fine, unstruck=["closed"]).faults
    assert Proof(plan=Plan(), times=CopyTimes(count=0, median=0, nearly_all=0, longest=0)).faults
