"""Tests that somebody is told by way of the API, the page and the command line: the same rows, the same rules, real receivers."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from shared.store.records.principals import Role
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.http_api import Asked, HttpApi, Said
from tests.servers.process import await_ready
from tests.servers.smtp_server import SmtpServer
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_page import Person, browser  # noqa: F401 - a fixture
from tests.web.test_signing_in import Browser

HIDDEN = "hidden-canary-77"


class Receiver(HttpApi):
    """A receiver of webhooks."""

    def answer(self, asked: Asked) -> Said:
        return Said(body={})


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def _open_to(receiver: Receiver) -> dict[str, str]:
    return {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_NOTIFY_PORTS": str(receiver.port)}


def test_a_target_is_set_up_tried_listed_and_removed_by_api(web_server: WebServer, receiver: Receiver) -> None:
    web_server.serve(**_open_to(receiver))
    api = web_server.client("admin")
    made = api.post("/targets", json={"way": "webhook", "to": f"{receiver.url}/{HIDDEN}", "digest": "08:00"}).json()
    assert made["secret"]
    shown = api.get("/targets").json()
    (target,) = shown["targets"]
    assert (target["id"], target["to"], target["digest"]) == (made["id"], "127.0.0.1", "08:00")
    assert HIDDEN not in json.dumps(shown)
    assert made["secret"] not in json.dumps(shown)
    assert api.post(f"/targets/{made['id']}/test").json() == {"sent": True, "why": ""}
    assert receiver.asked[0].json["kind"] == "test"
    receiver.instead.append(Said(status=404))
    assert "404" in api.post(f"/targets/{made['id']}/test").json()["why"]
    assert api.delete(f"/targets/{made['id']}").status_code == 204
    assert api.delete(f"/targets/{made['id']}").status_code == 404
    assert [act["what"] for act in web_server.records.audit()][-6:] == [
        "target set",
        "target tried",
        "target tried",
        "target removed",
        "target removed",
        "act refused",
    ]
    assert HIDDEN not in str(web_server.records.audit())


def test_only_an_administrator_may_and_no_private_address_is_reached(web_server: WebServer, receiver: Receiver) -> None:
    web_server.serve()
    body = {"way": "webhook", "to": receiver.url, "secret": "x"}
    assert web_server.client("operator").post("/targets", json=body).status_code == 403
    api = web_server.client("admin")
    made = api.post("/targets", json=body).json()
    why = api.post(f"/targets/{made['id']}/test").json()["why"]
    assert "not among those that MAILHAUL_NOTIFY_PORTS allows" in why
    assert receiver.asked == []


def test_the_page_sets_up_a_target_in_russian(web_server: WebServer, receiver: Receiver) -> None:
    web_server.serve(**_open_to(receiver))
    person = Browser(web_server)
    _, token = web_server.principals.make_token("chief", Role.ADMIN)
    person.post("/sign-in", data={"token": token})
    person.get("/targets?lang=ru")
    shown = person.post(
        "/targets", data={"way": "slack", "to": f"{receiver.url}/{HIDDEN}", "kinds": "state", "zone": "Mars"}
    )
    assert "такого часового пояса нет" in shown.text
    form = {"way": "slack", "to": f"{receiver.url}/{HIDDEN}", "kinds": ["state", "person"], "language": "ru"}
    assert person.post("/targets", data=form).status_code == 303
    page = person.get("/targets").text
    assert "ящики ждут человека" in page
    assert "nothing moved" not in page
    assert HIDDEN not in page
    target = re.search(r'action="/targets/(\w+)/test"', page)
    assert target
    assert "Пробное сообщение отправлено" in person.post(f"/targets/{target[1]}/test").text
    assert "пробное сообщение" in receiver.asked[0].json["text"]
    person.post(f"/targets/{target[1]}/remove")
    assert "Пока никого" in person.get("/targets").text


def test_the_form_asks_for_what_its_way_needs(web_server: WebServer, browser: Any) -> None:  # noqa: F811
    web_server.serve()
    person = Person(browser, web_server, locale="en")
    page = person.page
    person.signs_in("admin")
    page.goto("/targets")
    asked = {
        "email": {"to", "server", "login", "secret", "sender"},
        "webhook": {"to", "secret"},
        "slack": {"to"},
        "teams": {"to"},
    }
    for way, fields in asked.items():
        page.select_option("[name=way]", way)
        of_the_way = page.locator("#tell fieldset >> nth=0").locator("input:visible")
        assert set(of_the_way.evaluate_all("all => all.map(one => one.name)")) == fields, way
        name = "Address of mail" if way == "email" else "URL of the webhook"
        assert page.get_by_role("textbox", name=name, exact=True).count() == 1, "its name says what is meant"
        person.looks()
    assert person.trouble == []


def test_an_import_of_the_page_is_told_by_mail(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot], tmp_path: Path
) -> None:
    """Sets up the mail by command line, imports by API, and reads what the server of mail got."""
    login = "told"
    for server in servers:
        server.add_user(login, PASSWORD)
    with SmtpServer(tmp_path / "smtp", login="mailhaul", password="smtp-canary") as mail:
        web_server.serve(**allowed(servers), SSL_CERT_FILE=str(mail.ca))
        web_server.crew()
        (tmp_path / "pw").write_text("smtp-canary\n")
        target = web_server.command(
            "notify",
            "add",
            "email",
            "boss@corp.example",
            "--server",
            f"smtp://localhost:{mail.port}",
            "--login",
            "mailhaul",
            "--from",
            "mh@corp.example",
            "--secret-file",
            str(tmp_path / "pw"),
            "--language",
            "ru",
        ).strip()
        web_server.command("notify", "test", target)
        assert mail.mails[0]["Subject"] == "mailhaul: пробное сообщение"
        assert "smtp-canary" not in web_server.command("notify", "list")
        api = web_server.client()
        given: dict[str, Any] = {"name": "office", "manifest": f"login,password\n{login},{PASSWORD}\n", **ends(servers)}
        made = api.post("/imports", json=given).json()
        api.post(f"/imports/{made['import']['id']}/start")
        await_ready(lambda: any("готово" in one["Subject"] for one in mail.mails), 180, "the mail")
        assert not any(login in str(one) for one in mail.mails)


def test_what_could_not_be_delivered_is_shown_everywhere(web_server: WebServer, receiver: Receiver) -> None:
    web_server.serve(**_open_to(receiver))
    web_server.command("notify", "add", "slack", receiver.url)
    web_server.command(
        "notify", "remove", json.loads(web_server.command("notify", "list", "--json"))["targets"][0]["id"]
    )
    web_server.command("notify", "add", "slack", receiver.url)
    (target,) = json.loads(web_server.command("notify", "list", "--json"))["targets"]
    from producer import telling

    receiver.instead.append(Said(status=410, body="gone"))
    assert telling.one_target_told(web_server.store, "test", target["id"], 4e9, "once")
    await_ready(lambda: bool(web_server.store.undelivered()), 180, "the refusal")
    assert "410" in web_server.command("notify", "list")
    assert "1 notice could not be delivered" in web_server.command("doctor", code=1)
    assert "410" in json.dumps(web_server.client("admin").get("/targets").json()["undelivered"])
    web_server.command("notify", "retry")
    await_ready(lambda: len(receiver.asked) == 2, 180, "the second attempt")
    first, second = (asked.json["text"].splitlines()[-1] for asked in receiver.asked)
    assert first == second, "with the same id"


def test_a_forecast_and_one_page_by_api_and_page(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> None:
    for server in servers:
        server.add_user("paid", PASSWORD)
    web_server.serve(**allowed(servers))
    api = web_server.client()
    given: dict[str, Any] = {"name": "office", "manifest": f"login,password\npaid,{PASSWORD}\n", **ends(servers)}
    there = f"/imports/{api.post('/imports', json=given).json()['import']['id']}"
    assert "nothing can be forecast" in api.post(f"{there}/forecast").json()["detail"]
    web_server.crew()
    api.post(f"{there}/start")
    await_ready(lambda: api.get(there).json()["state"] == "finished", 180, "the end")
    assert api.get(f"{there}/forecast").json().keys() == {"kept", "scores"}
    page = api.get(f"{there}/report/one-page.html", params={"language": "ru", "zone": "Europe/Moscow"})
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    assert "Сколько сделано" in page.text
    assert api.get(f"{there}/report/one-page.csv").content.startswith(b"\xef\xbb\xbfWave,Mailboxes")
    assert api.get(f"{there}/report/one-page.html", params={"zone": "Mars"}).status_code == 422
    person = Browser(web_server)
    _, token = web_server.principals.make_token("looks", Role.VIEWER)
    person.post("/sign-in", data={"token": token})
    assert "one-page.html" in person.get(there).text
    person.get(f"{there}?lang=ru")
    assert "Сколько сделано" in person.get(f"{there}/report/one-page.html").text


def test_a_forecast_is_made_on_the_page_and_said_in_russian(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    for server in servers:
        server.add_user("slow", PASSWORD)
    source = servers[0]
    mail.populate(source.host, source.port, "slow", PASSWORD, mail.make_mailbox(3, {"INBOX": 300}))
    web_server.serve(**allowed(servers), MAILHAUL_GROUP_MESSAGES="10")
    web_server.store.set_limit("source_account.bytes_per_day", 20_000)
    api = web_server.client()
    given: dict[str, Any] = {"name": "office", "manifest": f"login,password\nslow,{PASSWORD}\n", **ends(servers)}
    there = f"/imports/{api.post('/imports', json=given).json()['import']['id']}"
    web_server.crew()
    api.post(f"{there}/start")
    await_ready(lambda: api.get(f"{there}/mailboxes").json()["mailboxes"][0]["state"] == "copying", 180, "the plan")
    person = Browser(web_server)
    _, token = web_server.principals.make_token("steers", Role.OPERATOR)
    person.post("/sign-in", data={"token": token})
    person.get(f"{there}?lang=ru")
    assert person.post(f"{there}/forecast").status_code == 303
    page = person.get(there).text
    assert "ящиков требуют больше суток при" in page
    assert "с каждой учётной записи источника" in page
    made = api.post(f"{there}/forecast").json()
    begins, over = (datetime.fromisoformat(made[name]) for name in ("made_at", "ends_at"))
    assert (over - begins).total_seconds() > 86_400
    assert "need more than a day at 20.0 kB a day" in made["said"][1]
    assert "forecast made" in str(web_server.records.audit())
