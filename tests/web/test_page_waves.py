"""Tests waves through the API and on the page: both do what the command line does."""

from __future__ import annotations

import re
from typing import Any

import httpx2

from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]
SHEET = f"login,password,wave,priority,group\nw1,{PASSWORD},pilot,3,sales\nw2,{PASSWORD},,,\nw3,{PASSWORD},last,,\n"


def _opened(web_server: WebServer, servers: Servers) -> tuple[httpx2.Client, str]:
    web_server.serve(**allowed(servers))
    api = web_server.client("operator")
    body = {"name": "waves", "manifest": SHEET, "wave": "rest", **ends(servers)}
    answer = api.post("/imports", json=body)
    assert answer.status_code == 201, answer.text
    return api, f"/imports/{answer.json()['import']['id']}"


def _named(found: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {wave["wave"]: wave for wave in found["waves"]}


def test_the_api_does_with_waves_what_the_command_line_does(web_server: WebServer, servers: Servers) -> None:
    api, there = _opened(web_server, servers)
    found = _named(api.get(f"{there}/waves").json())
    assert {name: wave["mailboxes"]["queued"] for name, wave in found.items()} == {"pilot": 1, "rest": 1, "last": 1}
    rows = api.get(f"{there}/mailboxes", params={"wave": "pilot"}).json()
    assert [(m["login"], m["wave"], m["priority"], m["group"]) for m in rows["mailboxes"]] == [
        ("w1", "pilot", 3, "sales")
    ]

    given = {"wave": "last", "starts_at": "2999-01-01T00:00:00Z", "weight": 4, "order": 2}
    last = _named(api.put(f"{there}/waves", json=given).json())["last"]
    assert (last["weight"], last["order"], last["starts_at"] > "2900") == (4, 2, True)
    assert _named(api.put(f"{there}/waves", json={"wave": "last", "weight": 5}).json())["last"]["order"] == 2
    for wrong in ({"starts_at": "soon"}, {"weight": 0}, {"weight": 101}, {"order": -1}, {"wave": "x" * 65}):
        assert api.put(f"{there}/waves", json={"wave": "last", **wrong}).status_code == 422, wrong

    assert api.post(f"{there}/pause", json={"wave": "rest"}).json()["mailboxes"] == 1
    assert api.post(f"{there}/pause", json={"wave": "rest"}).json()["mailboxes"] == 0
    assert _named(api.get(f"{there}/waves").json())["rest"]["control"] == "pause"
    assert api.get(there).json()["control"] == "run"
    assert api.get(there, params={"wave": "rest"}).json()["mailboxes_total"] == 1
    assert api.post(f"{there}/resume", json={"wave": "rest"}).json()["mailboxes"] == 1
    answer = api.post(f"{there}/pause", json={"wave": "nobody"})
    assert (answer.status_code, "its waves are: pilot, rest, last" in answer.text) == (422, True)

    hours = {"wave": "last", "window": "20:00-06:00 Europe/Berlin"}
    assert api.put(f"{there}/window", json=hours).status_code == 200
    assert _named(api.get(f"{there}/waves").json())["last"]["window"] == hours["window"]
    assert api.get(there).json()["window"] == ""
    assert api.put(f"{there}/window", json={**hours, "wave": "nobody"}).status_code == 422
    assert api.put(f"{there}/waves", json={"starts_at": "now"}).status_code == 422, "a start is of one wave"
    begun = api.post(f"{there}/rehearsals", json={"kind": "plan", "wave": "pilot"})
    assert (begun.status_code, begun.json()["wave"]) == (202, "pilot")
    assert api.post(f"{there}/rehearsals", json={"kind": "plan", "wave": "nobody"}).status_code == 422

    added = api.post(f"{there}/mailboxes", json={"manifest": f"w9,{PASSWORD}\n", "wave_rule": ["pilot=first:1"]})
    assert [(one["field"], one["code"]) for one in added.json()["errors"]] == [("wave_rule", "wave_rule_first")]
    assert api.post(f"{there}/move", json={"login": "w2", "wave": "pilot", "front": True}).json() == {"mailboxes": 1}
    rows = api.get(f"{there}/mailboxes", params={"wave": "pilot"}).json()
    assert [(m["login"], m["priority"]) for m in rows["mailboxes"]] == [("w1", 3), ("w2", 100)]
    assert api.post(f"{there}/move", json={"login": "w2"}).status_code == 422
    assert api.post(f"{there}/cancel", json={"wave": "last"}).json()["mailboxes"] == 1
    report = api.get(f"{there}/report/results.csv", params={"wave": "last"}).text.splitlines()
    assert (len(report), "w3" in report[-1]) == (2, True)
    assert api.get(f"{there}/errors", params={"wave": "pilot"}).json() == {"errors": []}
    viewer = web_server.client("viewer")
    assert viewer.put(f"{there}/waves", json={"wave": "last"}).status_code == 403
    assert viewer.post(f"{there}/move", json={"login": "w2", "front": True}).status_code == 403
    told = [(one["what"], one["detail"].get("wave")) for one in web_server.records.audit()]
    assert {
        ("wave set", "last"),
        ("import pause", "rest"),
        ("mailbox moved", "pilot"),
        ("import cancel", "last"),
    } <= set(told)


def test_the_page_shows_waves_and_steers_them(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    form = {"name": "waves", "do": "open", "sheet": SHEET, "wave_rule": "nobody=x*\nrest=first:1"}
    for side, server in zip(("source", "destination"), servers, strict=True):
        form |= {f"{side}_tls": "none", f"{side}_host": "127.0.0.1", f"{side}_port": str(server.port)}
    wrong = browser.presses(form | {"wave_rule": "nobody"})
    assert (wrong.status_code, "nobody is no rule" in wrong.text, ">nobody</textarea>" in wrong.text) == (
        200,
        True,
        True,
    )
    opened = browser.presses(form)
    assert opened.status_code == 303, opened.text
    there = opened.headers["location"]
    store = web_server.store
    (whole,) = store.imports()
    assert [mailbox.wave for mailbox, _ in store.mailboxes(whole.import_id)] == ["pilot", "rest", "last"]

    page = browser.get(there).text
    assert '<h2 id="waves">' in page
    assert page.count("?wave=pilot") == 2  # the chip of the filter, and the row of the table
    only = browser.get(f"{there}?wave=pilot").text
    assert ("w1</a>" in only, "w2</a>" in only) == (True, False)
    assert "/report/results.csv?wave=pilot" in only
    assert browser.post(f"{there}/pause", data={"wave": "pilot"}).status_code == 303
    assert [wave.control.value for wave in store.waves(whole.import_id)] == ["pause", "run", "run"]
    assert "1 mailbox waits: its wave is paused" in browser.get(there).text
    assert browser.post(f"{there}/resume", data={"wave": "pilot"}).status_code == 303
    given = {"wave": "last", "weight": "7", "starts_at": "2999-01-01T00:00Z"}
    assert browser.post(f"{there}/wave", data=given).status_code == 303
    assert (store.waves(whole.import_id)[2].weight, store.waves(whole.import_id)[2].starts_at > 0) == (7, True)
    assert browser.post(f"{there}/wave", data={"wave": "last", "weight": "much"}).status_code == 422
    asked = browser.post(f"{there}/cancel", data={"wave": "last"})
    assert "wave=last" in asked.headers["location"]
    assert "1 mailbox would be given up." in browser.get(asked.headers["location"]).text
    assert browser.post(f"{there}/cancel", data={"wave": "last", "sure": "yes"}).status_code == 303
    assert [m.state.value for m, _ in store.mailboxes(whole.import_id)] == ["queued", "queued", "cancelled"]

    # Those that are ticked are acted on together.
    def controls() -> list[str]:
        return [wave.control.value for wave in store.waves(whole.import_id)]

    def ticked(act: str, *waves: str, **more: str) -> httpx2.Response:
        return browser.post(f"{there}/chosen-waves", data={"act": act, "wave": list(waves), **more})

    assert page.count('form="chosen-waves" name="wave"') == 3
    ticked("pause", "pilot", "rest")
    assert controls() == ["pause", "pause", "run"]
    assert "Paused: 2 mailboxes." in browser.get(there).text
    ticked("resume", "pilot", "rest")
    assert controls() == ["run", "run", "run"]
    ticked("pause")
    assert "tick what is meant first" in browser.get(there).text
    assert (controls(), store.imports()[0].control.value) == (["run", "run", "run"], "run"), "and not the whole import"
    ticked("cancel")
    assert store.imports()[0].control.value == "run"
    asked = ticked("cancel", "pilot", "rest").headers["location"]
    question = browser.get(asked).text
    assert "2 mailboxes would be given up." in question
    assert "wave pilot, rest" in question
    sure = re.search(r'<form method="post" action="([^"]+)">(.*?)</form>', question, re.DOTALL)
    assert sure
    fields = re.findall(r'name="(\w+)" value="([^"]*)"', sure[2])
    assert (sure[1], [text for name, text in fields if name == "wave"]) == (f"{there}/chosen-waves", ["pilot", "rest"])
    ticked("cancel", "pilot", "rest", sure="yes")
    assert [m.state.value for m, _ in store.mailboxes(whole.import_id)] == ["cancelled"] * 3
    ticked("resume", "pilot", "rest")
    assert [m.state.value for m, _ in store.mailboxes(whole.import_id)] == ["queued", "queued", "cancelled"]
    assert ticked("pause", "nobody").status_code == 422
    assert controls() == ["run", "run", "run"]
    assert ticked("dance", "pilot").status_code == 404

    (second, _) = store.mailboxes(whole.import_id)[1]
    own = f"{there}/mailboxes/{second.mailbox_id}"
    assert "Move it" in browser.get(own).text
    assert browser.post(f"{there}/move", data={"mailbox": second.mailbox_id, "wave": "pilot"}).status_code == 303
    assert browser.post(f"{there}/move", data={"mailbox": second.mailbox_id, "front": "true"}).status_code == 303
    moved = store.mailbox(second.mailbox_id)
    assert moved is not None
    assert (moved.wave, moved.priority) == ("pilot", 100)
    assert "The mailbox was moved." in browser.get(own).text
