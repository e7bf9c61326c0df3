"""Tests cutovers through the API and on the page: both do what the command line does, and ask before they turn anybody."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest

from shared.store.records.principals import Role
from tests.servers.dovecot import Dovecot
from tests.servers.mail_zone import MailZone
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_page import Person, browser  # noqa: F401 - a fixture
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


def _until(check: Callable[[], Any], what: str) -> None:
    await_ready(check, 180, what)


@pytest.fixture
def admin_env(web_server: WebServer, servers: Servers) -> Iterator[tuple[httpx2.Client, str, MailZone]]:
    """An import of one wave that is copied, with a switch, a DNS, a coordinator and a worker."""
    switch = web_server.home / "switched"
    switch.write_text("")
    # The servers are those of other tests too.
    domain = f"{web_server.home.name.replace('_', '-').lower()}.example"
    people = [f"{name}@{domain}" for name in ("c1", "c2")]
    for server in servers:
        for name in people:
            server.add_user(name, PASSWORD)
    with MailZone(domain) as zone:
        web_server.serve(
            **allowed(servers),
            MAILHAUL_SWITCHES=f"office=dovecot:{switch}?new=127.0.0.2&old=127.0.0.1",
            MAILHAUL_DNS_RESOLVER=zone.resolver,
        )
        web_server.crew()
        api = web_server.client("admin")
        rows = "".join(f"{name},{PASSWORD},pilot\n" for name in people)
        body = {"name": "moving", "manifest": f"login,password,wave\n{rows}", **ends(servers)}
        there = f"/imports/{api.post('/imports', json=body).json()['import']['id']}"
        api.post(f"{there}/start")
        _until(lambda: api.get(there).json()["state"] == "finished", "the end of the import")
        yield api, there, zone


def _one(api: httpx2.Client, there: str) -> dict[str, Any]:
    (found,) = api.get(f"{there}/cutovers").json()["cutovers"]
    return dict(found)


def test_the_api_does_with_cutovers_what_the_command_line_does(
    web_server: WebServer, admin_env: tuple[httpx2.Client, str, MailZone]
) -> None:
    api, there, zone = admin_env
    assert api.get(f"{there}/cutovers").json() == {"cutovers": []}
    planned = api.post(f"{there}/cutovers/plan", json={"wave": "pilot"}).json()
    guards = {one["guard"]: one for one in planned["guards"]}
    assert (guards["switch"]["met"], guards["ttl"]["met"], guards["copied"]["met"]) == (True, True, True)
    assert api.get(f"{there}/cutovers").json() == {"cutovers": []}, "a plan begins nothing"
    for wrong in ({"wave": "nobody"}, {}, {"wave": "pilot", "ttl": 0}, {"wave": "pilot", "switch": "other"}):
        assert api.post(f"{there}/cutovers", json=wrong).status_code == 422, wrong
    assert web_server.client("viewer").post(f"{there}/cutovers", json={"wave": "pilot"}).status_code == 403
    begun = api.post(f"{there}/cutovers", json={"wave": "pilot", "synced_minutes": 5})
    assert (begun.status_code, begun.json()["state"]) == (201, "drafted")
    assert "has a cutover" in api.post(f"{there}/cutovers", json={"wave": "pilot"}).text
    _until(lambda: _one(api, there)["state"] == "synced", "the wave in sync")
    early = api.post(f"{there}/cutovers/switch", json={"wave": "pilot"})
    assert (early.status_code, "nobody can switch it now" in early.text) == (422, True)
    zone.say("mx.old.example", 7200)
    assert api.post(f"{there}/cutovers/announce", json={"wave": "pilot"}).json()["state"] == "announced"
    _until(lambda: not {g["guard"]: g for g in _one(api, there)["guards"]}["ttl"]["met"], "the longer TTL")
    refused = api.post(f"{there}/cutovers/switch", json={"wave": "pilot"})
    assert (refused.status_code, "at most 300 s at every" in refused.text) == (422, True)
    assert api.post(f"{there}/cutovers/switch", json={"wave": "pilot", "force": ["copied"]}).status_code == 422
    assert "say why" in api.post(f"{there}/cutovers/switch", json={"wave": "pilot", "force": ["ttl"]}).text
    forced = {"wave": "pilot", "force": ["ttl"], "reason": "the MX stays"}
    assert api.post(f"{there}/cutovers/switch", json=forced).json()["overruled"][0]["reason"] == "the MX stays"
    _until(lambda: _one(api, there)["state"] == "draining", "the switch")
    assert {one["answer"] for one in _one(api, there)["mailboxes"]} == {"done"}
    assert api.delete(there).status_code in (409, 422), "an import whose people are being moved is not closed"
    assert api.post(f"{there}/cutovers/rollback", json={"wave": "pilot"}).json()["state"] == "rolled_back"
    _until(lambda: "to try again" in _one(api, there)["next"], "the way back")
    told = [(one["what"], one["detail"].get("forced")) for one in web_server.records.audit()]
    assert ("cutover switch", ["ttl"]) in told
    assert {"cutover begun", "cutover announce", "cutover rollback", "act refused"} <= {what for what, _ in told}


def test_the_page_shows_the_guards_and_asks_before_it_switches(
    web_server: WebServer, admin_env: tuple[httpx2.Client, str, MailZone]
) -> None:
    api, there, _ = admin_env
    _user(web_server)
    english, russian = Browser(web_server), Browser(web_server, **{"Accept-Language": "ru"})
    for one in (english, russian):
        one.signs_in("anna", GOOD)
    form = {"wave": "pilot", "switch": "office", "synced_minutes": "5", "ttl": "300", "quiet_hours": "1", "domains": ""}
    assert "Begin a cutover" in english.get(there).text
    planned = english.post(f"{there}/cutovers", data={**form, "act": "plan"})
    assert (planned.status_code, "the switch office says yes for all 2 mailboxes" in planned.text) == (200, True)
    assert english.post(f"{there}/cutovers", data={**form, "act": "start"}).status_code == 303
    _until(lambda: _one(api, there)["state"] == "synced", "the wave in sync")
    page = english.get(there).text
    assert "every mailbox is in sync" in page
    assert "2 of 2 mailboxes are copied" in page
    shown = russian.get(there).text
    assert "скопировано ящиков: 2 из 2" in shown
    assert "все ящики в актуальном состоянии" in shown
    assert "You told the people" in english.get(f"{there}/cutovers/announce?wave=pilot").text
    assert english.post(f"{there}/cutovers/announce", data={"wave": "pilot"}).status_code == 303
    asked = english.get(f"{there}/cutovers/switch?wave=pilot").text
    assert "2 mailboxes are turned to the new server." in asked
    assert _one(api, there)["state"] == "announced", "a question changes nothing"
    assert english.post(f"{there}/cutovers/switch", data={"wave": "pilot"}).status_code == 303
    _until(lambda: _one(api, there)["state"] == "draining", "the switch")
    closing = english.get(f"{there}/cutovers/close?wave=pilot").text
    assert "Not yet. It waits for:" in closing
    assert '<button class="main">' not in closing, "two empty looks cannot be forced"
    assert english.post(f"{there}/cutovers/close", data={"wave": "pilot"}).status_code == 422
    assert english.get(f"{there}/cutovers/dance?wave=pilot").status_code == 404
    assert english.post(f"{there}/cutovers/rollback", data={"wave": "pilot"}).status_code == 303
    assert "cutover rolled back" in english.get(there).text
    assert "people are turned back to the old server" in english.get(there).text
    _until(lambda: (_one(api, there)["back"] or {}).get("whole") == 2, "what came to the new server")
    assert _one(api, there)["back"] == {
        "mailboxes": 2,
        "whole": 2,
        "messages": 0,
        "pending": 0,
        "failed": 0,
        "stopped": [],
    }
    assert "2 of 2 mailboxes are brought back; messages: 0 are back" in english.get(there).text
    assert "возвращено ящиков: 2 из 2" in russian.get(there).text


def test_only_an_administrator_has_people_turned(web_server: WebServer, servers: Servers) -> None:
    """Shows by the switch that only tells a person what to do that an operator is stopped by nothing else."""
    web_server.serve(
        **allowed(servers), MAILHAUL_SWITCHES=f"office=dovecot:{web_server.home}/x?new=n&old=o dns=by-hand:"
    )
    operator, admin = web_server.client("operator"), web_server.client("admin")
    body = {"name": "moving", "manifest": "login,password,wave\na@b.example,x,pilot\nc@b.example,x,rest\n"}
    there = f"/imports/{operator.post('/imports', json={**body, **ends(servers)}).json()['import']['id']}"
    refused = operator.post(f"{there}/cutovers", json={"wave": "pilot", "switch": "office"})
    assert (refused.status_code, "needs the role admin" in refused.text) == (403, True)
    assert operator.get(f"{there}/cutovers").json() == {"cutovers": []}
    assert operator.post(f"{there}/cutovers", json={"wave": "rest", "switch": "dns"}).status_code == 201
    assert admin.post(f"{there}/cutovers", json={"wave": "pilot", "switch": "office"}).status_code == 201
    _user(web_server, "otto", Role.OPERATOR)
    page = Browser(web_server)
    page.signs_in("otto", GOOD)
    form = {"wave": "pilot", "switch": "office", "act": "start"}
    assert page.post(f"{there}/cutovers", data=form).status_code == 403
    for event in ("switch", "rollback", "close"):
        assert operator.post(f"{there}/cutovers/{event}", json={"wave": "pilot"}).status_code == 403
        assert page.get(f"{there}/cutovers/{event}?wave=pilot").status_code == 403
        assert page.post(f"{there}/cutovers/{event}", data={"wave": "pilot"}).status_code == 403
        by_hand = operator.post(f"{there}/cutovers/{event}", json={"wave": "rest"})
        assert by_hand.status_code == (200 if event == "close" else 422), "a drafted one can only be given up"
    told = [(one["what"], one["detail"].get("act")) for one in web_server.records.audit()]
    assert ("act refused", "cutover begun") in told
    assert ("act refused", "cutover switch") in told
    assert admin.post(f"{there}/cutovers/close", json={"wave": "pilot"}).json()["state"] == "closed"
    web_server.serve(**allowed(servers), MAILHAUL_SWITCHES="")  # without settings nobody knows what a switch is
    again = web_server.client("operator").post(f"{there}/cutovers", json={"wave": "pilot", "switch": "dns"})
    assert again.status_code == 403


#: Language → the label of what is to be done by hand, how it is to be done, and the label of the button that switches.
BY_HAND = {
    "en": ("To do by hand", "let the MX record of by-hand-en.example name mx.new.example", "Switch"),
    "ru": (
        "Сделайте вручную",
        "пусть запись MX домена by-hand-ru.example называет только mx.new.example",
        "Переключить",
    ),
}


@pytest.mark.parametrize("language", list(BY_HAND))
def test_what_is_to_be_done_by_hand_is_said_before_the_switch_and_after_it(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    language: str,
) -> None:
    label, words, switch = BY_HAND[language]
    domain = f"by-hand-{language}.example"  # the servers are those of other tests too
    for server in servers:
        for name in ("h1", "h2"):
            server.add_user(f"{name}@{domain}", PASSWORD)
    with MailZone(domain) as zone:
        web_server.serve(
            **allowed(servers),
            MAILHAUL_SWITCHES="dns=by-hand:?new=mx.new.example proxy=dovecot:/nowhere?new=127.0.0.2&old=127.0.0.1",
            MAILHAUL_DNS_RESOLVER=zone.resolver,
        )
        web_server.crew()
        api = web_server.client("admin")
        rows = "".join(f"{name}@{domain},{PASSWORD}\n" for name in ("h1", "h2"))
        body = {"name": "moving", "manifest": f"login,password\n{rows}", **ends(servers)}
        there = f"/imports/{api.post('/imports', json=body).json()['import']['id']}"
        api.post(f"{there}/start")
        _until(lambda: api.get(there).json()["state"] == "finished", "the end of the import")

        person = Person(browser, web_server, locale=language)
        page = person.page
        person.signs_in("admin")
        # A rehearsal says it, each thing once however many mailboxes need it; a switch that turns by itself says nothing.
        for name, boxes in (("dns", 1), ("proxy", 0)):
            page.goto(there)
            page.click("details:has(#begin-cutover) > summary")
            page.select_option("#begin-cutover [name=switch]", name)
            page.fill("#begin-cutover [name=synced_minutes]", "5")
            page.click("#begin-cutover [value=plan]")
            assert page.get_by_text(f"{label}:").count() == boxes, name
        page.goto(there)
        page.click("details:has(#begin-cutover) > summary")
        page.select_option("#begin-cutover [name=switch]", "dns")
        page.fill("#begin-cutover [name=synced_minutes]", "5")
        page.click("#begin-cutover [value=start]")
        _until(lambda: _one(api, there)["state"] == "synced", "the wave in sync")
        page.goto(there)
        assert words in re.sub(r"\s+", " ", page.inner_text("#live"))
        person.looks(f"by-hand-{language}")
        assert api.post(f"{there}/cutovers/announce", json={}).status_code == 200
        page.goto(f"{there}/cutovers/switch?wave=")
        assert words in page.inner_text(".box:has-text('MX')")
        page.click(f"main button:text-is('{switch}')")
        _until(lambda: _one(api, there)["state"] == "draining", "the switch")
        page.goto(there)
        assert page.get_by_text(f"{label}:").count() == 1, "until it is over it stands there"
        told = json.loads(web_server.command("cutover", "status", "moving", "--json"))
        assert all("mx.new.example" in one["words"] for one in told[0]["mailboxes"])
        assert "to do now: by hand: let the MX record" in web_server.command("cutover", "status", "moving")
        # Without a terminal a rollback needs to be told that it is meant.
        assert "give --yes" in web_server.command("cutover", "rollback", "moving", code=2)
        web_server.command("cutover", "rollback", "moving", "--yes")
        assert person.trouble == []
