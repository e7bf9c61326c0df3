"""Tests in a real browser that the form of a new import follows what is chosen, and that nothing typed into it is lost."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urlsplit

import pytest

from shared.store.records.principals import Role
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
#: By language: who begins with it, the sentence under POP3, and the other language's name.
SAID = {
    "en": ("POP3 brings the inbox alone", "ru", "Новый импорт"),
    "ru": ("По POP3 переносятся только входящие", "en", "New import"),
}


def _server(page: Any, side: str = "source") -> tuple[str, ...]:
    page.wait_for_selector(f"#{side}:not(:disabled)")
    return tuple(page.input_value(f"[name={side}_{name}]") for name in ("protocol", "tls", "host", "port"))


def _typed(page: Any) -> list[str]:
    names = ("[name=name]", "[name=source_host]", "[name=row_login] >> nth=0", "[name=row_new_login] >> nth=1")
    return [page.input_value(name) for name in names]


def _signs_in(page: Any, token: str) -> None:
    page.goto("/sign-in")
    page.fill("[name=token]", token)
    page.click("main button")
    page.wait_for_selector("#imports, h1")


def _kept(page: Any, act: Any) -> None:
    """Does something to the form, and waits until the page has kept it."""
    with page.expect_response(lambda answer: answer.url.endswith("/keep") and answer.status == 204):
        act()


@pytest.mark.parametrize("language", list(SAID))
def test_the_form_follows_what_is_chosen_and_loses_nothing(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    language: str,
) -> None:
    lacks, other, heading = SAID[language]
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, locale=language)
    page = person.page
    _, token = web_server.principals.make_token("a person", Role.OPERATOR)
    _signs_in(page, token)
    page.goto("/new")

    # Provider, then protocol; the port follows the security; back to a private server nothing of the provider stays.
    page.select_option("[name=source_provider]", "yandex")
    page.wait_for_selector("[name=source_host][value='imap.yandex.com']")
    assert not page.locator("#source-lacks").is_visible()
    page.select_option("[name=source_protocol]", "pop3")
    page.wait_for_selector("[name=source_host][value='pop.yandex.com']")
    assert _server(page) == ("pop3", "tls", "pop.yandex.com", "995")
    assert lacks in page.inner_text("#source-lacks")
    page.wait_for_selector("[name=source_protocol]:focus")
    if language == "en":
        person.looks("form-pop3")
    page.select_option("[name=source_protocol]", "imap")
    page.wait_for_selector("[name=source_host][value='imap.yandex.com']")
    assert _server(page) == ("imap", "tls", "imap.yandex.com", "993")
    page.select_option("[name=source_provider]", "")
    page.wait_for_selector("[name=source_host][value='']")
    assert _server(page) == ("imap", "tls", "", "")
    page.select_option("[name=source_tls]", "starttls")
    page.wait_for_selector("[name=source_port][placeholder='143']")

    # What is typed is kept while it is typed: the address of the page becomes the form's own.
    page.fill("[name=source_host]", "old.example")
    page.fill("[name=row_login] >> nth=0", "anna")
    page.fill("[name=row_password] >> nth=0", PASSWORD)
    page.fill("[name=row_new_login] >> nth=1", "owner")
    _kept(page, lambda: page.fill("[name=name]", "office"))
    page.wait_for_url("**/new/*")
    typed, there = ["office", "old.example", "anna", "owner"], page.url
    page.click(f".languages [lang={other}]")
    page.wait_for_selector(f"h1:text-is('{heading}')")
    assert _typed(page) == typed
    assert page.get_attribute("[name=row_password] >> nth=0", "placeholder") == "••••••"
    assert PASSWORD not in page.content()

    # Each button leads back to a page that can be left and come back to.
    page.click("button[value=preview]")
    page.wait_for_selector(".typing td.bad:not(:empty)")  # the second row has no login
    page.fill("[name=row_login] >> nth=1", "bert")
    page.click("a[href='/']")
    page.wait_for_selector("#imports")
    page.go_back()
    page.wait_for_selector("[name=row_login][value=bert]")
    page.goto("/new")
    page.click(f".begun a[href='{urlsplit(there).path}']")
    page.wait_for_selector("[name=row_login][value=bert]")
    # Another refusal is no end of the session: nothing is said of one, and the buttons work.
    refused = re.compile("/keep$")
    page.route(refused, lambda route: route.fulfill(status=413))
    with page.expect_response(lambda answer: answer.status == 413):
        page.fill("[name=name]", "office?")
    page.evaluate("new Promise(done => setTimeout(done, 50))")  # the script has heard the answer
    assert page.locator("#out").count() == 0
    page.unroute(refused)
    _kept(page, lambda: page.fill("[name=name]", typed[0]))
    assert [text for text in person.trouble if "413" not in text] == []
    person.trouble.clear()
    # The session ends: whoever types on is told, and a button loses nothing. Signed in elsewhere, it goes on.
    web_server.command("session", "end", "a person")
    page.fill("[name=row_password] >> nth=1", PASSWORD)
    page.wait_for_selector("#out")
    page.click("button[value=open]")
    page.wait_for_selector("#out:focus")
    assert _typed(page) == typed
    elsewhere = person.context.new_page()
    _signs_in(elsewhere, token)
    elsewhere.close()
    page.evaluate("dispatchEvent(new Event('focus'))")
    page.wait_for_selector("#out", state="detached")
    page.click("button[value=preview]")
    page.wait_for_selector("[name=row_password][placeholder='••••••'] >> nth=1")
    page.wait_for_selector(".typing td.bad:not(:empty)", state="detached")
    assert person.trouble == []


def test_without_scripts_each_button_keeps_the_form(web_server: WebServer, servers: Servers, browser: Any) -> None:  # noqa: F811
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, java_script_enabled=False, locale="en")
    page = person.page
    person.signs_in()
    page.goto("/new")
    page.fill("[name=row_login] >> nth=4", "eve")
    page.fill("[name=row_password] >> nth=4", PASSWORD)
    page.click("button[value=rows]")
    assert (page.locator("[name=row_login]").count(), page.input_value("[name=row_login] >> nth=4")) == (10, "eve")
    page.fill("[name=name]", "office")
    page.click(".languages [lang=ru]")
    assert (page.input_value("[name=name]"), page.inner_text("h1")) == ("office", "Новый импорт")
    # A list is edited as rows, and its passwords stay on the server.
    page.click("button[value=forget]")
    page.fill("[name=sheet]", f"one,{PASSWORD}\ntwo,{PASSWORD}\n")
    page.click("button[value=preview]")
    page.click("button[value=edit]")
    assert [page.input_value(f"[name=row_login] >> nth={at}") for at in range(2)] == ["one", "two"]
    page.fill("[name=row_login] >> nth=1", "three")
    for side, server in zip(("source", "destination"), servers, strict=True):
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(server.port))
    page.click("button[value=open]")
    page.wait_for_selector("#live h1 .state.opening")
    (import_,) = web_server.store.imports()
    there = web_server.store.mailboxes(import_.import_id)
    assert [mailbox.source.login for mailbox, _ in there] == ["one", "three"]
    # Back leads to what the form has opened; it is not sent again.
    page.go_back()
    assert page.url.partition("#")[0].endswith(f"/imports/{import_.import_id}")
