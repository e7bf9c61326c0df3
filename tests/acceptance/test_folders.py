"""Tests that every view reports renamed folders with the reason.

It also reports the number of other people's and public folders.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator

import pytest

from tests.acceptance.conftest import AdminEnvironment
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer

LOGIN = "anna"
OWN = ("INBOX", "Work", "Work/Sub", "v10", "v9", "Ordner ", "a*b")
THEIRS = ("shared/bob", "shared/bob/Team", "Public/News")
NOTE = "2 folders of other people are left out; 1 public folder is left out; take them with --shared-folders=copy"
REFUSED = "the destination refused a*b (the server said: [CANNOT] no wildcards); called a_b there"


@pytest.fixture
def ends() -> Iterator[list[str]]:
    """Yields the options for two servers.

    The source has shared folders; the destination takes no wildcards and has a public folder.
    """
    with FaultyServer() as source, FaultyServer() as destination:
        there, here = source.add_account(LOGIN, "pw"), destination.add_account(LOGIN, "pw")
        there.namespace = here.namespace = b'(("" "/")) (("shared/" "/")) (("Public/" "/"))'
        there.folder("shared", attributes=(b"\\Noselect",))
        for number, name in enumerate((*OWN, *THEIRS)):
            there.folder(name).add(b"Message-ID: <%d@x>\r\nSubject: %d\r\n\r\nbody\r\n" % (number, number))
        here.folder("Public/News")
        destination.faults.add(reply(rb"^CREATE .*[*]", b"NO [CANNOT] no wildcards", times=None))
        yield ["--source", f"imap://127.0.0.1:{source.port}", "--destination", f"imap://127.0.0.1:{destination.port}"]


def test_every_place_tells_what_becomes_of_folders(admin_env: AdminEnvironment, ends: list[str]) -> None:
    manifest = admin_env.manifest({LOGIN: "pw"})
    checked = admin_env.run("check", manifest, *ends).out
    assert "source: 7 folders, 7 messages" in checked
    assert NOTE in checked
    assert "nothing is written into public folders: 1" in checked

    lines = admin_env.run("plan", manifest, *ends).out.splitlines()
    order = [line.split(":")[0].strip() for line in lines if line.startswith("    ")]
    assert order == ["INBOX", "a*b", '"Ordner "', "v9", "v10", "Work", "Work/Sub", "note"]
    assert f"    note: {NOTE}" in lines
    assert "left out: 3," in lines[-2]
    dry = json.loads(admin_env.run("plan", manifest, *ends, "--json").out)
    assert (dry["totals"]["other_folders"], dry["totals"]["public_folders"]) == (2, 1)

    first = admin_env.run("import", manifest, *ends, "--json", "--name", "folders")
    assert "1 folder has another name at the destination" in first.said
    assert "a*b → a_b (the destination refused a*b (the server said: [CANNOT] no wildcards))" in first.said
    assert f"note: {NOTE}" in first.said
    (mailbox,) = json.loads(first.out)["mailboxes"]
    assert mailbox["copied"] == len(OWN)
    assert mailbox["renamed_folders"] == [{"source": "a*b", "destination": "a_b", "note": REFUSED}]
    assert (mailbox["other_folders"], mailbox["public_folders"], mailbox["left_out"]) == (2, 1, NOTE)

    status = admin_env.run("status", "folders", "--mailbox", LOGIN).out
    assert "a*b → a_b (the destination refused a*b" in status
    assert '"Ordner ":' in status
    assert f"note: {NOTE}" in status

    admin_env.run("import", manifest, *ends, "--name", "folders")
    admin_env.run("report", "folders", "--out", admin_env.home / "report")
    (renamed,) = csv.DictReader((admin_env.home / "report" / "folders.csv").open())
    assert (renamed["login"], renamed["folder"], renamed["destination"], renamed["why"]) == (
        LOGIN,
        "a*b",
        "a_b",
        REFUSED,
    )
    (row,) = csv.DictReader((admin_env.home / "report" / "results.csv").open())
    assert (row["renamed_folders"], row["left_out"]) == ("1", NOTE)


def test_what_others_share_is_taken_when_it_is_asked_for(admin_env: AdminEnvironment, ends: list[str]) -> None:
    manifest = admin_env.manifest({LOGIN: "pw"})
    asked = [*ends, "--shared-folders", "copy", "--name", "shared"]
    assert "source: 10 folders, 10 messages" in admin_env.run("check", manifest, *asked[:-2]).out
    (mailbox,) = json.loads(admin_env.run("import", manifest, *asked, "--json").out)["mailboxes"]
    places = {f["folder"]: f["destination"] for f in mailbox["folders"]}
    assert mailbox["copied"] == len(OWN) + len(THEIRS)
    assert (places["shared/bob"], places["shared/bob/Team"], places["Public/News"]) == (
        "shared_/bob",
        "shared_/bob/Team",
        "Public_/News",
    )
    assert mailbox["left_out"] == ""
    refused = admin_env.run("plan", manifest, *ends, "--shared-folders", "perhaps", code=2)
    assert re.search("--shared-folders: one of leave, copy", refused.said)
