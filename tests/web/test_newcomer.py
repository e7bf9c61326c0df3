"""Tests a first use: from `mailhaul up` to three imported mailboxes, following only what the screen says."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from producer.translations import translations
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port
from tests.servers.scim import SECRET, ScimServer
from tests.web.conftest import PASSWORD, ROOT, WebServer, allowed
from tests.web.test_page import Person, browser, playwright_api  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
_TOP = "element => element.getBoundingClientRect().top"
_STANDS = "([element, within]) => (top => 0 <= top && top < within)(element.getBoundingClientRect().top)"


@contextmanager
def up(home: Path, **more: str) -> Iterator[str]:
    """Runs `mailhaul up` on a terminal. Yields the link that it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    env |= {
        "MAILHAUL_STATE_DIR": str(home),
        "MAILHAUL_COORDINATOR_PORT": "0",
        "MAILHAUL_WEB_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "up", "--threads", "4"], env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while not (found := re.search(rb"page at (http://\S+)\s", said)):
            said += os.read(ours, 4096)
        yield found.group(1).decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(180)
        os.close(ours)


def test_three_mailboxes_by_what_stands_on_the_screen(servers: Servers, browser: Any) -> None:  # noqa: F811
    source, destination = servers
    for number in range(3):
        for server in servers:
            server.add_user(f"newcomer{number}", PASSWORD)
        messages = mail.make_mailbox(number, {"INBOX": 20, "Sent": 5})
        mail.populate(source.host, source.port, f"newcomer{number}", PASSWORD, messages)
    with (
        tempfile.TemporaryDirectory(prefix="new-", ignore_cleanup_errors=True) as home,
        up(Path(home), **allowed(servers)) as link,
    ):
        context = browser.new_context(locale="en")
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.goto(link)
        page.get_by_role("link", name="New import").first.click()
        for legend, server in (("Where mail comes from", source), ("Where mail goes to", destination)):
            section = page.get_by_role("group", name=legend)
            section.get_by_label("Security").select_option(label="none (this machine only)")
            section.get_by_label("Host").fill("127.0.0.1")
            section.get_by_label("Port").fill(str(server.port))
        for number in range(3):
            page.get_by_label(f"Login {number + 1}", exact=True).fill(f"newcomer{number}")
            page.get_by_label(f"Password {number + 1}", exact=True).fill(PASSWORD)
        page.get_by_label("Name of the import").fill("my first")
        page.get_by_role("button", name="Start the import").click()
        page.locator("#live h1 .state.complete").wait_for()
        assert page.get_by_role("rowheader", name="newcomer2").count() == 1
        context.close()
    for number in range(3):
        login = (f"newcomer{number}", PASSWORD)
        wanted = mail.snapshot(source.host, source.port, *login, canon=mail.canon_dovecot)
        assert mail.snapshot(destination.host, destination.port, *login) == wanted


class Newcomer:
    """Somebody at a phone who reads from top to bottom: uses what stands in view or next below it, and never looks back."""

    def __init__(self, page: Any, language: str) -> None:
        self.page, self.said = page, translations(language).gettext
        self.steps = 0

    def sees(self, what: Any) -> None:
        """Waits until this stands there, in view without scrolling."""
        self._comes(what, self.page.viewport_size["height"] - 20)
        playwright_api.expect(what).to_be_in_viewport(timeout=180_000)

    def _comes(self, what: Any, within: int) -> None:
        """Waits until this stands above that place: a page that has just loaded may still be on its way to its own."""
        what.wait_for()
        self.page.wait_for_load_state()
        try:
            self.page.wait_for_function(_STANDS, arg=[what.element_handle(), within])
        except playwright_api.TimeoutError:
            raise AssertionError(f"{what} is at {what.evaluate(_TOP)}, out of 0 to {within}") from None

    def _reaches(self, what: Any) -> Any:
        self._comes(what, 2 * self.page.viewport_size["height"])
        self.steps += 1
        return what

    def fills(self, label: str, text: str, inside: Any = None, number: str = "") -> None:
        """Fills in a field by its label."""
        there, name = inside or self.page, self.said(label) + number
        field = there.get_by_label(name, exact=True) if number else there.get_by_role("textbox", name=name)
        self._reaches(field).fill(text)

    def chooses(self, label: str, option: str, inside: Any) -> None:
        """Chooses an option by its words."""
        self._reaches(inside.get_by_label(self.said(label))).select_option(label=self.said(option))

    def presses(self, name: str, inside: Any = None) -> None:
        """Presses a button, or follows a link that looks like one."""
        buttons = (inside or self.page).locator("button:visible, a:visible")
        self._reaches(buttons.filter(has_text=self.said(name)).first).click()

    def section(self, legend: str) -> Any:
        """Returns a part of the form by its heading."""
        return self.page.get_by_role("group", name=self.said(legend))


@pytest.mark.parametrize("language", ["ru", "en"])
def test_wrong_turns_on_a_phone_are_told_where_they_are(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    language: str,
) -> None:
    """Takes a host that is not there, forgets the name, and types a wrong password: each is told in view, with what to do."""
    for server in servers:
        server.add_user(f"turn-{language}", PASSWORD)
    messages = mail.make_mailbox(1, {"INBOX": 3})
    mail.populate(servers[0].host, servers[0].port, f"turn-{language}", PASSWORD, messages)
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = Person(browser, web_server, locale=language, viewport={"width": 390, "height": 844})
    person.signs_in()
    new = Newcomer(person.page, language)
    page = person.page
    new.presses("New import")
    page.wait_for_url("**/new*")
    source, destination = (new.section(one) for one in ("Where mail comes from", "Where mail goes to"))
    new.fills("Host", "nobody.invalid", source)
    new.presses("Test the connection", source)
    new.sees(page.locator(".steps tr.bad, [role=alert]").first)
    for section, server in ((source, servers[0]), (destination, servers[1])):
        new.chooses("Security", "none (this machine only)", section)
        new.fills("Host", "127.0.0.1", section)
        new.fills("Port", str(server.port), section)
    new.fills("Login", f"turn-{language}", number=" 1")
    new.fills("Password", "not this one", number=" 1")
    new.presses("Start the import")
    new.sees(page.locator("[role=alert]"))
    page.locator("[role=alert] a").first.click()  # leads to the field, where it is said again
    new.sees(page.locator("[aria-invalid=true]"))
    new.fills("Name of the import", "first")
    new.presses("Start the import")
    page.wait_for_selector("#do-credentials")
    new.sees(page.locator(".says"))
    new.sees(page.locator("#do-credentials"))
    new.presses("Give new passwords")
    page.wait_for_selector("[name=row_password]")
    new.sees(page.locator("[name=row_password]"))
    page.fill("[name=row_password]", PASSWORD)
    new.presses("Give new passwords", page.locator("main form"))
    page.wait_for_selector("#live h1 .state.complete")
    new.sees(page.locator(".says"))
    assert [line for line in person.trouble if "422" not in line] == []


@pytest.mark.parametrize("language", ["en", "ru"])
def test_a_strict_house_is_walked_through_from_top_to_bottom(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    tmp_path: Path,
    language: str,
) -> None:
    """Takes private hosts, self-signed certificates, a list with a strange column and an owner without an account."""
    source, destination = servers
    login = f"strict-{language}"
    source.add_user(login, PASSWORD)
    mail.populate(source.host, source.port, login, PASSWORD, mail.make_mailbox(1, {"INBOX": 3}))
    with ScimServer(created=destination.add_user) as scim:
        web_server.serve()
        web_server.crew()
        person = Person(browser, web_server, locale=language, viewport={"width": 390, "height": 844})
        person.signs_in("admin")
        page, new = person.page, Newcomer(person.page, language)
        # A service makes the accounts: its server is private too, and is allowed beside its refusal.
        page.goto("/admin/accounts?kind=scim")
        page.fill("[name=name]", "office")
        page.fill("[name=place]", f"{scim.url}/v2")
        page.fill("[name=secret]", SECRET)
        page.click("button.main")
        new.sees(page.locator("[role=alert]"))
        page.check("[name=allow]")
        new.presses("Allow it, and go on", page.locator("[role=alert]"))
        new.sees(page.locator("[role=status]").first)
        page.goto("/new")
        for legend, server in (("Where mail comes from", source), ("Where mail goes to", destination)):
            section = new.section(legend)
            new.chooses("Security", "STARTTLS", section)
            new.fills("Host", "127.0.0.1", section)
            new.fills("Port", str(server.port), section)
            new.presses("Test the connection", section)
            new.sees(section.locator("[role=alert]"))
            section.locator("[name=allow]").check()
            new.presses("Allow it, and go on", section)
            accept = section.get_by_role("button", name=new.said("Accept this certificate"))
            new.sees(accept)
            new.presses("Accept this certificate", section)
            section.locator(".steps tr.good >> nth=2").wait_for()
            assert section.locator(".steps tr.bad").count() == 0
        page.get_by_label(new.said("Accounts that are not there")).select_option("office")
        file = tmp_path / "people.csv"
        file.write_text(f"login,password,owner,shade\n{login},{PASSWORD},,red\n")
        page.locator("[name=file]").scroll_into_view_if_needed()
        page.set_input_files("[name=file]", file)
        new.presses("Look it over")
        new.sees(page.locator(".asked a"))
        new.presses("What is this?", page.locator(".asked"))
        asked = page.locator("select[name=column][aria-invalid=true]")
        new.sees(asked)
        asked.select_option("")
        new.presses("Read it again")
        new.sees(page.locator("#mailboxes [role=status]"))
        assert page.locator("select[name=column][aria-invalid=true]").count() == 0
        new.fills("Name of the import", f"strict {language}")
        new.presses("Start the import")
        page.wait_for_selector("#live h1 .state.complete")
        new.sees(page.locator(".says"))
    assert mail.snapshot(destination.host, destination.port, login, PASSWORD)
    assert [line for line in person.trouble if "422" not in line] == []
