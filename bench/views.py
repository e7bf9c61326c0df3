"""Measures how fast the page draws an import of fifty thousand mailboxes: `python -m bench.views [--mailboxes 50000]`.

Redis and the web process are real, and each view is asked for 40 times, one after the other. The table is in docs/web.md.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path

import httpx2

from shared.model import Failure, Import, Mailbox
from shared.model.lifecycle import Disposition, Outcome
from shared.model.search import Search
from shared.store.records.principals import Role
from tests.contract.store_kit import intent, other, plan_of
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer
from tests.web.test_many import opened

_TIMES = 40
_WAVES = 8


def _worked(server: WebServer, whole: Import, part: int) -> None:
    """Brings so many mailboxes into each of several states: parked for two reasons, tried again, at work, with refused messages."""
    store = server.store
    store.submit(whole.import_id)
    for number in range(part * 5):
        lease = store.claim("lane")
        assert lease is not None, number
        what = number % 5
        if what < 3:
            code = ("source_auth_refused", "destination_quota_exceeded", "source_unreachable")[what]
            failure = Failure(code=code, sentence="it did not answer as it should", detail="NO [CODE] in its own words")
            store.release(lease, how=Disposition.PARK if what < 2 else Disposition.AGAIN, failure=failure)
        else:
            spans = [(first, first + 9) for first in range(1, 100, 10)]
            plans = [
                (plan_of(lease.mailbox, name, *spans), order) for order, name in enumerate(("INBOX", "Sent", "Old"))
            ]
            store.plan_folders(lease, plans)
            store.finish(lease)
            batch = store.claim("lane", prefer=lease.mailbox.mailbox_id) if what == 4 else None
            if batch is not None and batch.unit.uids:
                store.progress(batch, intents=[intent(f"{batch.term}", batch.unit.uids)])
                store.progress(batch, settled=[other(Outcome.REFUSED, batch.unit.uids, f"{batch.term}")])
                store.finish(batch)
        store.leave("lane", lease.mailbox.mailbox_id)


def _views(whole: Import, box: Mailbox) -> dict[str, str]:
    """Returns the path of each view by its name."""
    there = f"/imports/{whole.import_id}"
    sorts = ("login", "destination_login", "state", "messages", "bytes", "done_bytes", "failed", "refused")
    filters = (
        "state=queued",
        "state=parked",
        "wave=wave3",
        "code=source_auth_refused",
        "text=person1",
        "state=queued&wave=wave3",
    )
    return {
        "all imports": "/",
        "import": there,
        "import, last page": f"{there}?start=49900",
        **{f"import, by {sort}": f"{there}?order={sort}&start=25000&descending=true" for sort in sorts},
        **{f"import, {one}": f"{there}?{one}" for one in filters},
        **{f"import, {one}, by login": f"{there}?{one}&order=login&start=3000" for one in filters},
        **{f"import, {one}, by messages": f"{there}?{one}&order=messages" for one in filters},
        "import, search for one": f"{there}?text=person7777@",
        "import, search for the host": f"{there}?text=old.example",
        "mailbox": f"{there}/mailboxes/{box.mailbox_id}",
        "new passwords": f"{there}/credentials",
        "add mailboxes": f"{there}/add",
        "cancel": f"{there}/cancel",
        "copy": f"{there}/copy",
        "put away": f"{there}/close",
        "search in all imports": "/search?text=7777",
        "search for a login": "/search?text=person7777@old.example",
        "search for the host": "/search?text=old.example&start=25000",
        "new import": "/new",
        "administration": "/admin",
        "limits": "/admin/limits",
        "audit log": "/admin/audit",
        "API, all imports": "/api/v1/imports",
        "API, import": f"/api/v1{there}",
        "API, mailboxes": f"/api/v1{there}/mailboxes?count=50&start=25000",
        "API, errors": f"/api/v1{there}/errors",
        "API, errors of one": f"/api/v1{there}/errors?login={box.source.login}",
        "API, waves": f"/api/v1{there}/waves",
        "API, forecast": f"/api/v1{there}/forecast",
    }


#: What reads every mailbox, by its nature; each is asked for a few times only.
_WHOLE = {
    "report, failed-rows.csv": "failed-rows.csv",
    "report, results.csv": "results.csv",
    "report, one page": "one-page.html",
}


def main() -> None:
    """Prints a table of all views."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=50_000)
    parser.add_argument("--times", type=int, default=_TIMES, help="how often each view is asked for")
    parser.add_argument("--only", default="", help="views with this in their names")
    parser.add_argument("--files", action="store_true", help="the files of the report too, which read every mailbox")
    asked = parser.parse_args()
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="views-") as home:
        server = WebServer(redis, Path(home))
        whole = opened(server, asked.mailboxes, waves=_WAVES)
        _worked(server, whole, asked.mailboxes // 25)
        ((box, _),) = server.store.find_mailboxes(whole.import_id, Search(count=1))[1]
        server.serve()
        try:
            page, token = server.signed_in("admin"), server.principals.make_token("views", Role.ADMIN)[1]
            page.timeout = 600
            page.headers["Authorization"] = f"Bearer {token}"
            pid = server._processes[0].pid
            print(f"{asked.mailboxes:,} mailboxes, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
            print("| view | p50, ms | p95, ms | worst, ms | CPU, ms | load |\n|---|---|---|---|---|---|")
            whole_files = {name: f"/imports/{whole.import_id}/report/{file}" for name, file in _WHOLE.items()}
            for name, path in {**_views(whole, box), **(whole_files if asked.files else {})}.items():
                if asked.only not in name:
                    continue
                began = _cpu(pid)
                took = _asked(page, path, 2 if name in _WHOLE else asked.times)
                cpu = (_cpu(pid) - began) / (len(took) + 1) * 1000
                p95 = statistics.quantiles(took, n=20)[18]
                load = os.getloadavg()[0]
                print(
                    f"| {name} | {statistics.median(took):.0f} | {p95:.0f} | {max(took):.0f} | {cpu:.0f} | {load:.1f} |",
                    flush=True,
                )
            print(f"\nmost memory of the web process: {_memory(pid)} MB")
        finally:
            server.close()


def _cpu(pid: int) -> float:
    """Returns the seconds of CPU that the process used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _memory(pid: int) -> int:
    """Returns the most memory that the process ever had, in megabytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) // 1024


def _asked(page: httpx2.Client, path: str, times: int) -> list[float]:
    """Returns the milliseconds that each answer took; the first, which may build an index, is left out."""
    took = []
    for _ in range(times + 1):
        began = time.perf_counter()
        answer = page.get(path)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
    return took[1:]


if __name__ == "__main__":
    main()
