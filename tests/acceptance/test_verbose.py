"""Tests `--verbose`: each mailbox as it starts and ends, with notes, and extensions announced but refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import AdminEnvironment
from tests.integration.in_process_import import plain
from tests.servers.faulty import FaultyServer

NO = b"NO I do not want to"


@pytest.fixture
def ends() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    with FaultyServer() as source, FaultyServer() as destination:
        for name in ("anna", "bert"):
            for server in (source, destination):
                server.add_account(name, f"pw-{name}")
            for number in range(1, 4):
                source.behaviour.accounts[name].folder(b"INBOX").add(plain(number))
        source.behaviour.hollow["NAMESPACE"] = NO
        yield source, destination


@pytest.fixture
def admin_env(ends: tuple[FaultyServer, FaultyServer], tmp_path: Path) -> AdminEnvironment:
    return AdminEnvironment(*ends, tmp_path, {"MAILHAUL_SETTLE_SECONDS": "1"})  # type: ignore[arg-type]


def told(said: str, login: str) -> list[str]:
    """Returns the lines about one mailbox before the summary, in their order."""
    return [line for line in said.splitlines() if re.match(rf"row \d+  {login}  ", line)]


def test_each_mailbox_is_told_when_it_starts_and_when_it_ends(
    admin_env: AdminEnvironment, ends: tuple[FaultyServer, FaultyServer]
) -> None:
    source, _ = ends
    manifest = admin_env.manifest({"anna": "pw-anna", "bert": "wrong"})
    said = admin_env.run("import", manifest, *admin_env.ends, "--verbose", code=3).said
    assert told(said, "anna") == ["row 2  anna  started", "row 2  anna  complete  3 copied"]
    assert told(said, "bert") == ["row 3  bert  started", "row 3  bert  parked  nothing counted yet"]
    reason = said.splitlines()[said.splitlines().index("row 3  bert  parked  nothing counted yet") + 1]
    assert reason.startswith("    source: authentication failed")
    note = (
        f"note: 127.0.0.1:{source.port} announces NAMESPACE and refuses it: every folder is taken for the account's own"
    )
    assert said.count(note) == 1
    assert f"{note} (it said: I do not want to)" in said

    # A verb that works on one mailbox reports only that one, and not those that had ended before.
    said = admin_env.run("retry", "people", "-v", code=3).said
    assert told(said, "anna") == []
    assert told(said, "bert") == ["row 3  bert  started", "row 3  bert  parked  nothing counted yet"]
    said = admin_env.run("verify", "people", "--mailbox", "anna", "-v", code=3).said
    assert told(said, "anna") == ["row 2  anna  started", "row 2  anna  complete  3 copied"]
    assert told(said, "bert") == []

    usual = admin_env.run("import", manifest, *admin_env.ends, code=3).said
    assert told(usual, "anna") == [], "the control: without it none of this is said"
    assert "announces NAMESPACE" not in usual


def test_check_tells_of_each_row_beside_its_report(admin_env: AdminEnvironment) -> None:
    manifest = admin_env.manifest({"anna": "pw-anna", "bert": "wrong"})
    found = admin_env.run("check", manifest, *admin_env.ends, "--verbose", code=3)
    assert told(found.said, "anna") == ["row 2  anna  started", "row 2  anna  ok"]
    assert told(found.said, "bert") == ["row 3  bert  started", "row 3  bert  BAD"]
    usual = admin_env.run("check", manifest, *admin_env.ends, code=3)
    assert told(usual.said, "anna") == []
    assert usual.out == found.out, "the report is the same"


@pytest.mark.parametrize("verb", ["import", "verify", "retry", "watch"])
def test_quiet_and_verbose_exclude_each_other(admin_env: AdminEnvironment, verb: str) -> None:
    ends = [admin_env.manifest({"anna": "pw-anna"}), *admin_env.ends] if verb == "import" else []
    said = admin_env.run(verb, *ends, "--quiet", "--verbose", code=2).said
    assert said == "mailhaul: --quiet and --verbose exclude each other; give one of them\n"


def test_the_log_tells_a_verification_that_was_queued_and_done_from_one_that_was_refused(
    admin_env: AdminEnvironment,
) -> None:
    manifest = admin_env.manifest({"anna": "pw-anna"})
    admin_env.run("import", manifest, *admin_env.ends)
    admin_env.run("verify")
    admin_env.run("forget", "--yes")
    admin_env.run("verify", code=2)
    said = [line.split("  ")[2] for line in admin_env.run("audit").out.splitlines()]
    assert said == [
        "import begun",
        "verification asked for",
        "verification queued",
        "verification done",
        "credentials deleted",
        "verification asked for",
        "act refused",
    ]


def test_only_mailboxes_with_trouble_are_listed_where_that_is_asked_for(admin_env: AdminEnvironment) -> None:
    admin_env.run("import", admin_env.manifest({"anna": "pw-anna", "bert": "wrong"}), *admin_env.ends, code=3)
    status = admin_env.run("status", "--failed").out
    assert "row 3  bert  parked" in status
    assert "anna" not in status
    assert "row 2  anna  complete" in admin_env.run("status").out, "the control"
