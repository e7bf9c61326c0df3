"""Tests that times are shown in the browser's zone, and relative ones with the exact one at hand; UTC without scripts."""

from __future__ import annotations

from datetime import datetime, timedelta
from time import time
from typing import Any

import pytest

from producer.translations.translate import Translator
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, _fill, _opens, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
#: A script that counts drawn frames, and times in UTC that were seen in them.
_WATCH = """() => { window.drawn = 0; window.late = 0; const look = () => { window.drawn += 1;
    for (const one of document.querySelectorAll("time")) if (one.textContent.includes("UTC")) window.late += 1;
    requestAnimationFrame(look) }; requestAnimationFrame(look) }"""


def _times(person: Person) -> list[list[str]]:
    person.page.wait_for_selector(".timeline time")
    found: list[list[str]] = person.page.eval_on_selector_all(
        "time", "all => all.map(one => [one.dateTime, one.title, one.textContent, one.dataset.shown])"
    )
    assert found
    return found


@pytest.mark.parametrize(("locale", "form"), [("ru", "%H:%M"), ("en-US", "%-I:%M")])
def test_they_stand_in_the_browsers_zone_also_after_a_swap(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    locale: str,
    form: str,
) -> None:
    _fill(servers, f"clock-{locale}", {"INBOX": 40})
    web_server.serve(**allowed(servers))
    web_server.crew()
    person = Person(browser, web_server, timezone_id="Asia/Yekaterinburg", locale=locale)
    person.page.add_init_script(f"({_WATCH})()")
    person.signs_in()
    _opens(person, servers, f"clock-{locale},{PASSWORD}\n", name=f"clock {locale}", do="start")
    person.page.wait_for_selector("#live h1 .state.complete")
    person.page.wait_for_selector("figcaption time")
    person.looks(f"clock-{locale}")
    for when, title, text, shown in _times(person):
        there = datetime.fromisoformat(when) + timedelta(hours=5)
        exact = title if shown == "ago" else text
        assert (shown == "ago") != title.endswith(" UTC")
        assert there.strftime(form + (":%S" if shown == "hour" else "")) in exact
    assert person.page.evaluate("window.drawn") > 1
    assert person.page.evaluate("window.late") == 0
    assert person.trouble == []


def test_they_are_utc_without_scripts_and_where_that_is_the_zone(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    web_server.serve(**allowed(servers))
    for options in ({"java_script_enabled": False, "timezone_id": "Asia/Yekaterinburg"}, {"timezone_id": "UTC"}):
        person = Person(browser, web_server, **options)
        person.signs_in()
        _opens(person, servers, f"clock2,{PASSWORD}\n", name=f"clock {len(options)}")
        for _, title, text, shown in _times(person):
            assert title.endswith(" UTC")
            assert text == ("just now" if shown == "ago" else title)


@pytest.mark.parametrize(("locale", "form"), [("en", "3 hours ago"), ("ru", "3 часа назад")])
def test_what_is_long_ago_is_said_so_by_the_page_and_kept_up_to_date_by_its_script(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    locale: str,
    form: str,
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, locale=locale, timezone_id="Asia/Yekaterinburg")
    person.signs_in()
    _opens(person, servers, f"clock3,{PASSWORD}\n", name=f"clock 3 {locale}")
    person.page.wait_for_selector(".timeline time")
    # A page that was left open: its script says what a fresh one says. A redraw brings the true time back, so it is set
    # until it is seen.
    again = """form => { const time = document.querySelector(".timeline time");
        if (time.textContent === form) return true;
        time.dateTime = new Date(Date.now() - 3 * 3600e3 - 60e3).toISOString(); time.append(""); return false }"""
    await_ready(lambda: bool(person.page.evaluate(again, form)), 180, "the script")
    assert Translator(locale).ago(time() - 3 * 3600 - 60).striptags() == form
    person.page.wait_for_selector(".timeline time[title]:not([title$=UTC])")
