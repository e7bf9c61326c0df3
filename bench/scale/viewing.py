"""Measures the page with fifty thousand mailboxes in one import: the time of each view in its process."""

from __future__ import annotations

import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import httpx2

from bench.scale.page import Section
from bench.scale.rig import ROOT, Rig
from shared.model import Failure, Import
from shared.model.lifecycle import Disposition, MailboxState
from shared.model.search import ORDERS, Search
from shared.runtime.config import load_settings
from shared.runtime.credentials import Vault
from shared.store.records.principals import Principals, Role
from shared.store.redis.redis_store import connect
from tests.servers.process import await_ready, end, free_port, spawn

#: Failures for which mailboxes are parked, as is usual in a large migration.
_CODES: Final = (
    "source_auth_refused",
    "destination_auth_refused",
    "quota_exceeded",
    "source_unreachable",
    "tls_failed",
    "fault",
)


def run(mailboxes: int, parked: int, complete: int, rounds: int) -> Section:
    """Fills an import and requests every view of it `rounds` times."""
    with Rig({b"INBOX": 6, b"Sent": 2}) as rig:
        request = rig.submit("person", mailboxes)
        for order in ("login", "destination_login"):  # indexes the logins, as the page does for an import
            rig.store.find_mailboxes(request.import_id, Search(order=order, count=1))
        _park(rig, parked)
        rig.coordinate()
        rig.work(lambda: _state(rig, request, MailboxState.COMPLETE) >= complete, seconds=600)
        with _page(rig) as client:
            took = {name: _times(client, path, rounds) for name, path in _views(request.import_id).items()}
        states = rig.store.import_tally(request.import_id)[1]
    pages = [name for name in took if not name.endswith(".csv")]
    worst = max(pages, key=lambda name: took[name][1])
    there = ", ".join(f"{number:,} {state.value}" for state, number in sorted(states.items()))
    lines = [
        f"{mailboxes:,} mailboxes in one import ({there}), fifty a page, each view {rounds} times, over HTTP on loopback, with the",
        "coordinator running. From the request to the last byte:",
        "",
        "| view | p50 ms | p95 ms | most ms | kB |",
        "|---|--:|--:|--:|--:|",
    ]
    for name, (median, high, most, size) in took.items():
        lines.append(f"| {name} | {median:.0f} | {high:.0f} | {most:.0f} | {size / 1e3:.0f} |")
    lines += ["", f"The slowest at p95 is “{worst}”: {took[worst][1]:.0f} ms; at most 300 ms is what is asked for."]
    return Section(name="page", title="The page", lines=tuple(lines), facts={"page_p95_seconds": took[worst][1] / 1000})


def _park(rig: Rig, count: int) -> None:
    for number in range(count):
        lease = rig.store.claim("bench/1")
        if lease is None:
            raise RuntimeError(f"no unit is left after {number}")
        code = _CODES[number % len(_CODES)]
        failure = Failure(
            code=code, sentence=f"what {code} means", detail="NO [ALERT] as the server put it", advice="mend it"
        )
        rig.store.release(lease, how=Disposition.PARK, failure=failure)


def _state(rig: Rig, import_: Import, state: MailboxState) -> int:
    return rig.store.import_tally(import_.import_id)[1].get(state, 0)


def _views(import_id: str) -> dict[str, str]:
    there = f"/imports/{import_id}"
    found = {"all imports": "/", "the import": there, "last page": f"{there}?start=49950"}
    found |= {f"by {order}": f"{there}?order={order}&descending=true" for order in ORDERS if order != "row"}
    found |= {f"only {state.value}": f"{there}?state={state.value}" for state in MailboxState}
    found |= {
        "only parked, by login": f"{there}?state=parked&order=login",
        "with “7777” in the login": f"{there}?text=7777",
        "with “person” in the login, by messages": f"{there}?text=person&order=messages&descending=true",
        "live: the next state of it": f"{there}/stream",
        "failed-rows.csv": f"{there}/report/failed-rows.csv",
    }
    return found


def _times(client: httpx2.Client, path: str, rounds: int) -> tuple[float, float, float, int]:
    seconds, size = [], 0
    for _ in range(rounds):
        began = time.perf_counter()
        with client.stream("GET", path) as answer:
            size = 0
            for piece in answer.iter_bytes():
                size += len(piece)
                if path.endswith("/stream") and piece.endswith(b"\n\n"):
                    break
        assert answer.status_code == 200, (path, answer.status_code)
        seconds.append((time.perf_counter() - began) * 1000)
    cuts = statistics.quantiles(seconds, n=20, method="inclusive")
    return statistics.median(seconds), cuts[18], max(seconds), size


@contextmanager
def _page(rig: Rig) -> Iterator[httpx2.Client]:
    """Starts a real web process. Yields a client that is signed in to it."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="viewing-") as home:
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")} | {
            "MAILHAUL_REDIS_URL": rig.redis.url().partition("?")[0],
            "MAILHAUL_STATE_DIR": home,
            "MAILHAUL_WEB_PORT": str(port),
            "PYTHONPATH": str(ROOT),
        }
        process = spawn([sys.executable, "-m", "producer.web"], log=Path(home) / "web.log", env=env)
        base = f"http://127.0.0.1:{port}"
        try:
            await_ready(lambda: _answers(f"{base}/readyz"), 180, "the page")
            _, token = Principals(
                connect(rig.redis.url(1)), Vault.from_settings(load_settings(state_dir=Path(home)))
            ).make_token("bench", Role.OPERATOR)
            with httpx2.Client(base_url=base, timeout=60, headers={"Origin": base}) as client:
                client.post("/sign-in", data={"token": token})
                yield client
        finally:
            end(process)


def _answers(url: str) -> Any:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False
