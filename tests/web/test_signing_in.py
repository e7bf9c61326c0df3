"""Tests the ways to sign in to the page: password, link, token, identity provider, proxy; and what each keeps out."""

from __future__ import annotations

import os
import pty
import re
import sys
from typing import Any

import httpx2

from producer.web.security import scrypt
from shared.store.records.principals import Principal, Role
from shared.store.records.sessions import BrowserSessions
from shared.store.redis.redis_store import connect
from tests.servers import preloaded
from tests.web.conftest import ONE_MINUTE, WebServer, http_client, serve_with

GOOD = "a long enough password"


class Browser:
    """A client that keeps cookies and does not follow redirects by itself."""

    def __init__(self, web_server: WebServer, **headers: str) -> None:
        self.base = f"http://127.0.0.1:{web_server.port}"
        self._client = http_client(
            base_url=self.base, headers={"Accept-Language": "en", "Origin": self.base, **headers}
        )
        self.cookies = self._client.cookies
        self.get = self._client.get
        self.request, self.stream = self._client.request, self._client.stream

    def post(self, path: str, **how: Any) -> httpx2.Response:
        """Sends a form. Returns the page that it leads to where that is its result, else the way to another page."""
        answer = self._client.post(path, **how)
        back = answer.headers.get("location", "")
        return self.get(back) if back.startswith(("/results/", "/sign-in?why=")) else answer

    def presses(self, data: dict[str, str], path: str = "/new") -> httpx2.Response:
        """Presses a button of the form. Returns the form that the page leads back to, or the way to the import."""
        answer = self.post(path, data=data)
        back = answer.headers.get("location", "")
        return self.get(back) if "/new/" in back or "/add/" in back else answer

    def is_in(self) -> bool:
        """Tells whether these cookies are signed in."""
        return self.get("/").status_code == 200

    def signs_in(self, name: str, password: str, **more: str) -> httpx2.Response:
        return self.post("/sign-in", data={"name": name, "password": password, **more})


def _user(web_server: WebServer, name: str = "anna", role: Role = Role.ADMIN, password: str = GOOD) -> None:
    web_server.principals.set_user(name, role, scrypt.hashed(password))


def _audit(web_server: WebServer) -> list[tuple[str, str, str]]:
    return [(entry["who"], entry["what"], entry["detail"].get("how", "")) for entry in web_server.records.audit()]


def _command(web_server: WebServer, *arguments: str, code: int = 0) -> str:
    done = preloaded.run("producer", *arguments, env=web_server.environment())
    assert done.returncode == code, done.stdout + done.stderr
    return done.stdout + done.stderr


# -- passwords


def test_a_hash_fits_its_password_only_and_says_how_it_was_made() -> None:
    known = scrypt.hashed(GOOD)
    assert known.startswith("scrypt$32768$8$3$")
    assert (scrypt.fits(GOOD, known), scrypt.fits(GOOD + " ", known), scrypt.fits(GOOD, "")) == (True, False, False)
    assert scrypt.hashed(GOOD) != known  # salted


def test_a_user_signs_in_and_everything_ends_with_the_password(web_server: WebServer) -> None:
    web_server.serve()
    _user(web_server)
    one, other = Browser(web_server), Browser(web_server)
    assert one.get("/").headers["location"] == "/sign-in"
    assert one.signs_in("anna", "wrong").status_code == 401
    assert one.signs_in("nobody", GOOD).status_code == 401
    assert one.signs_in("anna", GOOD).status_code == 303
    other.signs_in("anna", GOOD)
    assert one.is_in()
    before = one.cookies["mailhaul"]

    one.signs_in("anna", GOOD)  # again: another session id, and the old one is invalid
    assert one.cookies["mailhaul"] != before
    thief = Browser(web_server)
    thief.cookies.set("mailhaul", before)
    assert not thief.is_in()

    assert one.post("/sign-out").status_code == 303
    assert (one.is_in(), other.is_in()) == (False, True)
    _user(web_server, password="another long password")
    assert not other.is_in()
    assert other.signs_in("anna", GOOD).status_code == 401
    assert other.signs_in("anna", "another long password").status_code == 303
    web_server.principals.remove_user("anna")
    assert not other.is_in()
    assert _audit(web_server)[:4] == [
        ("anna", "sign-in refused", "password"),
        ("?", "sign-in refused", "password"),  # an unknown name may be a password
        ("anna (user:anna)", "signed in", "password"),
        ("anna (user:anna)", "signed in", "password"),
    ]


def test_a_role_holds_on_the_page_and_changes_at_once(web_server: WebServer) -> None:
    web_server.serve()
    _user(web_server, role=Role.VIEWER)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    assert (browser.get("/new").status_code, browser.post("/new").status_code) == (403, 403)
    (user,) = web_server.principals.users()
    assert user.role is Role.VIEWER
    assert browser.is_in()


def test_where_one_wanted_to_go_and_nowhere_else(web_server: WebServer) -> None:
    web_server.serve()
    _user(web_server)
    browser = Browser(web_server)
    assert browser.get("/new?lang=en").headers["location"] == "/sign-in?to=/new%3Flang%3Den"
    assert 'name="to" value="/new"' in browser.get("/sign-in?to=/new").text
    assert browser.signs_in("anna", GOOD, to="/new").headers["location"] == "/new"
    for elsewhere in (
        "//evil.example",
        "https://evil.example",
        "/\\evil.example",
        "javascript:x",
        "/sign-in",
        "\t//evil",
    ):
        assert browser.signs_in("anna", GOOD, to=elsewhere).headers["location"] == "/"


def test_it_asks_for_tls_when_it_is_reached_by_another_name(web_server: WebServer) -> None:
    web_server.serve(MAILHAUL_WEB_NAMES="mail.corp.example")
    _user(web_server)
    named = f"mail.corp.example:{web_server.port}"
    plain = Browser(web_server, Host=named, Origin=f"http://{named}").signs_in("anna", GOOD)
    assert (plain.status_code, "without TLS" in plain.text) == (400, True)
    answer = Browser(web_server, Host=named, Origin=f"https://{named}").signs_in("anna", GOOD)
    cookies = answer.headers.get_list("set-cookie")
    assert [cookie.partition("=")[0] for cookie in cookies] == ["__Host-mailhaul", "__Host-was"]
    for cookie in cookies:
        assert {"HttpOnly", "Secure", "SameSite=lax", "Path=/"} <= set(cookie.split("; "))


# -- sessions


def test_a_session_ends_when_nobody_is_there_and_when_its_time_is_over(web_server: WebServer) -> None:
    sessions, anna = (
        BrowserSessions(connect(web_server.state_url), web_server.vault),
        Principal(principal_id="oidc:7", name="anna", role=Role.ADMIN),
    )
    state = connect(web_server.state_url)

    def left() -> int:
        (key,) = list(state.scan_iter("*desk:session:*"))
        return int(state.ttl(key))

    text = sessions.begin(anna, idle=100, most=1000)
    (key,) = list(state.scan_iter("*desk:session:*"))
    state.expire(key, 50)
    assert sessions.find(text, touch=False) == anna
    assert left() <= 50  # updates of an open page do not extend the session
    assert sessions.find(text) == anna
    assert left() > 50
    sessions.end_of("anna")
    assert sessions.find(text) is None

    text = sessions.begin(anna, idle=100, most=30)
    assert left() <= 30  # the session's own end comes earlier
    sessions.find(text)
    assert left() <= 30
    over = sessions.begin(anna, idle=100, most=-1)
    assert sessions.find(over) is None


def test_who_is_signed_in_is_listed_and_can_be_signed_out(web_server: WebServer) -> None:
    web_server.serve()
    _user(web_server)
    _user(web_server, "berta")
    anna, berta = Browser(web_server), Browser(web_server)
    anna.signs_in("anna", GOOD)
    berta.signs_in("berta", GOOD)
    listed = _command(web_server, "session", "list")
    assert re.search(r"^[0-9a-f]{12}  admin .*anna \(user:anna\)$", listed, re.MULTILINE)
    assert anna.cookies["mailhaul"] not in listed
    assert "signed out: 1 browser" in _command(web_server, "session", "end", "anna")
    assert (anna.is_in(), berta.is_in()) == (False, True)
    assert "nobody is signed in as" in _command(web_server, "session", "end", "anna", code=2)
    admin = web_server.client("admin")
    (left,) = admin.get("/sessions").json()["sessions"]
    assert left["name"] == "berta"
    assert admin.delete(f"/sessions/{left['id']}").status_code == 204
    assert not berta.is_in()


# -- the command line


def test_users_by_command(web_server: WebServer) -> None:
    web_server.serve()
    file = web_server.home / "password"
    file.write_text(f"{GOOD}\n")
    said = _command(web_server, "user", "set", "anna", "--role", "viewer", "--password-file", str(file))
    assert "anna signs in to the page as viewer" in said
    assert Browser(web_server).signs_in("anna", GOOD).status_code == 303
    assert re.search(r"^viewer .* anna$", _command(web_server, "user", "list"), re.MULTILINE)
    assert "signed out everywhere" in _command(web_server, "user", "remove", "anna")
    assert "no user is called" in _command(web_server, "user", "remove", "anna", code=2)
    file.write_text("short")
    assert "10 to 200 characters" in _command(web_server, "user", "set", "anna", "--password-file", str(file), code=2)
    assert "no terminal to ask at" in _command(web_server, "user", "set", "anna", code=2)
    assert "no role" in _command(web_server, "user", "set", "anna", "--role", "king", code=2)
    stored = b"".join(
        value for key in ("mailhaul:desk:users", "mailhaul:desk:audit") for value in [_dump(web_server, key)]
    )
    assert GOOD.encode() not in stored


def _dump(web_server: WebServer, key: str) -> bytes:
    return connect(web_server.state_url).dump(key) or b""


def test_a_password_is_asked_for_twice_at_a_terminal(web_server: WebServer) -> None:
    def typed(*lines: str) -> tuple[int, str]:
        child, terminal = pty.fork()
        if child == 0:
            os.execvpe(
                sys.executable, [sys.executable, "-m", "producer", "user", "set", "anna"], web_server.environment()
            )
        said = b""
        for line in lines:
            while not said.endswith(b": "):
                said += os.read(terminal, 1000)
            os.write(terminal, f"{line}\n".encode())
            said += b"\n"
        try:
            while chunk := os.read(terminal, 1000):
                said += chunk
        except OSError:  # the terminal is closed: the command has ended
            pass
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), said.decode()

    code, said = typed(GOOD, "something else")
    assert (code, "not the same: nothing was changed" in said, web_server.principals.users()) == (2, True, [])
    code, said = typed(GOOD, GOOD)
    assert (code, GOOD in said) == (0, False)
    assert [user.name for user in web_server.principals.users()] == ["anna"]


# -- the link


def test_a_link_signs_in_once(web_server: WebServer) -> None:
    serve_with(web_server, ONE_MINUTE)
    link = _command(web_server, "link").splitlines()
    where = next(line for line in link if line.startswith("http"))
    assert where.startswith(f"http://127.0.0.1:{web_server.port}/enter/")
    browser = Browser(web_server)
    assert browser.get(where).headers["location"] == "/"
    assert browser.is_in()
    assert browser.get("/new").status_code == 200
    other = Browser(web_server)
    again = other.get(where)
    assert (again.status_code, "used already" in again.text, other.is_in()) == (401, True, False)
    unused = next(line for line in _command(web_server, "link").splitlines() if line.startswith("http"))
    assert browser.get(unused).status_code == 303  # the link stays valid if the browser is signed in already
    assert other.get(unused).status_code == 303
    assert other.is_in()
    for _ in range(20):
        Browser(web_server).get("/enter/guess")
    assert Browser(web_server).get("/enter/guess").status_code == 429


# -- an identity provider


def test_settings_that_would_let_anybody_in_are_refused(web_server: WebServer) -> None:
    for variables, why in (
        ({"MAILHAUL_WEB_OIDC_ISSUER": "https://id.example"}, "go together"),
        ({"MAILHAUL_WEB_OIDC_ISSUER": "http://id.example", "MAILHAUL_WEB_OIDC_CLIENT_ID": "x"}, "must be an https URL"),
        (
            {"MAILHAUL_WEB_OIDC_ISSUER": "https://id.example", "MAILHAUL_WEB_OIDC_CLIENT_ID": "x"},
            "set MAILHAUL_WEB_ROLES",
        ),
        ({"MAILHAUL_WEB_PROXY_USER_HEADER": "X-User"}, "anybody could say who they are"),
        ({"MAILHAUL_WEB_ROLES": "anna=king"}, "no role"),
        ({"MAILHAUL_WEB_ROLES": "anna"}, "NAME=role"),
        ({"MAILHAUL_WEB_PROXIES": "10.0.0.0/99"}, "no address or network"),
    ):
        process = preloaded.run("producer.web", env=web_server.environment() | variables, cwd=web_server.home)
        assert process.returncode == 2, variables
        assert why in process.stderr


# -- a proxy that signs people in


def test_a_trusted_proxy_says_who_it_is_and_nobody_else_can(web_server: WebServer) -> None:
    proxy = {
        "MAILHAUL_WEB_PROXY_USER_HEADER": "X-Forwarded-User",
        "MAILHAUL_WEB_PROXY_GROUPS_HEADER": "X-Forwarded-Groups",
        "MAILHAUL_WEB_ROLES": "anna=admin,@ops=operator",
    }
    web_server.serve(**proxy, MAILHAUL_WEB_PROXIES="127.0.0.0/30")
    anna = Browser(web_server, **{"X-Forwarded-User": "Anna", "X-Forwarded-For": "203.0.113.9"})
    assert anna.is_in()
    assert "Sign out" not in anna.get("/").text  # it would have no effect, since the proxy signs in at every request
    page = web_server.anybody(**{"X-Forwarded-User": "anna"})
    assert page.get("/tokens").status_code == 200
    assert page.post(
        "/tokens", json={"name": "x", "role": "viewer"}, headers={"X-Forwarded-For": "203.0.113.9"}
    ).is_success
    assert web_server.records.audit()[-1]["detail"]["from"] == "203.0.113.9"
    assert (
        Browser(web_server, **{"X-Forwarded-User": "x", "X-Forwarded-Groups": "staff, ops"}).get("/new").status_code
        == 200
    )
    assert Browser(web_server, **{"X-Forwarded-User": "x"}).get("/").status_code == 403
    twice = [("X-Forwarded-User", "x"), ("X-Forwarded-User", "anna")]
    assert httpx2.get(f"{anna.base}/", headers=twice, timeout=180).status_code == 400
    # The proxy adds its header to every request, so the origin must keep out other sites, and this site without TLS.
    host = anna.base.removeprefix("http://")
    for origin, status in (
        ("https://evil.example", 403),
        (f"http://{host}", 403),
        ("http://[", 403),
        (f"https://{host}", 303),
    ):
        sent = anna.post("/sign-out", headers={"Origin": origin, "X-Forwarded-Proto": "https"})
        assert sent.status_code == status, origin


def test_the_same_headers_from_elsewhere_mean_nothing(web_server: WebServer) -> None:
    web_server.serve(
        MAILHAUL_WEB_PROXY_USER_HEADER="X-Forwarded-User", MAILHAUL_WEB_ROLES="*=admin", MAILHAUL_WEB_PROXIES="10.9.9.9"
    )
    browser = Browser(web_server, **{"X-Forwarded-User": "anna", "X-Forwarded-For": "203.0.113.9"})
    assert browser.get("/").headers["location"] == "/sign-in"
    _user(web_server)
    browser.signs_in("anna", GOOD)
    assert web_server.records.audit()[-1]["detail"]["from"] == "127.0.0.1"
    assert web_server.anybody(**{"X-Forwarded-User": "anna"}).get("/imports").status_code == 401
