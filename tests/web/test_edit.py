"""Tests that an import is changed before its start: on the page in a browser, by the API and on the command line."""

from __future__ import annotations

from typing import Any

from tests.web.conftest import PASSWORD, WebServer
from tests.web.test_page import Person, browser

__all__ = ["browser"]
ALLOWED = {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": "1430,1431,1432"}
BODY = {
    "name": "office",
    "manifest": f"login,password\nanna,{PASSWORD}\nbert,{PASSWORD}\n",
    "source": {"server": "imap://127.0.0.1:1430"},
    "destination": {"server": "imap://127.0.0.1:1431"},
    "folder_map": [["a", "b"]],
    "window": "20:00-06:00 UTC",
}


def _passwords(web_server: WebServer, import_id: str) -> dict[str, str]:
    from producer.operations.operations import Operations
    from tests.resources import GivenResources

    store = web_server.store
    found = store.import_(import_id)
    assert found is not None
    rows = Operations(GivenResources(store=store, vault=web_server.vault)).rows_of(found)
    return {f"{row.login} > {row.new_login}": row.password.reveal() for row in rows}


def test_by_api_and_by_command_what_is_left_out_stays(web_server: WebServer) -> None:
    web_server.serve(**ALLOWED)
    api = web_server.client()
    import_id = api.post("/imports", json=BODY).json()["import"]["id"]
    changes = {
        "since": "2025-01-01",
        "manifest": "login,password,new_login\nanna,,ann\ncarl,carls,\n",
        "remove": ["bert"],
        "source": {"allow_plaintext": True},
    }
    answer = api.patch(f"/imports/{import_id}", json=changes)
    assert answer.status_code == 200, answer.text
    assert answer.headers["location"] == f"/api/v1/imports/{import_id}"
    assert answer.json()["import"]["wanted"]["folder_map"] == [["a", "b"]]
    assert answer.json()["import"]["window"] == "20:00-06:00 UTC"
    assert _passwords(web_server, import_id) == {"anna > ann": PASSWORD, "carl > carl": "carls"}
    # Another server makes another id; the old one is gone.
    answer = api.patch(f"/imports/{import_id}", json={"name": "yard", "source": {"server": "imap://127.0.0.1:1432"}})
    moved = answer.json()["import"]["id"]
    assert answer.headers["location"] == f"/api/v1/imports/{moved}"
    assert api.get(f"/imports/{import_id}").status_code == 404
    assert api.get(f"/imports/{moved}").json()["window"] == "20:00-06:00 UTC"
    assert _passwords(web_server, moved) == {"anna > ann": PASSWORD, "carl > carl": "carls"}
    # By the command line, which keeps what only the page may reach.
    (web_server.home / "rows.csv").write_text("login,password\ndora,doras\n")
    said = web_server.command("edit", "yard", "--rows", "rows.csv", "--remove", "carl", "--into", "Old")
    assert said == ""
    found = web_server.store.import_(moved)
    assert found is not None
    assert (found.source.guarded, found.options.into, found.options.since) == (True, "Old", 1_735_689_600)
    assert list(_passwords(web_server, moved)) == ["anna > ann", "dora > dora"]
    # What is wrong is said by field or row, and changes nothing.
    for wrong, place in (
        ({"source": {"server": "imap://127.0.0.1:25"}}, "source.server"),
        ({"manifest": "login,password,new_login\neve,x,ann\n"}, "new_login"),
        ({"remove": ["nobody"]}, "remove"),
        ({"window": "never"}, "window"),
    ):
        refused = api.patch(f"/imports/{moved}", json=wrong)
        assert refused.status_code == 422, wrong
        assert place in refused.text
    assert list(_passwords(web_server, moved)) == ["anna > ann", "dora > dora"]
    # After its start nothing of it changes.
    api.post(f"/imports/{moved}/start")
    refused = api.patch(f"/imports/{moved}", json={"name": "late"})
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:mailhaul:problem:under-way")
    assert "one more like it" in refused.json()["detail"]
    assert "was started" in web_server.command("edit", "yard", "--name", "late", code=2)
    words = [one["what"] for one in web_server.records.audit()]
    assert words.count("import edited") == 4
    assert PASSWORD not in str(web_server.records.audit())


def test_on_the_page_rows_are_changed_and_one_more_like_it_is_opened(web_server: WebServer, browser: Any) -> None:
    web_server.serve(**ALLOWED)
    import_id = web_server.client().post("/imports", json=BODY).json()["import"]["id"]
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    page.goto(f"/imports/{import_id}")
    page.get_by_role("button", name="Change it").click()
    page.wait_for_selector("h1:has-text('Change an import')")
    assert page.locator("[name=name]").input_value() == "office"
    assert page.locator("[name=source_port]").input_value() == "1430"
    assert [one.input_value() for one in page.locator("[name=row_login]").all()[:3]] == ["anna", "bert", ""]
    assert PASSWORD not in page.content()
    page.locator("[name=name]").fill("yard")
    page.locator("[name=row_new_login]").nth(0).fill("ann")
    for cell in ("row_login", "row_password"):
        page.locator(f"[name={cell}]").nth(1).fill("")
    page.locator("[name=row_login]").nth(2).fill("carl")
    page.locator("[name=row_password]").nth(2).fill("carls")
    page.get_by_role("button", name="Save the changes").click()
    page.wait_for_selector("text=Saved, with 2 mailboxes. Nothing was started.")
    now = page.url.rpartition("/")[2]
    assert now != import_id
    assert _passwords(web_server, now) == {"anna > ann": PASSWORD, "carl > carl": "carls"}
    found = web_server.store.import_(now)
    assert found is not None
    assert (found.name, found.window, found.options.folder_map) == ("yard", "20:00-06:00 UTC", (("a", "b"),))
    # Back leads to the saved import, not into a form that is over.
    page.go_back()
    page.wait_for_selector("#live")
    page.goto(f"/imports/{now}")
    page.get_by_role("link", name="One more like this").click()
    page.wait_for_selector("h1:has-text('New import')")
    assert page.locator("[name=name]").input_value() == ""
    assert page.locator("[name=destination_port]").input_value() == "1431"
    assert page.locator("[name=row_login]").first.input_value() == ""
    assert page.locator("code:has-text('--folder-map')").count() == 1
    page.locator("[name=name]").fill("another")
    page.locator("[name=row_login]").first.fill("zoe")
    page.locator("[name=row_password]").first.fill("zoes")
    page.get_by_role("button", name="Save, start later").click()
    page.wait_for_selector("#live h1:has-text('another')")
    assert _passwords(web_server, page.url.rpartition("/")[2]) == {"zoe > zoe": "zoes"}
    # Started, there is nothing to change but a sentence that says what may be.
    web_server.store.submit(now)
    page.goto(f"/imports/{now}")
    assert page.get_by_role("button", name="Change it").count() == 0
    assert person.trouble == []


def test_what_was_cancelled_with_a_wave_stays_so_whatever_is_changed(web_server: WebServer) -> None:
    web_server.serve(**ALLOWED)
    api = web_server.client()
    rows = f"login,password,wave\nanna,{PASSWORD},first\nbert,{PASSWORD},last\n"
    import_id = api.post("/imports", json={**BODY, "manifest": rows}).json()["import"]["id"]
    assert api.post(f"/imports/{import_id}/cancel", json={"wave": "last"}).json()["mailboxes"] == 1
    for changes, states in (
        ({"since": "2025-01-01"}, {"anna": "queued", "bert": "cancelled"}),
        ({"name": "yard"}, {"anna": "queued", "bert": "cancelled"}),
        ({"manifest": "login,password,new_login\nbert,,bob\n"}, {"anna": "queued", "bert": "queued"}),
    ):
        answer = api.patch(f"/imports/{import_id}", json=changes)
        assert answer.status_code == 200, answer.text
        import_id = answer.json()["import"]["id"]
        found = api.get(f"/imports/{import_id}/mailboxes").json()["mailboxes"]
        assert {one["login"]: one["state"] for one in found} == states, changes
