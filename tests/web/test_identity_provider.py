"""Tests signing in by an identity provider (OpenID Connect), and what it is not believed."""

from __future__ import annotations

import time
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from cryptography.fernet import Fernet
from joserfc.jwk import OctKey, RSAKey

from producer.web.pages.oidc import _begun, _sealed
from producer.web.web_context import WebContext
from shared.runtime.credentials import Vault
from shared.store.redis.redis_store import connect
from tests.servers.identity import CLIENT, CLIENT_SECRET, IdentityProvider
from tests.web.conftest import WebServer
from tests.web.test_signing_in import Browser, _audit


@pytest.fixture
def provider() -> Iterator[IdentityProvider]:
    with IdentityProvider() as provider:
        yield provider


def _with_provider(web_server: WebServer, provider: IdentityProvider, **more: str) -> None:
    web_server.serve(
        MAILHAUL_WEB_OIDC_ISSUER=provider.url,
        MAILHAUL_WEB_OIDC_CLIENT_ID=CLIENT,
        MAILHAUL_WEB_OIDC_CLIENT_SECRET=CLIENT_SECRET,
        MAILHAUL_WEB_ROLES="anna@corp.example=admin,@ops=operator",
        **more,
    )


def _comes(browser: Browser, to: str = "/") -> httpx2.Response:
    """Signs in by the provider: goes there and back, as a browser does."""
    begun = browser.get("/oidc/begin", params={"to": to})
    assert begun.status_code == 302, begun.text
    back = httpx2.get(begun.headers["location"], timeout=180).headers["location"]
    return browser.get(back)


def test_the_identity_provider_lets_in_by_name_and_by_group(web_server: WebServer, provider: IdentityProvider) -> None:
    _with_provider(web_server, provider)
    browser = Browser(web_server)
    assert "Sign in with 127.0.0.1" in browser.get("/sign-in").text
    assert _comes(browser, "/new").headers["location"] == "/new"
    assert browser.get("/new").status_code == 200
    assert _audit(web_server) == [("anna@corp.example (oidc:7)", "signed in", "oidc")]
    provider.person = {"sub": "8", "email": "Berta@corp.example", "email_verified": True, "groups": ["staff", "Ops"]}
    other = Browser(web_server)
    _comes(other)
    assert "Berta@corp.example" in other.get("/").text
    asked = next(one for one in provider.asked if one.path == "/authorize").query
    assert (asked["code_challenge_method"], bool(asked["nonce"]), bool(asked["state"])) == ("S256", True, True)


@pytest.mark.parametrize(
    ("lies", "status"),
    [
        ({"aud": "another-client", "azp": CLIENT}, 401),
        ({"iss": "https://evil.example"}, 401),
        ({"nonce": "another"}, 401),
        ({"nonce": None}, 401),
        ({"exp": 1}, 401),
        ({"email": "nobody@corp.example"}, 403),
        ({"email": None}, 403),
        ({"email_verified": False}, 403),
        ({"email_verified": None}, 403),
        ({"email": ["anna@corp.example"]}, 403),
        ({}, 303),
    ],
    ids=str,
)
def test_the_identity_provider_is_believed_only_what_it_says_for_us(
    web_server: WebServer, provider: IdentityProvider, lies: dict[str, Any], status: int
) -> None:
    _with_provider(web_server, provider)
    provider.lies = lies
    browser = Browser(web_server)
    assert _comes(browser).status_code == status
    assert browser.is_in() is (status == 303)


@pytest.mark.parametrize(
    "key", [RSAKey.generate_key(2048, {"kid": "one"}), OctKey.generate_key(256)], ids=["other", "hs256"]
)
def test_another_signature_lets_nobody_in(web_server: WebServer, provider: IdentityProvider, key: Any) -> None:
    _with_provider(web_server, provider)
    provider.signs_with = key
    provider.alg = "HS256" if isinstance(key, OctKey) else "RS256"
    browser = Browser(web_server)
    assert _comes(browser).status_code == 401
    assert not browser.is_in()


def test_another_browser_cannot_come_back_and_nobody_twice(web_server: WebServer, provider: IdentityProvider) -> None:
    _with_provider(web_server, provider)
    browser, thief = Browser(web_server), Browser(web_server)
    begun = browser.get("/oidc/begin")
    back = httpx2.get(begun.headers["location"], timeout=180).headers["location"]
    assert thief.get(back).status_code == 401  # the sign-in was begun by another browser (login CSRF)
    cookie = browser.cookies["mailhaul-oidc"]
    assert browser.get(back).status_code == 303
    browser.cookies.set("mailhaul-oidc", cookie, path="/oidc")
    assert browser.get(back).status_code == 401
    assert thief.get("/oidc/back?error=access_denied").status_code == 401


@pytest.mark.parametrize(
    ("roles", "new", "home"),
    [
        ("anna@corp.example=admin", 200, 200),
        ("anna@corp.example=viewer", 403, 200),
        ("@ops=operator", 303, 303),
    ],
)
def test_a_role_is_read_again_during_a_session(
    web_server: WebServer, provider: IdentityProvider, roles: str, new: int, home: int
) -> None:
    """Starts a page again with other MAILHAUL_WEB_ROLES: whoever is signed in has the role that they give now."""
    _with_provider(web_server, provider)
    before = Browser(web_server)
    _comes(before)
    assert before.get("/new").status_code == 200
    web_server.serve(MAILHAUL_WEB_ROLES=roles)
    after = Browser(web_server)
    after.cookies.set("mailhaul", before.cookies["mailhaul"])
    assert (after.get("/new").status_code, after.get("/").status_code) == (new, home)


def test_groups_of_the_sign_in_are_read_with_the_roles_of_now(
    web_server: WebServer, provider: IdentityProvider
) -> None:
    _with_provider(web_server, provider)
    provider.person = {"sub": "8", "email": "berta@corp.example", "email_verified": True, "groups": ["Ops"]}
    before = Browser(web_server)
    _comes(before)
    assert before.get("/new").status_code == 200
    web_server.serve(MAILHAUL_WEB_ROLES="@ops=viewer")
    after = Browser(web_server)
    after.cookies.set("mailhaul", before.cookies["mailhaul"])
    assert (after.get("/new").status_code, after.get("/").status_code) == (403, 200)


def _keys(web_server: WebServer) -> set[bytes]:
    return set(connect(web_server.state_url).scan_iter("*desk*"))


def test_whoever_begins_leaves_nothing_however_many_they_are(web_server: WebServer, provider: IdentityProvider) -> None:
    """Begins many sign-ins: each was kept for ten minutes in the Redis of the imports, sixty a minute of each address."""
    _with_provider(web_server, provider)
    honest = Browser(web_server)
    begun = honest.get("/oidc/begin", params={"to": "/new"})
    before = _keys(web_server)
    stranger = Browser(web_server)
    assert {stranger.get("/oidc/begin", params={"to": "/" + "x" * 999}).status_code for _ in range(200)} == {302}
    assert len(stranger.cookies["mailhaul-oidc"]) < 4_000, "a browser drops a longer one"
    assert _keys(web_server) == before
    back = httpx2.get(begun.headers["location"], timeout=180).headers["location"]
    assert honest.get(back).headers["location"] == "/new"
    assert _keys(web_server) > before, "the control: who was let in is kept"


def test_only_the_page_itself_says_what_began(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, other = (cast("WebContext", SimpleNamespace(vault=Vault([Fernet.generate_key()]))) for _ in range(2))
    began = {"to": "/new", "until": time.time() + 600}
    number, begun = _begun(ours, _sealed(ours, began))
    assert (len(number), begun) == (32, began)
    assert _begun(ours, _sealed(other, began)) == ("", {})
    assert all(_begun(ours, text) == ("", {}) for text in ("", "x", "e30=", "\u0436", "A" * 4_000))
    later = time.time() + 601
    sealed = _sealed(ours, began)
    monkeypatch.setattr("producer.web.pages.oidc.time.time", lambda: later)
    assert _begun(ours, sealed) == ("", {})


def test_a_provider_that_is_another_or_away_lets_nobody_in(web_server: WebServer, provider: IdentityProvider) -> None:
    _with_provider(web_server, provider)
    provider.metadata = {"issuer": "https://evil.example"}
    assert Browser(web_server).get("/oidc/begin").status_code == 401
    log = (web_server.home / "producer.web.log").read_text()
    assert "MAILHAUL_WEB_OIDC_ISSUER is" in log
    provider.__exit__(None, None, None)
    assert CLIENT_SECRET not in log
