"""Tests that an administrator sets up the services that make accounts by page, API and command line: a real SCIM server."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet

from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.store.records.named_services import NamedService, NamedServices
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.servers.redis_server import RedisServer
from tests.servers.scim import SECRET, ScimServer
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_page import Person, _fill, browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]
_ROUTE = "/account-services/office"


@pytest.fixture
def scim(servers: Servers) -> Iterator[ScimServer]:
    with ScimServer(created=servers[1].add_user) as scim:
        yield scim


def _open_to(servers: Servers, scim: ScimServer) -> dict[str, str]:
    given = allowed(servers)
    return given | {"MAILHAUL_WEB_PORTS": f"{given['MAILHAUL_WEB_PORTS']},{scim.url.rpartition(':')[2]}"}


def test_a_service_of_the_api_is_listed_tried_and_chosen(
    web_server: WebServer, servers: Servers, scim: ScimServer
) -> None:
    servers[0].add_user("ida", PASSWORD)
    web_server.serve(**_open_to(servers, scim))
    web_server.crew()
    api = web_server.client("admin")
    url = f"scim+{scim.url}/v2"
    made = api.put(_ROUTE, json={"url": url, "secret": SECRET}).json()
    assert made["service"] == f"scim {scim.url}/v2"
    assert scim.asked == [], "nothing is sent when it is set up"
    assert [one["name"] for one in api.get("/account-services").json()["services"]] == ["office"]
    assert api.get("/accounts").json() == {"accounts": ["office"]}
    assert api.post(f"{_ROUTE}/test", json={"login": "ida"}).json()["state"] == "missing"
    assert {method for method, _ in scim.asked} == {"GET"}
    given: dict[str, Any] = {"name": "new people", "manifest": f"login,password\nida,{PASSWORD}\n", **ends(servers)}
    opened = api.post("/imports", json=given | {"accounts": "office"}).json()
    api.post(f"/imports/{opened['import']['id']}/start")
    await_ready(lambda: scim.accounts == {"ida": PASSWORD}, 180, "the account")
    assert api.post(f"{_ROUTE}/test", json={"login": "ida"}).json()["state"] == "there"
    assert api.delete(_ROUTE).status_code == 204
    assert api.delete(_ROUTE).status_code == 404
    assert api.post(f"{_ROUTE}/test", json={"login": "ida"}).status_code == 422
    audit = web_server.records.audit()
    assert [act["what"] for act in audit if act["what"].startswith("account service")][:2] == [
        "account service set",
        "account service tried",
    ]
    everything = json.dumps([audit, api.get("/account-services").json()]) + str(_raw(web_server))
    assert SECRET not in everything


def _raw(web_server: WebServer) -> dict[bytes, bytes]:
    found: Any = connect(web_server.state_url).hgetall(keys.NAMED_SERVICES)
    return dict(found)


def test_what_the_api_may_not_set_up(web_server: WebServer, scim: ScimServer) -> None:
    web_server.serve()
    api = web_server.client("admin")

    def refused(url: str, secret: str = "x", name: str = "office") -> str:
        answer = api.put(f"/account-services/{name}", json={"url": url, "secret": secret})
        assert answer.status_code == 422, answer.text
        return str(answer.json()["detail"])

    assert "names a file or a program" in refused("hook:/bin/sh?arg=-c&arg=id")
    assert "names a file or a program" in refused("passwd-file:/etc/passwd")
    assert "ca is set on the machine only" in refused("scim+https://scim.example?ca=/etc/shadow")
    assert "api is set on the machine only" in refused("graph://tenant?api=https://evil.example")
    assert "not public" in refused("scim+https://127.0.0.1/v2")
    assert "MAILHAUL_WEB_PORTS" in refused(f"scim+{scim.url}/v2")
    key = json.dumps({"client_email": "a@b.example", "private_key": "x", "token_uri": "https://evil.example/token"})
    assert "evil.example/token, which is not Google" in refused("google://admin@b.example", key)
    key = key.replace("https://evil.example/", "http://127.0.0.1:9\\\\@x.googleapis.com/")
    assert "which is not Google" in refused("google://admin@b.example", key)
    for url in (
        "scim+https://host:abc/",
        "scim+https://host:99999/",
        "scim+https://[bad/",
        "scim+https://a\\@b.example",
    ):
        assert "is no URL" in refused(url), url
    assert "no key or token has" in refused("mailcow+https://1.1.1.1", "ключ")
    answer = api.put(_ROUTE, json={"url": "scim+https://1.1.1.1"}).json()
    assert [(one["field"], one["code"]) for one in answer["errors"]] == [("secret", "accounts_secret_missing")]
    assert "the address of one service" in refused("none")
    assert "the address of one service" in refused("a.example=scim+https://1.1.1.1\nb.example=scim+https://1.1.1.1")
    assert "no name of a service" in refused("scim+https://1.1.1.1", name="-rf")
    assert web_server.client("operator").put(_ROUTE, json={"url": "x", "secret": "y"}).status_code == 403
    assert _raw(web_server) == {}
    assert scim.asked == []


def test_a_service_of_the_command_line_is_chosen_by_the_api(
    web_server: WebServer, scim: ScimServer, tmp_path: Path
) -> None:
    """The operator of the machine needs no permission of the page's, and may name programs."""
    web_server.serve()
    secret = tmp_path / "secret"
    secret.write_text(SECRET + "\n")
    web_server.command("service", "set", "office", f"scim+{scim.url}/v2", "--secret-file", str(secret))
    web_server.command("service", "set", "own", "hook:/bin/true")
    listed = json.loads(web_server.command("service", "list", "--json"))["services"]
    assert [one["name"] for one in listed] == ["office", "own"]
    assert json.loads(web_server.command("service", "test", "office", "eve", "--json"))["state"] == "missing"
    api = web_server.client("admin")
    assert api.post(f"{_ROUTE}/test", json={"login": "eve"}).json()["state"] == "missing"
    web_server.command("service", "remove", "own")
    assert "is no service" in web_server.command("service", "remove", "own", code=2)
    assert "is no service" in web_server.command("service", "test", "own", "eve", code=2)


def test_a_row_counts_with_its_signature_and_under_new_keys() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    with RedisServer() as redis:
        client = connect(f"unix://{redis.socket}?db=1")
        services = NamedServices(client, Vault([old]))
        services.set(NamedService(name="office", text="scim+https://scim.example", secret=Secret("s"), by="x", at=1.0))
        both = NamedServices(client, Vault([new, old]))
        assert both.resign().renewed == 1
        (kept,) = NamedServices(client, Vault([new])).all().values()
        assert (kept.text, kept.secret.reveal()) == ("scim+https://scim.example", "s")
        assert services.all() == {}, "the control"
        row: Any = client.hget(keys.NAMED_SERVICES, "office")
        client.hset(keys.NAMED_SERVICES, "office", row.replace(b"scim.example", b"evil.example"))
        client.hset(keys.NAMED_SERVICES, "other", row)
        assert both.all() == {}
        assert both.resign().lost == 2


def test_the_page_sets_a_service_up_and_an_import_chooses_it(
    web_server: WebServer,
    servers: Servers,
    scim: ScimServer,
    browser: Any,  # noqa: F811
) -> None:
    web_server.serve(**_open_to(servers, scim))
    person = Person(browser, web_server)
    page = person.page
    person.signs_in("admin")
    page.click("a:text-is('Administration')")
    page.click("a:text-is('Services that make accounts')")
    page.click("a:text-is('SCIM 2.0')")
    page.fill("[name=name]", "office")
    page.fill("[name=place]", "https://127.0.0.1:1/v2")
    page.fill("[name=secret]", SECRET)
    page.click("button:text-is('Set it up')")
    page.wait_for_selector("[role=alert]:has-text('port 1 is not among those')")
    assert page.evaluate("document.activeElement.id") == "fault"
    assert page.input_value("[name=name]") == "office", "what was typed stays"
    assert page.input_value("[name=secret]") == ""
    page.fill("[name=place]", f"{scim.url}/v2")
    page.fill("[name=secret]", SECRET)
    page.click("button:text-is('Set it up')")
    page.wait_for_selector("[role=status]:has-text('is set up')")
    page.fill("[name=login]", "zoe")
    page.click("button[aria-label='Try it: office']")
    page.wait_for_selector("[role=status]:has-text('would be made')")
    assert {method for method, _ in scim.asked} == {"GET"}
    assert SECRET not in page.content()
    page.goto("/new")
    page.select_option("[name=accounts]", "office")
    page.goto("/admin/accounts?kind=google&lang=ru")
    assert "JSON-ключ служебной учётной записи" in page.text_content("main")
    page.click("td button.danger")
    page.wait_for_selector("[role=status]:has-text('Служба удалена')")
