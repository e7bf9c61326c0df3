"""Tests that an administrator allows private servers on the page, and that who sits at the machine need not."""

from __future__ import annotations

from typing import Any

from shared.store.records.principals import Role
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer
from tests.web.test_page import Person, _fill, _opens, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]


def test_a_private_server_is_allowed_beside_its_refusal_and_written_down(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    _fill(servers, "near1", {"INBOX": 2})
    web_server.serve()  # nothing is allowed
    web_server.crew()
    operator, chief = Person(browser, web_server), Person(browser, web_server)
    operator.signs_in("operator")
    _opens(operator, servers, f"near1,{PASSWORD}\n", do="test_source")
    operator.page.wait_for_selector("#source [role=alert]:has-text('Servers it may reach')")
    assert operator.page.locator("[name=allow]").count() == 0, "an operator may not"

    page = chief.page
    chief.signs_in("admin")
    _opens(chief, servers, f"near1,{PASSWORD}\n", do="test_source")
    page.wait_for_selector("#source [role=alert]")
    # The fault is in view, in the section whose button was pressed.
    page.wait_for_function(
        "one => { const box = one.getBoundingClientRect(); return box.top >= 0 && box.bottom <= innerHeight }",
        arg=page.query_selector("#source [role=alert]"),
    )
    chief.looks("reach-refused")
    page.check("[name=allow]")
    page.click("button:text-is('Allow it, and go on')")
    page.wait_for_selector("#source .steps tr.good >> nth=4")
    page.click("button:text-is('Start the import')")
    # The workers heed it too.
    page.wait_for_selector("#live h1 .state.complete")
    allowed = {entry["detail"]["place"] for entry in web_server.records.audit() if entry["what"] == "place allowed"}
    assert allowed == {"127.0.0.1/32", *(str(server.port) for server in servers)}
    page.goto("/admin/reach")
    chief.looks("reach")
    assert "a person" in page.inner_text("tr:has-text('127.0.0.1/32')")
    page.click("button[aria-label='Remove: 127.0.0.1/32']")
    page.wait_for_selector("tr:has-text('127.0.0.1/32')", state="detached")
    page.fill(".wide-field [name=place]", "10.0.0.0/99")
    page.click("button:text-is('Allow it')")
    page.wait_for_selector("[role=alert]:has-text('is no host name')")
    page.fill(".wide-field [name=place]", "10.20.0.0/16")
    page.click("button:text-is('Allow it')")
    page.wait_for_selector("tr:has-text('10.20.0.0/16')")
    api = web_server.client("admin")
    assert "10.20.0.0/16" in [one["place"] for one in api.get("/reach").json()["places"]]
    assert api.delete("/reach/10.20.0.0/16").status_code == 204
    assert web_server.client("operator").put("/reach/10.20.0.0/16").status_code == 403
    web_server.command("reach", "add", "mail.corp.example")
    assert "mail.corp.example" in web_server.command("reach", "list")
    web_server.command("reach", "remove", "mail.corp.example")
    assert "was not allowed" in web_server.command("reach", "remove", "mail.corp.example", code=2)


def test_who_came_by_the_link_of_this_machine_is_asked_nothing(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    _fill(servers, "near2", {"INBOX": 1})
    web_server.serve()
    web_server.crew()
    person = Person(browser, web_server)
    link = web_server.command("link").split()[-1]
    person.page.goto(link)
    person.page.wait_for_selector("h1:text-is('Imports')")
    _opens(person, servers, f"near2,{PASSWORD}\n", do="start")
    person.page.wait_for_selector("#live h1 .state.complete")
    entries = [entry for entry in web_server.records.audit() if entry["what"] == "place allowed"]
    assert len(entries) == 3
    assert all("link:" in entry["who"] for entry in entries)
    # A negative control: an administrator who came by a token is refused.
    web_server.command("reach", "remove", "127.0.0.1")
    _, token = web_server.principals.make_token("chief", Role.ADMIN)
    other = Person(browser, web_server)
    other.page.goto("/sign-in")
    other.page.fill("[name=token]", token)
    other.page.click("main button")
    other.page.wait_for_selector("h1")
    _opens(other, servers, f"near2,{PASSWORD}\n", do="open", name="another")
    other.page.wait_for_selector("[role=alert]:has-text('not public')")
