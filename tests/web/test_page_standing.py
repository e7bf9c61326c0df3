"""Tests standing imports through the API and on the page: both do what the command line does."""

from __future__ import annotations

import pytest

from shared.rules.standing import Standing
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

SHEET = f"login,password,wave\nw1,{PASSWORD},pilot\nw2,{PASSWORD},\n"


@pytest.fixture
def there(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> str:
    """Opens an import of two mailboxes; returns its place in the API and on the page."""
    web_server.serve(**allowed(servers))
    answer = web_server.client("operator").post("/imports", json={"name": "stands", "manifest": SHEET, **ends(servers)})
    assert answer.status_code == 201, answer.text
    return f"/imports/{answer.json()['import']['id']}"


def test_the_api_lets_an_import_stand(web_server: WebServer, there: str) -> None:
    api = web_server.client("operator")
    assert api.get(f"{there}/standing").json()["standing"] == []
    found = api.put(
        f"{there}/standing", json={"wave": "pilot", "least_seconds": 30, "switch_at": "2033-05-18T03:33:20Z"}
    ).json()
    assert found["standing"] == [
        {"wave": "pilot", "off": False, "least_seconds": 30, "most_seconds": 21600, "switch_at": "2033-05-18T03:33:20Z"}
    ]
    for wrong in (
        {"least_seconds": 1},
        {"most_seconds": 1e9},
        {"least_seconds": 60, "most_seconds": 30},
        {"wave": "no"},
    ):
        assert api.put(f"{there}/standing", json=wrong).status_code == 422, wrong
    crossed = api.put(f"{there}/standing", json={"least_seconds": 60, "most_seconds": 30}).json()["errors"]
    assert [(one["field"], one["what"]) for one in crossed] == [
        ("least_seconds", "least_seconds: may not be longer than most_seconds")
    ]
    assert api.put(f"{there}/standing", json={"off": True, "least_seconds": 60}).status_code == 422
    assert api.put(f"{there}/standing", json={"off": True}).json()["standing"] == []
    assert web_server.client("viewer").put(f"{there}/standing", json={}).status_code == 403
    assert ("standing set", "pilot") in [(one["what"], one["detail"].get("wave")) for one in web_server.records.audit()]


def test_the_page_lets_an_import_stand_and_shows_it(web_server: WebServer, there: str) -> None:
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    assert "Look again by itself" in browser.get(there).text
    assert '<h2 id="standing">' not in browser.get(there).text
    given = {"wave": "", "least": "1m", "most": "2h", "switch_at": "2999-01-01T00:00Z"}
    assert browser.post(f"{there}/standing", data=given).status_code == 303
    (whole,) = web_server.store.imports()
    stands = web_server.store.standings(whole.import_id)[""]
    assert stands == Standing(least_seconds=60, most_seconds=7200, switch_at=32472144000.0)
    page = browser.get(there).text
    assert '<h2 id="standing">' in page
    assert "0 mailboxes stand" in page
    assert browser.post(f"{there}/standing", data={"least": "soon"}).status_code == 422
    crossed = browser.post(f"{there}/standing", data={"least": "2h", "most": "1h"}).text
    assert "At the shortest after: may not be longer than At the longest after" in crossed
    assert browser.post(f"{there}/standing", data={"wave": "pilot", "off": "true"}).status_code == 303
    assert web_server.store.standings(whole.import_id)["pilot"] is None
    assert "does not stand" in browser.get(there).text
