"""Tests the page of a rehearsal: a table whose rows open, and stay open once it is over."""

from __future__ import annotations

import time
from typing import Any

from tests.web.conftest import PASSWORD, WebServer
from tests.web.test_page import Person, browser

__all__ = ["browser"]
_FOUND = "6" * 16


def _box(number: int, problem: str = "") -> dict[str, Any]:
    folder = {"source": "INBOX", "destination": f"INBOX {number}", "messages": 3, "size_bytes": 2000}
    folder |= {"skip": "", "note": "", "skipped": ""}
    totals = {"messages": 3, "size_bytes": 2000, "skipped_messages": number % 2}
    logins = {"login": f"box{number}", "destination_login": f"box{number}" if number else "other"}
    return {**logins, "row": number, "server": "", "left_out": "", "problem": problem} | (
        {"folders": [], "totals": {}} if problem else {"folders": [folder], "totals": totals}
    )


def test_the_rows_of_a_rehearsal_open_and_stay_open(web_server: WebServer, browser: Any) -> None:
    web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1430,1431")
    servers = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
    body = {"name": "office", "manifest": f"login,password\nbox1,{PASSWORD}\n", **servers}
    opened = web_server.client().post("/imports", json=body).json()["import"]["id"]
    running = {"id": _FOUND, "import_id": opened, "kind": "plan", "state": "running", "done": 1, "total": 5}
    web_server.records.keep_rehearsal(_FOUND, {**running, "beat_at": time.time() + 1000})
    person = Person(browser, web_server, locale="en")
    page = person.page
    page.clock.install()
    person.signs_in()
    page.goto(f"/rehearsals/{_FOUND}")
    with page.expect_request(f"**/rehearsals/{_FOUND}"):  # the control: while it runs, the page looks again
        page.clock.run_for(1500)
    totals = {"mailboxes": 5, "problems": 1, "messages": 12, "size_bytes": 8000, "skipped_messages": 2}
    result = {"totals": totals, "swapped": False, "warnings": [], "expected_seconds": {"low": 1, "high": 2}}
    web_server.records.keep_rehearsed(_FOUND, [_box(4, "source: authentication failed"), *map(_box, range(4))])
    web_server.records.keep_rehearsal(_FOUND, {**running, "state": "done", "beat_at": 0, "result": result})
    page.clock.run_for(1500)
    page.wait_for_selector("table.opens")
    rows = page.locator("table.opens > tbody > tr:not(.opened)").all_inner_texts()
    assert [row.split()[:2] for row in rows] == [
        ["box4", "the"],
        ["box0", "other"],
        ["box1", "the"],
        ["box2", "the"],
        ["box3", "the"],
    ]
    assert "authentication failed" in rows[0]
    page.click("summary:has-text('Where its folders go') >> nth=1")
    page.wait_for_selector("td:text-is('INBOX 1'):visible")
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.clock.run_for(10_000)
    assert asked == [], "nothing is asked for any more"
    assert page.locator("td:text-is('INBOX 1'):visible").count() == 1
    person.looks("rehearsal-table")
    for width in (390, 320):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert person.trouble == []
