"""Tests forecasts and the report of one page by the command line: under a budget, in both languages."""

from __future__ import annotations

import csv
import json
from html.parser import HTMLParser

from tests.acceptance.conftest import AdminEnvironment


def test_a_budget_of_100_kb_a_day_is_forecast_in_days(admin_env: AdminEnvironment) -> None:
    """Tests the case of the issue: 885 kB with a budget of 100 kB a day were forecast as 1 to 6 seconds."""
    for source, _ in admin_env.accounts("daily").values():
        source.fill({"INBOX": 885}, size=800)
    manifest = admin_env.manifest(["login,password", "daily,pw-daily"])
    before = json.loads(admin_env.run("plan", manifest, *admin_env.ends, "--json").out)
    assert before["expected_seconds"]["high"] < 3600
    assert before["binds"] == []
    admin_env.run("limits", "source_account.bytes_per_day", "100000")
    size = before["totals"]["size_bytes"]
    plan = json.loads(admin_env.run("plan", manifest, *admin_env.ends, "--json").out)
    days = -(-size // 100_000) - 1
    assert days >= 6
    assert plan["expected_seconds"]["low"] // 86_400 == plan["expected_seconds"]["high"] // 86_400 == days
    said = admin_env.run("plan", manifest, *admin_env.ends).out
    assert f"expected: {days}.0 days to {days}.0 days" in said
    assert "1 of 1 mailboxes need more than a day at 100.0 kB a day from each account at the source" in said


class _Page(HTMLParser):
    """Counts elements, and gathers the text."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.links: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.links += [str(value) for name, value in attrs if name in ("src", "href")]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_one_page_for_those_who_pay(admin_env: AdminEnvironment) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    boxes = admin_env.accounts("payer-a", "payer-b", "payer-c")
    for source, _ in boxes.values():
        source.fill({"INBOX": 5})
    manifest = admin_env.manifest(
        ["login,password,wave", "payer-a,pw-payer-a,pilot", "payer-b,wrong-canary,=rest", "payer-c,pw-payer-c,"]
    )
    admin_env.run("import", manifest, *admin_env.ends, code=3)
    out = admin_env.home / "report"
    admin_env.run("report", "people", "--out", out)
    page = _Page()
    page.feed((out / "one-page.html").read_text())
    assert "script" not in page.tags
    assert page.links == [], "it needs nothing but itself"
    assert "@media print" in (out / "one-page.html").read_text()
    for text in (
        "pilot",
        "=rest",
        "without a wave",
        "whoever has the passwords of the source",
        "Authentication failed",
    ):
        assert text in page.text
    for name in boxes:
        assert name not in page.text, "nobody is named"
    rows = list(csv.reader((out / "one-page.csv").read_text("utf-8-sig").splitlines()))
    assert rows[0][:5] == ["Wave", "Mailboxes", "Done", "Left", "Wait for a person"]
    by_name = {(row[0], row[10]): row for row in rows[1:]}
    assert by_name["pilot", ""][1:5] == ["1", "1", "0", "0"]
    assert by_name["'=rest", ""][1:5] == ["1", "0", "0", "1"], "no formula"
    assert by_name["All", ""][1:5] == ["3", "2", "0", "1"]
    assert by_name["'=rest", "Authentication failed at the source"][4] == "1"

    admin_env.run("report", "people", "--out", out, "--language", "ru", "--zone", "Europe/Moscow")
    raw = (out / "one-page.csv").read_bytes()
    assert raw.startswith(b"\xef\xbb\xbf")
    assert raw.decode("utf-8-sig").splitlines()[0].startswith("Волна;Ящики;Готово;Осталось")
    assert 'lang="ru"' in (out / "one-page.html").read_text()
    assert "Кто должен действовать" in (out / "one-page.html").read_text()
    assert "no time zone" in admin_env.run("report", "people", "--out", out, "--zone", "Mars", code=2).said

    whole = json.loads(admin_env.run("forecast", "people", "--json").out)
    assert whole["forecast"] is None, "it is finished"
    assert "finished" in admin_env.run("forecast", "people").out
