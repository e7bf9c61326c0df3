"""Tests all kinds of requests that the OpenAPI document allows: no internal error, and only the promised answers."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from shared.store.records.principals import Role
from tests.web.conftest import WebServer

pytest.importorskip("schemathesis")


@pytest.mark.slow
def test_schemathesis_finds_no_fault(web_server: WebServer) -> None:
    web_server.serve()
    _, token = web_server.principals.make_token("schemathesis", Role.ADMIN)
    program = str(Path(sys.executable).parent / "schemathesis")
    url = f"http://127.0.0.1:{web_server.port}/api/v1/openapi.json"
    ended = subprocess.run(
        [
            program,
            "run",
            url,
            "--header",
            f"Authorization: Bearer {token}",
            "--max-examples",
            "15",
            "--seed",
            "1",
            "--phases",
            "examples,coverage,fuzzing",
            "--exclude-path-regex",
            "events|detect",
            "--request-timeout",
            "20",
            "--checks",
            "not_a_server_error,content_type_conformance,response_schema_conformance",
            "--generation-database",
            "none",
            "--no-color",
        ],
        capture_output=True,
        text=True,
        timeout=240,
        cwd=web_server.home,
    )
    assert ended.returncode == 0, ended.stdout[-6000:] + ended.stderr[-2000:]
