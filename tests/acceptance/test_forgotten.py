"""Tests that forgotten values are gone from the store's file too, and that another key takes over while an import runs."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

from producer.cli.command_context import open_context
from shared.runtime.config import load_settings
from shared.runtime.credentials import add_key, keep_first_key, key_file, load_keys
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.acceptance.conftest import AdminEnvironment
from tests.servers.faults import reply, stall
from tests.servers.faulty import FaultyServer

CANARY = "CANARY-words-of-a-server"


def held(admin_env: AdminEnvironment) -> bytes:
    """Every byte that Redis keeps on disk."""
    return b"".join(path.read_bytes() for path in (admin_env.home / "state" / "redis").rglob("*") if path.is_file())


def test_nothing_of_a_forgotten_import_is_left(admin_env: AdminEnvironment) -> None:
    admin_env.accounts("forgotten", "refused")
    manifest = admin_env.manifest({"forgotten": "pw-forgotten", "refused": "pw-refused"})
    with FaultyServer() as source:
        source.add_account("forgotten", "pw-forgotten").folder("INBOX").add(b"Subject: x\r\n\r\n")
        refusal = f"NO [AUTHENTICATIONFAILED] {CANARY}".encode()
        source.faults.add(reply(lambda command: b"refused" in _said(command.text), refusal, times=None))
        ends = ["--source", f"imap://127.0.0.1:{source.port}", *admin_env.ends[2:]]
        admin_env.run("import", manifest, *ends, code=3)
    assert CANARY.encode() in held(admin_env), "the control"
    assert b"gAAAA" in held(admin_env), "sealed passwords"
    assert CANARY in admin_env.run("errors").out

    said = admin_env.run("forget", "--yes").said
    assert "passwords deleted" in said
    assert "BGREWRITEAOF" not in said
    kept = held(admin_env)
    assert CANARY.encode() not in kept
    assert b"gAAAA" not in kept
    told = admin_env.run("errors", "--json").out
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


def test_a_key_is_rotated_out_while_an_import_runs(admin_env: AdminEnvironment) -> None:
    messages = [b"Subject: %d\r\n\r\n" % n for n in range(60)]
    with FaultyServer() as source, FaultyServer() as destination:
        old = source.add_account("carol", "pw-carol")
        for body in messages:
            old.folder("INBOX").add(body)
        new = destination.add_account("carol", "pw-carol")
        manifest = admin_env.manifest({"carol": "pw-carol"})
        admin_env.variables |= {"MAILHAUL_GROUP_MESSAGES": "5"}
        ends = ["--source", f"imap://127.0.0.1:{source.port}", "--destination", f"imap://127.0.0.1:{destination.port}"]
        token = admin_env.run("token", "add", "robot").out
        half = destination.faults.add(stall(rb"^APPEND", skip=2))
        running = admin_env.start("import", manifest, *ends)
        half.await_reached()
        state = load_settings(state_dir=admin_env.home / "state")
        before = load_keys(state)
        assert "under the first key now" in admin_env.run("keys", "rotate").said
        refused = admin_env.run("keys", "drop", code=2).said
        assert "the keys were changed" in refused
        assert "keep a copy of" in refused
        assert set(before) & set(load_keys(state)), "no key was dropped"
        assert admin_env.run("keys", "drop", "--yes").said.rstrip().endswith("1 old key dropped")
        assert running.poll() is None, "it was under way all the time"
        half.release()
        admin_env.ended(running)
        assert sorted(one.body for one in new.folders[b"INBOX"].messages) == sorted(messages)
        assert not set(before) & set(load_keys(state))
        # What was stored before opens: passwords, and the token.
        admin_env.run("verify")
    assert "robot" in admin_env.run("token", "list").out
    assert token not in admin_env.run("token", "list").out


def test_an_hour_after_the_rotation_an_old_key_is_dropped_unasked(admin_env: AdminEnvironment) -> None:
    admin_env.run("keys", "rotate")
    path = key_file(load_settings(state_dir=admin_env.home / "state"))
    os.utime(path, (time.time() - 3700,) * 2)
    # A worker of another machine was here.
    with open_context(admin_env.home / "state") as context:
        client = connect(context.urls[1])
        client.zadd(keys.WORKERS, {"elsewhere.example.17.abcdef": time.time() * 1000})
        assert "other machines (elsewhere.example)" in admin_env.run("keys", "drop", code=2).said
        client.delete(keys.WORKERS)
        assert admin_env.run("keys", "drop").said.rstrip().endswith("1 old key dropped")


def test_without_sealing_anew_what_was_stored_is_lost(admin_env: AdminEnvironment) -> None:
    """The negative control."""
    boxes = admin_env.accounts("dora")
    boxes["dora"][0].fill({"INBOX": 3})
    admin_env.run("import", admin_env.manifest({"dora": "pw-dora"}), *admin_env.ends)
    admin_env.run("token", "add", "robot")
    path: Path = key_file(load_settings(state_dir=admin_env.home / "state"))
    add_key(path)
    keep_first_key(path)
    admin_env.run("verify", code=3)
    assert "open with any key" in json.dumps(json.loads(admin_env.run("errors", "--json").out))
    assert "robot" not in admin_env.run("token", "list").out
    assert "open with no key" in admin_env.run("keys", "rotate", code=3).said
