"""Tests that an administrator needs no shell: people, tokens, limits, audit, doctor, search, closing, chosen mailboxes."""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.model.lifecycle import MailboxState
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, _fill, _opens, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
_PAGES = (
    "admin",
    "admin/limits",
    "admin/audit",
    "admin/doctor",
    "admin/erase",
    "targets",
    "search?text=a",
    "providers",
)


def test_people_and_programs_are_let_in_and_sent_away(web_server: WebServer, browser: Any) -> None:  # noqa: F811
    web_server.serve()
    chief, other = Person(browser, web_server), Person(browser, web_server)
    page = chief.page
    chief.signs_in("admin")
    page.click("a:text-is('Administration')")
    page.fill("form[action='/admin/users'] [name=name]", "Vera")
    page.fill("form[action='/admin/users'] [name=password]", "a long password")
    page.click("button:text-is('Add, or set anew')")
    page.wait_for_selector("[role=status]:has-text('signs in with this password from now on')")
    other.page.goto("/sign-in")
    other.page.fill("[name=name]", "Vera")
    other.page.fill("[name=password]", "a long password")
    other.page.click("form:has([name=password]) button")
    other.page.wait_for_selector("h1:text-is('Imports')")
    # An operator sees no page of an administrator, and is refused there.
    assert other.page.locator("a:text-is('Administration')").count() == 0
    assert {other.page.goto(f"/{path}").status for path in _PAGES[:6]} == {403}
    page.goto("/admin")
    page.click("tr:has-text('user:Vera') button")
    page.wait_for_selector("[role=status]:has-text('signed out')")
    other.page.goto("/")
    assert "/sign-in" in other.page.url
    page.click("button[aria-label='Remove: Vera']")
    page.wait_for_selector("[role=status]:has-text('signs in no more')")

    # A token is shown once, works, and ends.
    page.fill("form[action='/admin/tokens'] [name=name]", "cron")
    page.fill("form[action='/admin/tokens'] [name=expires]", "soon")
    page.click("button:text-is('Make a token')")
    page.wait_for_selector("[role=alert]:has-text('is no end of a token')")
    page.fill("form[action='/admin/tokens'] [name=name]", "cron")
    page.fill("form[action='/admin/tokens'] [name=expires]", "12h")
    page.click("button:text-is('Make a token')")
    token = page.inner_text("pre")
    chief.looks("admin-token")
    api = web_server.anybody(Authorization=f"Bearer {token}")
    assert api.get("/imports").status_code == 200
    page.goto("/admin")
    assert token not in page.content()
    assert "in 12 hours" in page.inner_text("tr:has-text('cron')")
    page.click("button[aria-label^='Revoke: cron']")
    page.wait_for_selector("[role=status]:has-text('The token has ended.')")
    assert api.get("/imports").status_code == 401
    whats = [entry["what"] for entry in web_server.records.audit()]
    assert {"user set", "user removed", "token made", "token revoked", "sessions ended"} <= set(whats)
    assert [line for line in chief.trouble if "422" not in line] == []


@pytest.mark.parametrize(("language", "scheme", "width"), [("en", "light", 1280), ("ru", "dark", 320)])
def test_the_pages_are_accessible_and_fit(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
    language: str,
    scheme: str,
    width: int,
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server, locale=language, color_scheme=scheme, viewport={"width": width, "height": 800})
    person.signs_in("admin")
    _opens(person, servers, f"anna@old.example,{PASSWORD}\n")
    for path in _PAGES:
        person.page.goto(f"/{path}")
        person.looks(f"{path.replace('/', '-').partition('?')[0]}-{language}")
        assert person.page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
        seen = person.page.inner_text("main")
        assert language == "en" or re.search("[а-яё]", seen), path
    assert person.trouble == []


def test_browsers_that_are_signed_in_are_shown_page_by_page(web_server: WebServer) -> None:
    web_server.serve()
    for _ in range(51):
        web_server.signed_in("viewer")
    page = web_server.signed_in("admin")
    first, last = (page.get("/admin", params={"start": start}).text for start in (0, 50))
    assert "1 – 50 / 52" in first
    assert 'href="/admin?start=50#sessions">Next' in first
    assert first.count("(this browser)") == 1, "the newest is this one"
    assert "51 – 52 / 52" in last
    assert last.count('name="which"') == 2
    assert "(this browser)" not in last
    assert "51 – 52 / 52" in page.get("/admin", params={"start": 500}).text


def test_the_audit_log_names_imports_and_says_what_an_act_was_about(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1430,1431")
    servers = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
    body = {"name": "office in Berlin", "manifest": f"login,password\nanna,{PASSWORD}\n", **servers}
    opened = web_server.client().post("/imports", json=body).json()["import"]["id"]
    web_server.client("admin").put("/limits/source_account.bytes_per_day:one", json={"most": "2GB"})
    page = web_server.signed_in("admin")
    russian = page.get("/admin/audit", params={"lang": "ru"}).text
    assert f'<a href="/imports/{opened}">office in Berlin</a>' in russian
    assert re.search(r"предел</span> один ящик источника, байт в день one ", russian)
    assert "source_account" not in russian
    # One that is gone has no page to lead to.
    assert web_server.client().delete(f"/imports/{opened}").status_code == 200
    assert f"/imports/{opened}" not in page.get("/admin/audit", params={"lang": "en"}).text


def test_limits_are_set_and_the_log_is_read(web_server: WebServer, browser: Any) -> None:  # noqa: F811
    web_server.serve()
    person = Person(browser, web_server)
    page = person.page
    person.signs_in("admin")
    page.goto("/admin/limits")
    page.select_option("[name=scope] >> nth=-1", "source_account")
    page.select_option("[name=rate]", "bytes_per_day")
    page.fill("[name=most] >> nth=-1", "much")
    page.click("button:text-is('Set it')")
    page.wait_for_selector("[role=alert]:has-text('is no size')")
    page.select_option("[name=scope] >> nth=-1", "source_account")
    page.select_option("[name=rate]", "bytes_per_day")
    page.fill("[name=most] >> nth=-1", "2GB")
    page.click("button:text-is('Set it')")
    page.wait_for_selector("tr:has-text('set by a person'):has-text('2.0 GB')")
    assert web_server.store.limits() == {"source_account.bytes_per_day": 2_000_000_000}
    page.click("button:text-is('Back to the default')")
    page.wait_for_selector("tr:has-text('each account at the source, bytes a day'):has-text('the default')")
    assert web_server.store.limits() == {}
    # Each is said in words, with its unit; of one server it stands below which.
    page.select_option("[name=scope] >> nth=-1", "source_host")
    page.fill("[name=key]", "mail.example.org")
    page.fill("[name=most] >> nth=-1", "1")
    page.click("button:text-is('Set it')")
    page.wait_for_selector("tr:has-text('one source server'):has-text('mail.example.org'):has-text('1 connection')")
    assert "source_" not in page.inner_text("main")
    # The log is read page by page, newest first.
    for number in range(60):
        web_server.records.note("somebody", f"did {number}", {})
    page.goto("/admin/audit")
    assert "did 59" in page.inner_text("tbody tr >> nth=0")
    page.click("a:text-is('Older')")
    page.wait_for_selector("tr:has-text('did 9')")
    assert page.locator("tr:has-text('did 10')").count() == 0
    page.click("a:text-is('Newest')")
    page.wait_for_selector("tr:has-text('did 59')")
    page.goto("/admin/doctor")
    page.wait_for_selector("[role=status]:has-text('that mailhaul needs'), [role=status]:has-text('not right')")


def test_a_person_is_found_in_every_import_and_erased_from_all(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in("admin")
    for name in ("first", "second"):
        _opens(person, servers, f"anna-where,{PASSWORD}\nboris,{PASSWORD}\n", name=name)
    page.fill(".find [name=text]", "anna-w")
    page.press(".find [name=text]", "Enter")
    page.wait_for_selector("[role=status]:has-text('2 mailboxes in all imports.')")
    assert page.locator("td a").all_inner_texts() == ["second", "first"]
    assert web_server.client("viewer").get("/mailboxes", params={"text": "ANNA-w", "count": 1}).json()["total"] == 2
    found = web_server.command("where", "anna-where")
    assert found.count("anna-where") == 2
    assert "no mailbox has this" in web_server.command("where", "nobody", code=3)
    page.click("th a >> nth=0")
    page.wait_for_selector("h1:has-text('anna-where')")
    # Both are cancelled, so that nothing is under way; then nothing is left that names her.
    for import_ in web_server.store.imports():
        assert web_server.client().post(f"/imports/{import_.import_id}/cancel", json={}).status_code == 200
    page.goto("/admin/erase")
    page.fill("[name=login]", "anna-where")
    page.fill("[name=sure]", "anna")
    page.click("button:text-is('Erase this person')")
    page.wait_for_selector("[role=alert]:has-text('not the same')")
    page.fill("[name=sure]", "anna-where")
    page.click("button:text-is('Erase this person')")
    page.wait_for_selector("[role=status]:has-text('Erased')")
    assert web_server.client("viewer").get("/mailboxes", params={"text": "anna-where"}).json()["total"] == 0


def test_chosen_mailboxes_are_acted_on_alone_and_an_import_is_closed(
    web_server: WebServer,
    servers: Servers,
    browser: Any,  # noqa: F811
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in("admin")
    _opens(person, servers, "".join(f"tick{number},{PASSWORD}\n" for number in range(4)))
    where = page.url.partition("?")[0]
    import_id = where.rpartition("/")[2]

    def states() -> list[str]:
        return [box.state.value for box, _ in web_server.store.mailboxes(import_id)]

    page.click(".chosen button:text-is('Pause')")
    page.wait_for_selector("[role=status]:has-text('tick what is meant first')")
    for login in ("tick1", "tick3"):
        page.check(f"[aria-label='Choose {login}']")
    # A redraw of the live part leaves the ticks.
    web_server.client().put(f"/imports/{import_id}/window", json={"window": "20:00-06:00 Europe/Berlin"})
    page.wait_for_selector(".head:has-text('20:00-06:00')")
    assert page.locator(".boxes input:checked").count() == 2
    person.looks("chosen")
    page.click(".chosen button:text-is('Cancel')")
    page.wait_for_selector("h1:has-text('2 mailboxes')")
    person.looks("cancel-chosen")
    page.click("button:text-is('Give 2 mailboxes up')")
    page.wait_for_selector("[role=status]:has-text('2 mailboxes were given up')")
    assert states() == ["queued", "cancelled", "queued", "cancelled"]
    page.check("[aria-label='Choose tick1']")
    page.click(".chosen button:text-is('Resume')")
    page.wait_for_selector("[role=status]:has-text('1 mailbox goes on')")
    await_ready(lambda: states().count(MailboxState.CANCELLED.value) == 1, 180, "one goes on")

    # An import that is not finished needs its passwords: nothing offers to delete them, and nothing deletes them.
    assert page.locator("a:has-text('Delete the stored passwords')").count() == 0
    signed_in = web_server.signed_in()
    assert signed_in.post(f"/imports/{import_id}/forget", data={"sure": "yes"}).status_code == 409
    (box, _), *_ = web_server.store.mailboxes(import_id)
    assert web_server.store.sealed(import_id, box.mailbox_id, "source")
    for act in ("start", "cancel"):
        assert web_server.client().post(f"/imports/{import_id}/{act}", json={}).status_code == 200
    page.wait_for_selector("#live h1 .state.cancelled")
    page.reload()
    assert signed_in.post(f"/imports/{import_id}/forget").status_code == 200  # it asks
    assert web_server.store.sealed(import_id, box.mailbox_id, "source")
    page.click("a:has-text('Delete the stored passwords')")
    person.looks("forget")
    page.click("button:text-is('Delete the stored passwords now')")
    page.wait_for_selector("[role=status]:has-text('The stored passwords were deleted.')")
    page.click("a:has-text('Close the import')")
    person.looks("close")
    page.click("button:text-is('Close the import')")
    page.wait_for_selector("[role=status]:has-text('The import was closed.')")
    assert web_server.store.import_(import_id) is None
    assert person.trouble == []


def test_an_operator_sees_no_button_that_is_refused(web_server: WebServer, servers: Servers, browser: Any) -> None:  # noqa: F811
    _fill(servers, "mine1", {"INBOX": 1})
    web_server.serve(**allowed(servers), MAILHAUL_SWITCHES="hook=hook:/bin/true")
    person = Person(browser, web_server)
    page = person.page
    person.signs_in("operator")
    _opens(person, servers, f"mine1,{PASSWORD}\n")
    page.click("summary:has-text('Begin a cutover')")
    assert page.locator("button:text-is('Rehearse')").count() >= 1
    assert page.locator("button[name=act][value=start]").count() == 0
    assert page.locator("form[action$=spool], form[action$=erase]").count() == 0
    chief = Person(browser, web_server)
    chief.signs_in("admin")
    chief.page.goto(page.url)
    assert chief.page.locator("button[name=act][value=start]").count() == 1
    assert chief.page.locator("form[action$=spool]").count() == 1
