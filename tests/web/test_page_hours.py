"""Tests the hours of an import on the page, and an import whose source only the rows name."""

from __future__ import annotations

import re

from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


def _filled(servers: Servers, **more: str) -> dict[str, str]:
    """Returns the form as a browser sends it."""
    found = {"name": "at night", "do": "open", "sheet": f"night,{PASSWORD}\n"}
    for side, server in zip(("source", "destination"), servers, strict=True):
        found |= {f"{side}_tls": "none", f"{side}_host": "127.0.0.1", f"{side}_port": str(server.port)}
    return found | more


def test_hours_are_given_in_the_form_and_changed_later(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)

    wrong = browser.presses(_filled(servers, window="20:00-06:00 Europe/Atlantis"))
    assert wrong.status_code == 200
    assert "is no time zone" in wrong.text
    assert 'value="20:00-06:00 Europe/Atlantis"' in wrong.text  # the wrong text is kept, so that it can be corrected
    assert web_server.store.imports() == []

    opened = browser.presses(_filled(servers, window="20:00-06:00 Europe/Berlin"))
    assert opened.status_code == 303, opened.text
    there = opened.headers["location"]
    (request,) = web_server.store.imports()
    assert request.window == "20:00-06:00 Europe/Berlin"
    assert "20:00-06:00 Europe/Berlin" in browser.get(there).text.partition("</h1>")[2]

    for given, kept in (("Sat-Sun 08:00-20:00 Europe/Berlin", "Sat-Sun 08:00-20:00 Europe/Berlin"), ("", "")):
        assert browser.post(f"{there}/window", data={"window": given}).status_code == 303
        assert web_server.store.imports()[0].window == kept
    assert browser.post(f"{there}/window", data={"window": "sometimes"}).status_code == 422
    done = [
        (entry["what"], entry["detail"].get("window"))
        for entry in web_server.records.audit()
        if entry["what"] == "hours set"
    ]
    assert done == [("hours set", "Sat-Sun 08:00-20:00 Europe/Berlin"), ("hours set", "")]
    assert re.search(r"hours set", browser.get(there).text)


def test_where_each_row_names_its_server_the_form_needs_no_source(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    server = ends(servers)["source"]["server"]
    sheet = f"login,password,server\nrow1,{PASSWORD},{server}\nrow2,{PASSWORD},{server}\n"
    opened = browser.presses(_filled(servers, source_host="", source_port="", sheet=sheet))
    assert opened.status_code == 303, opened.text
    assert browser.get(opened.headers["location"]).status_code == 200
    nowhere = browser.presses(
        _filled(servers, source_host="", source_port="", name="2", sheet=sheet.replace(f",{server}\n", ",\n", 1))
    )
    assert (nowhere.status_code, "source: these rows name no server: 2; " in nowhere.text) == (200, True)


def test_the_server_of_an_address_is_found_and_the_rest_of_the_form_stays(
    web_server: WebServer, servers: Servers
) -> None:
    web_server.serve(**allowed(servers))
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    found = browser.presses(_filled(servers, do="find", address="anna@gmail.com", source_host=""))
    assert found.status_code == 200
    assert 'name="source_host"' in found.text
    assert 'value="imap.gmail.com"' in found.text
    assert 'value="at night"' in found.text
    assert "night" in found.text.partition("<tbody>")[2]  # the preview of the list is shown
    wrong = browser.presses(_filled(servers, do="find", address="anna"))
    assert (wrong.status_code, "is no address" in wrong.text) == (200, True)
    lost = browser.presses(_filled(servers, do="find", address="anna@nowhere.invalid", source_host="kept.example"))
    assert "No server was found" in lost.text
    assert 'value="kept.example"' in lost.text
