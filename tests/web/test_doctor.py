"""Tests that the API's doctor reports the same as the command line's."""

from __future__ import annotations

import json
import re
from typing import Any

from cryptography.fernet import Fernet

from tests.web.conftest import WebServer


def test_the_doctor_says_the_same_by_command_and_by_api(web_server: WebServer) -> None:
    key = Fernet.generate_key().decode()
    web_server.serve(MAILHAUL_SECRET_KEY=key, MAILHAUL_WORKER_THREAD="3")
    answer = web_server.client("admin").get("/doctor")
    found = json.loads(web_server.command("doctor", "--json"))

    def steady(whole: dict[str, Any]) -> list[str]:  # without values that change between two looks
        told = [
            f"{one['verdict']} {one['sentence']}"
            for one in whole["findings"]
            if not re.search("clock|answers in", one["sentence"])
        ]
        return [re.sub(r"[\d.]+ [GM]B", "", line) for line in told]

    assert steady(answer.json()) == steady(found)
    assert (answer.json()["ok"], found["ok"]) == (True, True)
    notes = [one["sentence"] for one in found["findings"] if one["verdict"] == "note"]
    assert any("did you mean MAILHAUL_WORKER_THREADS" in sentence for sentence in notes)
    assert any("Redis answers at" in one["sentence"] for one in found["findings"])
    assert key not in answer.text
    assert web_server.client("operator").get("/doctor").status_code == 403


def test_what_is_amiss_is_told_and_ends_otherwise(web_server: WebServer) -> None:
    web_server.serve()
    admin = web_server.client("admin")
    assert admin.get("/doctor").json()["ok"]
    web_server.home.chmod(0o755)
    (web_server.home / "secret.key").write_text("no key\n")
    whole = admin.get("/doctor").json()
    bad = [one["sentence"] for one in whole["findings"] if one["verdict"] == "bad"]
    assert not whole["ok"]
    assert len(bad) == 1
    assert "is not a Fernet key" in bad[0]
    said = web_server.command("doctor", code=1)
    assert f"BAD   {bad[0]}" in said
