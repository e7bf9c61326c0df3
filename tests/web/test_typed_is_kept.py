"""Tests every form of every page: what was typed survives another language, Back and a fault; no password goes back."""

from __future__ import annotations

import html
import re
from importlib import resources
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from fastapi import Request

from producer.web.gate import SMALL
from producer.web.pages import page_routes
from producer.web.pages.filled_store import MOST_OF_VIEWER, OF_VIEWERS
from producer.web.security.scrypt import hashed
from shared.model.errors import StoreError
from shared.store.records.principals import Role
from shared.store.redis import keys
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, http_client
from tests.web.test_all_pages import Scenes, scenes
from tests.web.test_page import Person, browser

__all__ = ["browser", "scenes"]

#: Fields that a person fills in, of all forms but those with an address of their own (test_page_form_survives.py).
_FIELDS = """[...document.forms].filter(form => !form.dataset.keep).flatMap(form => [...form.elements].filter(
    field => field.name && !["hidden", "submit", "button", "file"].includes(field.type) && field.localName != "fieldset"
).map(field => [form, field]))"""
#: Fills them in, and returns what each then holds.
_TYPE = f"""() => {_FIELDS}.map(([form, field], at) => {{
    if (field.type == "checkbox") field.checked = !field.checked;
    else if (field.localName == "select") field.selectedIndex = field.options.length - 1;
    else if (field.type == "number") field.value = "7";
    else field.value = `typed ${{at}} <"&'`.slice(0, field.maxLength < 0 ? undefined : field.maxLength);
    field.dispatchEvent(new Event("input", {{bubbles: true}}));
    const text = field.type == "password" || "secret" in field.dataset ? "••••••" : field.value;
    return [form.id, field.name, field.type == "checkbox" ? field.checked : text];
}})"""
_READ = f"""() => {_FIELDS}.map(([form, field]) => [form.id, field.name,
    field.type == "checkbox" ? field.checked : field.placeholder == "••••••" ? field.placeholder : field.value])"""


def test_whatever_is_typed_into_any_page_survives_another_language_and_back(scenes: Scenes, browser: Any) -> None:
    person = Person(browser, scenes.server, locale="en")
    page = person.page
    person.signs_in("admin")
    seen: dict[str, set[str]] = {}
    paths = [path for route, some in scenes.paths.items() if route != "/sign-in" for path in some]
    for path in [*paths, "/admin/accounts?kind=mailcow", "/admin/accounts?kind=google"]:
        page.goto(path)
        if path.startswith("/new") or page.locator("form[data-keep]").count():
            continue
        typed = page.evaluate(_TYPE)
        assert all(form for form, _, _ in typed), f"{path}: a form without an id is not kept"
        page.click(".languages [lang=ru]")
        page.wait_for_selector("html[lang=ru]")
        page.wait_for_load_state()
        assert page.evaluate(_READ) == typed, path
        assert "typed" not in " ".join(
            page.locator("input[type=password]").evaluate_all("all => all.map(x => x.value)")
        )
        # Another page, and Back.
        page.goto("/providers")
        page.go_back()
        assert page.evaluate(_READ) == typed, path
        page.click(".languages [lang=en]")
        page.wait_for_selector("html[lang=en]")
        for form, name, _ in typed:
            seen.setdefault(form, set()).add(name)
    assert {
        *("find", "set-user", "make-token", "set-limit", "erase", "allow", "tell", "set-service", "mend", "passwords"),
        *("move-to", "hours", "set-wave", "stand", "search", "search-boxes", "chosen"),
    } <= set(seen), seen
    assert person.trouble == []


def test_without_scripts_the_language_is_a_button_of_each_form(scenes: Scenes) -> None:
    page = scenes.server.signed_in("admin")
    there = scenes.paths["/imports/{import_id}"][0]
    box = scenes.paths["/imports/{import_id}/mailboxes/{mailbox_id}"][0]
    forms = {
        "/admin": {"set-user", "make-token"},
        "/admin/limits": {"set-limit"},
        "/admin/erase": {"erase"},
        "/admin/reach": {"allow"},
        "/targets": {"tell"},
        "/admin/accounts?kind=mailcow": {"set-service"},
        there: {"set-wave", "hours", "stand"},
        box: {"passwords", "move-to"},
    }
    for path, key in ((path, key) for path, keys_ in forms.items() for key in keys_):
        shown = page.get(path, params={**dict(httpx2.URL(path).params), "lang": "en"}).text
        buttons = re.findall(r'<button [^>]*formaction="(/filled[^"]*)" name="lang" value="ru"', shown)
        at = {dict(httpx2.URL(html.unescape(one)).params)["form"]: html.unescape(one) for one in buttons}
        assert set(at) == forms[path], path
        form = re.search(rf'<form[^>]* id="{key}".*?</form>', shown, re.DOTALL)
        assert form
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
        fields = re.findall(r'<(input|textarea)([^>]*) name="(\w+)"', form[0])
        texts = {
            name: f"typed-{name}" for _, attrs, name in fields if "hidden" not in attrs and "checkbox" not in attrs
        }
        russian = page.post(at[key], data={**hidden, **texts, "lang": "ru"})
        assert 'lang="ru"' in russian.text, path
        assert httpx2.URL(str(russian.url)).path == httpx2.URL(path).path
        for name, text in texts.items():
            secret = name in ("password", "secret", "source", "destination")
            assert (f'value="{text}"' in russian.text or f">\n{text}<" in russian.text) is not secret, (path, name)
            assert (text in russian.text) is not secret, (path, name)
    page.get("/", params={"lang": "en"})


def test_without_scripts_the_language_of_one_form_keeps_what_another_had_kept(
    web_server: WebServer, browser: Any
) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="en", java_script_enabled=False)
    page = person.page
    person.signs_in("admin")
    page.goto("/admin")
    page.fill("#set-user [name=name]", "vera")
    page.fill("#set-user [name=password]", PASSWORD)
    page.click(".languages [lang=ru]")
    page.fill("#make-token [name=name]", "backup")
    page.click("#make-token [name=lang][value=en]")
    page.fill("#make-token [name=expires]", "12h")
    page.click("#make-token [name=lang][value=ru]")
    assert page.get_attribute("html", "lang") == "ru"
    kept = {field: page.input_value(field) for field in ("#set-user [name=name]", "#make-token [name=name]")}
    assert kept == {"#set-user [name=name]": "vera", "#make-token [name=name]": "backup"}
    assert page.input_value("#make-token [name=expires]") == "12h"
    page.click("#set-user button:not([name])")
    assert web_server.principals.user("vera")
    answer = httpx2.post(
        f"http://127.0.0.1:{web_server.port}/sign-in",
        data={"name": "vera", "password": PASSWORD},
        headers={"Origin": f"http://127.0.0.1:{web_server.port}"},
        timeout=180,
    )
    assert answer.headers["location"] == "/", "the password came along"


@pytest.mark.parametrize("scripts", [True, False])
def test_a_password_that_is_dots_is_sent_with_its_form_and_then_forgotten(
    web_server: WebServer,
    browser: Any,
    scripts: bool,
) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="en", java_script_enabled=scripts)
    page = person.page
    person.signs_in("admin")
    page.goto("/admin")
    page.fill("#set-user [name=name]", "vera")
    page.fill("#set-user [name=password]", PASSWORD)
    page.select_option("#set-user [name=role]", "viewer")
    page.click(".languages [lang=ru]")
    page.wait_for_selector("html[lang=ru]")
    assert PASSWORD not in page.content()
    assert list(web_server.store._redis.scan_iter(keys.draft("*")))
    page.click("#set-user button")
    page.wait_for_selector("[role=status]")
    assert web_server.principals.user("vera")
    await_ready(lambda: list(web_server.store._redis.scan_iter(keys.draft("*"))) == [], 180, "the drafts are gone")
    answer = httpx2.post(
        f"http://127.0.0.1:{web_server.port}/sign-in",
        data={"name": "vera", "password": PASSWORD},
        headers={"Origin": f"http://127.0.0.1:{web_server.port}"},
        timeout=180,
    )
    assert answer.headers["location"] == "/", "the password is the one that was typed"


@pytest.mark.parametrize("scripts", [True, False])
def test_enter_sends_the_form_and_changes_no_language(
    web_server: WebServer,
    browser: Any,
    scripts: bool,
) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="ru", java_script_enabled=scripts)
    page = person.page
    person.signs_in("admin")
    page.goto("/admin/reach")
    page.fill("#allow [name=place]", "10.20.0.0/16")
    page.keyboard.press("Enter")
    page.wait_for_selector("th:text-is('10.20.0.0/16')")
    page.goto("/new")
    page.fill("[name=name]", "office")
    page.keyboard.press("Enter")
    page.wait_for_url("**/new/*")
    page.wait_for_selector("[name=name][value=office]")
    assert page.get_attribute("html", "lang") == "ru"


def test_what_is_wrong_is_told_beside_what_was_typed(web_server: WebServer) -> None:
    web_server.serve()
    page = web_server.signed_in("admin")
    sent = {"name": "vera", "password": "short", "role": "viewer"}
    told = page.post("/admin/users", data=sent)
    assert told.status_code == 422
    assert (
        'name="name" required maxlength="80" autocomplete="off" autocapitalize="none" spellcheck="false" value="vera"'
        in told.text
    )
    assert '<option value="viewer" selected>' in told.text
    assert "short" not in told.text
    assert "filled_dots" in told.text
    # Sent again as it is, the dots are the same password: wrong again. Another one is taken.
    marks = re.findall(r'<input type="hidden" name="(filled|filled_dots)" value="([^"]*)">', told.text)
    again = page.post("/admin/users", data={**sent, **dict(marks), "password": ""})
    assert again.status_code == 422
    assert page.post("/admin/users", data={**sent, **dict(marks), "password": PASSWORD}).status_code == 200
    assert web_server.principals.user("vera")


def test_what_was_typed_is_nobody_elses(web_server: WebServer) -> None:
    web_server.serve()
    one, other = web_server.signed_in("admin"), web_server.signed_in("admin")
    there = "/filled/" + "a" * 24 + "/keep"
    assert one.post(there, data={"set-limit:key": "mine"}, headers={"HX-Request": "true"}).status_code == 204
    assert 'value="mine"' in one.get("/admin/limits", params={"filled": "a" * 24}).text
    assert "mine" not in other.get("/admin/limits", params={"filled": "a" * 24}).text
    assert other.post(there, data={"set-limit:key": "theirs"}, headers={"HX-Request": "true"}).status_code == 404
    assert 'value="mine"' in one.get("/admin/limits", params={"filled": "a" * 24}).text
    # Nor is another site led to.
    away = one.post("/filled?form=x&at=//elsewhere.example", data={"lang": "en"}, follow_redirects=False)
    assert away.headers["location"].startswith("/?filled=")


def test_a_refusal_leads_back_to_the_page_with_what_was_typed(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1430,1431")
    servers = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
    body = {"name": "office", "manifest": f"login,password\nanna,{PASSWORD}\n", **servers}
    there = f"/imports/{web_server.client().post('/imports', json=body).json()['import']['id']}"
    page = web_server.signed_in()
    sent = {"wave": "pilot", "weight": "ü", "order": "3"}
    refused = page.post(
        f"{there}/wave", data=sent, headers={"Referer": f"http://127.0.0.1:{web_server.port}{there}?state=queued"}
    )
    assert refused.status_code == 422
    link = re.search(r'<a class="button main" href="([^"]+)">Back', refused.text)
    assert link
    again = page.get(html.unescape(link[1]))
    assert "state=queued" in str(again.url)
    form = re.search(r'<details open><summary>[^\n]*\n<form class="row" id="set-wave".*?</form>', again.text, re.DOTALL)
    assert form, "and its fold is open"
    assert 'value="pilot"' in form[0]
    assert 'value="3"' in form[0]
    # From elsewhere nobody is led.
    strange = page.post(f"{there}/wave", data=sent, headers={"Referer": "http://elsewhere.example/x"})
    assert ">Back<" not in strange.text


def test_the_name_at_the_door_survives_another_language_and_the_password_is_not_kept(web_server: WebServer) -> None:
    web_server.principals.set_user("vera", Role.VIEWER, hashed(PASSWORD))
    web_server.serve()
    base = f"http://127.0.0.1:{web_server.port}"
    with http_client(base_url=base, headers={"Accept-Language": "en", "Origin": base}, follow_redirects=True) as page:
        assert '<button form="by-name" name="lang" value="ru"' in page.get("/sign-in?to=/new").text
        sent = {"name": "vera", "password": PASSWORD, "to": "/new", "lang": "ru"}
        russian = page.post("/sign-in", data=sent)
        assert 'lang="ru"' in russian.text
        assert 'value="vera"' in russian.text
        assert 'name="to" value="/new"' in russian.text
        assert PASSWORD not in russian.text + str(russian.url)
    assert [entry["what"] for entry in web_server.records.audit()] == []


def test_whoever_may_only_read_keeps_little_and_only_searches(scenes: Scenes) -> None:
    person, chief = scenes.server.signed_in("viewer"), scenes.server.signed_in("admin")
    seen = set()
    for path in [path for route, some in scenes.paths.items() if route != "/sign-in" for path in some]:
        seen |= set(re.findall(r'<form[^>]* id="([\w-]+)"', person.get(path).text))
    assert seen <= set(OF_VIEWERS), "what a viewer can send is kept"
    by_script = {"HX-Request": "true"}
    there = "/filled/" + "b" * 24
    assert person.post(
        f"{there}/keep", data={"set-limit:key": "x" * 5000, "search:text": "y"}, headers=by_script
    ).is_success
    kept = person.get("/search", params={"filled": "b" * 24}).text
    assert 'value="y"' in kept
    assert len(scenes.server.store._redis.get(keys.draft("b" * 24))) < 2000, "no other form is"
    much = {"search:text": "y" * MOST_OF_VIEWER}
    assert person.post(f"{there}/keep", data=much, headers=by_script).status_code == 404
    assert 'value="y"' in person.get("/search", params={"filled": "b" * 24}).text
    more = {f"search:{number}": "y" * 60_000 for number in range(18)}
    assert chief.post("/filled/" + "c" * 24 + "/keep", data=much, headers=by_script).is_success, "the control"
    for who in (person, chief):
        assert who.post("/filled/" + "d" * 24 + "/keep", data=more, headers=by_script).status_code == 413
    # What is not kept is said, and the language stays.
    stays = person.post("/filled?form=search&at=/search", data={"text": "y" * 65_530, "lang": "ru"})
    assert stays.status_code == 422
    assert "too much to be kept" in stays.text


def test_a_password_that_is_not_kept_any_more_is_asked_for_again(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1430,1431")
    page = web_server.signed_in("admin")
    kept_id = "e" * 24
    fields = {"set-user:name": "vera", "set-user:password": PASSWORD, "set-limit:key": "mine"}
    page.post(f"/filled/{kept_id}/keep", data=fields, headers={"HX-Request": "true"})
    tabs = [page.get("/admin", params={"filled": kept_id}).text for _ in range(2)]
    for again, tab in enumerate(tabs):
        form = re.search(r'<form[^>]* id="set-user".*?</form>', tab, re.DOTALL)
        assert form
        hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', form[0]))
        hidden |= {"name": f"vera{again}", "role": "viewer", "filled_dots": hidden.pop("filled_dots"), "password": ""}
        answer = page.post("/admin/users", data=hidden)
        assert answer.status_code == (422 if again else 200)
        assert ("type it again" in answer.text) is bool(again)
    assert web_server.principals.user("vera0")
    # The other form of the page stays.
    assert 'value="mine"' in page.get("/admin/limits", params={"filled": kept_id}).text
    # So it is with a form that takes files.
    servers = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
    body = {"name": "office", "manifest": f"login,password\nanna,{PASSWORD}\n", **servers}
    place = f"/imports/{web_server.client().post('/imports', json=body).json()['import']['id']}/credentials"
    sent = {"filled_dots": f"{'f' * 24}.0", "sheet": ""}
    assert "type it again" in page.post(place, files={name: (None, text) for name, text in sent.items()}).text


@pytest.mark.parametrize("path", ["/admin", "/admin/accounts?kind=mailcow", "{there}/credentials", "{box}"])
def test_two_clicks_set_a_secret_once(scenes: Scenes, path: str) -> None:
    there = next(path for path in scenes.paths["/imports/{import_id}/credentials"])
    box = scenes.paths["/imports/{import_id}/mailboxes/{mailbox_id}"][0]
    shown = scenes.server.signed_in("admin").get(path.format(there=there.removesuffix("/credentials"), box=box)).text
    form = re.search(r'<form[^>]* id="(set-user|set-service|mend|passwords)".*?</form>', shown, re.DOTALL)
    assert form
    assert re.search(r'<input type="hidden" name="once" value="[0-9a-f]{16}">', form[0])


@pytest.mark.parametrize("others", [0, 8000])
def test_clicks_on_a_form_with_files_do_it_once(web_server: WebServer, others: int) -> None:
    """Sends some rows, and eight thousand: that form is larger than one that is read of a stranger."""
    web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8", MAILHAUL_WEB_PORTS="1430,1431")
    servers = {"source": {"server": "imap://127.0.0.1:1430"}, "destination": {"server": "imap://127.0.0.1:1431"}}
    body = {"name": "office", "manifest": f"login,password\nanna,{PASSWORD}\n", **servers}
    place = f"/imports/{web_server.client().post('/imports', json=body).json()['import']['id']}/credentials"
    page = web_server.signed_in("admin")
    more = "".join(f"nobody{number},x\n" for number in range(others))
    assert (len(more) > SMALL) is bool(others)

    def given(text: str, password: str) -> int:
        fields = {"once": text, "sheet": f"login,password\nanna,{password}\n{more}"}
        page.post(place, files={name: (None, value) for name, value in fields.items()})
        return sum(entry["what"] == "credentials replaced" for entry in web_server.records.audit())

    once = given("1" * 16, "new")
    assert given("1" * 16, "new") == once > 0
    assert given("1" * 16, "newer") == once + 1, "after Back, another one is another one"
    assert given("", "newer") == once + 2, "the control"
    for password in ("one", "two", "two"):  # what a file holds counts, and not its name
        content = f"login,password\nanna,{password}\n{more}"
        answer = page.post(place, data={"once": "2" * 16}, files={"file": ("rows.csv", content)})
        assert answer.is_success
    assert given("", "newer") == once + 5


def test_a_file_that_was_chosen_is_named_wherever_it_has_to_be_chosen_again(scenes: Scenes) -> None:
    page = scenes.server.signed_in("admin")
    there = scenes.paths["/imports/{import_id}/credentials"][1]  # of no row, whose hidden fields would be sent too
    shown = page.get(there, params={"lang": "en"}).text
    assert "choose it again" not in shown
    # Another language, without scripts: of a file the browser sends the name.
    sent = {"code": "", "check": "", "file": "new <b>.csv", "lang": "ru"}
    russian = page.post(f"/filled?form=mend&at={there}", data=sent).text
    assert re.search(r'<input type="file" name="file"[^>]*><span[^>]*>был выбран new &lt;b&gt;.csv:', russian)
    # A fault.
    told = page.post(f"{there}?lang=en", files={"file": ("new.csv", b""), "code": (None, ""), "check": (None, "")})
    assert told.status_code == 422
    assert re.search(r'name="file"[^>]*><span[^>]*>(new.csv was chosen|был выбран new.csv)', told.text)
    page.get("/", params={"lang": "en"})


@pytest.mark.parametrize("rows", [1, 20_000])
def test_a_file_that_was_chosen_is_read_into_the_form_or_named(
    web_server: WebServer, browser: Any, tmp_path: Path, rows: int
) -> None:
    """Chooses a file, and presses no button: a small one is kept with the form, of a large one the page says which it was."""
    web_server.serve()
    person = Person(browser, web_server, locale="en")
    page = person.page
    person.signs_in()
    file = tmp_path / "people.csv"
    file.write_text("login,password\n" + "".join(f"person{row},{PASSWORD}\n" for row in range(rows)))
    page.goto("/new")
    with page.expect_response("**/new/*/keep") as kept:
        page.set_input_files("[name=file]", file)
    assert kept.value.status == 204
    with page.expect_response("**/new/*/keep"):  # another field, while the file stays chosen
        page.fill("[name=name]", "office")
    page.wait_for_url("**/new/*")
    page.reload()
    assert page.input_value("[name=name]") == "office"
    if rows == 1:
        assert page.inner_text(".preview td >> nth=0") == "person0"
        assert page.get_by_text("choose it again").count() == 0
    else:
        assert page.locator(".preview").count() == 0
        assert page.get_by_text("people.csv was chosen: choose it again").count() == 1
    assert PASSWORD not in page.content()
    assert person.trouble == []


def test_the_language_stays_where_nothing_was_kept(web_server: WebServer, browser: Any) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="en")
    page = person.page
    person.signs_in("admin")
    page.goto("/admin")
    page.route("**/filled/*/keep", lambda route: route.fulfill(status=413))
    page.fill("#set-user [name=name]", "vera")
    page.click(".languages [lang=ru]")
    page.wait_for_selector("#unkept")
    assert page.get_attribute("html", "lang") == "en"
    assert page.input_value("#set-user [name=name]") == "vera"
    page.unroute("**/filled/*/keep")
    page.click(".languages [lang=ru]")
    page.wait_for_selector("html[lang=ru]")
    assert page.input_value("#set-user [name=name]") == "vera", "the control"


def test_what_was_typed_just_before_another_page_is_there_after_back(web_server: WebServer, browser: Any) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="en")
    page = person.page
    person.signs_in("admin")
    for path, field in (("/admin", "#make-token [name=name]"), ("/new", "[name=source_host]")):
        before = len(list(web_server.store._redis.scan_iter(keys.draft("*"))))
        page.goto(path)
        page.fill(field, "typed.example")
        page.click("nav a:text-is('Imports')")  # no moment was left to keep it before
        page.wait_for_selector("h1:text-is('Imports')")
        await_ready(
            lambda before=before: len(list(web_server.store._redis.scan_iter(keys.draft("*")))) > before, 20, path
        )
        page.go_back()
        page.wait_for_selector(field)
        assert page.input_value(field) == "typed.example", path
    assert person.trouble == []


def test_what_is_kept_just_now_does_not_come_after_its_form(web_server: WebServer, browser: Any) -> None:
    web_server.serve()
    person = Person(browser, web_server, locale="en")
    page = person.page
    person.signs_in("admin")
    page.goto("/admin/reach")
    held: list[Any] = []
    page.route("**/filled/*/keep", lambda route: held.append(route))
    page.route(
        "**/admin/reach", lambda route: held.append(route) if route.request.method == "POST" else route.continue_()
    )
    with page.expect_request("**/filled/*/keep"):
        page.fill("#allow [name=place]", "10.20.0.0/16")
    with page.expect_event("requestfailed") as failed, page.expect_request("**/admin/reach") as sent:
        page.click("#allow button", no_wait_after=True)
    assert failed.value.url.endswith("/keep"), "it is given up while the form is under way"
    kept_id = failed.value.url.split("/")[-2]
    assert f"filled={kept_id}.allow" in sent.value.post_data, "and what came of it is dropped with the form"
    page.unroute_all()


def test_what_is_done_is_told_as_done_without_the_store(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_store(*_: Any, **__: Any) -> None:
        raise StoreError("no")

    monkeypatch.setattr(page_routes, "there", no_store)
    app = SimpleNamespace(state=SimpleNamespace(web_context=None))
    request = SimpleNamespace(app=app, state=SimpleNamespace(sent=[("filled", f"{'a' * 24}.set-user")]))
    page_routes._done(cast(Request, request))


def test_pasted_passwords_come_back_as_dots() -> None:
    found = [
        text
        for template in (resources.files("producer.web") / "templates").iterdir()
        for text in re.findall(r'<textarea[^>]*name="(?:sheet|secret)"[^>]*>', template.read_text())
    ]
    assert len(found) == 3
    assert all("data-secret" in text for text in found)
