"""Runs workers in two network namespaces, as on two hosts.

Redis is reached over TCP with a password, and the servers at network addresses.
"""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from bench.scale.page import Section
from bench.scale.sample_servers import LANES, SampleServers, measure, started
from tests.integration.process_cluster import WORKER
from tests.servers.process import free_port
from tests.servers.redis_server import RedisServer

_NET = "10.203.77"
_HUB = f"{_NET}.1"


class _NetRedis(RedisServer):
    """A Redis that is reached over the network, with a password."""

    def __init__(self) -> None:
        self._password = secrets.token_urlsafe(16)
        port = str(free_port())
        super().__init__(options={"port": port, "bind": _HUB, "requirepass": self._password})
        self.port = int(port)

    def url(self, db: int = 0) -> str:
        """Returns the URL with its password."""
        return f"redis://:{self._password}@{_HUB}:{self.port}/{db}"


@contextmanager
def _namespaces(count: int) -> Iterator[list[str]]:
    """Makes `count` network namespaces on a bridge; yields their names."""
    mark = f"mh{os.getpid() % 100_000}"
    names = [f"{mark}n{n}" for n in range(count)]

    def ip(*words: str) -> None:
        subprocess.run(["ip", *words], check=True, capture_output=True)

    try:
        ip("link", "add", mark, "type", "bridge")
        ip("addr", "add", f"{_HUB}/24", "dev", mark)
        ip("link", "set", mark, "up")
        for n, name in enumerate(names):
            ip("netns", "add", name)
            ip("link", "add", f"{mark}v{n}", "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", f"{mark}v{n}", "master", mark, "up")
            ip("-n", name, "addr", "add", f"{_NET}.{n + 2}/24", "dev", "eth0")
            for device in ("lo", "eth0"):
                ip("-n", name, "link", "set", device, "up")
        yield names
    finally:
        for name in names:
            with suppress(subprocess.CalledProcessError):
                ip("netns", "del", name)
        with suppress(subprocess.CalledProcessError):
            ip("link", "del", mark)


def why_not() -> str:
    """Returns what is missing for this part; "" when it can run."""
    if os.geteuid() != 0:
        return "hosts: skipped, since making network namespaces needs root"
    return "" if shutil.which("ip") else "hosts: skipped, since `ip` is missing (Debian: iproute2)"


def run(mailboxes: int, messages: int) -> Section:
    """Measures one host with one worker, then two hosts with one worker each."""
    rows = []
    lost = twice = 0
    with SampleServers(mailboxes, messages) as town, _namespaces(2) as names:
        for hosts in (1, 2):
            with town.office(one_way_ms=25.0, host=_HUB, redis=_NetRedis()) as office:
                office.start_coordinator()
                for name in names[:hosts]:
                    inside = ["ip", "netns", "exec", name, sys.executable, "-c", WORKER]
                    office.start_worker(f"import os; os.execvp('ip', {inside!r})")
                started(office)
                found, _ = measure(office)
            lost, twice = lost + found.lost, twice + found.twice
            rows.append(
                f"| {hosts} | {found.seconds:.1f} | {found.rate:,.0f} | {found.workers:.1f} | {found.lost} | {found.twice} |"
            )
    return Section(
        name="hosts",
        title="Hosts",
        lines=(
            f"One worker of {LANES} lanes in each of two network namespaces; Redis over TCP with a password, both servers",
            f"50 ms away. {mailboxes} mailboxes of {messages} messages.",
            "",
            "| hosts | seconds | messages/s | CPU s | lost | twice |",
            "|---|---|---|---|---|---|",
            *rows,
        ),
        facts={"lost": lost, "twice": twice},
    )
