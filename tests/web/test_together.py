"""Tests two administrators who act at the same time, and an import whose browser was closed."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

from producer.web.security import scrypt
from shared.model.lifecycle import ImportState
from shared.store.records.principals import Role
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_page import Person, _fill, browser  # noqa: F401 - a fixture
from tests.web.test_signing_in import GOOD, Browser

Servers = tuple[Dovecot, Dovecot]


def _two(web_server: WebServer) -> list[Browser]:
    found = []
    for name in ("anna", "berta"):
        web_server.principals.set_user(name, Role.OPERATOR, scrypt.hashed(GOOD))
        found.append(Browser(web_server))
        assert found[-1].signs_in(name, GOOD).status_code == 303
    return found


def _at_once(people: list[Browser], path: str, **data: str) -> set[int]:
    """Sends the same request for each of them at the same moment. Returns the statuses."""
    gate = Barrier(len(people))

    def send(one: Browser) -> int:
        gate.wait(180)
        return one.post(path, data=data).status_code

    with ThreadPoolExecutor(len(people)) as pool:
        return set(pool.map(send, people))


def test_two_who_do_the_same_at_once_have_done_it_once(web_server: WebServer, servers: Servers) -> None:
    _fill(servers, "both1", {"INBOX": 4})
    for server in servers:
        server.add_user("both2", PASSWORD)
    web_server.serve(**allowed(servers))
    people = _two(web_server)
    body = {"name": "both", "manifest": f"login,password\nboth1,{PASSWORD}\nboth2,wrong\n", **ends(servers)}
    import_id = web_server.client().post("/imports", json=body).json()["import"]["id"]
    there = f"/imports/{import_id}"

    assert _at_once(people, f"{there}/start") == {303}
    assert _at_once(people, f"{there}/pause") == {303}
    assert _at_once(people, f"{there}/resume") == {303}
    web_server.crew()
    await_ready(lambda: web_server.store.import_(import_id).state is ImportState.FINISHED, 180, "the end")  # type: ignore[union-attr]
    seen = [one.get(there).text for one in people]
    assert all("both2" in text and "incomplete" in text for text in seen)
    rows = {"row_login": "both2", "row_password": PASSWORD}
    assert _at_once(people, f"{there}/credentials", do="give", **rows) == {303}
    await_ready(lambda: "complete" in web_server.page(there).split("</h1>")[0].split("<h1>")[1], 180, "the whole of it")
    assert mail.snapshot(servers[1].host, servers[1].port, "both1", PASSWORD).total() == 4
    done = [
        (entry["who"].split(" ")[0], entry["what"]) for entry in web_server.records.audit() if "import" in entry["what"]
    ]
    for what in ("import started", "import pause", "import run"):
        assert {who for who, did in done if did == what} == {"anna", "berta"}, done


def test_a_browser_that_is_closed_at_any_moment_changes_nothing(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    for login in ("shut1", "shut2"):
        _fill(servers, login, {"INBOX": 30})
    web_server.serve(**allowed(servers) | {"MAILHAUL_GROUP_MESSAGES": "1"})

    def fills(name: str, login: str) -> Person:
        person = Person(browser, web_server)
        person.signs_in()
        page = person.page
        page.goto("/new")
        for side, server in zip(("source", "destination"), servers, strict=True):
            page.select_option(f"[name={side}_tls]", "none")
            page.fill(f"[name={side}_host]", "127.0.0.1")
            page.fill(f"[name={side}_port]", str(server.port))
        page.fill("[name=name]", name)
        page.fill("[name=sheet]", f"{login},{PASSWORD}\n")
        return person

    looked = fills("looked over", "shut1")
    looked.page.click("button:text-is('Look it over')")
    looked.page.wait_for_selector(".preview")
    looked.context.close()
    assert web_server.store.imports() == []

    started = fills("started", "shut1")
    started.page.click("button[value=start]", no_wait_after=True)
    await_ready(lambda: bool(web_server.store.imports()), 180, "the import")
    started.context.close()  # whether the answer has come or not
    await_ready(lambda: [one.state for one in web_server.store.imports()] == [ImportState.RUNNING], 180, "its start")

    watched = fills("watched", "shut2")
    watched.page.click("button[value=start]")
    web_server.crew()
    watched.page.wait_for_selector("#live progress:not([value='0'])")
    watched.context.close()  # while the import runs
    await_ready(
        lambda: {one.state for one in web_server.store.imports()} == {ImportState.FINISHED}, 60, "the end of both"
    )
    for login in ("shut1", "shut2"):
        wanted, found = (mail.snapshot(server.host, server.port, login, PASSWORD) for server in servers)
        assert found == wanted
    assert len(web_server.store.imports()) == 2
