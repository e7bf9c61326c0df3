"""Tests what verbs say of rows that fit nothing, of imports that are over, and of what they wait for."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from producer.cli import serving
from producer.cli.owner import owner_of
from tests.acceptance.conftest import ROOT, AdminEnvironment

_OWNER = """
import signal, subprocess, sys
from pathlib import Path
from producer.cli.owner import mark_owner
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)", "-m", "worker"])
signal.signal(signal.SIGTERM, lambda *_: None)
with mark_owner(Path(sys.argv[1]), "up"):
    print("owner", flush=True)
    sys.stdin.read()
child.kill()
child.wait()
"""


def test_rows_that_fit_no_mailbox_are_named_and_what_is_over_shows_no_share(admin_env: AdminEnvironment) -> None:
    admin_env.accounts("good", "bad")
    manifest = admin_env.manifest({"good": "pw-good", "bad": "wrong"})
    admin_env.run("import", manifest, *admin_env.ends, code=3)
    strange = admin_env.manifest({f"nobody{n}": "pw" for n in range(30)} | {"good": "pw-good"}, "new.csv")
    said = admin_env.run("credentials", "people", strange, code=2).said
    assert "row 2 (nobody0), row 3 (nobody1)" in said
    assert "row 21 (nobody19) and 10 more" in said
    listed = admin_env.run("list").out
    assert "incomplete" in listed
    assert "1/2 mailboxes" in listed
    assert "%" not in listed
    admin_env.run("credentials", "people", admin_env.manifest({"bad": "pw-bad"}, "mended.csv"))
    assert "complete  100%  2/2 mailboxes" in admin_env.run("list").out


def test_down_says_at_once_what_it_waits_for_and_goes_on_telling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said: list[str] = []
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as owner:
        assert owner.stdin is not None
        assert owner.stdout is not None
        owner.stdout.readline()

        def heard(sentence: str) -> None:
            said.append(sentence)
            if len(said) == 3:
                owner.stdin.close()  # type: ignore[union-attr]

        monkeypatch.setattr(serving, "say", heard)
        monkeypatch.setattr(serving, "_TELL_SECONDS", 0.0)
        assert serving.run_down(state_dir=tmp_path) == 0
    who = f"mailhaul up (process {owner.pid})"
    assert said[0].startswith(f"stopping {who}: ")
    assert said[1].startswith(f"{who} waits for worker (")
    assert said[2].startswith(f"{who} waits for worker (")
    assert said[-1] == f"{who} has stopped"


def test_down_ends_within_its_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    command = [sys.executable, "-c", _OWNER, str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    said: list[str] = []
    monkeypatch.setattr(serving, "say", said.append)
    monkeypatch.setattr(serving, "_DOWN_SECONDS", 0.0)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=environment, text=True) as owner:
        assert owner.stdout is not None
        owner.stdout.readline()
        assert owner_of(tmp_path) == (owner.pid, "up")
        assert serving.run_down(state_dir=tmp_path) == 1
        assert owner.stdin is not None
        owner.stdin.close()
    assert f"kill -9 {owner.pid}" in said[-1]
    assert "worker" in said[-1]
