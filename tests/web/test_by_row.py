"""Tests rows that name their own servers, and rows that do not fit their import."""

from __future__ import annotations

from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends


def test_each_row_names_its_server(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> None:
    source, _ = servers
    for server in servers:
        server.add_user("byrow", PASSWORD)
    mail.populate(source.host, source.port, "byrow", PASSWORD, mail.make_mailbox(3, {"INBOX": 4}))
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    home = f"imap://127.0.0.1:{source.port}"
    body = {"name": "rows", "destination": ends(servers)["destination"]}

    bare = api.post("/imports", json={**body, "manifest": f"login,password,server\nbyrow,x,\nother,x,{home}\n"})
    assert (bare.status_code, bare.json()["detail"][:46]) == (422, "source.server: these rows name no server: 2; g")
    pinned = api.post("/imports", json={**body, "manifest": "a,b\n", "source": {"fingerprint": "ab" * 32}})
    assert (pinned.status_code, "source.server" in pinned.json()["detail"]) == (422, True)
    assert api.get("/imports").json()["total"] == 0

    sheet = f"login,password,server\nbyrow,{PASSWORD},{home}\n"
    opened = api.post("/imports", json={**body, "manifest": sheet})
    assert opened.status_code == 201, opened.text
    there = f"/imports/{opened.json()['import']['id']}"
    more = api.post(f"{there}/mailboxes", json={"manifest": "login,password\nlater,x\n"})
    assert (more.status_code, "name no server: 2" in more.json()["detail"]) == (422, True)
    begun = api.post(f"{there}/rehearsals", json={"kind": "plan"}).json()
    place = f"/rehearsals/{begun['id']}"
    await_ready(lambda: api.get(place).json()["state"] != "running", 180, "the plan")
    assert api.get(place).json()["result"]["totals"]["messages"] == 4
    api.post(f"{there}/start")
    await_ready(lambda: api.get(there).json()["status"] == "complete", 180, "the end")
    assert "rows" in web_server.page(there)
    seen = [mail.snapshot(server.host, server.port, "byrow", PASSWORD) for server in servers]
    assert seen[0] == seen[1]


def test_rows_that_the_import_does_not_fit_are_refused_later_too(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    web_server.serve(**allowed(servers))
    api = web_server.client()
    port = servers[0].port
    body = {"manifest": f"anna,{PASSWORD}\n", **ends(servers)}
    pop3 = {"manifest": f"login,password,server\nbert,x,pop3://127.0.0.1:{port}\n"}

    flagged = api.post("/imports", json={**body, "name": "flagged", "flagged": True}).json()["import"]["id"]
    refused = api.post(f"/imports/{flagged}/mailboxes", json=pop3)
    assert (refused.status_code, refused.json()["detail"][:28]) == (422, "flagged: POP3 knows no flags")
    assert api.get(f"/imports/{flagged}/mailboxes").json()["total"] == 1
    # The control: an import without filters takes the same row.
    whole = api.post("/imports", json={**body, "name": "whole"}).json()["import"]["id"]
    assert api.post(f"/imports/{whole}/mailboxes", json=pop3).status_code == 200


def test_errors_of_two_servers_are_told_apart(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> None:
    """Gives each server a wrong password: the page names the server of each error."""
    homes = [f"imap://127.0.0.1:{server.port}" for server in servers]
    for server in servers:
        for number in range(2):
            server.add_user(f"apart{number}", PASSWORD)
    web_server.serve(**allowed(servers))
    web_server.crew()
    api = web_server.client()
    rows = "".join(f"apart{number},wrong,{home}\n" for number, home in enumerate(homes))
    body = {"name": "apart", "destination": ends(servers)["destination"], "manifest": f"login,password,server\n{rows}"}
    there = f"/imports/{api.post('/imports', json=body).json()['import']['id']}"
    api.post(f"{there}/start")
    await_ready(lambda: api.get(f"{there}/mailboxes?state=parked").json()["total"] == 2, 180, "both refusals")
    text = web_server.page(there)
    for home in homes:
        assert f"1 mailbox · {home} · waits for you" in text
