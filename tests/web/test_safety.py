"""Tests who may ask for what, and what is refused to everybody. Each protection has its control."""

from __future__ import annotations

import re
import socket

import httpx2
import pytest
import redis

from shared.mail.transport import dialing
from shared.model.errors import UsageError
from shared.sign_in.reach import Reach, reach_of
from shared.store.records.principals import Role
from tests.servers.process import free_port
from tests.web.conftest import ONE_MINUTE, WebServer, allowed, ends, serve_with
from tests.web.doors import doors
from tests.web.test_signing_in import Browser


def test_nobody_without_a_token_and_each_role_its_own(web_server: WebServer) -> None:
    web_server.serve()
    assert web_server.anybody().get("/imports").status_code == 401
    assert web_server.anybody(Authorization="Bearer mh_abc_def").get("/imports").status_code == 401
    may = {
        role: (
            client.get("/imports").status_code,
            client.post("/manifests", json={"manifest": "a,b\n"}).status_code,
            client.get("/tokens").status_code,
        )
        for role in ("viewer", "operator", "admin")
        for client in [web_server.client(role)]
    }
    assert may == {"viewer": (200, 403, 403), "operator": (200, 200, 403), "admin": (200, 200, 200)}


#: Routes that are open to everybody: those for signing in, and those that say nothing of any import.
#: Routes that keep what the asker types into a form, for the asker alone.
_OWN = {"/filled", "/filled/{form_id}/keep"}
_OPEN = {
    "/sign-in",
    "/sign-out",
    "/enter/{link}",
    "/oidc/begin",
    "/oidc/back",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/api/v1/openapi.json",
}


def test_no_door_was_forgotten(web_server: WebServer) -> None:
    """Asks for every route: none answers without signing in, and a viewer can change nothing."""
    web_server.serve()
    page, api = Browser(web_server), web_server.client("viewer")
    _, token = web_server.principals.make_token("looks", Role.VIEWER)
    strangers, root = Browser(web_server), page.base
    page.post("/sign-in", data={"token": token})
    for method, room in doors():
        path = re.sub(r"\{[^}]*\}", "0" * 16, room)
        if room in _OPEN:
            continue
        nobody = strangers.request(method, path)
        at_the_door = nobody.status_code == 303 and nobody.headers["location"].startswith("/sign-in")
        told_to_come_in = (
            path.endswith("/stream") and nobody.text.count("event: ") == nobody.text.count("event: ended") == 1
        )
        assert nobody.status_code == 401 or at_the_door or told_to_come_in, (method, path, nobody.status_code)
        if method != "GET" and room not in _OWN:
            told = api.request(method, f"{root}{path}") if path.startswith("/api/") else page.post(path)
            assert told.status_code == 403, (method, path)


def test_a_token_is_shown_once_and_kept_as_a_hash_and_ends_at_once(web_server: WebServer) -> None:
    web_server.serve()
    admin = web_server.client("admin")
    made = admin.post("/tokens", json={"name": "robot", "role": "viewer"}).json()
    robot = web_server.anybody(Authorization=f"Bearer {made['token']}")

    assert robot.get("/imports").status_code == 200
    assert made["token"] not in admin.get("/tokens").text
    stored = b"".join(value for database in (0, 1) for value in _dump(web_server, database))
    secret = made["token"].split("_", 2)[2]
    assert secret.encode() not in stored
    assert admin.delete(f"/tokens/{made['id']}").status_code == 204
    assert robot.get("/imports").status_code == 401
    whats = [(entry["what"], entry["who"][:7]) for entry in admin.get("/audit").json()["entries"]]
    assert whats == [("token made", "a admin"), ("token revoked", "a admin"), ("sign-in refused", "?")]


def _dump(web_server: WebServer, database: int) -> list[bytes]:
    with redis.Redis(unix_socket_path=str(web_server.redis.socket), db=database) as client:
        return [client.dump(key) or b"" for key in client.scan_iter()] + [
            value for key in client.scan_iter("*tokens") for value in client.hvals(key)
        ]


def test_guessing_tokens_is_slowed_down(web_server: WebServer) -> None:
    serve_with(web_server, ONE_MINUTE)
    known = web_server.client()
    for _ in range(20):
        assert web_server.anybody(Authorization="Bearer mh_00_x").get("/imports").status_code == 401
    assert web_server.anybody(Authorization="Bearer mh_00_x").get("/imports").status_code == 429
    assert known.get("/imports").status_code == 200, "a token that is right, from the same address"
    browser = Browser(web_server)
    _, token = web_server.principals.make_token("somebody", Role.VIEWER)
    assert browser.post("/sign-in", data={"token": "mh_00_x"}).status_code == 429
    assert browser.post("/sign-in", data={"token": token}).status_code == 303


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": "http://evil.example"}, 403),
        ({"Origin": "null"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 200),
        ({"Host": "evil.example"}, 421),
        ({"Host": "[bad"}, 421),
    ],
)
def test_another_site_and_another_name_are_refused(web_server: WebServer, headers: dict[str, str], status: int) -> None:
    web_server.serve()
    answer = web_server.client(**headers).post("/manifests", json={"manifest": "a,b\n"})
    assert answer.status_code == status
    assert answer.headers["content-security-policy"].startswith("default-src 'self'")
    assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"


def test_an_upload_has_a_limit(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_UPLOAD_BYTES="2048")
    api = web_server.client()
    assert api.post("/manifests", json={"manifest": "a,b\n" * 1000}).status_code == 413
    assert api.post("/manifests", json={"manifest": "a,b\n"}).status_code == 200
    # A body without Content-Length.
    pieces = (b" " * 1000 for _ in range(10))
    assert api.post("/manifests", content=pieces, headers={"Content-Type": "application/json"}).status_code == 413


@pytest.mark.parametrize("length", ["Content-Length: 20000000", "Transfer-Encoding: chunked"])
@pytest.mark.parametrize(
    ("path", "sent", "status"),
    [
        ("/api/v1/imports", "", 401),
        ("/api/v1/manifests", "Authorization: Bearer mh_00_x", 401),
        ("/new", "", 401),
        ("/imports/x/add", "Cookie: mailhaul=none", 401),
        ("/sign-in", "", 413),
        ("/api/v1/tokens", "", 413),
    ],
)
def test_a_large_body_of_a_stranger_is_not_read(
    web_server: WebServer, path: str, sent: str, status: int, length: str
) -> None:
    """Sends only a few bytes of the body: the answer comes all the same."""
    web_server.serve()
    if "chunked" in length and status == 413:
        status = 401  # the length is unknown, so signing in is checked first
    head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{length}\r\n{sent}".rstrip() + "\r\n\r\n"
    with socket.create_connection(("127.0.0.1", web_server.port), timeout=180) as sock:
        sock.sendall(head.encode() + b"5\r\nlogin")
        assert sock.recv(100).startswith(f"HTTP/1.1 {status} ".encode())


def test_a_large_list_of_somebody_known_is_read(web_server: WebServer) -> None:
    """The control: a signed-in client may send a large list, but only to routes that take lists."""
    web_server.serve()
    api = web_server.client()
    rows = "".join(f"user{n}@old.example,pw\n" for n in range(5000))
    assert api.post("/manifests", json={"manifest": "login,password\n" + rows}).status_code == 200
    assert api.patch("/imports/none", json={"manifest": "login,password\n" + rows}).status_code == 404
    assert api.post("/detect", json={"address": "a" * 100_000}).status_code == 413
    assert api.post("/detect", json={"address": "a" * 60_000}).status_code == 422


def test_what_is_nested_without_end_is_no_json(web_server: WebServer) -> None:
    """Python gives such a text up in a way that nobody expects."""
    web_server.serve()
    nested, known = b"[" * 60_000, web_server.client("operator")
    for client, refused in ((web_server.anybody(), 401), (known, 400)):
        answer = client.post("/imports", content=nested, headers={"Content-Type": "application/json"})
        assert answer.status_code in (refused, 400), answer.text


def test_what_was_sent_is_not_sent_back(web_server: WebServer) -> None:
    web_server.serve()
    api = web_server.client()
    for body in (
        {"manifest": "login,password\nx,s3cret-canary,too,many\n"},
        {"manifest": ["s3cret-canary"]},
        {"manifest": "a,b\n", "s3cret-canary": 1},
    ):
        answer = api.post("/manifests", json=body)
        assert answer.headers["content-type"] == (
            "application/problem+json" if answer.status_code > 200 else "application/json"
        )
        assert "too,many" not in answer.text
        assert "'s3cret" not in answer.text
    broken = api.post(
        "/manifests", content=b'{"manifest": "s3cret-canary', headers={"Content-Type": "application/json"}
    )
    assert (broken.status_code, "s3cret" in broken.text) == (400, False)


def test_it_is_not_opened_to_others_before_there_is_a_way_to_sign_in(web_server: WebServer) -> None:
    web_server.port = free_port()
    web_server.variables["MAILHAUL_WEB_HOST"] = "0.0.0.0"
    process = web_server.start("producer.web")
    assert process.wait(180) == 2
    assert "make a user first" in (web_server.home / "producer.web.log").read_text()
    web_server.principals.make_token("somebody", Role.ADMIN)
    web_server.serve()
    assert httpx2.get(f"http://127.0.0.1:{web_server.port}/healthz", timeout=180).status_code == 200


# -- which servers may be connected to


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "192.168.0.1",
        "169.254.169.254",
        "::1",
        "fe80::1",
        "fd00::1",
        "::ffff:10.0.0.1",
        "0.0.0.0",
        "100.64.0.1",
        "224.0.0.1",
        "2002:7f00:1::",
        "64:ff9b:1::1",
        "64:ff9b::a00:1",
        "fec0::1",
        "::10.0.0.1",
        "::93.184.215.14",
        "::ffff:0:93.184.215.14",
        "192.88.99.1",
        "3fff::1",
        "5f00::1",
        "2606:2800:21f:cb07:0:5efe:a00:1",
        "2606:2800:21f:cb07:200:5efe:7f00:1",
        "4000::1",
        "::",
        "2001:db8::1",
        "2001:0:7f00:1::",
        "100::1",
        "198.18.0.1",
        "192.0.2.1",
        "240.0.0.1",
        "255.255.255.255",
    ],
)
def test_addresses_that_are_not_public_are_refused_unless_allowed(address: str) -> None:
    reach = Reach(resolve=lambda host, port: [address])
    with pytest.raises(OSError, match="not public"):
        reach.addresses("mail.example.org", 993)
    assert Reach(names=frozenset({"mail.example.org"}), resolve=reach.resolve).addresses("mail.example.org", 993)
    network = f"{address}/32" if "." in address and ":" not in address else f"{address}/128"
    allowed = Reach(networks=reach_of(network, "993").networks, resolve=reach.resolve)
    assert allowed.addresses("other.example.org", 993) == [address]


@pytest.mark.parametrize(
    "address",
    [
        "93.184.215.14",
        "2606:2800:21f:cb07:6820:80da:af6b:8b2c",
        "::ffff:93.184.215.14",
        "64:ff9b::5db8:d70e",
        "2a00:1450:4001::1",
    ],
)
def test_public_addresses_are_reached(address: str) -> None:
    """The control."""
    assert Reach(resolve=lambda host, port: [address]).addresses("mail.example.org", 993) == [address]


def test_a_name_with_one_address_inside_is_refused_and_ports_are_from_a_list() -> None:
    both = Reach(resolve=lambda host, port: ["93.184.215.14", "10.0.0.1"])
    with pytest.raises(OSError, match="not public"):
        both.addresses("mail.example.org", 993)
    public = Reach(resolve=lambda host, port: ["93.184.215.14"])
    assert public.addresses("mail.example.org", 993) == ["93.184.215.14"]
    with pytest.raises(OSError, match="port 22"):
        public.addresses("mail.example.org", 22)
    with pytest.raises(UsageError):
        reach_of("10.0.0.0/99", "993")


def test_a_name_that_changes_its_mind_is_connected_to_where_it_was_looked_at(
    dovecot_pair: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = dovecot_pair.source  # type: ignore[attr-defined]
    asked: list[str] = []

    def once(host: str, port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) == 1 else ["10.0.0.1"]

    reach = Reach(networks=reach_of("127.0.0.0/8", "993").networks, ports=frozenset({server.port}), resolve=once)
    monkeypatch.setattr(dialing, "_allowed", reach.addresses)
    # The name does not exist: a second resolution by the system would fail.
    with dialing.connect("rebinding.invalid", server.port, timeout=5) as sock:
        assert sock.getpeername()[0] == "127.0.0.1"
    with pytest.raises(OSError, match="not public"):
        dialing.connect("rebinding.invalid", server.port, timeout=5)
    dialing.restrict(None)
    with pytest.raises(OSError, match=r"(?i)name"):
        dialing.connect("rebinding.invalid", server.port, timeout=5)


def test_the_api_refuses_servers_inside_and_an_administrator_allows_them(
    web_server: WebServer, servers: object
) -> None:
    body = {"name": "x", "manifest": "a,b\n", **ends(servers)}  # type: ignore[arg-type]
    ports = allowed(servers)["MAILHAUL_WEB_PORTS"]  # type: ignore[arg-type]
    web_server.serve(MAILHAUL_WEB_PORTS=ports)
    answer = web_server.client().post("/imports", json=body)
    assert (answer.status_code, "mailhaul reach add" in answer.text) == (422, True)
    web_server.serve(**allowed(servers))  # type: ignore[arg-type]
    assert web_server.client().post("/imports", json=body).status_code == 201
