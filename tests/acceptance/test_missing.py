"""Tests mail that is gone at the destination: its user removed or moved it, or a restored backup lost it.

The first is told and is no fault. Each later pass reports what is lost until it is accepted or copied again.
"""

from __future__ import annotations

import csv
import imaplib
from pathlib import Path

from tests.acceptance.conftest import AdminEnvironment, Box
from tests.restored_backup import lose


def _removed(box: Box, *numbers: int, into: str = "") -> None:
    """Removes messages of INBOX, as a user does, or moves them into this folder."""
    with imaplib.IMAP4(box.server.host, box.server.port) as client:
        client.login(box.login, box.password)
        client.select("INBOX")
        if into:
            client.create(into)
            client.copy(",".join(map(str, numbers)), into)
        client.store(",".join(map(str, numbers)), "+FLAGS", r"(\Deleted)")
        client.expunge()


def test_what_users_moved_and_removed_is_told_and_is_no_fault(admin_env: AdminEnvironment, tmp_path: Path) -> None:
    source, destination = admin_env.accounts("works")["works"]
    source.fill({"INBOX": 12})
    manifest = admin_env.manifest({"works": "pw-works"})
    admin_env.import_(manifest)
    _removed(destination, 1, 5, into="Kept")
    _removed(destination, 1, 2, 3)
    for _ in range(2):
        found = admin_env.import_(manifest)["import"]
        assert (found["status"], found["missing"], found["moved"], found["removed"]) == ("complete", 0, 2, 3)
    assert sum(destination.seen().values()) == 9, "nothing comes back"
    said = admin_env.run("status").out
    assert "2 moved by the user; 3 removed by the user" in said
    assert "harmless" in admin_env.run("errors").out
    admin_env.run("retry", "--copy-missing", code=None)
    assert sum(destination.seen().values()) == 9, "what its user removed is not offered"
    admin_env.run("report", "--out", str(tmp_path / "report"))
    (row,) = csv.DictReader((tmp_path / "report" / "results.csv").read_text().splitlines())
    assert (row["state"], row["missing"], row["moved"], row["removed"]) == ("complete", "0", "2", "3")
    notes = csv.DictReader((tmp_path / "report" / "notes.csv").read_text().splitlines())
    assert sorted((note["uid"], note["what"]) for note in notes) == [
        ("1", "moved"),
        ("2", "removed"),
        ("3", "removed"),
        ("4", "removed"),
        ("5", "moved"),
    ]
    assert list(csv.DictReader((tmp_path / "report" / "failures.csv").read_text().splitlines())) == []


def test_missing_messages_are_told_accepted_and_copied_again(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("removes")["removes"]
    source.fill({"INBOX": 12})
    manifest = admin_env.manifest({"removes": "pw-removes"})
    admin_env.import_(manifest)
    lose(destination.server, destination.login, destination.password, "9:12", lambda: admin_env.import_(manifest))
    for _ in range(2):
        assert admin_env.import_(manifest, code=3)["import"]["missing"] == 4
    said = admin_env.run("errors").out
    assert "4 messages: UIDs 9:12 of the source are no longer in the destination folder" in said
    assert "--accept-missing" in said
    assert "--copy-missing" in said
    accepted = admin_env.run("verify", "--accept-missing")
    assert "4 missing messages accepted as removed at the destination" in accepted.out + accepted.said
    assert admin_env.import_(manifest)["import"]["missing"] == 0
    assert sum(destination.seen().values()) == 8
    assert "  verified:  8 messages read on both sides, all equal" in admin_env.run("verify", "--full").said

    lose(destination.server, destination.login, destination.password, "7:8", lambda: admin_env.import_(manifest))
    assert admin_env.import_(manifest, code=3)["import"]["missing"] == 2
    again = admin_env.run("retry", "--copy-missing")
    assert "with 2 messages that were refused, failed or are missing" in again.out + again.said
    assert sum(destination.seen().values()) == 8
    assert not destination.seen() - source.seen()
    assert admin_env.import_(manifest)["import"]["missing"] == 0
    admin_env.run("verify", "--full")
    audit = admin_env.run("audit", "--format", "csv").out
    assert "accept_missing" in audit
    assert "copy_missing" in audit
