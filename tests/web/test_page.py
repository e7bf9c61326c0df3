"""The page in a real browser, against real servers: the whole way, without scripts, in both languages, hostile names."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from shared.store.desk import role_of
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, House, allowed

playwright_api = pytest.importorskip("playwright.sync_api")
axe_api = pytest.importorskip("axe_playwright_python.sync_playwright")
CHROMIUM = shutil.which("chromium")
if CHROMIUM is None:
    pytest.skip("needs chromium (tests/install-servers)", allow_module_level=True)
HOSTILE = "<img src=x onerror=alert(1)>"
Servers = tuple[Dovecot, Dovecot]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with playwright_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


class Person:
    """Somebody at a browser, whose every page is looked at for what axe knows and for scripts that are refused."""

    def __init__(self, browser: Any, house: House, **options: Any) -> None:
        self.context = browser.new_context(base_url=f"http://127.0.0.1:{house.port}", **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(20_000)
        self.scripts = options.get("java_script_enabled", True)
        self.trouble: list[str] = []
        self.page.on("dialog", lambda dialog: (self.trouble.append("dialog"), dialog.dismiss()))
        self.page.on("console", lambda line: self.trouble.append(line.text) if line.type == "error" else None)
        self._house = house

    def signs_in(self, role: str = "operator") -> None:
        _, token = self._house.desk.make_token("a person", role_of(role))
        self.page.goto("/")
        self.looks()
        self.page.fill("[name=token]", token)
        self.page.click("main button")
        self.page.wait_for_selector("h1")

    def looks(self, name: str = "") -> None:
        if name and (folder := os.environ.get("MAILHAUL_TEST_SCREENSHOTS")):
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
        if self.scripts:
            found = axe_api.Axe().run(self.page)
            assert found.violations_count == 0, found.generate_report()


def _fill(servers: Servers, login: str, folders: dict[str, int]) -> None:
    for server in servers:
        server.add_user(login, PASSWORD)
    source = servers[0]
    mail.populate(source.host, source.port, login, PASSWORD, mail.make_mailbox(1, folders))


def _opens(
    person: Person, servers: Servers, sheet: str, *, destination_port: int = 0, do: str = "open", name: str = "office"
) -> None:
    """Fills the form in, as a private server's."""
    page = person.page
    page.goto("/new")
    ports = {"source": servers[0].port, "destination": destination_port or servers[1].port}
    for side, port in ports.items():
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(port))
    page.fill("[name=name]", name)
    page.fill("[name=sheet]", sheet)
    page.click(f"button[name=do][value={do}]")


def test_from_a_sheet_to_the_end_with_a_wrong_password_mended(house: House, servers: Servers, browser: Any) -> None:
    _fill(servers, "page1", {"INBOX": 5, HOSTILE: 2})
    _fill(servers, "page2", {"INBOX": 3})
    house.serve(**allowed(servers))
    house.crew()
    person = Person(browser, house)
    page = person.page
    person.signs_in()
    person.looks("imports")

    _opens(person, servers, f"page1,{PASSWORD}\npage2,\n")
    page.wait_for_selector("td:text('is missing')")
    assert PASSWORD not in page.content()
    person.looks("new")
    _opens(person, servers, f"page1,{PASSWORD}\npage2,wrong\n")
    page.click("button:text-is('Start')")
    # No further click: it is drawn anew while it runs.
    page.wait_for_selector("#live strong:text-is('incomplete')")
    page.wait_for_selector("#live .box li:text('page2')")
    person.looks("import")
    page.fill("[name=login]", "page2")
    page.fill("[name=password]", PASSWORD)
    page.click("button:text-is('Give a new password')")
    page.wait_for_selector("#live strong:text-is('complete')")
    page.click("a:text-is('page1')")
    page.wait_for_selector("td:text('onerror')")
    person.looks("mailbox")
    assert page.locator("img").count() == 0
    source, destination = servers
    for login in ("page1", "page2"):
        seen = [mail.snapshot(server.host, server.port, login, PASSWORD) for server in (source, destination)]
        assert seen[0] == seen[1]

    page.goto("/?lang=ru")
    page.wait_for_selector("h1:text-is('Импорты')")
    person.looks("imports-ru")
    page.goto("/new")
    assert page.locator("html").get_attribute("lang") == "ru"
    person.looks("new-ru")
    # The form that was refused answered 422, which a browser tells as an error; nothing else was.
    assert [line for line in person.trouble if "422" not in line] == []


def test_without_scripts_in_the_dark_on_a_narrow_screen(house: House, servers: Servers, browser: Any) -> None:
    _fill(servers, "page3", {"INBOX": 3})
    house.serve(**allowed(servers))
    house.crew()
    screen = {"width": 360, "height": 640}
    person = Person(browser, house, java_script_enabled=False, color_scheme="dark", viewport=screen)
    page = person.page
    person.signs_in()
    _opens(person, servers, f"page3,{PASSWORD}\n")
    page.click("button:text-is('Start')")
    for _ in range(600):
        page.click("a:text-is('Refresh')")
        if page.locator("#live strong:text-is('complete')").count():
            break
    assert page.locator("#live strong").first.inner_text() == "complete"
    person.looks("import-dark-narrow")
    page.click("button:has-text('Sign out')")
    page.goto("/")
    assert page.url.endswith("/sign-in")


def test_dark_and_narrow_pages_are_accessible_and_do_not_scroll_sideways(
    house: House, servers: Servers, browser: Any
) -> None:
    house.serve(**allowed(servers))
    person = Person(browser, house, color_scheme="dark", viewport={"width": 360, "height": 640})
    person.signs_in()
    _opens(person, servers, f"{'a-very-long-login-' * 8}@example.org,x\n")
    person.page.wait_for_selector("#live")
    person.looks("opening-dark-narrow")
    assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_pause_is_seen_by_two_at_once(house: House, servers: Servers, browser: Any, fault_proxy: Any) -> None:
    _fill(servers, "page4", {"INBOX": 400})
    slow = fault_proxy(servers[1].host, servers[1].port, delay_ms=20)
    ports = f"{servers[0].port},{slow.port}"
    house.serve(**allowed(servers) | {"MAILHAUL_WEB_PORTS": ports, "MAILHAUL_GROUP_MESSAGES": "1"})
    house.crew()
    one, other = Person(browser, house), Person(browser, house)
    one.signs_in()
    other.signs_in("viewer")
    _opens(one, servers, f"page4,{PASSWORD}\n", destination_port=slow.port)
    one.page.click("button:text-is('Start')")
    other.page.goto(one.page.url)
    bar = other.page.locator("#live progress")
    await_ready(lambda: 0 < bar.evaluate("bar => bar.value") < 1, 30, "live progress")
    one.page.goto(one.page.url)
    one.page.click("button:text-is('Pause')")
    other.page.wait_for_selector("#live strong:text-is('paused')")
    other.page.goto(one.page.url)
    other.page.click("button:text-is('Resume')")
    other.page.wait_for_selector("[role=alert]:text('operator')")  # who may only look cannot act
    one.page.click("button:text-is('Resume')")
    one.page.wait_for_selector("#live strong:text-is('complete')")


def test_a_session_ends_here_and_with_its_token(house: House, browser: Any) -> None:
    house.serve()
    person = Person(browser, house)
    person.signs_in()
    (cookie,) = [one for one in person.context.cookies() if one["name"] == "mailhaul"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
    person.page.click("button:has-text('Sign out')")
    person.context.add_cookies([cookie])  # as a thief would
    person.page.goto("/")
    assert person.page.url.endswith("/sign-in")
    person.signs_in()
    for bearer in house.desk.tokens():
        house.desk.revoke(bearer.token_id)
    person.page.goto("/")
    assert person.page.url.endswith("/sign-in")
