"""Tests the issuers of tokens: doubles of Google's and Microsoft's endpoints, and programs."""

from __future__ import annotations

import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from shared.model.errors import AuthenticationRefused, AuthorizationRefused, MailError, Unreachable, UsageError
from shared.oauth.command import CommandIssuer
from shared.oauth.google import IMAP_SCOPE, MAIL_SCOPE, GoogleIssuer
from shared.oauth.microsoft import SCOPE, MicrosoftIssuer
from tests.servers.certificate import certificate_and_key
from tests.servers.http_api import Said
from tests.servers.oauth import CLIENT, CLIENT_SECRET, TENANT, TokenServer, form

USER = "anna@example.org"


@pytest.fixture
def google() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="module")
def tls(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(b"".join(certificate_and_key()))
    return path


@pytest.fixture
def microsoft(tls: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[TokenServer]:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tls))
    with TokenServer(tls) as server:
        yield server


# -- Google


def test_a_service_account_acts_for_each_user(google: TokenServer) -> None:
    issuer = GoogleIssuer("source", google.service_account, IMAP_SCOPE)
    assert issuer.per_user
    token = issuer.issue(USER)
    assert google.issued[token.secret.reveal()].user == USER
    assert google.issued[token.secret.reveal()].scope == IMAP_SCOPE
    assert 3000 < token.seconds <= 3600


def test_google_refuses_the_user_the_key_or_the_scope(google: TokenServer) -> None:
    google.users = {USER}
    with pytest.raises(AuthorizationRefused, match="Invalid email or User ID"):
        GoogleIssuer("source", google.service_account, IMAP_SCOPE).issue("nobody@example.org")
    google.delegated = {MAIL_SCOPE}
    with pytest.raises(AuthenticationRefused, match=r"delegate .*imap_admin to the client id 112233") as caught:
        GoogleIssuer("source", google.service_account, IMAP_SCOPE).issue(USER)
    assert type(caught.value) is AuthenticationRefused
    assert "unauthorized_client" in caught.value.detail
    with TokenServer() as other:
        forged = {**json.loads(other.service_account), "token_uri": f"{google.url}/token"}
    with pytest.raises(AuthenticationRefused, match="Invalid JWT Signature") as caught:
        GoogleIssuer("source", json.dumps(forged), MAIL_SCOPE).issue(USER)
    assert type(caught.value) is AuthenticationRefused


def test_google_is_not_there(google: TokenServer) -> None:
    key = json.loads(google.service_account)
    issuer = GoogleIssuer("source", json.dumps({**key, "token_uri": "http://127.0.0.1:1/token"}), MAIL_SCOPE)
    with pytest.raises(Unreachable):
        issuer.issue(USER)


@pytest.mark.parametrize(
    "text", ["", "{}", "[]", '"x"', '{"private_key": "no", "client_email": "a", "token_uri": "b"}']
)
def test_what_is_no_key_is_told_before_anything_is_sent(text: str) -> None:
    with pytest.raises(UsageError, match="service account"):
        GoogleIssuer("source", text, MAIL_SCOPE)


# -- Microsoft


def _app(server: TokenServer, **more: str) -> str:
    return json.dumps({"client_id": CLIENT, "client_secret": CLIENT_SECRET, "authority": server.url, **more})


def test_an_apps_token_is_for_all(microsoft: TokenServer) -> None:
    issuer = MicrosoftIssuer("source", TENANT, _app(microsoft))
    assert not issuer.per_user
    first, second = issuer.issue(USER), issuer.issue("bob")
    assert first.secret != second.secret, "what is kept, the workers keep together"
    assert microsoft.issued[first.secret.reveal()].scope.split()[0] == SCOPE
    assert 3000 < first.seconds <= 3600


def test_an_app_with_a_certificate(microsoft: TokenServer, tls: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    thumbprint = x509.load_pem_x509_certificate(tls.read_bytes()).fingerprint(hashes.SHA1()).hex()
    app = {"client_id": CLIENT, "authority": microsoft.url, "private_key": pem, "thumbprint": thumbprint}
    token = MicrosoftIssuer("source", TENANT, json.dumps(app)).issue(USER)
    assert token.secret.reveal() in microsoft.issued
    assert "client_assertion" in form(microsoft.asked[-1])


def test_microsoft_refuses_the_secret_the_app_or_the_tenant(microsoft: TokenServer) -> None:
    for tenant, app, said in (
        (TENANT, _app(microsoft, client_secret="wr0ng-one"), "AADSTS7000215"),
        (TENANT, _app(microsoft, client_id="other"), "AADSTS700016"),
        ("elsewhere.example", _app(microsoft), "gives no token"),
    ):
        with pytest.raises(AuthenticationRefused) as caught:
            MicrosoftIssuer("source", tenant, app).issue(USER)
        assert said in str(caught.value)
        assert "wr0ng-one" not in str(caught.value)
    microsoft.instead.append(Said(body={"error": "temporarily_unavailable", "error_description": "later"}))
    with pytest.raises(MailError):
        MicrosoftIssuer("source", TENANT, _app(microsoft)).issue(USER)


def test_microsoft_is_not_there() -> None:
    app = json.dumps({"client_id": CLIENT, "client_secret": "x", "authority": "https://127.0.0.1:1"})
    with pytest.raises(Unreachable):
        MicrosoftIssuer("source", TENANT, app).issue(USER)


@pytest.mark.parametrize(
    ("tenant", "app"),
    [
        ("", '{"client_id": "a", "client_secret": "b"}'),
        ("a/../b", '{"client_id": "a", "client_secret": "b"}'),
        (TENANT, "no json"),
        (TENANT, '{"client_id": "a"}'),
        (TENANT, '{"client_id": "a", "private_key": "x"}'),
        (TENANT, '{"client_id": "a", "client_secret": "b", "authority": "http://plain.example"}'),
    ],
)
def test_what_is_no_app_is_told_before_anything_is_sent(tenant: str, app: str) -> None:
    with pytest.raises(UsageError):
        MicrosoftIssuer("source", tenant, app)


# -- programs


def program(folder: Path, text: str) -> Path:
    """Writes an executable script."""
    path = folder / "token"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def test_a_program_prints_a_token_or_json(tmp_path: Path) -> None:
    plain = CommandIssuer("source", str(program(tmp_path, "echo t0ken")))
    assert (plain.issue(USER).secret.reveal(), plain.issue(USER).seconds) == ("t0ken", 300.0)
    assert not plain.per_user
    line = """printf '{"access_token": "of-%s", "expires_in": 12}' "$1" """
    each = CommandIssuer("source", f"{program(tmp_path, line)} {{user}}")
    assert each.per_user
    assert (each.issue(USER).secret.reveal(), each.issue(USER).seconds) == (f"of-{USER}", 12.0)


def test_no_shell_reads_a_login_and_no_setting_of_ours_reaches_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MAILHAUL_SECRET_KEY", "the key of all")
    seen = tmp_path / "seen"
    script = program(tmp_path, f'(env; printf %s "$1") > {seen}; echo t')
    issuer = CommandIssuer("source", f"{script} {{user}}")
    hostile = f"$(touch {tmp_path}/gone); `id` ' \" \\ & |"
    issuer.issue(hostile)
    assert seen.read_text().endswith(hostile)
    assert "MAILHAUL" not in seen.read_text()
    assert not (tmp_path / "gone").exists()
    seen.unlink()
    for login in ("--output=/etc/passwd", "-x"):
        with pytest.raises(AuthorizationRefused):
            issuer.issue(login)
    with pytest.raises(AuthenticationRefused):
        issuer.issue("a\0b")
    assert not seen.exists()


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("echo first >&2; echo no such user >&2; exit 1", AuthorizationRefused),
        ("echo busy >&2; exit 75", Unreachable),
        ("sleep 600", Unreachable),
        ("true", AuthenticationRefused),
        ("echo a b", AuthenticationRefused),
        ("printf 'a\\001b'", AuthenticationRefused),
        ("echo '{\"token\": 1}'", AuthenticationRefused),
    ],
)
def test_a_program_that_gives_none(tmp_path: Path, text: str, error: type[MailError]) -> None:
    issuer = CommandIssuer(
        "source", f"{program(tmp_path, text)} {{user}}", timeout_seconds=0.5 if text.startswith("sleep") else 60
    )
    with pytest.raises(error) as caught:
        issuer.issue(USER)
    assert type(caught.value) is error
    if "no such user" in text:
        assert caught.value.detail == "no such user"


@pytest.mark.parametrize("command", ["", "token", "bin/token", "'"])
def test_a_program_needs_its_full_path(command: str) -> None:
    with pytest.raises(UsageError):
        CommandIssuer("source", command)
    assert not os.path.exists("/no/such/program")
    with pytest.raises(UsageError):
        CommandIssuer("source", "/no/such/program").check()
