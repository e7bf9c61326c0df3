"""Tests that a form opens one import and stays gone, is one person's at one place, and has nothing that was erased."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from starlette.requests import Request

from producer.web.pages import drafts, form_draft, mending, new_import
from producer.web.pages.form_draft import FormDraft, TriedServer, find, fresh, keep, note_opened
from producer.web.pages.submitted import SubmittedForm, listed
from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.store.records.page_state import PageState
from shared.store.records.principals import Principal, Role
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase
from tests.web.conftest import PASSWORD, WebServer

ANNA, BERT = (Principal(principal_id=f"user:{name}", name=name, role=Role.OPERATOR) for name in ("anna", "bert"))
REQUEST = Request({"type": "http", "headers": [], "path": "/", "query_string": b"", "app": None})
BUSY = Phrase("test_busy", "it is being opened")


@pytest.fixture
def known(web_server: WebServer) -> WebContext:
    """The part of the context that forms need, on a real Redis."""
    page_state = PageState(connect(web_server.state_url))
    return cast(WebContext, SimpleNamespace(page_state=page_state, vault=web_server.vault))


def _kept(known: WebContext) -> int:
    return len(list(known.page_state._redis.scan_iter(keys.draft("*"))))


def _given(**fields: str) -> SubmittedForm:
    return SubmittedForm(fields=fields, columns=(), sheet=fields.get("sheet", "").encode())


def _losing(known: WebContext, form_id: str) -> Callable[..., str]:
    """Returns what opens an import: another click did so a moment ago, and this one is refused."""

    def act(*_: object, **__: object) -> str:
        won = find(known, ANNA, form_id) or find(known, ANNA, form_id, "i")
        assert won
        note_opened(known, ANNA, form_id, replace(won, opened="i"))
        raise Refused(409, BUSY.says())

    return act


def test_of_two_clicks_the_slower_one_leads_to_the_import_and_keeps_nothing(
    known: WebContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(new_import.allowing, "heed", lambda *_: None)
    given, form_id = _given(do="open", name="office", sheet=f"a,{PASSWORD}\n"), fresh()
    monkeypatch.setattr(new_import, "_preview", lambda *_: None)
    monkeypatch.setattr(new_import, "_opened", _losing(known, form_id))
    keep(known, ANNA, form_id, listed(known, ANNA, given, FormDraft()))
    answer = new_import.press(REQUEST, known, ANNA, form_id, given)
    assert (answer.headers["location"], _kept(known)) == ("/imports/i", 1)  # the mark
    assert known.page_state.forms(ANNA.principal_id, 0) == []
    # The control: a refusal with no other click keeps the form.
    monkeypatch.setattr(new_import, "_opened", lambda *_, **__: (_ for _ in ()).throw(Refused(409, BUSY.says())))
    assert "/new/" in new_import.press(REQUEST, known, ANNA, fresh(), given).headers["location"]
    # More mailboxes of an import are added with the same care.
    given, form_id, before = _given(do="add"), fresh(), _kept(known)
    preview = SimpleNamespace(manifest=SimpleNamespace(rows=(1,)), errors=(), wrong=())
    monkeypatch.setattr(mending, "_preview", lambda *_: preview)
    monkeypatch.setattr(mending.imports, "added", _losing(known, form_id))
    answer = mending.press(REQUEST, known, ANNA, "i", form_id, given)
    assert (answer.headers["location"], _kept(known)) == ("/imports/i", before + 1)


def test_a_form_that_was_read_before_the_press_is_not_kept_after_it(known: WebContext) -> None:
    form_id = fresh()
    before = find(known, ANNA, form_id)
    assert before
    note_opened(known, ANNA, form_id, FormDraft(opened="i"))
    slow = listed(known, ANNA, _given(sheet=f"a,{PASSWORD}\n"), before, passing=True)
    assert (keep(known, ANNA, form_id, slow), _kept(known)) == ("i", 1)
    assert find(known, ANNA, form_id) == FormDraft(opened="i")
    assert find(known, BERT, form_id) is None
    # The other way round, the press takes the list with it that came after it had read the form.
    form_id = fresh()
    keep(known, ANNA, form_id, listed(known, ANNA, _given(sheet="b\n"), FormDraft(), passing=True))
    note_opened(known, ANNA, form_id, FormDraft(opened="i"))
    assert _kept(known) == 2


def test_a_form_of_another_version_is_empty_and_can_be_thrown_away(
    known: WebContext, capfd: pytest.CaptureFixture[str]
) -> None:
    form_id, good = fresh(), fresh()
    tested = {"source": TriedServer(server=(), steps=())}
    keep(known, ANNA, good, FormDraft(fields={"name": "office"}, tested=tested))
    keep(known, ANNA, form_id, FormDraft(fields={"name": "old"}))
    drafts.keep(known, ANNA, b'{"fields": {"name": "old"}, "tested": {"source": {"server": []}}}', form_id)
    assert find(known, ANNA, form_id) == FormDraft()
    assert [name for _, _, name in new_import.begun(known, ANNA)] == ["office"]
    new_import.drop_form(known, ANNA, form_id)
    assert (_kept(known), len(known.page_state.forms(ANNA.principal_id, 0))) == (1, 1)


def test_the_oldest_form_goes_with_its_list_and_sent_ones_do_not_count(
    known: WebContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(form_draft, "MOST_FORMS", 2)
    first, given = fresh(), _given(sheet=f"a,{PASSWORD}\n")
    secret = drafts.keep(known, ANNA, b"secret")
    form = listed(known, ANNA, given, FormDraft())
    keep(known, ANNA, first, replace(form, fields={**form.fields, "source_kept": secret}))
    for _ in range(3):
        note_opened(known, ANNA, fresh(), FormDraft(opened="i"))
    keep(known, ANNA, fresh(), FormDraft())
    assert (find(known, ANNA, first) or FormDraft()).fields
    assert _kept(known) == 3 + 3 + 1
    keep(known, ANNA, fresh(), FormDraft())
    assert _kept(known) == 3 + 2


def test_what_was_kept_as_a_secret_is_not_downloaded_as_wrong_rows(known: WebContext) -> None:
    secret, rows = drafts.keep(known, ANNA, b"secret"), drafts.keep(known, ANNA, b"a,b", purpose="wrong-rows:")
    assert new_import.wrong(known, ANNA, rows).body == b"a,b"
    assert drafts.find(known, ANNA, secret) == b"secret"
    for draft in (secret, fresh()):
        with pytest.raises(Refused):
            new_import.wrong(known, ANNA, draft)


def test_an_id_is_one_persons_at_one_place_and_what_was_erased_is_not_used(web_server: WebServer) -> None:
    web_server.serve()
    page, other, form_id = web_server.signed_in(), web_server.signed_in(), fresh()

    def kept(**fields: Any) -> int:
        return page.post(f"/new/{form_id}/keep", data={"name": "office", **fields}).status_code

    def shown() -> str:
        return page.get(f"/new/{form_id}").text

    # Rows that were pasted, and erased before a button was pressed, open nothing.
    assert kept(sheet=f"a-person,{PASSWORD}\n") == 204
    assert "a-person" in shown()
    kept(sheet="")
    assert "a-person" not in shown()
    # A page that shows the list has an empty place to paste another one. A button makes it stay for every page.
    kept(sheet=f"a-person,{PASSWORD}\n")
    assert 'name="shown"' in shown()
    kept(sheet="", shown="1")
    assert "a-person" in page.post(f"/new/{form_id}", data={"do": "preview", "sheet": "", "shown": "1"}).text
    kept(sheet="")
    assert "a-person" in shown()

    # The id is nobody else's, and of no other place.
    assert other.post(f"/new/{form_id}/keep", data={"name": "theirs", "sheet": "x"}).status_code == 404
    assert other.get(f"/new/{form_id}").url.path == "/new"
    pressed = other.post(f"/new/{form_id}", data={"name": "theirs", "do": "preview", "sheet": "x"})
    assert form_id not in pressed.url.path
    assert 'value="theirs"' in pressed.text
    assert page.post(f"/imports/i/add/{form_id}/keep", data={"sheet": "x"}).status_code == 404
    assert "a-person" in shown()
    assert 'value="office"' in shown() or 'value=""' in shown()

    # A password that was typed and emptied is gone; one that was drawn as dots is meant by an empty cell.
    form_id = fresh()
    row = {"row_at": "0", "row_login": "anna", "row_new_login": "", "row_new_password": "", "source_way": "password"}
    typed = {**row, "row_dots": "", "row_password": PASSWORD, "source_secret": PASSWORD}
    emptied = {**typed, "row_password": "", "source_secret": ""}
    kept(**typed)
    assert shown().count("••••••") == 2
    assert re.search('name="row_dots" value="1"', shown())
    kept(**emptied, source_dots="1")
    assert shown().count("••••••") == 1
    kept(**typed)
    kept(**{**emptied, "row_dots": "1", "source_dots": "1"})
    assert shown().count("••••••") == 2
    kept(**emptied)
    assert "••••••" not in shown()
