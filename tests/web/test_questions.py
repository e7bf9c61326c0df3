"""The questions of the page in a real browser: before a cancellation, about missing messages, and about swapped servers."""

from __future__ import annotations

import imaplib
from typing import Any

from shared.model import Import
from shared.model.lifecycle import ImportState
from tests import mail
from tests.acceptance.conftest import until
from tests.restored_backup import lose
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, Servers, _fill, _opens, browser

__all__ = ["browser"]


def _remove(server: Dovecot, login: str, messages: str) -> None:
    """Removes these messages (a sequence set) of the inbox."""
    with imaplib.IMAP4(server.host, server.port) as session:
        session.login(login, PASSWORD)
        session.select()
        session.store(messages, "+FLAGS.SILENT", r"\Deleted")
        session.expunge()


def _messages(server: Dovecot, login: str) -> int:
    return mail.snapshot(server.host, server.port, login, PASSWORD).total()


def _person(web_server: WebServer, browser: Any) -> Person:
    person = Person(browser, web_server)
    person.signs_in()
    return person


def test_a_cancellation_asks_with_the_number_and_is_taken_back(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    for login in ("ask-a", "ask-b"):
        _fill(servers, login, {"INBOX": 1})
    web_server.serve(**allowed(servers))
    person = _person(web_server, browser)
    page = person.page
    _opens(person, servers, f"ask-a,{PASSWORD}\nask-b,{PASSWORD}\n", do="start")
    page.wait_for_selector("#live h1 .state.running")
    where = page.url
    page.click("button:text-is('Cancel')")
    page.wait_for_selector("strong:text-is('2 mailboxes would be given up.')")
    person.looks("cancel-question")
    page.click("a:text-is('Back')")
    page.wait_for_selector("#live h1 .state.running")
    page.click("button:text-is('Cancel')")
    page.click("button:text-is('Give 2 mailboxes up')")
    page.wait_for_selector("[role=status]:has-text('2 mailboxes were given up.')")
    page.wait_for_selector("#live h1 .state.cancelled")
    person.looks("cancelled")
    assert page.url == where
    page.goto(f"{where}/cancel")
    page.wait_for_selector("p:has-text('Nothing is left that could be given up')")
    person.looks("cancel-nothing")
    page.click("a:text-is('Back')")
    page.click("button:text-is('Go on')")
    page.wait_for_selector("[role=status]:has-text('2 mailboxes go on.')")
    assert person.trouble == []


def _acts(page: Any, label: str) -> None:
    """Clicks a button on a page that was just read: a click while the answer to an earlier one arrives would be lost."""
    page.goto(page.url)
    page.click(f"button:text-is('{label}')")


def test_what_is_missing_may_stay_away_or_be_copied_again(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    _fill(servers, "gone", {"INBOX": 4})
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = _person(web_server, browser)
    page = person.page
    destination = servers[1]
    _opens(person, servers, f"gone,{PASSWORD}\n", do="start")
    page.wait_for_selector("#live h1 .state.complete")

    def found() -> Import:
        whole = web_server.store.import_(page.url.rpartition("/")[2].partition("?")[0])
        assert whole is not None
        return whole

    def again() -> None:
        """Runs a pass, and waits until it is finished."""
        before = found().passes
        _acts(page, "Sync again")
        until(lambda: found().passes > before and found().state is ImportState.FINISHED, "the pass is finished")

    lose(destination, "gone", PASSWORD, "3:4", again)
    _acts(page, "Sync again")
    page.wait_for_selector("#live h1 .state.incomplete")
    page.wait_for_selector(".trouble .box:has-text('the destination no longer shows them'):has-text('2 messages')")
    person.looks("missing")
    page.click("button:text-is('They were removed on purpose')")
    page.wait_for_selector("#live h1 .state.complete")
    assert _messages(destination, "gone") == 2

    lose(destination, "gone", PASSWORD, "2", again)
    _acts(page, "Sync again")
    page.wait_for_selector("#live h1 .state.incomplete")
    page.wait_for_selector(".trouble .box:has-text('1 message:')")
    page.click("button:text-is('Copy them again')")
    page.wait_for_selector("#live h1 .state.complete")
    assert _messages(destination, "gone") == 2, "what was removed on purpose stays away"
    person.looks("copied-again")
    assert person.trouble == []


def test_swapped_servers_are_asked_about_before_and_after_the_start(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    asked = "every source mailbox is empty and every destination is not: were source and destination swapped?"
    source, destination = servers
    for server in servers:
        server.add_user("swapped", PASSWORD)
    mail.populate(destination.host, destination.port, "swapped", PASSWORD, mail.make_mailbox(1, {"INBOX": 2}))
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = _person(web_server, browser)
    page = person.page
    sheet = f"swapped,{PASSWORD}\n"
    _opens(person, servers, sheet, name="backwards")
    page.wait_for_selector("#live h1 .state.opening")
    where = page.url
    page.click("button:text-is('Check the accounts')")
    page.wait_for_selector(f"[role=alert]:has-text('{asked}')")
    person.looks("swapped-checked")
    page.goto(where)
    page.click("button:text-is('Start')")
    page.wait_for_selector("#live h1 .state.incomplete")
    page.wait_for_selector(f".trouble .box:has-text('{asked}')")
    page.wait_for_selector(".trouble .hint:has-text('make the import anew and say so')")
    person.looks("swapped-started")
    assert (_messages(source, "swapped"), _messages(destination, "swapped")) == (0, 2)

    # Where it is meant, the form says so, and it goes.
    page.goto("/new")
    page.click("#options summary")
    page.check("[name=same_mailbox]")
    ports = {"source": source.port, "destination": destination.port}
    for side, port in ports.items():
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(port))
    page.fill("[name=name]", "meant")
    page.fill("[name=sheet]", sheet)
    page.click("button[name=do][value=start]")
    page.wait_for_selector("#live h1 .state.complete")
    assert person.trouble == []
