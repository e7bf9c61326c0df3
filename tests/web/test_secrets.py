"""Tests that no answer contains a secret: every GET route of API and page is asked after an import has run."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from urllib.parse import quote

import httpx2
import pytest
from cryptography.fernet import Fernet

from shared.store.redis.redis_store import connect
from tests import mail
from tests.leaks import leaks
from tests.servers.dovecot import Dovecot
from tests.servers.identity import CLIENT, IdentityProvider
from tests.servers.process import await_ready
from tests.web.conftest import WebServer, allowed, ends, http_client
from tests.web.doors import doors

#: Each has characters that Base64, URLs, HTML and JSON encode.
ROW, WRONG, NEW = "r0w+/&<word>", "wr0ng+/&<word>", "n3w+/&<word>"
USER, REDIS, CLIENT_SECRET = "us3r+/&<password>", "r3dis+/&<password>", "cl1ent+/&<password>"
#: Routes that are also asked with a query.
MORE = {
    "/api/v1/imports/{import_id}/mailboxes": ("?state=parked", "?code=source_auth_refused", "?order=login"),
    "/imports/{import_id}": ("?state=parked&order=login", "?text=fails"),
    "/imports/{import_id}/credentials": ("?code=source_auth_refused",),
    "/api/v1/imports/{import_id}/errors": ("?login=fails",),
    "/api/v1/mailboxes": ("?text=fails",),
    "/search": ("?text=fails",),
}


def addresses() -> list[str]:
    """Returns the path of every GET route of API and page."""
    return [path for method, path in doors() if method == "GET"]


@dataclass
class Visitor:
    """A client that asks for everything, as an administrator with a token and a signed-in browser."""

    #: The URL of the server.
    base: str
    #: A client with the token and the browser's session.
    client: httpx2.Client
    #: Parameter of a path → its values.
    blanks: Mapping[str, tuple[str, ...]]
    #: Name of each secret → the secret, which no answer may contain.
    secrets: Mapping[str, str]
    #: Path → status of its answer.
    seen: dict[str, int] = field(default_factory=dict)

    def walk(self) -> list[str]:
        """Asks for everything. Returns "route: name of the secret" for each secret that was found."""
        found = []
        for address in addresses():
            for path in self._filled(address):
                for more in ("", *MORE.get(address, ())):
                    status, answer = self._ask(path + more)
                    self.seen[path + more] = status
                    found += [f"{address}: {name}" for name in leaks(self.secrets, answer)]
        return found

    def _filled(self, address: str) -> list[str]:
        paths = [address]
        for name, values in self.blanks.items():
            paths = [path.replace(f"{{{name}}}", value) for path in paths for value in values]
        assert "{" not in paths[0], f"{address}: say in `blanks` what its blanks are filled with"
        return list(dict.fromkeys(paths))

    def _ask(self, path: str) -> tuple[int, bytes]:
        with self.client.stream("GET", f"{self.base}{path}") as answer:
            whole = repr(answer.headers.multi_items()).encode()
            for part in answer.iter_bytes():
                whole += part
                if answer.headers.get("content-type", "").startswith("text/event-stream") and b"\n\n" in whole:
                    break  # a stream of events may never end
        return answer.status_code, whole


def _redis_user(web_server: WebServer) -> str:
    """Makes a user of Redis with a password. Returns the URL with both."""
    connect(web_server.state_url).acl_setuser(
        "canary", enabled=True, passwords=[f"+{REDIS}"], keys=["*"], channels=["*"], categories=["+@all"]
    )
    return f"unix://canary:{quote(REDIS, safe='')}@{web_server.redis.socket}"


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


@pytest.fixture
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    """Servers of this test alone: its addresses name the same logins every time."""
    with Dovecot(mail_format="sdbox") as source, Dovecot(mail_format="sdbox") as destination:
        yield source, destination


@pytest.fixture
def visitor(web_server: WebServer, servers: tuple[Dovecot, Dovecot], provider: IdentityProvider) -> Iterator[Visitor]:
    """Yields a visitor after an import has ended, of which one mailbox failed; another import was rehearsed."""
    first, key = f"mh_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}", Fernet.generate_key().decode()
    for server, password in zip(servers, (ROW, NEW), strict=True):
        server.add_user("works", password)
        server.add_user("fails", password)
    mail.populate(servers[0].host, servers[0].port, "works", ROW, mail.make_mailbox(5, {"INBOX": 3}))
    web_server.serve(
        MAILHAUL_REDIS_URL=_redis_user(web_server),
        MAILHAUL_SECRET_KEY=key,
        MAILHAUL_WEB_FIRST_TOKEN=first,
        MAILHAUL_WEB_OIDC_ISSUER=provider.url,
        MAILHAUL_WEB_OIDC_CLIENT_ID=CLIENT,
        MAILHAUL_WEB_OIDC_CLIENT_SECRET=CLIENT_SECRET,
        MAILHAUL_WEB_ROLES="*=viewer",
        **allowed(servers),
    )
    web_server.crew()
    base = f"http://127.0.0.1:{web_server.port}"
    with http_client(headers={"Authorization": f"Bearer {first}", "Origin": base}) as client:
        api = f"{base}/api/v1"
        made = client.post(f"{api}/tokens", json={"name": "robot", "role": "viewer"}).json()["token"]
        told = [client.put(f"{api}/users/anna", json={"password": USER, "role": "viewer"})]
        sheet = f"login,password,new_password\nworks,{ROW},{NEW}\nfails,{WRONG},{NEW}\n"
        told.append(client.post(f"{api}/manifests", json={"manifest": sheet}))
        told.append(client.post(f"{api}/imports", json={"name": "office", "manifest": sheet, **ends(servers)}))
        there = told[-1].json()["import"]["id"]
        rehearsed = []
        for kind in ("check", "plan"):
            told.append(client.post(f"{api}/imports/{there}/rehearsals", json={"kind": kind}))
            rehearsed.append(told[-1].json()["id"])
        for one in rehearsed:
            await_ready(lambda one=one: client.get(f"{api}/rehearsals/{one}").json()["state"] == "done", 180)
        told.append(client.post(f"{api}/imports/{there}/start"))
        await_ready(lambda: client.get(f"{api}/imports/{there}").json()["state"] == "finished", 180, "the end")
        client.post(f"{base}/sign-in", data={"token": first})
        client.follow_redirects = True
        told.append(client.post(f"{base}/new", data={"paste": sheet, "do": "look"}))
        told.append(client.post(f"{base}/new", data={"sheet": f"{sheet}more,{WRONG},{NEW},{ROW}\n", "do": "preview"}))
        short = {"name": "anna", "password": ROW[:5], "role": "viewer"}
        told.append(client.post(f"{base}/admin/users", data=short))
        result = told.pop().url.path.rpartition("/")[2]
        client.follow_redirects = False
        form = re.search(r'href="/new/(\w+)/wrong-rows\.csv"', told[-1].text)
        assert form
        boxes = {box["login"]: box for box in client.get(f"{api}/imports/{there}/mailboxes").json()["mailboxes"]}
        assert (boxes["works"]["state"], boxes["fails"]["state"]) == ("complete", "parked")
        known = {
            "row": ROW,
            "wrong": WRONG,
            "new": NEW,
            "user": USER,
            "redis": REDIS,
            "client": CLIENT_SECRET,
            "key": key,
            "first token": first.split("_", 2)[2],
            "token": made.split("_", 2)[2],
            "hash": hashlib.sha256(made.split("_", 2)[2].encode()).hexdigest(),
        }
        blanks = {
            "import_id": (there,),
            "mailbox_id": tuple(box["id"] for box in boxes.values()),
            "rehearsal_id": tuple(rehearsed),
            "file": (
                "results.csv",
                "failures.csv",
                "notes.csv",
                "folders.csv",
                "summary.json",
                "failed-rows.csv",
                "one-page.html",
                "one-page.csv",
            ),
            "link": ("nothing",),
            "event": ("status",),
            "target_id": ("00000000",),
            "name": ("gmail",),
            "draft": ("nothing",),
            "form_id": (form[1],),
            "result_id": (result,),
        }
        assert [name for answer in told for name in leaks(known, answer.content)] == []
        yield Visitor(base, client, blanks, known)


def test_no_address_tells_a_secret(web_server: WebServer, visitor: Visitor, servers: tuple[Dovecot, Dovecot]) -> None:
    assert visitor.walk() == []
    wrong = {path: status for path, status in visitor.seen.items() if status not in (200, 204, 302, 303)}
    # There was no return from a provider, no cutover was begun, the search names no login at first, and the rehearsal was a
    # plan, which has no table.
    assert {re.sub("[0-9a-f]{16,24}", "I", path): status for path, status in wrong.items()} == {
        "/oidc/back": 401,
        "/results/I": 422,  # the password was too short
        "/imports/I/cutovers/status": 404,
        "/api/v1/mailboxes": 422,
        "/rehearsals/I.csv": 404,
        "/imports/I/add/I/wrong-rows.csv": 404,  # the form was sent
        "/wrong-rows/nothing.csv": 404,  # nothing was opened without them
    }
    assert len(visitor.seen) > 40
    # The doctor's answer when Redis refuses the login.
    connect(web_server.state_url).acl_setuser("canary", enabled=True, reset_passwords=True, passwords=["+another"])
    broken = visitor.client.get(f"{visitor.base}/api/v1/doctor")
    assert not broken.json()["ok"]
    assert leaks(visitor.secrets, broken.content) == []
    logs = b"".join(path.read_bytes() for path in web_server.home.rglob("*.log"))
    assert leaks(visitor.secrets, logs) == []


def test_a_secret_that_an_address_tells_is_found(visitor: Visitor, servers: tuple[Dovecot, Dovecot]) -> None:
    """The control: an import is named after a password, and every route that shows its name is found."""
    body = {"name": f"my {ROW}", "manifest": "a,b\n", **ends(servers)}
    assert visitor.client.post(f"{visitor.base}/api/v1/imports", json=body).status_code == 201
    found = set(visitor.walk())
    assert {"/api/v1/imports: row", "/: row", "/api/v1/audit.csv: row", "/api/v1/audit.jsonl: row"} <= found


@pytest.mark.parametrize(
    "answer",
    [
        ROW,
        quote(ROW, safe=""),
        quote(ROW, safe="").lower(),
        "".join(f"%{byte:02x}" for byte in ROW.encode()),
        html.escape(ROW),
        json.dumps(ROW).replace("<", "\\u003c").replace("/", "\\/"),
        ROW.encode().hex(),
        *(base64.b64encode(f"{'x' * before}{ROW}yz".encode()).decode() for before in range(4)),
        *(base64.urlsafe_b64encode(b"\xff" * before + ROW.encode()).decode() for before in range(4)),
    ],
)
def test_a_secret_is_found_in_all_its_clothes(answer: str) -> None:
    assert leaks({"row": ROW, "other": NEW}, f'{{"a": "{answer}"}}'.encode()) == ["row"]
