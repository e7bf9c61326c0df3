"""Tests `mailhaul up` and `mailhaul token` as an operator uses them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import httpx2

from tests.servers.process import await_ready, free_port
from tests.web.conftest import ROOT


def test_up_serves_the_api_and_a_token_of_the_command_line_opens_it() -> None:
    port = free_port()
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    with tempfile.TemporaryDirectory(prefix="up-", ignore_cleanup_errors=True) as home:
        env |= {
            "MAILHAUL_STATE_DIR": home,
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_WEB_PORT": str(port),
            "PYTHONPATH": str(ROOT),
        }
        command = [sys.executable, "-m", "producer"]

        def run(*arguments: str, code: int = 0) -> str:
            done = subprocess.run([*command, *arguments], env=env, capture_output=True, text=True, timeout=240)
            assert done.returncode == code, done.stdout + done.stderr
            return done.stdout + done.stderr * bool(code)

        up = subprocess.Popen([*command, "up", "--threads", "2"], env=env, stderr=subprocess.PIPE, text=True)
        try:
            base = f"http://127.0.0.1:{port}"
            await_ready(lambda: _answers(f"{base}/readyz"), 180, "the API")
            token = run("token", "add", "a person", "--role", "viewer").strip()
            headers = {"Authorization": f"Bearer {token}"}
            assert httpx2.get(f"{base}/api/v1/imports", headers=headers, timeout=180).json() == {
                "total": 0,
                "imports": [],
            }
            listed = run("token", "list")
            assert "a person" in listed
            assert token not in listed
            run("token", "revoke", listed.split()[0])
            assert httpx2.get(f"{base}/api/v1/imports", headers=headers, timeout=180).status_code == 401
            assert "no role" in run("token", "add", "x", "--role", "emperor", code=2)
        finally:
            up.send_signal(signal.SIGTERM)
            said = up.communicate(timeout=240)[1]
        assert f"{base}/" in said
        assert up.returncode == 0
        assert "Traceback" not in "".join(path.read_text() for path in Path(home).glob("logs/*.log"))


def _answers(url: str) -> bool:
    try:
        return httpx2.get(url).status_code == 200
    except httpx2.HTTPError:
        return False
