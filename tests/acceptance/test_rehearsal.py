"""Tests `check` of a long list: many at once within the limits, a line for each, and nothing written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.acceptance.conftest import AdminEnvironment, Box, until
from tests.servers.proxy import FaultProxy

ROWS, MOST = 200, 5

pytestmark = pytest.mark.skipif(not Path("/proc/net/tcp").exists(), reason="counts connections by /proc")


def open_connections(port: int) -> int:
    """Counts the open connections to this port of loopback, as clients see them, at one moment.

    A single reading covers many moments, and may hold both a closed connection and the one opened in its place. So only
    those in two consecutive readings count.
    """
    return len(_listed(port) & _listed(port))


def _listed(port: int) -> set[str]:
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {row[1] for row in rows if row[2].endswith(f":{port:04X}") and row[3] == "01"}


def test_two_hundred_rows_are_checked_at_once_within_the_limits_and_nothing_is_written(
    admin_env: AdminEnvironment,
) -> None:
    source, destination = admin_env.source, admin_env.destination
    rows = {}
    for n in range(ROWS):
        rows[f"checked{n}"] = f"pw-{n}"
        source.add_user(f"checked{n}", f"pw-{n}")
        destination.add_user(f"checked{n}", f"pw-{n}" if n % 100 else "another")
    boxes = [Box(source, f"checked{n}", f"pw-{n}") for n in range(0, ROWS, 20)]
    for box in boxes:
        box.fill({"INBOX": 3, "Work": 1})
    before = [box.uids() for box in boxes]
    attempts = source.login_attempts(), destination.login_attempts()
    manifest = admin_env.manifest(rows)
    files = sorted(admin_env.home.rglob("*"))

    admin_env.variables["MAILHAUL_SOURCE_HOST_CONNECTIONS"] = str(MOST)
    # The delay keeps each connection open for many readings, however slowly this machine reads.
    with (
        FaultProxy(source.host, source.port, delay_ms=5) as from_,
        FaultProxy(destination.host, destination.port, delay_ms=5) as to,
    ):
        ends = ("--source", f"imap://{from_.host}:{from_.port}", "--destination", f"imap://{to.host}:{to.port}")
        check = admin_env.start("check", manifest, *ends)
        peak = {from_.port: 0, to.port: 0}

        def ended() -> bool:
            for port in peak:
                peak[port] = max(peak[port], open_connections(port))
            return check.poll() is not None

        until(ended, "the end of the check")
        table = admin_env.ended(check, code=3).out.splitlines()
    assert all(1 < most <= MOST for most in peak.values()), peak
    heads = [line.split()[:4] for line in table if not line.startswith(" ")]
    assert [(word, who) for word, _, _, who in heads[:ROWS]] == [
        ("ok" if n % 100 else "BAD", f"checked{n}") for n in range(ROWS)
    ]
    assert table[-1].startswith("198 of 200 mailboxes work at both ends; 40 messages, ")

    found = json.loads(admin_env.run("check", manifest, *admin_env.ends, "--json", code=3).out)
    assert [one["login"] for one in found["mailboxes"]] == list(rows)
    assert [one["login"] for one in found["mailboxes"] if not one["ok"]] == ["checked0", "checked100"]
    assert "Authentication failed" in found["mailboxes"][0]["destination"]["detail"]

    assert sorted(admin_env.home.rglob("*")) == files, "no state, no log, no Redis"
    assert [box.uids() for box in boxes] == before
    assert [len(Box(destination, f"checked{n}", f"pw-{n}").uids()) for n in (1, 20, 199)] == [1, 1, 1], "INBOX alone"
    assert not Box(destination, "checked20", "pw-20").seen()
    refused = source.login_attempts() - attempts[0], destination.login_attempts() - attempts[1]
    assert refused == (0, 4), "one refused login for each of two accounts and two runs"


def test_check_stops_asking_a_server_that_refuses_everybody(admin_env: AdminEnvironment) -> None:
    names = [f"shut-{n}" for n in range(12)]
    for name in names:
        admin_env.source.add_user(name, "right")
        admin_env.destination.add_user(name, "right")
    manifest = admin_env.manifest(dict.fromkeys(names, "wrong"))
    said = admin_env.run("check", manifest, *admin_env.ends, code=3).out
    assert sum(admin_env.source.login_attempts(name) for name in names) == 5
    assert "0 of 12 mailboxes work at both ends" in said
    # The same trouble is reported once at the end, with all rows that have it.
    last = said[said.index("row 13  shut-11") :]
    assert last.count("source: authentication failed") == 1
    assert "(7 mailboxes: " in last
    assert "whether the wrong column was taken" in last
