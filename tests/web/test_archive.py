"""Tests the archive: an import is left out of lists and searches, and taken back, by page, API and command line alike."""

from __future__ import annotations

import json

from shared.model.lifecycle import Control
from tests.web.conftest import PASSWORD, WebServer

ENDS = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
HOSTS = {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": "1430,1431"}


def test_what_is_in_the_archive_is_listed_and_found_only_when_asked_for(web_server: WebServer) -> None:
    web_server.serve(**HOSTS)
    api, page = web_server.client(), web_server.signed_in()
    guarded = {"name": "office", "manifest": f"login,password\nanna,{PASSWORD}\n", **ENDS}
    opened = {
        name: api.post("/imports", json={**guarded, "name": name}).json()["import"]["id"] for name in ("office", "yard")
    }
    office, yard = opened["office"], opened["yard"]

    def listed(**query: str) -> list[str]:
        return [one["name"] for one in api.get("/imports", params=query).json()["imports"]]

    def found(**query: str) -> int:
        return int(api.get("/mailboxes", params={"text": "anna", **query}).json()["total"])

    # By the page.
    said = page.post(f"/imports/{office}/archive").text
    assert "It is in the archive." in said
    assert "Take back from the archive" in said
    assert listed() == ["yard"]
    assert sorted(listed(archived="true")) == ["office", "yard"]
    assert (found(), found(archived="true")) == (1, 2)
    assert "office" not in page.get("/").text
    assert "1 import in the archive" in page.get("/").text
    assert "office" in page.get("/?archived=1").text
    assert "yard" not in page.get("/?archived=1").text
    assert "1 mailbox in all imports" in page.get("/search?text=anna").text
    assert "2 mailboxes in all imports" in page.get("/search?text=anna&archived=1").text
    # By the command line.
    assert [one["name"] for one in json.loads(web_server.command("list", "--json"))] == ["yard"]
    assert "office" in web_server.command("list", "--archived")
    assert json.loads(web_server.command("where", "anna", "--json"))["total"] == 1
    web_server.command("archive", "office", "--back")
    assert sorted(listed()) == ["office", "yard"]
    # By the API; all of it stays, and what was changed before changes nothing.
    for _ in range(2):
        answer = api.put(f"/imports/{yard}/archived", json={"archived": True})
        assert answer.status_code == 200
        assert answer.json()["archived_at"]
    assert listed() == ["office"]
    assert api.put(f"/imports/{yard}/archived", json={"archived": False}).json()["archived_at"] is None
    # What runs is not put away.
    web_server.store.submit(office)
    for refused in (
        api.put(f"/imports/{office}/archived", json={"archived": True}),
        page.post(f"/imports/{office}/archive"),
    ):
        assert refused.status_code in (409, 422)
        assert "under way" in refused.text
    web_server.store.control(office, None, Control.CANCEL)
    web_server.command("archive", "office")
    words = [one["what"] for one in web_server.records.audit()]
    assert words.count("import archived") == 6, "two of them were refused"
    assert words.count("import taken back") == 2
    assert words.count("act refused") == 2
    assert words.count("act changed nothing") == 1
