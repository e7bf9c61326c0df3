"""Tests servers that refuse what they announce, with the command line: mail arrives, and all reports agree."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.acceptance.conftest import AdminEnvironment
from tests.integration.in_process_import import plain
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer
from tests.servers.hollow import CLOSE

BAD, NO = b"BAD I do not know what you want", b"NO I do not want to"
LOGIN, PASSWORD = "anna@example.org", "pw-anna"


@pytest.fixture
def ends() -> Iterator[tuple[FaultyServer, FaultyServer]]:
    with FaultyServer() as source, FaultyServer() as destination:
        for server in (source, destination):
            server.add_account(LOGIN, PASSWORD)
        for number in range(1, 31):
            source.behaviour.accounts[LOGIN].folder(b"INBOX").add(plain(number))
        yield source, destination


@pytest.fixture
def admin_env(ends: tuple[FaultyServer, FaultyServer], tmp_path: Path) -> AdminEnvironment:
    return AdminEnvironment(*ends, tmp_path)  # type: ignore[arg-type]


def bodies(server: FaultyServer) -> Counter[bytes]:
    return Counter(message.body for message in server.behaviour.accounts[LOGIN].folder(b"INBOX").messages)


@pytest.mark.parametrize("answer", [BAD, NO, CLOSE])
def test_an_import_arrives_and_each_promise_is_told_once(
    admin_env: AdminEnvironment, ends: tuple[FaultyServer, FaultyServer], answer: bytes
) -> None:
    source, destination = ends
    source.behaviour.hollow |= {"CONDSTORE": answer, "NAMESPACE": answer}
    destination.behaviour.hollow |= {"CHILDREN": answer, "MULTIAPPEND": BAD if answer == CLOSE else answer}
    admin_env.variables["MAILHAUL_SETTLE_SECONDS"] = "1"
    manifest = admin_env.manifest({LOGIN: PASSWORD})
    found = admin_env.import_(manifest)
    assert found["import"]["copied"] == 30
    assert bodies(destination) == bodies(source)
    logs = [
        json.loads(line)
        for log in (admin_env.home / "state" / "logs").glob("*.log")
        for line in log.open()
        if "extension_left_out" in line
    ]
    told = Counter((line["server"], line["extension"]) for line in logs)
    assert told == {
        (f"127.0.0.1:{source.port}", "CONDSTORE"): 1,
        (f"127.0.0.1:{source.port}", "NAMESPACE"): 1,
        (f"127.0.0.1:{destination.port}", "CHILDREN"): 1,
        (f"127.0.0.1:{destination.port}", "MULTIAPPEND"): 1,
        # A connection closed at a LIST with several options does not show which of them was the cause.
        **(
            {(f"127.0.0.1:{destination.port}", name): 1 for name in ("LIST-EXTENDED", "SPECIAL-USE")}
            if answer == CLOSE
            else {}
        ),
    }


@pytest.mark.parametrize("answer", [BAD, NO, CLOSE])
def test_check_and_plan_say_what_a_server_refuses(
    admin_env: AdminEnvironment, ends: tuple[FaultyServer, FaultyServer], answer: bytes
) -> None:
    ends[0].behaviour.hollow |= {"CONDSTORE": answer, "STATUS=SIZE": answer}
    ends[1].behaviour.hollow["NAMESPACE"] = answer
    manifest = admin_env.manifest({LOGIN: PASSWORD})
    said = admin_env.run("check", manifest, *admin_env.ends).out
    assert "note: the source announces CONDSTORE and refuses it: a later pass compares all flags" in said
    assert "announces STATUS=SIZE and refuses it: sizes are added up message by message" in said
    assert "note: the destination announces NAMESPACE and refuses it" in said
    (found,) = json.loads(admin_env.run("check", manifest, *admin_env.ends, "--json").out)["mailboxes"]
    assert "CONDSTORE" in found["source"]["refuses"]
    assert "30 messages" in admin_env.run("plan", manifest, *admin_env.ends).out


@pytest.mark.parametrize(("at", "command"), [(0, b"^EXAMINE"), (1, b"^SELECT")])
def test_check_finds_an_inbox_that_cannot_be_opened(
    admin_env: AdminEnvironment, ends: tuple[FaultyServer, FaultyServer], at: int, command: bytes
) -> None:
    ends[at].faults.add(reply(command, b"NO Unsafe Login. Please contact the provider", times=None))
    manifest = admin_env.manifest({LOGIN: PASSWORD})
    said = admin_env.run("check", manifest, *admin_env.ends, code=3).out
    assert said.startswith("BAD row 2  anna@example.org")
    side = ("source", "destination")[at]
    assert f"{side}: cannot open INBOX\n" in said
    group = f"BAD {side}: cannot open INBOX: Unsafe Login. Please contact the provider"
    lines = said.splitlines()
    (at_group,) = [at for at, line in enumerate(lines) if line.startswith(group)]
    assert lines[at_group + 1] == "    → see what the server says", "the advice stands at the server's words"


def test_every_report_says_that_a_folder_was_not_read(
    admin_env: AdminEnvironment, ends: tuple[FaultyServer, FaultyServer]
) -> None:
    """Follows rnwood/smtp4dev#2116: EXAMINE INBOX answers NO although the folder has mail."""
    source, _ = ends
    source.behaviour.accounts[LOGIN].folder(b"Work").add(plain(99))
    source.faults.add(reply(b'^EXAMINE "INBOX"', b"NO Error : Argument 'uid' value must be >= 1.", times=None))
    manifest = admin_env.manifest({LOGIN: PASSWORD})
    found = admin_env.import_(manifest, code=3)
    (mailbox,) = found["mailboxes"]
    assert {folder["folder"]: folder["readable"] for folder in mailbox["folders"]} == {"INBOX": False, "Work": True}
    assert mailbox["unreadable_folders"] == 1
    assert (found["import"]["status"], found["import"]["unreadable_folders"]) == ("incomplete", 1)
    (listed,) = json.loads(admin_env.run("list", "--json").out)
    assert (listed["status"], listed["unreadable_folders"]) == ("incomplete", 1)
    assert "  incomplete  " in admin_env.run("list").out
    status = admin_env.run("status").out
    assert "incomplete; " in status
    assert "1 folder cannot be read at the source" in status
    assert "mailhaul errors" in status
    assert "Argument 'uid' value must be >= 1." in admin_env.run("errors").out
    admin_env.run("report", "--out", admin_env.home / "report")
    (line,) = csv.DictReader((admin_env.home / "report" / "results.csv").open())
    assert (line["unreadable_folders"], line["failure"]) == ("1", "unreadable_folder")
    assert "Argument 'uid'" in line["detail"]
    failures = list(csv.DictReader((admin_env.home / "report" / "failures.csv").open()))
    assert [(one["folder"], one["what"]) for one in failures] == [("INBOX", "unreadable_folder")]
