"""Tests all pages at once: each route has its states here; each is clean for axe in both schemes, and fits a phone.

The states are made in the store, without servers. `MAILHAUL_TEST_SCREENSHOTS=DIR` keeps a picture of each, in four sizes.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx2
import pytest
from fastapi import APIRouter

import producer.web.pages as pages
from shared.model import Account, Endpoint, Failure, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.lifecycle import Control, Outcome
from tests.contract.store_kit import copied, intent, other, plan_of
from tests.servers.process import await_ready
from tests.servers.redis_server import RedisServer
from tests.web.conftest import WebServer
from tests.web.test_page import Person, axe_api, browser  # noqa: F401 - a fixture

#: Routes that draw no page, and why.
NO_PAGE: Final = {
    "/imports/{import_id}/stream": "events",
    "/imports/{import_id}/report/{file}": "files; the one page is tested in test_report.py",
    "/imports/{import_id}/add/{form_id}/wrong-rows.csv": "a file",
    "/template.csv": "a file",
    "/wrong-rows/{draft}.csv": "a file",
    "/new/{form_id}/wrong-rows.csv": "a file",
    "/rehearsals/{rehearsal_id}.csv": "a file",
    "/admin/audit.csv": "a file",
    "/favicon.ico": "a picture",
    "/enter/{link}": "leads elsewhere",
    "/results/{result_id}": "what a form was answered with, on the form's own page; see test_page_posts.py",
    "/sent/{form_id}": "asks whether a form is to be sent again; see test_page_posts.py",
    "/oidc/begin": "leads elsewhere",
    "/oidc/back": "leads elsewhere",
    "/imports/{import_id}/cutovers/{event}": "needs a switch; see test_page_cutovers.py",
}
#: Pages at which a form that was begun is shown.
_FORMS: Final = {"/new/{form_id}", "/imports/{import_id}/add/{form_id}"}
#: What of axe depends on colours and widths.
_OF_LOOKS: Final = ["color-contrast", "target-size", "scrollable-region-focusable"]
_SIZES: Final = {"wide": (1440, 900), "laptop": (1280, 800), "phone": (390, 844), "small": (320, 640)}
_LONG: Final = "frau.dr.maria-magdalena.von-und-zu-hohenlohe-langenburg@mail.a-very-long-company-name.example"


@dataclass
class Scenes:
    """A server with imports in many states."""

    server: WebServer
    #: Route → the addresses at which it is looked at.
    paths: dict[str, list[str]] = field(default_factory=dict)

    def import_(self, name: str, logins: list[str], waves: int = 0) -> tuple[Import, list[Mailbox]]:
        """Opens an import from and to ports at which nobody listens."""
        source, destination = (Endpoint(host="127.0.0.1", port=port, tls=Tls.NONE) for port in (1, 2))
        whole = Import(
            import_id=import_id(name, source, destination), name=name, source=source, destination=destination
        )
        boxes = [
            Mailbox(
                mailbox_id=mailbox_id(whole.import_id, login, f"{name}-{login}"),
                import_id=whole.import_id,
                row=row,
                source=Account(endpoint=source, login=login),
                destination=Account(endpoint=destination, login=f"{name}-{login}" if row % 3 == 0 else login),
                wave=f"wave {row % waves}" if waves else "",
            )
            for row, login in enumerate(logins, start=2)
        ]
        self.server.store.open_import(whole, boxes, 14)
        return whole, boxes

    def plan(self, box: Mailbox, *, copy: int, refused: int = 0) -> None:
        """Plans a mailbox of two folders, and copies so many of its 12 batches."""
        store = self.server.store
        lease = store.claim("lane", prefer=box.mailbox_id)
        assert lease is not None
        spans = [(first, first + 99) for first in range(1, 600, 100)]
        plans = [(plan_of(lease.mailbox, name, *spans), order) for order, name in enumerate(("INBOX", "Entwürfe & Co"))]
        store.plan_folders(lease, plans)
        store.finish(lease)
        for number in range(copy):
            batch = store.claim("lane", prefer=lease.mailbox.mailbox_id)
            assert batch is not None
            word = f"{batch.term}.{number}"
            store.progress(batch, intents=[intent(word, batch.unit.uids)])
            uids = batch.unit.uids
            done = other(Outcome.REFUSED, uids, word) if number < refused else copied(uids, 1 + 1000 * number, word)
            store.progress(batch, settled=[done])
            store.finish(batch)
        store.leave("lane", lease.mailbox.mailbox_id)

    def park(self, code: str, sentence: str, how: str = "park") -> Mailbox:
        """Parks the next mailbox."""
        store = self.server.store
        lease = store.claim("lane")
        assert lease is not None
        detail = f"NO [AUTHENTICATIONFAILED] {lease.mailbox.source.login} <b>said</b> in the server's own words"
        store.release(lease, how=how, failure=Failure(code=code, sentence=sentence, detail=detail))
        store.leave("lane", lease.mailbox.mailbox_id)
        return lease.mailbox


def _staged(server: WebServer) -> Scenes:
    scenes = Scenes(server)
    store, paths = server.store, scenes.paths
    # Each import is brought to its state before the next begins, so that claims are of it.
    busy, boxes = scenes.import_("Office in Berlin", [f"person{n}@old.example" for n in range(14)] + [_LONG], waves=3)
    store.submit(busy.import_id)
    scenes.park("source_auth_refused", "authentication failed")
    parked = scenes.park("destination_over_quota", "the mailbox is full")
    scenes.park("source_unreachable", "cannot connect", how="again")
    for box in boxes[10:13]:
        scenes.plan(box, copy=4, refused=1)
    full = boxes[10]
    store.control(busy.import_id, None, Control.PAUSE)
    paused, _ = scenes.import_("Paused", ["anna@old.example"])
    store.submit(paused.import_id)
    store.control(paused.import_id, None, Control.PAUSE)
    many, _ = scenes.import_("Two pages", [f"person{n}@old.example" for n in range(52)])
    gone, _ = scenes.import_("Given up", ["anna@old.example", "bert@old.example"])
    store.submit(gone.import_id)
    store.control(gone.import_id, None, Control.CANCEL)
    ready, _ = scenes.import_(f"Ready {_LONG}", [_LONG, "boris@old.example"])
    store.control(busy.import_id, None, Control.RUN)
    there = f"/imports/{busy.import_id}"
    paths |= {
        "/": ["/"],
        "/imports/{import_id}": [
            *(f"/imports/{one.import_id}" for one in (busy, paused, gone, ready)),
            f"{there}?state=parked",
            f"{there}?text=nobody-at-all",
            f"/imports/{many.import_id}?order=messages&descending=true",
        ],
        "/imports/{import_id}/mailboxes/{mailbox_id}": [
            f"{there}/mailboxes/{full.mailbox_id}",
            f"{there}/mailboxes/{parked.mailbox_id}",
        ],
        "/imports/{import_id}/credentials": [f"{there}/credentials", f"/imports/{ready.import_id}/credentials"],
        "/imports/{import_id}/add": [f"{there}/add"],
        "/imports/{import_id}/cancel": [f"{there}/cancel"],
        "/imports/{import_id}/close": [f"/imports/{ready.import_id}/close"],
        "/imports/{import_id}/forget": [f"/imports/{gone.import_id}/forget"],
        "/imports/{import_id}/copy": [f"{there}/copy"],
        "/search": ["/search", "/search?text=person1", "/search?text=nobody-at-all"],
        "/providers": ["/providers"],
        "/new": ["/new"],
        "/targets": ["/targets"],
        "/sign-in": ["/sign-in"],
        "/api/v1/docs": ["/api/v1/docs"],
        **{
            f"/admin{one}": [f"/admin{one}"]
            for one in ("", "/limits", "/audit", "/doctor", "/erase", "/accounts", "/reach")
        },
    }
    return scenes


def _checked(scenes: Scenes) -> None:
    """Checks and rehearses an import of which neither server is there."""
    api = scenes.server.client("operator")
    servers = {"source": {"server": "imap://127.0.0.1:1"}, "destination": {"server": "imap://127.0.0.1:2"}}
    rows = f"login,password\n{_LONG},x\nboris@old.example,x\n"
    there = (
        f"/imports/{api.post('/imports', json={'name': 'Checked', 'manifest': rows, **servers}).json()['import']['id']}"
    )
    ran = [api.post(f"{there}/rehearsals", json={"kind": kind}).json()["id"] for kind in ("plan", "check")]
    for one in ran:
        await_ready(lambda one=one: api.get(f"/rehearsals/{one}").json()["state"] != "running", 180, "a rehearsal")
    scenes.paths["/rehearsals/{rehearsal_id}"] = [f"/rehearsals/{one}" for one in ran]
    scenes.paths["/imports/{import_id}"].append(there)


@pytest.fixture(scope="module")
def scenes() -> Iterator[Scenes]:
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="all-") as home:
        server = WebServer(redis, Path(home))
        found = _staged(server)
        try:
            server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1,2,993")
            _checked(found)
            yield found
        finally:
            server.close()


def _routes() -> set[str]:
    """Returns the paths of all pages that are read."""
    rooms = [room for room in vars(pages).values() if isinstance(getattr(room, "routes", None), APIRouter)]
    found = [route for room in rooms for route in room.routes.routes]
    return {route.path for route in found if "GET" in route.methods}


def test_every_page_has_its_states_here(scenes: Scenes) -> None:
    assert _routes() == set(NO_PAGE) | set(scenes.paths) | _FORMS


def _forms(page: Any, scenes: Scenes) -> list[str]:
    """Sends forms that are wrong in several ways, and returns the addresses at which their faults are shown."""
    shown = []
    there = scenes.paths["/imports/{import_id}/add"][0]
    for base, act in (("/new", "preview"), ("/new", "start"), (there, "preview")):
        page.goto(base)
        if base == "/new":
            page.fill("[name=source_host]", "")
            page.fill("[name=destination_host]", "10.1.2.3")
        page.fill("[name=sheet]", f"login,password,colour\nanna@old.example,,blue\n{_LONG},secret,red\n")
        page.locator(f"button[name=do][value={act}]").first.click()
        page.wait_for_load_state()
        shown.append(page.url)
    return shown


def test_all_pages_are_clean_in_both_schemes_and_fit_a_phone(scenes: Scenes, browser: Any) -> None:  # noqa: F811
    person = Person(browser, scenes.server, locale="en", viewport={"width": 1440, "height": 900})
    page = person.page
    person.signs_in("admin")
    forms = _forms(page, scenes)
    assert {re.sub(r"[0-9a-f]{16,}|[\w-]{20,}", "{}", httpx2.URL(one).path) for one in forms} == {
        "/new/{}",
        "/imports/{}/add/{}",
    }
    faults = []
    for number, path in enumerate([*forms, *(path for some in scenes.paths.values() for path in some)]):
        page.emulate_media(color_scheme="light")
        page.set_viewport_size({"width": 1440, "height": 900})
        answer = page.goto(path)
        assert answer is not None, path
        assert answer.status in (200, 422), path
        for scheme, width, only in (("light", 1440, []), ("dark", 320, _OF_LOOKS)):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": 800})
            options = {"runOnly": {"type": "rule", "values": only}} if only else {}
            found = axe_api.Axe().run(page, options=options)
            if found.violations_count:
                faults.append(f"{path} {scheme} {width}\n{found.generate_report()}")
            across = page.evaluate("document.documentElement.scrollWidth")
            if across > width:
                faults.append(f"{path} is {across} wide at {width}")
        _pictures(page, number, path)
    assert faults == [], "\n".join(faults)
    assert [line for line in person.trouble if "422" not in line] == []


def _pictures(page: Any, number: int, path: str) -> None:
    """Keeps pictures of the page in all sizes and both schemes, where somebody wants to look at them."""
    if not (folder := os.environ.get("MAILHAUL_TEST_SCREENSHOTS")):
        return
    name = re.sub(r"[^a-z0-9]+", "-", httpx2.URL(path).raw_path.decode())[-40:]
    for size, (width, height) in _SIZES.items():
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.set_viewport_size({"width": width, "height": height})
            page.screenshot(path=str(Path(folder) / f"{number:02}{name}-{size}-{scheme}.png"), full_page=True)
