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

from shared.model import Import, Mailbox
from shared.model.search import Search
from shared.store.records.principals import Role
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer
from tests.web.test_many import opened

_TIMES = 40
_WAVES = 8


def _views(whole: Import, box: Mailbox) -> dict[str, str]:
    """Returns the path of each view by its name."""
    there = f"/imports/{whole.import_id}"
    return {
        "all imports": "/",
        "import": there,
        "import, last page": f"{there}?start=49900",
        "import, by login": f"{there}?order=login&start=25000",
        "import, by messages": f"{there}?order=messages&descending=true",
        "import, one state": f"{there}?state=queued",
        "import, one state by login": f"{there}?state=queued&order=login",
        "import, one wave": f"{there}?wave=wave3",
        "import, search": f"{there}?text=7777",
        "mailbox": f"{there}/mailboxes/{box.mailbox_id}",
        "new passwords": f"{there}/credentials",
        "add mailboxes": f"{there}/add",
        "cancel": f"{there}/cancel",
        "search in all imports": "/search?text=7777",
        "new import": "/new",
        "administration": "/admin",
        "limits": "/admin/limits",
        "audit log": "/admin/audit",
        "API, import": f"/api/v1{there}",
        "API, mailboxes": f"/api/v1{there}/mailboxes?count=50",
        "API, errors": f"/api/v1{there}/errors",
        "API, waves": f"/api/v1{there}/waves",
    }


def main() -> None:
    """Prints a table of all views."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mailboxes", type=int, default=50_000)
    asked = parser.parse_args()
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="views-") as home:
        server = WebServer(redis, Path(home))
        whole = opened(server, asked.mailboxes, waves=_WAVES)
        ((box, _),) = server.store.find_mailboxes(whole.import_id, Search(count=1))[1]
        server.serve()
        try:
            page, token = server.signed_in("admin"), server.principals.make_token("views", Role.ADMIN)[1]
            page.headers["Authorization"] = f"Bearer {token}"
            print(f"{asked.mailboxes:,} mailboxes, {os.cpu_count()} processors, load {os.getloadavg()[0]:.1f}\n")
            print("| view | p50, ms | p95, ms | worst, ms |\n|---|---|---|---|")
            for name, path in _views(whole, box).items():
                took = _asked(page, path)
                p95 = statistics.quantiles(took, n=20)[18]
                print(f"| {name} | {statistics.median(took):.0f} | {p95:.0f} | {max(took):.0f} |", flush=True)
        finally:
            server.close()


def _asked(page: httpx2.Client, path: str) -> list[float]:
    """Returns the milliseconds that each answer took; the first, which may build an index, is left out."""
    took = []
    for _ in range(_TIMES + 1):
        began = time.perf_counter()
        answer = page.get(path)
        took.append((time.perf_counter() - began) * 1000)
        if answer.status_code != 200:
            raise SystemExit(f"{path}: {answer.status_code} {answer.text[:500]}")
    return took[1:]


if __name__ == "__main__":
    main()
