"""`python -m tests.web.pictures`: makes the pictures of README.md and docs/web.md.

They show a real page with real workers and real servers, in chromium. Only the addresses and ports of the servers are
replaced by names.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from playwright.sync_api import sync_playwright

from shared.store.records.principals import role_of
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.servers.proxy import FaultProxy
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer, allowed

FOLDER = Path(__file__).parents[2] / "docs" / "pictures"
WIDTH, HEIGHT = 1200, 820
PASSWORD = "a-sample-password"
PEOPLE = ("anna", "boris", "chiara", "daniel", "elena", "farid", "greta", "hugo", "irina", "jonas")
_NAMED = """names => {
  const put = text => names.reduce((all, [from, to]) => all.split(from).join(to), text);
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) walk.currentNode.data = put(walk.currentNode.data);
  for (const side of ['source', 'destination'])
    for (const name of ['host', 'port', 'tls'])
      for (const field of document.getElementsByName(`${side}_${name}`))
        field.value = {host: side === 'source' ? 'imap.old.example' : 'imap.new.example', port: '993', tls: 'tls'}[name];
}"""


class Camera:
    """A page of which pictures are taken."""

    def __init__(self, page: Any, names: list[tuple[str, str]]) -> None:
        self._page, self._names = page, names

    def take(self, name: str, *, to: str = "") -> None:
        """Saves a picture of the visible part of the page: its top, or the part from the element `to` on."""
        self._page.evaluate(_NAMED, self._names)
        if to:
            self._page.locator(to).first.evaluate(
                "element => scrollTo(0, element.getBoundingClientRect().top + scrollY - 12)"
            )
        else:
            self._page.evaluate("scrollTo(0, 0)")
        path = FOLDER / f"{name}.png"
        self._page.screenshot(path=str(path))
        if pngquant := shutil.which("pngquant"):
            subprocess.run([pngquant, "--force", "--ext", ".png", "64", str(path)], check=True)
        print(f"{path.name}: {path.stat().st_size // 1000} kB")


def main() -> int:
    """Makes all pictures. Returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        source, destination = (stack.enter_context(Dovecot(mail_format="sdbox")) for _ in range(2))
        for number, login in enumerate(PEOPLE):
            name = f"{login}@example.org"
            for server in (source, destination):
                server.add_user(name, PASSWORD)
            folders = {"INBOX": 160 + 17 * number % 90, "Sent": 50 + 5 * number, "Projects": 45 + 11 * number % 40}
            mail.populate(source.host, source.port, name, PASSWORD, mail.make_mailbox(number, folders, size=20_000))
        slow = stack.enter_context(FaultProxy(destination.host, destination.port, delay_ms=60))
        web_server = WebServer(
            stack.enter_context(RedisServer()), Path(stack.enter_context(tempfile.TemporaryDirectory()))
        )
        stack.callback(web_server.close)
        ports = f"{source.port},{slow.port}"
        web_server.serve(
            **allowed((source, destination)) | {"MAILHAUL_WEB_PORTS": ports, "MAILHAUL_GROUP_MESSAGES": "2"}
        )
        names = [
            (f"127.0.0.1:{source.port}", "imap.old.example"),
            (f"127.0.0.1:{slow.port}", "imap.new.example"),
            ("imap://", "imaps://"),
            ("127.0.0.1", "imap.old.example"),
        ]
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        stack.callback(browser.close)

        def person(**options: Any) -> Any:
            context = browser.new_context(
                base_url=f"http://127.0.0.1:{web_server.port}", viewport={"width": WIDTH, "height": HEIGHT}, **options
            )
            page = context.new_page()
            _, token = web_server.principals.make_token("Anna", role_of("operator"))
            page.goto("/sign-in")
            page.fill("[name=token]", token)
            page.click("main button")
            page.wait_for_selector("h1")
            return page

        _tell(person, names, source, slow, web_server)
    return 0


def _tell(
    person: Callable[..., Any], names: list[tuple[str, str]], source: Dovecot, slow: FaultProxy, web_server: WebServer
) -> None:
    page = person(locale="en")
    camera = Camera(page, names)
    _fill(page, source.port, slow.port)
    page.click("button[value=test_source]")
    page.wait_for_selector(".steps")
    camera.take("new-import")
    camera.take("mailboxes", to="#mailboxes")

    # These pages have no scripts, so nothing changes while names are replaced.
    still = person(locale="en", java_script_enabled=False)
    other = person(locale="ru", color_scheme="dark", java_script_enabled=False)
    _fill(page, source.port, slow.port)
    page.click("button[value=start]")
    page.wait_for_selector("#live h1")
    where = page.url
    web_server.crew()
    page.wait_for_selector("#live .box.bad")
    progress = page.locator("#live progress")
    await_ready(lambda: float(progress.get_attribute("value") or 0) > 0.3, 120, "a part of it")
    page.wait_for_selector("#live svg")
    other.goto(where)
    still.goto(where)
    Camera(still, names).take("import")
    Camera(other, names).take("import-ru-dark")
    page.wait_for_selector("#live .state.incomplete", timeout=240_000)
    page.click("#live .boxes tbody a >> nth=0")
    page.wait_for_selector("h1:has-text('anna')")
    camera.take("mailbox")


def _fill(page: Any, source_port: int, destination_port: int) -> None:
    page.goto("/new")
    for side, port in (("source", source_port), ("destination", destination_port)):
        page.select_option(f"[name={side}_tls]", "none")
        page.fill(f"[name={side}_host]", "127.0.0.1")
        page.fill(f"[name={side}_port]", str(port))
    page.fill("[name=name]", "Office")
    rows = [f"{login}@example.org,{PASSWORD if login != 'greta' else 'no-longer-this-one'}" for login in PEOPLE]
    page.fill("[name=sheet]", "login,password\n" + "\n".join(rows))


if __name__ == "__main__":
    os.chdir(FOLDER.parents[1])
    sys.exit(main())
