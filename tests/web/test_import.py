"""Tests an import through the API alone, from the manifest to the report, with real Redis, Dovecots and processes."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore, connect
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends

Servers = tuple[Dovecot, Dovecot]


def _fill(servers: Servers, login: str, messages: int, password: str = PASSWORD) -> None:
    for server in servers:
        server.add_user(login, password)
    source = servers[0]
    mail.populate(source.host, source.port, login, password, mail.make_mailbox(1, {"INBOX": messages, "Work": 3}))


def _until(check: Callable[[], bool], what: str) -> None:
    await_ready(check, 180, what)


def test_from_manifest_to_report(web_server: WebServer, servers: Servers) -> None:
    for login in ("web1", "web2"):
        _fill(servers, login, 12)
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    sheet = f"login,password\nweb1,{PASSWORD}\nweb2,wrong-{PASSWORD}\n"

    looked = api.post("/manifests", json={"manifest": sheet}).json()
    assert (looked["rows"], looked["errors"], looked["preview"][0]["login"]) == (2, [], "web1")

    opened = api.post("/imports", json={"name": "office", "manifest": sheet, **ends(servers)})
    assert opened.status_code == 201, opened.text
    there = f"/imports/{opened.json()['import']['id']}"
    assert opened.json()["import"]["state"] == "opening"

    # A rehearsal, before anything runs.
    begun = api.post(f"{there}/rehearsals", json={"kind": "check"})
    assert begun.status_code == 202
    place = begun.headers["Location"].removeprefix("/api/v1")
    _until(lambda: api.get(place).json()["state"] != "running", "the check")
    checked = api.get(place).json()
    assert (checked["state"], checked["result"]["ok"], checked["result"]["broken"]) == ("done", 1, 1)
    assert checked["result"]["mailboxes"][0]["source"]["messages"] == 15
    assert api.get(there).json()["state"] == "opening"

    assert api.post(f"{there}/start").json()["state"] == "running"
    _until(lambda: api.get(there).json()["state"] == "finished", "the end")

    # The wrong password is reported in one group, and then corrected.
    groups = api.get(f"{there}/errors").json()["errors"]
    assert [(group["code"], group["parked"]) for group in groups] == [("source_auth_refused", True)]
    found = api.get(f"{there}/mailboxes", params={"code": "source_auth_refused"}).json()
    assert [box["login"] for box in found["mailboxes"]] == ["web2"]
    failed = api.get(f"{there}/report/failed-rows.csv").text
    assert failed.splitlines()[1].startswith("web2,,web2,")
    mended = api.post(f"{there}/credentials", json={"manifest": f"login,password\nweb2,{PASSWORD}\n"}).json()
    assert (mended["mailboxes"], mended["queued"]) == (1, 1)
    _until(lambda: api.get(there).json()["status"] == "complete", "the second mailbox")

    source, destination = servers
    for login in ("web1", "web2"):
        seen = [mail.snapshot(server.host, server.port, login, PASSWORD) for server in (source, destination)]
        assert seen[0] == seen[1]
    whole = json.loads(api.get(f"{there}/report/summary.json").text)
    assert (whole["import"]["copied"], whole["exit_code"]) == (30, 0)
    assert api.get(f"{there}/report/results.csv").text.count("complete") == 2
    one = api.get(f"{there}/mailboxes/{found['mailboxes'][0]['id']}").json()
    assert {folder["folder"] for folder in one["folders"]} >= {"INBOX", "Work"}
    assert one["failures"][0]["code"] == "source_auth_refused"
    folders = api.get(f"{there}/mailboxes/{one['id']}/folders").json()["folders"]
    assert sum(folder["copied"] for folder in folders) == 15

    # Secrets appear in no answer and in no log.
    told = [answer.text for answer in (opened, begun, api.get(there), api.get(place), api.get(f"{there}/mailboxes"))]
    told += [path.read_text(errors="replace") for path in web_server.home.glob("*.log")]
    told.append(json.dumps(web_server.client("admin").get("/audit").json()))
    assert not [text for text in told if PASSWORD in text]


def test_live_events_pause_and_resume(web_server: WebServer, servers: Servers, fault_proxy: Any) -> None:
    source, destination = servers
    _fill(servers, "web3", 150)
    slow = fault_proxy(destination.host, destination.port, delay_ms=200)
    given = allowed(servers)
    web_server.serve(**given | {"MAILHAUL_WEB_PORTS": f"{source.port},{slow.port}", "MAILHAUL_GROUP_MESSAGES": "1"})
    web_server.crew()
    api = web_server.client()
    body = {"name": "slow", "manifest": f"web3,{PASSWORD}\n", **ends(servers)}
    body["destination"] = {"server": f"imap://127.0.0.1:{slow.port}"}
    there = f"/imports/{api.post('/imports', json=body).json()['import']['id']}"
    api.post(f"{there}/start")

    seen: list[dict[str, Any]] = []
    with api.stream("GET", f"{there}/events") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        kind, paused = "", False
        for line in stream.iter_lines():
            if line.startswith("event: "):
                kind = line[7:]
            if line.startswith("data: "):
                seen.append(json.loads(line[6:]))
                if not paused and 0 < seen[-1]["copied"] < 150:
                    paused = True
                    assert api.post(f"{there}/pause", json={}).json()["import"]["status"] == "paused"
                    await_ready(lambda: web_server.store.overview().leased_units == 0, 180, "the pause")
                    slow.delay_seconds = 0.0
                    assert api.post(f"{there}/resume", json={}).json()["mailboxes"] == 1
        assert kind == "finished"
    assert paused, "it was done before it could be paused"
    assert [fields["copied"] for fields in seen] == sorted(fields["copied"] for fields in seen)
    assert (seen[-1]["status"], seen[-1]["copied"]) == ("complete", 153)


def test_good_rows_start_while_bad_ones_are_mended(web_server: WebServer, servers: Servers) -> None:
    _fill(servers, "web4", 2)
    _fill(servers, "web5", 2)
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    sheet = f"login;password\nweb4;{PASSWORD}\nweb5;\n"
    body = {"name": "two", "manifest_base64": base64.b64encode(sheet.encode("utf-16")).decode(), **ends(servers)}

    refused = api.post("/imports", json=body)
    assert (refused.status_code, refused.headers["content-type"]) == (422, "application/problem+json")
    assert refused.json()["errors"] == [{"row": 3, "column": "password", "code": "value_missing", "what": "is missing"}]
    assert api.get("/imports").json()["total"] == 0

    opened = api.post("/imports", json={**body, "good_rows_only": True}).json()
    assert (opened["report"]["rows"], opened["report"]["errors_total"]) == (1, 1)
    there = f"/imports/{opened['import']['id']}"
    api.post(f"{there}/start")
    more = api.post(f"{there}/mailboxes", json={"manifest": f"web5,{PASSWORD}\n"})
    assert more.status_code == 200, more.text
    again = api.post(f"{there}/mailboxes", json={"manifest": f"web5,{PASSWORD}\n"})
    assert (again.status_code, again.json()["logins"]) == (409, ["web5"])
    _until(lambda: api.get(there).json()["status"] == "complete", "both")
    assert api.get(there).json()["copied"] == 10


def test_the_same_creation_twice_is_done_once(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    body = {"name": "once", "manifest": "a,b\n", **ends(servers)}
    api = web_server.client(**{"Idempotency-Key": "first"})

    first, second = api.post("/imports", json=body), api.post("/imports", json=body)
    assert (first.status_code, second.status_code) == (201, 201)
    assert first.json() == second.json()
    assert api.post("/imports", json={**body, "name": "other"}).status_code == 422
    assert [entry["what"] for entry in web_server.client("admin").get("/audit").json()["entries"]].count(
        "import opened"
    ) == 1
    # Without the key the second request is refused, since the import is there already.
    assert web_server.client().post("/imports", json=body).status_code == 409


def test_a_rehearsal_whose_process_ended_is_told_as_lost(web_server: WebServer) -> None:
    web_server.serve()
    web_server.records.keep_rehearsal(
        "gone",
        {"id": "gone", "import_id": "i", "kind": "check", "state": "running", "done": 0, "total": 1, "beat_at": 0},
    )
    assert web_server.client().get("/rehearsals/gone").json()["state"] == "lost"
    assert web_server.client().get("/rehearsals/never").status_code == 404


def test_the_want_of_a_worker_is_a_cause_by_api_and_on_the_page(web_server: WebServer, servers: Servers) -> None:
    _fill(servers, "weblonely", 2)
    web_server.serve(**allowed(servers))
    api = web_server.client()
    body = {"name": "lonely", "manifest": f"login,password\nweblonely,{PASSWORD}\n", **ends(servers)}
    there = f"/imports/{api.post('/imports', json=body).json()['import']['id']}"
    said = "No worker is running: nothing moves until one is started"
    assert api.get(there).json()["waits"] == []
    assert said not in web_server.page(there), "it was not started"
    (wait,) = api.post(f"{there}/start").json()["waits"]
    assert (wait["what"], wait["until"]) == ("workers", None)
    assert wait["said"] == "no worker is running: nothing moves until one is started (mailhaul worker, or mailhaul up)"
    assert said in web_server.page(there)
    web_server.crew()
    _until(lambda: api.get(there).json()["status"] == "complete", "the end")
    assert api.get(there).json()["waits"] == []


def test_an_import_with_hours_waits_until_they_are_taken_away(web_server: WebServer, servers: Servers) -> None:
    _fill(servers, "webnight", 4)
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    opens = datetime.now(UTC) + timedelta(hours=2)
    window = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M} UTC"
    body = {"name": "night", "manifest": f"login,password\nwebnight,{PASSWORD}\n", **ends(servers)}
    wrong = api.post("/imports", json={**body, "window": "at night"})
    assert wrong.status_code == 422
    assert "Europe/Berlin" in wrong.text
    there = f"/imports/{api.post('/imports', json={**body, 'window': window}).json()['import']['id']}"
    begun = api.post(f"{there}/start").json()
    assert (begun["status"], begun["window"], begun["control"]) == ("waiting", window, "run")
    (wait,) = begun["waits"]
    assert (wait["what"], wait["said"]) == ("window", f"waiting until {opens:%H:%M} (UTC): its hours are {window}")
    assert api.put(f"{there}/window", json={"window": "never"}).status_code == 422
    # Meanwhile a server asks to wait: the page shows both waits.
    store = RedisStore(connect(f"unix://{web_server.redis.socket}?db=1"))
    store.hold("source_host:127.0.0.1", 600, import_id=begun["id"], why="[THROTTLED] <b>slow</b> down")
    page = web_server.page(there)
    assert "The import waits for its hours" in page
    assert ">[THROTTLED] &lt;b&gt;slow&lt;/b&gt; down</q>" in page
    store._redis.delete(keys.HOLDS)
    _until(lambda: store.workers() > 0, "the worker")
    assert api.put(f"{there}/window", json={"window": "none"}).json()["waits"] == []
    _until(lambda: api.get(there).json()["status"] == "complete", "the end")
