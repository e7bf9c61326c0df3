"""Tests that a press of a button of the form never loses what was filled in, whatever was filled in."""

from __future__ import annotations

import re

import httpx2
import pytest

from producer.web.pages.form import form_of
from shared.model import Endpoint, Import, Options, Tls, import_id
from shared.store.redis import keys
from tests.web.conftest import PASSWORD, WebServer, http_client

FIELDS = {
    "source_tls": "tls",
    "source_host": "imap.old.test",
    "destination_tls": "tls",
    "destination_host": "10.9.9.9",
    "name": "kept",
    "sheet": f"a-person,{PASSWORD}\n",
}


def _pressed(page: httpx2.Client, **more: str) -> tuple[int, str]:
    answer = page.post("/new", data={**FIELDS, **more})
    return answer.status_code, answer.text


def _offered(text: str) -> str:
    found = re.search(r'name="allow" value="([^"]*)"', text)
    return found[1] if found else ""


def _by_link(web_server: WebServer, **headers: str) -> httpx2.Client:
    """Returns a client that came by the link of this machine."""
    link = web_server.command("link").split()[-1]
    base = f"http://127.0.0.1:{web_server.port}"
    client = http_client(base_url=base, headers={"Origin": base, **headers}, follow_redirects=True)
    client.get(link)
    return client


def test_whatever_the_ends_say_the_form_and_its_list_come_back(web_server: WebServer) -> None:
    web_server.serve()
    page = web_server.signed_in("admin")
    wrong = (("destination_port", "99999"), ("destination_port", "0"), ("destination_host", "почта.local"))
    for name, text in wrong:
        for do in ("test_destination", "start"):
            status, shown = _pressed(page, do=do, **{name: text, "allow": "почта.local"})
            assert status == 200, (text, do)
            assert 'role="alert"' in shown or "steps" in shown
            assert "a-person" in shown, "the list is kept"
            assert 'value="kept"' in shown, "so is every field"
    # An address in brackets is offered as any other; a wrong port beside it takes nothing away from the other side.
    assert _offered(_pressed(page, do="test_destination", destination_host="[::1]")[1]) == "::1"
    bad = _pressed(page, do="test_destination", source_host="10.8.8.8", source_port="99999")[1]
    assert _offered(bad) == "10.9.9.9"
    assert 'role="alert"' in _pressed(page, do="start", deletions_cap="9" * 5000)[1]
    assert 'role="alert"' not in _pressed(page, do="preview")[1]


def test_only_who_sits_here_is_asked_nothing_and_only_by_a_button_that_connects(web_server: WebServer) -> None:
    web_server.serve()

    def granted() -> set[str]:
        return {one["place"] for one in web_server.client("admin").get("/reach").json()["places"]}

    here = _by_link(web_server)
    for do in ("preview", "find", ""):
        _pressed(here, do=do)
        assert granted() == set(), do
    # Whoever came through something that passes requests on does not sit here.
    for header in ("X-Forwarded-For", "Forwarded", "X-Forwarded-Proto", "Via"):
        answer = here.post("/new", data={**FIELDS, "do": "start"}, headers={header: "x"})
        assert _offered(answer.text) == "10.9.9.9", header
        assert granted() == set(), header
    # The control. Of a name its present addresses are allowed, and not the name.
    _pressed(here, do="start", destination_host="localhost")
    assert granted()
    assert all(one.endswith(("/32", "/128")) for one in granted()), granted()


def test_a_proxy_of_the_settings_is_no_neighbour(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_PROXIES="127.0.0.1")
    client = _by_link(web_server)
    assert _offered(_pressed(client, do="start")[1]) == "10.9.9.9"
    assert web_server.client("admin").get("/reach").json()["places"] == []


def test_a_form_keeps_itself_and_one_list_however_often_it_is_pressed(web_server: WebServer) -> None:
    web_server.serve()
    page, redis = web_server.signed_in(), web_server.store._redis

    def drafts() -> int:
        return len(list(redis.scan_iter(keys.draft("*"))))

    pressed = page.post("/new", data={**FIELDS, "do": "preview", "sheet": f"login,password\na,{PASSWORD}\nb,\n"})
    for _ in range(3):
        assert drafts() == 2
        assert "wrong-rows.csv" in pressed.text
        pressed = page.post(pressed.url.path, data={**FIELDS, "do": "preview", "sheet": ""})
    rows = page.get(f"{pressed.url.path}/wrong-rows.csv")
    assert "Row 3: Password: is missing" in rows.text
    # It is nobody else's: another person sees an empty form at its address, and takes nothing away.
    other = web_server.signed_in()
    assert "a-person" not in other.get(pressed.url.path).text
    assert other.get(f"{pressed.url.path}/wrong-rows.csv").status_code == 404
    other.post(f"{pressed.url.path}/drop")
    assert "wrong-rows.csv" in page.get(pressed.url.path).text
    page.post(f"{pressed.url.path}/drop")
    assert drafts() == 0


@pytest.mark.parametrize(("text", "number"), [("7", 7), ("9" * 7, 9_999_999), ("9" * 8, 0), ("9" * 5000, 0), ("x", 0)])
def test_a_number_has_at_most_seven_digits(text: str, number: int) -> None:
    assert form_of({"deletions_cap": text}).selection().deletions_cap == number


def test_each_limit_says_its_own_numbers(web_server: WebServer) -> None:
    web_server.serve()
    page = web_server.signed_in("admin")
    asked = {"scope": "source_account", "most": "9" * 30}
    assert "0 (nobody connects)" in page.post("/admin/limits", data=asked).text
    rate = page.post("/admin/limits", data={**asked, "rate": "messages_per_second"}).text
    assert "nobody connects" not in rate
    assert "0 (no cap)" in rate


def test_one_more_like_this_names_what_it_leaves_out(web_server: WebServer) -> None:
    old, new = (Endpoint(host=name, port=993, tls=Tls.IMPLICIT) for name in ("old.test", "new.test"))
    web_server.serve()
    page = web_server.signed_in()
    for name, options in (("mapped", Options(folder_map=(("a", "b"),))), ("plain", Options())):
        whole = Import(import_id=import_id(name, old, new), name=name, source=old, destination=new, options=options)
        web_server.store.open_import(whole, [], 14)
        shown = page.get(f"/imports/{whole.import_id}/copy").text
        assert 'value="old.test"' in shown
        assert ("<code>--folder-map</code>" in shown) == (name == "mapped")
