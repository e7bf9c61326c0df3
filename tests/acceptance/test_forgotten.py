"""Tests that forgotten values are gone from the store's file too, and that another key takes over while an import runs."""

from __future__ import annotations

import json
from pathlib import Path

from shared.runtime.config import load_settings
from shared.runtime.credentials import add_key, keep_first_key, key_file, load_keys
from tests.acceptance.conftest import AdminEnvironment
from tests.servers.faults import reply, stall
from tests.servers.faulty import FaultyServer

CANARY = "CANARY-words-of-a-server"


def held(office: AdminEnvironment) -> bytes:
    """Every byte that Redis keeps on disk."""
    return b"".join(path.read_bytes() for path in (office.home / "state" / "redis").rglob("*") if path.is_file())


def test_nothing_of_a_forgotten_import_is_left(office: AdminEnvironment) -> None:
    office.accounts("anna", "bob")
    manifest = office.manifest({"anna": "pw-anna", "bob": "pw-bob"})
    with FaultyServer() as source:
        source.add_account("anna", "pw-anna").folder("INBOX").add(b"Subject: x\r\n\r\n")
        refusal = f"NO [AUTHENTICATIONFAILED] {CANARY}".encode()
        source.faults.add(reply(lambda command: b"bob" in _said(command.text), refusal, times=None))
        ends = ["--source", f"imap://127.0.0.1:{source.port}", *office.ends[2:]]
        office.run("import", manifest, *ends, code=3)
    assert CANARY.encode() in held(office), "the control"
    assert b"gAAAA" in held(office), "sealed passwords"
    assert CANARY in office.run("errors").out

    said = office.run("forget", "--yes").said
    assert "passwords deleted" in said
    assert "BGREWRITEAOF" not in said
    kept = held(office)
    assert CANARY.encode() not in kept
    assert b"gAAAA" not in kept
    told = office.run("errors", "--json").out
    assert CANARY not in told
    assert "source_auth_refused" in told, "the report stays"


def _said(text: bytes) -> bytes:
    """A command, its SASL words readable."""
    import base64
    import binascii

    try:
        return text + base64.b64decode(text.split()[-1])
    except (binascii.Error, IndexError, ValueError):
        return text


def test_a_key_is_rotated_out_while_an_import_runs(office: AdminEnvironment) -> None:
    messages = [b"Subject: %d\r\n\r\n" % n for n in range(60)]
    with FaultyServer() as source, FaultyServer() as destination:
        old = source.add_account("carol", "pw-carol")
        for body in messages:
            old.folder("INBOX").add(body)
        new = destination.add_account("carol", "pw-carol")
        manifest = office.manifest({"carol": "pw-carol"})
        office.variables |= {"MAILHAUL_GROUP_MESSAGES": "5"}
        ends = ["--source", f"imap://127.0.0.1:{source.port}", "--destination", f"imap://127.0.0.1:{destination.port}"]
        token = office.run("token", "add", "robot").out
        half = destination.faults.add(stall(rb"^APPEND", skip=2))
        running = office.start("import", manifest, *ends)
        half.await_reached()
        state = load_settings(state_dir=office.home / "state")
        before = load_keys(state)
        assert "under the first key now" in office.run("keys", "rotate").said
        assert office.run("keys", "drop").said.rstrip().endswith("1 old key dropped")
        assert running.poll() is None, "it was under way all the time"
        half.release()
        office.ended(running)
        assert sorted(one.body for one in new.folders[b"INBOX"].messages) == sorted(messages)
        assert not set(before) & set(load_keys(state))
        # What was stored before opens: passwords, and the token.
        office.run("verify")
    assert "robot" in office.run("token", "list").out
    assert token not in office.run("token", "list").out


def test_without_sealing_anew_what_was_stored_is_lost(office: AdminEnvironment) -> None:
    """The negative control."""
    boxes = office.accounts("dora")
    boxes["dora"][0].fill({"INBOX": 3})
    office.run("import", office.manifest({"dora": "pw-dora"}), *office.ends)
    office.run("token", "add", "robot")
    path: Path = key_file(load_settings(state_dir=office.home / "state"))
    add_key(path)
    keep_first_key(path)
    office.run("verify", code=3)
    assert "open with any key" in json.dumps(json.loads(office.run("errors", "--json").out))
    assert "robot" not in office.run("token", "list").out
    assert "open with no key" in office.run("keys", "rotate", code=3).said
