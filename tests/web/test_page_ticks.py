"""Tests that an act of the page concerns the mailbox that was ticked, whatever the table does meanwhile."""

from __future__ import annotations

from typing import Any

from shared.model import Account, Endpoint, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.lifecycle import Control
from tests.web.conftest import PASSWORD, WebServer, allowed
from tests.web.test_page import Person, Servers, _opens, browser

__all__ = ["browser"]


def test_a_tick_stays_with_its_mailbox_when_rows_change_their_order(
    web_server: WebServer, servers: Servers, browser: Any
) -> None:
    web_server.serve(**allowed(servers))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in()
    _opens(person, servers, "".join(f"slide{number},{PASSWORD}\n" for number in range(3)))
    page.wait_for_selector("#live h1 .state.opening")
    where = page.url.partition("?")[0]
    page.goto(f"{where}?order=state&descending=true")
    logins = page.locator(".boxes tbody th").all_inner_texts()
    ticked = logins[1]
    page.check(f"[aria-label='Choose {ticked}']")
    act = f"/imports/{where.rpartition('/')[2]}/cancel"
    for other in logins[:1]:
        assert web_server.client().post(act, json={"login": other}).status_code == 200
    page.wait_for_selector(f"tr:has-text('{other}') .state.cancelled")
    assert page.locator(".boxes tbody th").all_inner_texts() != logins, "the order has to change for this test"
    marks = page.locator(".boxes input:checked").evaluate_all("all => all.map(one => one.ariaLabel)")
    assert marks == [f"Choose {ticked}"]
    assert person.trouble == []


def test_of_two_rows_with_one_login_only_the_chosen_one_is_concerned(web_server: WebServer) -> None:
    """Opens two rows of one login at two servers, and pauses one of them by each door of the page."""
    first, second, new = (
        Endpoint(host=name, port=993, tls=Tls.IMPLICIT) for name in ("one.test", "two.test", "new.test")
    )
    whole = Import(import_id=import_id("twins", first, new), name="twins", source=first, destination=new)
    boxes = [
        Mailbox(
            mailbox_id=mailbox_id(whole.import_id, "twin", f"to-{row}", end.url),
            import_id=whole.import_id,
            row=row,
            source=Account(endpoint=end, login="twin"),
            destination=Account(endpoint=new, login=f"to-{row}"),
        )
        for row, end in ((1, first), (2, second))
    ]
    web_server.store.open_import(whole, boxes, 14)
    web_server.serve()
    there = f"/imports/{whole.import_id}"

    def paused() -> list[bool]:
        return [box.control is Control.PAUSE for box, _ in web_server.store.mailboxes(whole.import_id)]

    page = web_server.signed_in()
    page.post(f"{there}/chosen", data={"act": "pause", "mailbox": boxes[0].mailbox_id})
    assert paused() == [True, False]
    page.post(f"{there}/pause", data={"mailbox": boxes[1].mailbox_id})
    assert paused() == [True, True]
    page.post(f"{there}/resume", data={"mailbox": boxes[0].mailbox_id})
    assert paused() == [False, True]
    told = [one["detail"]["login"] for one in web_server.records.audit() if one["what"].startswith("import p")]
    assert set(told) == {"twin"}, "the audit log names the login, not an id"
    # The control: by its login both are meant.
    assert web_server.client().post(f"{there}/pause", json={"login": "twin"}).status_code == 200
    assert paused() == [True, True]
