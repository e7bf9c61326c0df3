"""Tests accounts that an import by the API creates: only through a service that the settings name."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.model.lifecycle import ImportState
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.servers.scim import SECRET, ScimServer
from tests.web.conftest import PASSWORD, WebServer, allowed, ends
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


@pytest.fixture
def empty(servers: Servers) -> Iterator[tuple[Servers, str]]:
    """Yields a source, a destination without accounts, and the service that creates accounts there."""
    owner = servers[1].home.stat()
    with tempfile.TemporaryDirectory(prefix="passwd-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        users = Path(place) / "users"
        users.touch(0o600)
        os.chown(users, owner.st_uid, owner.st_gid)
        read = f"{{\n  driver = passwd-file\n  args = username_format=%u {users}\n}}\n"
        with Dovecot(mail_format="sdbox", extra=f"passdb {read}userdb {read}") as destination:
            home = f"{destination.home}/mail/made/{{login}}"
            url = f"passwd-file:{users}?uid={owner.st_uid}&gid={owner.st_gid}&home={home}"
            yield (servers[0], destination), url


def test_a_service_of_the_settings_makes_the_accounts(web_server: WebServer, empty: tuple[Servers, str]) -> None:
    servers, url = empty
    source, destination = servers
    source.add_user("maker1", PASSWORD)
    mail.populate(source.host, source.port, "maker1", PASSWORD, mail.make_mailbox(1, {"INBOX": 3}))
    web_server.serve(**allowed(servers) | {"MAILHAUL_WEB_ACCOUNTS": f"office={url}"})
    web_server.crew()
    api = web_server.client()
    assert api.get("/accounts").json() == {"accounts": ["office"]}
    body = {"name": "new", "manifest": f"login,password\nmaker1,{PASSWORD}\n", "accounts": "office", **ends(servers)}
    opened = api.post("/imports", json=body)
    assert opened.status_code == 201, opened.text
    there = f"/imports/{opened.json()['import']['id']}"
    rehearsal = api.post(f"{there}/rehearsals", json={"kind": "check"}).json()["id"]
    await_ready(lambda: api.get(f"/rehearsals/{rehearsal}").json()["state"] != "running", 180, "the check")
    (seen,) = api.get(f"/rehearsals/{rehearsal}").json()["result"]["mailboxes"]
    assert seen["destination"]["would_create"] is True
    api.post(f"{there}/start")
    await_ready(lambda: web_server.store.imports()[0].state is ImportState.FINISHED, 180, "the end")
    wanted = mail.snapshot(source.host, source.port, "maker1", PASSWORD, canon=mail.canon_dovecot)
    assert mail.snapshot(destination.host, destination.port, "maker1", PASSWORD) == wanted


def test_another_service_is_refused_and_the_secret_stays_here(web_server: WebServer, servers: Servers) -> None:
    with ScimServer() as scim:
        secret = web_server.home / "scim"
        secret.write_text(f"{SECRET}\n")
        web_server.serve(
            **allowed(servers),
            MAILHAUL_WEB_ACCOUNTS=f"office=scim+{scim.url}/v2",
            MAILHAUL_WEB_ACCOUNTS_SECRET_FILES=f"office={secret}",
        )
        api = web_server.client()
        body = {"name": "new", "manifest": f"login,password\nx,{PASSWORD}\n", **ends(servers)}
        for name in ("lab", "scim+https://evil.example/v2", "hook:/bin/sh"):
            answer = api.post("/imports", json={**body, "accounts": name})
            assert (answer.status_code, "is no service here (office)" in answer.text) == (422, True), answer.text
        opened = api.post("/imports", json={**body, "accounts": "office"})
        assert opened.status_code == 201, opened.text
        assert (
            SECRET not in opened.text + api.get("/accounts").text + (web_server.home / "producer.web.log").read_text()
        )


@pytest.mark.parametrize(
    ("variables", "why"),
    [
        ({"MAILHAUL_WEB_ACCOUNTS": "scim+https://x.example"}, "is not NAME="),
        ({"MAILHAUL_WEB_ACCOUNTS": "office=scim+http://x.example"}, "in the clear"),
        ({"MAILHAUL_WEB_ACCOUNTS_SECRET_FILES": "lab=/tmp/x"}, "names no 'lab'"),
    ],
    ids=str,
)
def test_settings_that_mean_nothing_are_told_at_the_start(
    web_server: WebServer, variables: dict[str, str], why: str
) -> None:
    web_server.variables |= variables
    process = web_server.start("producer.web")
    assert process.wait(180) == 2
    assert why in (web_server.home / "producer.web.log").read_text()


def test_the_page_offers_the_services_by_name(web_server: WebServer, servers: Servers) -> None:
    secret = web_server.home / "scim"
    secret.write_text(f"{SECRET}\n")
    url = "scim+https://mail.example/v2"
    web_server.serve(
        **allowed(servers), MAILHAUL_WEB_ACCOUNTS=f"office={url}", MAILHAUL_WEB_ACCOUNTS_SECRET_FILES=f"office={secret}"
    )
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    assert '<option value="office">' in browser.get("/new").text
    form = {"name": "new", "sheet": f"login,password\nx,{PASSWORD}\n", "do": "open", "accounts": "lab"}
    for side, server in zip(("source", "destination"), servers, strict=True):
        form |= {f"{side}_host": "127.0.0.1", f"{side}_port": str(server.port), f"{side}_tls": "none"}
    refused = browser.presses(form)
    assert (refused.status_code, "is no service here (office)" in refused.text) == (200, True)
    assert browser.presses(form | {"accounts": "office"}, refused.url.path).status_code == 303
    assert [found.options.accounts for found in web_server.store.imports()] == [url]
