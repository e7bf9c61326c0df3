"""Tests the top of an import's page: one sentence, one next step, one bar; and where a screen puts what went wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests import mail
from tests.servers.dovecot import Dovecot
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, _fill, _opens, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
_BLUE = "all => all.filter(one => one.offsetParent).map(one => one.textContent.trim())"


@pytest.mark.parametrize(
    ("language", "ready", "waits", "complete", "give"),
    [
        (
            "en",
            "2 mailboxes are ready to start.",
            "1 mailbox waits for a password: give it.",
            "2 mailboxes are complete",
            "Give new passwords",
        ),
        (
            "ru",
            "2 ящика готовы к запуску.",
            "1 ящик ждёт пароля: задайте его.",
            "2 ящика готовы: скопированы",
            "Задать новые пароли",
        ),
    ],
)
def test_one_sentence_and_one_next_step_stand_on_top(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    language: str,
    ready: str,
    waits: str,
    complete: str,
    give: str,
) -> None:
    for login in ("top1", "top2"):
        _fill(servers, f"{login}{language}", {"INBOX": 3})
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, locale=language, viewport={"width": 1440, "height": 900})
    page = person.page
    person.signs_in()
    _opens(person, servers, f"top1{language},{PASSWORD}\ntop2{language},wrong\n")
    page.wait_for_selector(f".says:text-is('{ready}')")
    blue = page.locator("main .main")
    assert blue.count() == 1, "blue is for the one thing to do next"
    person.looks(f"state-ready-{language}")
    # Cancel stands apart, at the right, in red.
    danger, start = page.locator(".actions .danger").bounding_box(), blue.bounding_box()
    assert danger["x"] > start["x"] + 600
    assert danger["height"] == start["height"]
    web_server.crew()
    blue.click()
    page.wait_for_selector(f".says:text-is('{waits}')")
    page.wait_for_selector("#live h1 .state.incomplete")
    assert page.eval_on_selector_all("main .main", _BLUE) == [give]
    assert page.locator(".legend .dot.parked").count() == 1
    # Nothing of zero is shown.
    assert "0" not in [text.split()[-1] for text in page.locator(".outcomes li").all_inner_texts()]
    assert page.locator(".boxes th:has-text('Failed'), .boxes th:has-text('Не удалось')").count() == 0
    # The tab says it too.
    page.wait_for_function("document.querySelector('#icon').getAttribute('href') === '/static/icon-bad.svg'")
    assert page.title() == f"{page.inner_text('#live h1 .state')} · office · mailhaul"
    # A wide screen has it beside the table, a narrow one before it.
    assert page.locator(".beside").bounding_box()["x"] > page.locator(".middle").bounding_box()["x"] + 600
    page.set_viewport_size({"width": 390, "height": 844})
    assert page.locator(".trouble").bounding_box()["y"] < page.locator(".boxes").bounding_box()["y"]
    person.looks(f"state-phone-{language}")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.click("main .main")
    page.fill("[name=row_password] >> nth=0", PASSWORD)
    page.click("main button.main")
    page.wait_for_selector(f".says:has-text('{complete}')")
    page.wait_for_selector(".thin rect.complete >> nth=1", state="attached")
    page.wait_for_selector(".speed rect title", state="attached")
    person.looks(f"state-complete-{language}")
    assert person.trouble == []


def test_a_live_page_does_not_jump(web_server: WebServer, servers: Servers, browser: Any) -> None:  # noqa: F811
    """Watches layout shifts of an import that is started, copies, and has trouble, as Chromium counts them."""
    source = servers[0]
    logins = [f"calm{number}" for number in range(6)]
    for login in logins:
        for server in servers:
            server.add_user(login, PASSWORD)
        mail.populate(source.host, source.port, login, PASSWORD, mail.make_mailbox(1, {"INBOX": 40, "Sent": 20}))
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, viewport={"width": 1280, "height": 900})
    page = person.page
    person.signs_in()
    sheet = "".join(f"{login},{PASSWORD if login != 'calm5' else 'wrong'}\n" for login in logins)
    _opens(person, servers, sheet, do="start")
    page.wait_for_selector(".says")
    page.evaluate(
        """() => { window.shift = 0; window.moved = []; new PerformanceObserver(list => { for (const one of list.getEntries())
        if (!one.hadRecentInput) { window.shift += one.value; window.moved.push([one.value, ...one.sources.map(from => [
        (from.node?.outerHTML ?? from.node?.data ?? "").slice(0, 80), from.previousRect.y, from.currentRect.y])]) }
        }).observe({ type: "layout-shift", buffered: false }) }"""
    )
    web_server.crew()
    page.wait_for_selector("#live h1 .state.incomplete")
    page.wait_for_selector(".says:has-text('waits for a password')")
    page.wait_for_timeout(2500)  # a shift is counted when it is painted
    assert page.evaluate("window.shift") <= 0.02, page.evaluate("window.moved")
    assert person.trouble == []
