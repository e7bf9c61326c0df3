"""Tests an administrator's login for all mailboxes on the page: tested, then wrong, then corrected for all at once."""

from __future__ import annotations

import json
from typing import Any

import redis

from tests import mail
from tests.acceptance.test_admin_sign_in import ADMIN, WORD
from tests.leaks import leaks
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_by_admin import masters as masters
from tests.web.test_page import Person
from tests.web.test_page import browser as browser

Servers = tuple[Dovecot, Dovecot]
WRONG = "canary-not-the-word"


def test_a_master_user_is_all_that_a_list_of_logins_needs(
    web_server: WebServer, masters: Servers, browser: Any
) -> None:
    web_server.serve(**allowed(masters))
    web_server.crew()
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    page.goto("/new")
    for side, server, way, word in zip(
        ("source", "destination"), masters, ("master", "authzid"), (WRONG, WORD), strict=True
    ):
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(server.port))
        page.click(f"#{side}-fields .sign-in summary")
        assert page.is_hidden(f"[name={side}_admin]")
        page.select_option(f"[name={side}_way]", way)
        assert page.is_visible(f"[name={side}_template]") == (way == "master")
        assert page.is_hidden(f"[name={side}_key]")
        page.fill(f"[name={side}_admin]", ADMIN)
        page.fill(f"[name={side}_secret]", word)
    page.fill("[name=sheet]", "login\nperson0\nperson1\n")
    page.click("#source-fields button:text-is('Test the connection')")
    page.wait_for_selector(".steps tr.bad:has-text('Signing in')")
    assert "see that it is right and may sign in for others" in page.inner_text(".steps tr.bad")
    person.looks("new-by-admin")
    shown = page.content()
    page.click("#destination-fields button:text-is('Test the connection')")
    page.wait_for_selector("#destination-fields .steps tr.good:has-text('Signing in')")
    shown += page.content()
    page.fill("[name=name]", "masters")
    page.click("button[name=do][value=start]")
    page.wait_for_selector("#live .state.incomplete")
    assert masters[0].login_attempts() == 2  # one for the connection test, and one for the whole import
    page.click("#live .box a:text-is('Give new passwords')")
    page.fill("[name=source_secret]", WORD)
    person.looks("mend-by-admin")
    shown += page.content()
    page.click("main form button")
    page.wait_for_selector("#live h1 .state.complete")
    assert masters[0].login_attempts() == 2
    source, destination = masters
    for number in range(2):
        wanted = mail.snapshot(source.host, source.port, f"person{number}", PASSWORD, canon=mail.canon_dovecot)
        assert mail.snapshot(destination.host, destination.port, f"person{number}", PASSWORD) == wanted

    page.goto("/new?lang=ru")
    page.click("#source-fields .sign-in summary")
    page.select_option("[name=source_way]", "google")
    person.looks("new-by-admin-ru")
    assert person.trouble == []
    shown += json.dumps(web_server.records.audit()) + "".join(
        path.read_text() for path in web_server.home.glob("*.log")
    )
    assert leaks({"the administrator's": WORD, "the wrong one": WRONG}, shown.encode()) == []


def test_what_is_missing_is_said_and_nothing_given_is_lost(
    web_server: WebServer, masters: Servers, browser: Any
) -> None:
    web_server.serve(**allowed(masters))
    person = Person(browser, web_server, java_script_enabled=False)
    page = person.page
    person.signs_in()
    page.goto("/new")
    for side, server in zip(("source", "destination"), masters, strict=True):
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(server.port))
    page.click("#source-fields .sign-in summary")
    page.select_option("[name=source_way]", "authzid")
    page.fill("[name=source_secret]", WORD)
    page.fill("[name=sheet]", "login\nperson0\n")
    page.fill("[name=name]", "masters")
    page.click("button[name=do][value=open]")
    said = page.inner_text("main .box.bad")
    assert "source: give the administrator's login" in said
    assert "destination: rows without a password: 2; write it into the list, or say who signs in for all" in said
    assert web_server.store.imports() == []

    page.fill("[name=source_admin]", ADMIN)  # the password is kept
    page.click("#destination-fields .sign-in summary")
    # One password for all, and none was given: rows do not sign in with the passwords of the source instead.
    page.select_option("[name=destination_way]", "password")
    for button in ("open", "test_destination"):
        page.click(f"button[name=do][value={button}]")
        assert "destination: give the password for all of them" in page.inner_text("main .box.bad")
    assert web_server.store.imports() == []
    page.select_option("[name=destination_way]", "google")
    page.set_input_files(
        "[name=destination_key]", {"name": "key.json", "mimeType": "application/json", "buffer": b"{}"}
    )
    page.click("button[name=do][value=open]")
    assert "destination: what was given is not the key of a Google service account" in page.inner_text("main .box.bad")
    page.select_option("[name=destination_way]", "authzid")
    page.fill("[name=destination_admin]", ADMIN)
    page.click("button[name=do][value=open]")
    assert "destination: give the password for all of them" in page.inner_text("main .box.bad")  # a key is no password
    page.fill("[name=destination_secret]", WORD)
    page.click("button[name=do][value=open]")
    page.wait_for_selector("#live h1 .state.opening")
    (found,) = web_server.store.imports()
    assert [found.options.source_sign_in.admin, found.options.destination_sign_in.way] == [ADMIN, "authzid"]
    # No draft is kept longer than needed: what is left says which import the form opened.
    with redis.Redis(unix_socket_path=str(web_server.redis.socket), db=1) as client:
        assert len(list(client.scan_iter("*draft*"))) == 1

    page.goto(f"/imports/{found.import_id}/add")
    page.fill("[name=sheet]", "login\nperson1\n")
    page.click("button[value=add]")
    page.wait_for_selector("#live h1 .state.opening")
    assert len(web_server.store.mailboxes(found.import_id)) == 2
