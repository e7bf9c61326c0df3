"""Tests that exit code, messages and files report that the destination does not hold what was copied."""

from __future__ import annotations

import csv
import json
from pathlib import Path

from tests.acceptance.conftest import AdminEnvironment
from tests.mail import make_message
from tests.servers.faulty import FaultyServer


def overwrite(admin_env: AdminEnvironment, login: str, text: bytes, other: bytes) -> None:
    """Overwrites bytes of a stored message on disk with others of the same length."""
    (path,) = [
        path
        for path in Path(admin_env.destination.mail_folder(login)).parent.rglob("*")
        if path.is_file() and text in path.read_bytes()
    ]
    path.write_bytes(path.read_bytes().replace(text, other))


def rows(admin_env: AdminEnvironment, file: str) -> list[tuple[str, str]]:
    """Returns the (folder, what) of each line in a file of the report."""
    return [(row["folder"], row["what"]) for row in csv.DictReader((admin_env.home / "report" / file).open())]


def test_messages_overwritten_after_the_copy_are_no_success(admin_env: AdminEnvironment) -> None:
    admin_env.destination.add_user("altered", "pw-altered")
    with FaultyServer() as source:
        inbox = source.add_account("altered", "pw-altered").folder(b"INBOX")
        for number in range(5):
            inbox.add(make_message(number) + b"the sum is %03d\r\n" % number)
        inbox.add(make_message(9) + b"last\r")  # Dovecot drops a final CR, which is harmless
        tell_the_truth(admin_env, source.port)


def tell_the_truth(admin_env: AdminEnvironment, port: int) -> None:
    manifest = admin_env.manifest({"altered": "pw-altered"})
    ends = ["--source", f"imap://127.0.0.1:{port}", "--destination", f"imap://127.0.0.1:{admin_env.destination.port}"]
    first = admin_env.run("import", manifest, *ends)
    assert "1 message: the destination normalised line endings or dates (harmless)" in first.said + first.out
    for number in range(3):
        overwrite(admin_env, "altered", b"the sum is %03d" % number, b"the sum is 99%d" % number)
    found = admin_env.run("import", manifest, *ends, "--verify", "full", code=3)
    said = found.said + found.out
    assert "3 messages at the destination are not what was copied" in said
    assert "incomplete" in said
    # The next command reports it again.
    whole = json.loads(admin_env.run("import", manifest, *ends, "--json", code=3).out)
    counted = {name: whole["import"][name] for name in ("copied", "altered", "normalised", "missing")}
    assert counted == {"copied": 6, "altered": 3, "normalised": 1, "missing": 0}
    assert [error["code"] for error in whole["errors"]] == ["altered", "normalised"], "what is harmless stands last"
    admin_env.run("report", "people", "--out", admin_env.home / "report")
    assert rows(admin_env, "failures.csv") == [("INBOX", "altered")] * 3
    assert rows(admin_env, "notes.csv") == [("INBOX", "normalised")]
    assert "altered" in admin_env.run("errors", "people").out
    # Once the messages are right again, the import is complete.
    for number in range(3):
        overwrite(admin_env, "altered", b"the sum is 99%d" % number, b"the sum is %03d" % number)
    admin_env.run("import", manifest, *ends, "--verify", "full")
