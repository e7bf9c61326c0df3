"""Tests what an administrator reads of mail that was moved and deleted at the source between two passes."""

from __future__ import annotations

import csv
import imaplib
from pathlib import Path

from tests.acceptance.conftest import AdminEnvironment, Box


def _moved_and_deleted(box: Box) -> None:
    """Moves two messages of INBOX into a new folder, and deletes three."""
    with imaplib.IMAP4(box.server.host, box.server.port) as client:
        client.login(box.login, box.password)
        client.create("Archive")
        client.select("INBOX")
        client.uid("MOVE", "1:2", "Archive")
        client.uid("STORE", "3:5", "+FLAGS", r"(\Deleted)")
        client.expunge()


def test_it_is_told_everywhere_and_is_no_fault(admin_env: AdminEnvironment, tmp_path: Path) -> None:
    source, destination = admin_env.accounts("mover")["mover"]
    source.fill({"INBOX": 12})
    manifest = admin_env.manifest({"mover": "pw-mover"})
    admin_env.import_(manifest)
    _moved_and_deleted(source)
    for _ in range(2):
        found = admin_env.import_(manifest)["import"]
        assert (found["status"], found["moved_at_source"], found["deleted_at_source"]) == ("complete", 2, 3)
    assert sum(destination.seen().values()) == 12, "nothing is doubled, and nothing deleted"
    said = admin_env.run("status").out
    assert "2 moved at the source; 3 deleted at the source" in said
    assert "moved at the source, and whose copies were moved with them (harmless)" in admin_env.run("errors").out
    admin_env.run("report", "--out", str(tmp_path / "report"))
    (row,) = csv.DictReader((tmp_path / "report" / "results.csv").read_text().splitlines())
    assert (row["state"], row["moved_at_source"], row["deleted_at_source"]) == ("complete", "2", "3")
    notes = csv.DictReader((tmp_path / "report" / "notes.csv").read_text().splitlines())
    assert sorted((note["uid"], note["what"]) for note in notes) == [
        ("1", "moved_at_source"),
        ("2", "moved_at_source"),
        ("3", "deleted_at_source"),
        ("4", "deleted_at_source"),
        ("5", "deleted_at_source"),
    ]


def test_with_moves_copy_it_is_copied_once_more(admin_env: AdminEnvironment) -> None:
    source, destination = admin_env.accounts("copier")["copier"]
    source.fill({"INBOX": 12})
    manifest = admin_env.manifest({"copier": "pw-copier"})
    admin_env.import_(manifest)
    _moved_and_deleted(source)
    found = admin_env.import_(manifest, "--moves", "copy")["import"]
    assert (found["status"], found["moved_at_source"], found["deleted_at_source"]) == ("complete", 0, 5)
    assert sum(destination.seen().values()) == 14
    assert (
        "--moves: one of follow, copy"
        in admin_env.run("import", manifest, *admin_env.ends, "--moves", "away", code=2).said
    )
