"""Tests the page in a real browser with real servers: all steps, without scripts, in both languages, hostile names."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from producer.web.security.scrypt import hashed
from shared.store.records.principals import role_of
from shared.store.redis import keys
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.identity import CLIENT, CLIENT_SECRET, IdentityProvider
from tests.servers.process import await_ready, end
from tests.web.conftest import PASSWORD, WebServer, allowed

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
    """A user at a browser. Every page is checked with axe and for scripts that were refused."""

    def __init__(self, browser: Any, web_server: WebServer, **options: Any) -> None:
        self.context = browser.new_context(base_url=f"http://127.0.0.1:{web_server.port}", **options)
        self.page = self.context.new_page()
        self.page.set_default_timeout(180_000)
        self.scripts = options.get("java_script_enabled", True)
        self.trouble: list[str] = []
        self.page.on("dialog", lambda dialog: (self.trouble.append("dialog"), dialog.dismiss()))
        self.page.on("console", lambda line: self.trouble.append(line.text) if line.type == "error" else None)
        self._house = web_server
        self._clicks = self.page.click
        self.page.click = self._clicks_and_waits

    def _clicks_and_waits(self, *what: Any, **options: Any) -> None:
        """Clicks, and waits for the whole of the page that this leads to: what follows may count what stands there."""
        self._clicks(*what, **options)
        if not options.get("no_wait_after"):
            self.page.wait_for_load_state()

    def signs_in(self, role: str = "operator") -> None:
        _, token = self._house.principals.make_token("a person", role_of(role))
        self.page.goto("/")
        self.looks()
        self.page.fill("[name=token]", token)
        self.page.click("main button")
        self.page.wait_for_selector("h1")

    def looks(self, name: str = "") -> None:
        if name and (folder := os.environ.get("MAILHAUL_TEST_SCREENSHOTS")):
            self.page.screenshot(path=str(Path(folder) / f"{name}.png"), full_page=True)
        if self.scripts:
            self.page.wait_for_load_state()  # axe finds no landmarks in a document that is not complete
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
    """Fills in the form with private servers, and sends it."""
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


def test_from_a_file_to_the_end_with_a_wrong_password_mended(
    web_server: WebServer, servers: Servers, browser: Any, tmp_path: Path
) -> None:
    _fill(servers, "page1", {"INBOX": 5, HOSTILE: 2})
    _fill(servers, "page2", {"INBOX": 3})
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    person.looks("imports-empty")

    # A file that does not describe itself: no header, three columns, semicolons, a Windows code page.
    file = tmp_path / "list.csv"
    file.write_bytes(f"Анна;page1;{PASSWORD}\nПётр;page2;\n".encode("cp1251"))
    page.goto("/new")
    page.set_input_files("[name=file]", file)
    page.click("button:text-is('Look it over')")
    page.wait_for_selector(".preview")
    assert page.input_value("[name=separator]") == "semicolon"
    assert "page1" not in page.inner_text(".preview")  # it is not known yet which column holds passwords
    for at, what in enumerate(("first_name", "login", "password")):
        page.locator("[name=column]").nth(at).select_option(what)
    page.click("button:text-is('Read it again')")
    page.wait_for_selector("td:text('Анна')")
    page.wait_for_selector("tr.bad:has-text('page2') td:text('is missing')")
    assert PASSWORD not in page.content()
    person.looks("new")

    _opens(person, servers, f"page1,{PASSWORD}\npage2,wrong\n")
    page.wait_for_selector("#live h1 .state.opening")
    person.looks("import-opening")
    page.click("button:text-is('Rehearse')")
    page.wait_for_selector(".state.done")
    page.wait_for_selector("td:text('onerror'), th:text('onerror')")
    person.looks("rehearsal")
    page.click("a:text-is('Back')")
    page.click("button:text-is('Check the accounts')")
    page.wait_for_selector("td strong.bad:text('authentication failed')")
    person.looks("check")
    page.click("button:text-is('Start the import')")
    # Without another click: the page is redrawn while the import runs.
    page.wait_for_selector("#live .state.incomplete")
    page.wait_for_selector("#live .box li:text('page2')")
    person.looks("import")
    page.click("#live .box a:text-is('Give new passwords')")
    page.fill("[name=row_password]", PASSWORD)
    person.looks("mend")
    page.click("main form button")
    page.wait_for_selector("#live h1 .state.complete")
    person.looks("import-complete")
    page.click("a:text-is('page1')")
    page.wait_for_selector("th:text('onerror')")
    person.looks("mailbox")
    assert page.locator("img").count() == 0
    source, destination = servers
    for login in ("page1", "page2"):
        seen = [mail.snapshot(server.host, server.port, login, PASSWORD) for server in (source, destination)]
        assert seen[0] == seen[1]

    page.goto("/?lang=ru")
    page.wait_for_selector("h1:text-is('Импорты')")
    person.looks("imports-ru")
    page.click("tbody a")
    person.looks("import-ru")
    page.goto("/new")
    assert page.locator("html").get_attribute("lang") == "ru"
    person.looks("new-ru")
    assert person.trouble == []


def test_rows_that_are_right_go_first_and_the_others_later(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    _fill(servers, "good1", {"INBOX": 2})
    _fill(servers, "good2", {"INBOX": 2})
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    # Rows pasted from a spreadsheet, which are separated by tabs.
    _opens(person, servers, f"login\tpassword\ngood1\t{PASSWORD}\ngood2\t\n", do="start")
    page.wait_for_selector("[role=alert]:has-text('some rows are wrong')")
    person.looks("new-refused")
    page.check("[name=good]")
    # The server still has the list, although it was not sent again; and it never went back to the browser.
    assert page.input_value("[name=sheet]") == ""
    assert PASSWORD not in page.content()
    page.click("button:text-is('Start the import')")
    page.wait_for_selector("#live h1 .state.complete")
    page.click("a:text-is('Add mailboxes')")
    page.fill("[name=row_login] >> nth=0", "good2")
    page.fill("[name=row_password] >> nth=0", PASSWORD)
    page.click("button:text-is('Look it over')")
    page.wait_for_selector("[name=row_login][value=good2]")
    person.looks("more")
    page.click("button:text-is('Add mailboxes')")
    page.wait_for_selector("#live tr:has-text('good2') .state.complete")
    assert [line for line in person.trouble if "422" not in line] == []


def test_what_was_given_is_kept_for_its_giver_alone(web_server: WebServer, servers: Servers, browser: Any) -> None:
    web_server.serve(**allowed(servers))
    one, other = Person(browser, web_server), Person(browser, web_server)
    one.signs_in()
    other.signs_in()
    _opens(one, servers, f"page1,{PASSWORD}\n", do="preview")
    there, redis = one.page.url, web_server.store._redis
    at_rest = [redis.get(key) for key in redis.scan_iter(keys.draft("*"))]
    assert len(at_rest) == 2  # the form, and its list
    assert not [one for one in at_rest if PASSWORD.encode() in one]
    for person, seen in ((one, 1), (other, 0)):
        person.page.goto(there)
        person.page.wait_for_selector("h1")
        assert person.page.locator("td:text-is('page1')").count() == seen


def test_the_connection_is_tested_step_by_step(web_server: WebServer, servers: Servers, browser: Any) -> None:
    _fill(servers, "step1", {"INBOX": 1})
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    _opens(person, servers, f"step1,{PASSWORD}\n", do="test_source")
    page.wait_for_selector(".steps")
    assert page.locator(".steps tr.good").count() == 5
    assert "IMAP4rev1" in page.inner_text(".steps tr:has-text('Capabilities')")
    person.looks("tested")
    page.select_option("[name=destination_tls]", "starttls")
    page.click("button[value=test_destination]")
    page.wait_for_selector("#destination .steps tr.bad:has-text('certificate')")
    assert "fingerprint" in page.inner_text("#destination .steps tr.bad")
    # One click accepts the certificate whose fingerprint stands beside it, and tries again.
    shown = page.inner_text("#destination .steps code.pin").removeprefix("SHA-256 ")
    page.click("button:text-is('Accept this certificate')")
    page.wait_for_selector("#destination .steps tr.good:has-text('Encryption')")
    assert page.input_value("[name=destination_fingerprint]") == shown
    assert len(shown) == 64
    # A server that may not be reached is not connected to.
    page.fill("[name=source_host]", "169.254.169.254")
    page.select_option("[name=source_tls]", "tls")
    page.click("button[value=test_source]")
    page.wait_for_selector("[role=alert]:has-text('not public')")
    # A provider's fields come from its preset, and its instructions for the first step are shown.
    page.goto("/new")
    page.select_option("[name=source_provider]", "mailru")
    page.wait_for_selector("#source .hint:has-text('external application')")
    assert (page.input_value("[name=source_host]"), page.input_value("[name=source_port]")) == ("imap.mail.ru", "993")
    person.looks("new-provider")


def test_without_scripts_in_the_dark_on_a_narrow_screen(web_server: WebServer, servers: Servers, browser: Any) -> None:
    _fill(servers, "page3", {"INBOX": 3})
    web_server.serve(**allowed(servers))
    web_server.crew()
    screen = {"width": 320, "height": 640}
    person = Person(browser, web_server, java_script_enabled=False, color_scheme="dark", viewport=screen)
    page = person.page
    person.signs_in()
    page.goto("/new")
    page.select_option("[name=source_provider]", "gmail")
    page.click("#source button:text-is('Fill in')")
    assert page.input_value("[name=source_host]") == "imap.gmail.com"
    _opens(person, servers, f"page3,{PASSWORD}\n", do="preview")
    page.wait_for_selector("td:text-is('page3')")
    page.click("button:text-is('Start the import')")

    def complete() -> bool:
        page.click("a:text-is('Refresh')")
        return bool(page.locator("#live h1 .state.complete").count())

    await_ready(complete, 180, "the end")
    assert page.locator("#live h1 .state").inner_text() == "complete"
    person.looks("import-dark-narrow")
    page.click("button:has-text('Sign out')")
    page.goto("/")
    assert page.url.endswith("/sign-in")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_narrow_pages_are_accessible_and_do_not_scroll_sideways(
    web_server: WebServer, servers: Servers, browser: Any, scheme: str
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, color_scheme=scheme, viewport={"width": 320, "height": 640})
    page = person.page

    def fits(name: str) -> None:
        person.looks(f"{name}-{scheme}-narrow")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), page.url

    page.goto("/sign-in")
    fits("sign-in")
    person.signs_in()
    fits("imports-empty")
    sheet = f"{'a-very-long-login-' * 8}@example.org,x,{'the-new-one-' * 9},y\nb,,c,\n"
    _opens(person, servers, sheet, do="test_source")
    fits("new")
    page.check("[name=good]")
    page.click("button:text-is('Save, start later')")
    page.wait_for_selector("#live")
    fits("opening")
    for there in ("/add", "/credentials"):
        page.goto(page.url.partition("?")[0].removesuffix("/add") + there)
        fits(f"import{there.replace('/', '-')}")
    page.goto("/")
    fits("imports")
    page.click("tbody a")
    page.click(".boxes tbody a")
    fits("mailbox")


def test_the_whole_way_by_keyboard(web_server: WebServer, servers: Servers, browser: Any) -> None:
    _fill(servers, "keys1", {"INBOX": 2})
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = Person(browser, web_server)
    page, keyboard = person.page, person.page.keyboard
    _, token = web_server.principals.make_token("a person", role_of("operator"))

    def reach(what: str) -> None:
        """Moves the focus to the element with Tab alone. The focus must be visible."""
        for _ in range(120):
            keyboard.press("Tab")
            if page.evaluate("what => document.activeElement.matches(what)", what):
                outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
                assert outline != "none", what
                return
        raise AssertionError(f"{what} is not reached")

    page.goto("/sign-in")
    reach("[name=token]") if page.evaluate("document.activeElement.name") != "token" else None
    keyboard.type(token)
    keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('Imports')")
    reach("a[href='/new']")
    keyboard.press("Enter")
    page.wait_for_selector("h1:text-is('New import')")
    for side, server in zip(("source", "destination"), servers, strict=True):
        reach(f"[name={side}_tls]")
        keyboard.type("none")
        reach(f"[name={side}_host]")
        keyboard.type("127.0.0.1")
        reach(f"[name={side}_port]")
        keyboard.type(str(server.port))
    reach("[name=row_login]")
    keyboard.type("keys1")
    keyboard.press("Tab")
    keyboard.type(PASSWORD)
    reach("[name=name]")
    keyboard.type("by keyboard")
    reach("button[value=start]")
    keyboard.press("Enter")
    page.wait_for_selector("#live h1 .state.complete")
    reach(".boxes tbody a")
    keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('keys1')")
    assert person.trouble == []


def test_live_progress_pause_and_resume_are_seen_by_two_at_once(
    web_server: WebServer, servers: Servers, browser: Any, fault_proxy: Any
) -> None:
    _fill(servers, "page4", {"INBOX": 1500})  # so many that the import still runs when the slowest check looks
    slow = fault_proxy(servers[1].host, servers[1].port, delay_ms=60)
    ports = f"{servers[0].port},{slow.port}"
    web_server.serve(**allowed(servers) | {"MAILHAUL_WEB_PORTS": ports, "MAILHAUL_GROUP_MESSAGES": "1"})
    web_server.crew()
    one, other = Person(browser, web_server), Person(browser, web_server)
    one.signs_in()
    other.signs_in("viewer")
    other.page.goto("/new")  # a viewer cannot act
    other.page.wait_for_selector("[role=alert]:text('operator')")
    _opens(one, servers, f"page4,{PASSWORD}\n", destination_port=slow.port, do="start")
    other.page.goto(one.page.url)
    other.page.evaluate(
        """() => { window.moved = 0; new PerformanceObserver(list => list.getEntries().forEach(
        entry => { if (!entry.hadRecentInput) window.moved += entry.value })).observe({type: 'layout-shift', buffered: true}) }"""
    )
    bar = other.page.locator("#live .numbers progress")
    await_ready(lambda: 0 < bar.evaluate("bar => bar.value") < 1, 180, "live progress")
    seen = bar.evaluate("bar => bar.value")
    await_ready(lambda: bar.evaluate("bar => bar.value") > seen, 180, "progress that moves")
    other.looks("import-running")
    one.page.click("button:text-is('Pause')")
    other.page.wait_for_selector("#live h1 .state.paused")
    assert other.page.locator("button:text-is('Resume')").count() == 0
    one.context.close()  # closing the browser changes nothing
    third = Person(browser, web_server)
    third.signs_in()
    third.page.goto(other.page.url)
    slow.delay_seconds = 0.0
    third.page.click("button:text-is('Resume')")
    for person in (other, third):
        person.page.wait_for_selector("#live h1 .state.complete")
    # Google calls a page steady below 0.1.
    assert other.page.evaluate("window.moved") < 0.1


@pytest.mark.parametrize("told", [True, False])
def test_who_loses_the_server_is_told_since_when_and_goes_on(
    web_server: WebServer, servers: Servers, browser: Any, told: bool
) -> None:
    """Ends the web process while an import's page and the list of imports are open. The control has no script for it."""
    login = f"told-{told}"
    _fill(servers, login, {"INBOX": 1})
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    if not told:
        person.context.route("**/static/lost.js", lambda route: route.abort())
    page = person.page
    person.signs_in()
    _opens(person, servers, f"{login},{PASSWORD}\n")
    page.wait_for_selector("#live h1 .state.opening")
    overview = person.context.new_page()  # another page, which requests updates every few seconds
    overview.goto("/")
    overview.wait_for_selector("#imports td")
    assert page.locator("#lost").is_hidden()
    failed: list[Any] = []
    page.on("requestfailed", lambda request: failed.append(request))
    end(web_server._processes[-1])
    if told:
        for one in (page, overview):
            one.wait_for_selector("#lost:visible")
        assert "No connection to mailhaul since " in page.inner_text("#lost")
        assert re.search(r"\d:\d\d", page.inner_text("#lost time"))
        person.looks("no-connection")
    else:
        while not failed:
            page.wait_for_event("requestfailed")
        assert page.locator("#lost").is_hidden()
        return
    web_server.start("producer.web")
    for one in (page, overview):
        one.wait_for_selector("#lost", state="hidden")
    page.wait_for_selector("#live h1 .state.opening")


def test_a_session_ends_here_and_with_its_token(web_server: WebServer, browser: Any) -> None:
    web_server.serve()
    person = Person(browser, web_server)
    person.signs_in()
    (cookie,) = [one for one in person.context.cookies() if one["name"] == "mailhaul"]
    assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Lax")
    person.page.click("button:has-text('Sign out')")
    person.context.add_cookies([cookie])  # as a thief would
    person.page.goto("/")
    assert person.page.url.endswith("/sign-in")
    person.signs_in()
    for bearer in web_server.principals.tokens():
        web_server.principals.revoke(bearer.token_id)
    person.page.goto("/")
    assert person.page.url.endswith("/sign-in")


def test_who_is_signed_out_while_looking_is_told_so_and_comes_back(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    _fill(servers, "page9", {"INBOX": 1})
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    _opens(person, servers, f"page9,{PASSWORD}\n")
    page.wait_for_selector("#live h1 .state.opening")
    where = page.url
    overview = person.context.new_page()  # another page, which requests updates every few seconds
    overview.goto("/")
    overview.wait_for_selector("#imports td")
    for token in web_server.principals.tokens():
        web_server.principals.revoke(token.token_id)
    page.wait_for_selector("[role=alert]:text('the import goes on without you')")
    person.looks("signed-out")
    overview.wait_for_url("**/sign-in**")
    page.click("a:text-is('Sign in')")
    _, token = web_server.principals.make_token("a person", role_of("operator"))
    page.fill("[name=token]", token)
    page.click("main button")
    page.wait_for_selector("#live h1 .state.opening")
    assert page.url == where
    assert person.trouble == []


def test_the_identity_provider_of_another_site_signs_a_browser_in(web_server: WebServer, browser: Any) -> None:
    with IdentityProvider() as provider:
        web_server.serve(
            MAILHAUL_WEB_OIDC_ISSUER=provider.url,
            MAILHAUL_WEB_OIDC_CLIENT_ID=CLIENT,
            MAILHAUL_WEB_OIDC_CLIENT_SECRET=CLIENT_SECRET,
            MAILHAUL_WEB_ROLES="*=operator",
        )
        web_server.principals.set_user("anna", role_of("admin"), hashed(PASSWORD))
        person = Person(browser, web_server)
        page = person.page
        page.goto(f"http://localhost:{web_server.port}/new")  # another site than that of the provider, 127.0.0.1
        person.looks("sign-in")
        page.click("a:has-text('Sign in with 127.0.0.1')")
        page.wait_for_selector("h1:text-is('New import')")
        page.click("button:has-text('Sign out (anna@corp.example)')")
        page.fill("[name=name]", "anna")
        page.fill("[name=password]", PASSWORD)
        page.keyboard.press("Enter")
        page.wait_for_selector("h1:text-is('Imports')")
        assert person.trouble == []
