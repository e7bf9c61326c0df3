"""Tests signing in to a real Dovecot, by every mechanism that it has."""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared.mail.auth import sasl
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import open_session
from shared.model.errors import AuthenticationRefused, MailError
from shared.model.sign_in import SignIn, Way
from shared.runtime.secret import Secret
from tests.servers.certificate import fingerprint
from tests.servers.dovecot import Dovecot, available
from tests.servers.oauth import TokenServer, dovecot_oauth2

pytestmark = pytest.mark.skipif(not available(), reason="needs Dovecot")

USER, PASSWORD = "anna@example.org", 'pä"ss\\wörd 1'
ADMIN, ADMINS = "chief", "the chief's {word}"


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with tempfile.TemporaryDirectory(prefix="masters-", ignore_cleanup_errors=True) as place:
        os.chmod(place, 0o755)
        masters = Path(place) / "masters"
        masters.write_text(f"{ADMIN}:{{PLAIN}}{ADMINS}\n")
        masters.chmod(0o644)
        extra = f"""
auth_mechanisms = plain login cram-md5 scram-sha-256
auth_master_user_separator = *
passdb {{
  driver = passwd-file
  args = {masters}
  master = yes
  result_success = continue
}}
"""
        with Dovecot(extra=extra) as server:
            server.add_user(USER, PASSWORD)
            server.add_user("bob", "pw-bob")
            yield server


def enter(server: Dovecot, proof: Proof, *, tls: bool = False) -> bytes:
    """Signs in. Returns the first folder's name, which proves that the session is a user's."""
    pin = fingerprint(server.certificate) if tls else None
    session = open_session(
        "source",
        host=server.host,
        port=server.tls_port if tls else server.port,
        tls="tls" if tls else "none",
        proof=proof,
        connect_timeout_seconds=20,
        command_timeout_seconds=20,
        fingerprint=pin,
    )
    source = ImapSource(session)
    try:
        return source.listing().folders[0].name
    finally:
        source.close()


def used(server: Dovecot) -> str:
    """Returns the mechanism of the last sign-in, as Dovecot logged it."""
    server.logins()  # completes the log
    return re.findall(r"Login: user=<[^>]*>, method=([^,]+),", server._log())[-1]


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256"])
@pytest.mark.parametrize(("user", "password"), [(USER, PASSWORD), ("bob", "pw-bob")])
def test_each_mechanism_lets_in_and_is_refused_once(dovecot: Dovecot, mechanism: str, user: str, password: str) -> None:
    enter(dovecot, Proof(login=user, secret=Secret(password), mechanism=mechanism))
    assert used(dovecot) == mechanism
    before = dovecot.login_attempts()
    with pytest.raises(AuthenticationRefused) as caught:
        enter(dovecot, Proof(login=user, secret=Secret("wrong"), mechanism=mechanism))
    assert type(caught.value) is AuthenticationRefused
    assert dovecot.login_attempts() == before + 1


def test_without_tls_the_password_is_not_shown_and_under_tls_one_round_trip_does(dovecot: Dovecot) -> None:
    enter(dovecot, Proof(login="bob", secret=Secret("pw-bob")))
    assert used(dovecot) == "SCRAM-SHA-256"
    enter(dovecot, Proof(login="bob", secret=Secret("pw-bob")), tls=True)
    assert used(dovecot) == "PLAIN"


@pytest.mark.parametrize("mechanism", ["", "PLAIN", "LOGIN"])
def test_a_master_user_by_template(dovecot: Dovecot, mechanism: str) -> None:
    how = SignIn(way=Way.MASTER, admin=ADMIN)
    enter(dovecot, Proof(login=how.login_of(USER), secret=Secret(ADMINS), mechanism=mechanism), tls=True)
    assert f"user=<{USER}>" in dovecot._log()


def test_a_master_user_by_authorization_identity(dovecot: Dovecot) -> None:
    enter(dovecot, Proof(login=ADMIN, secret=Secret(ADMINS), authzid=USER))
    for proof in (
        Proof(login=ADMIN, secret=Secret("wrong"), authzid=USER),
        Proof(login=ADMIN, secret=Secret(ADMINS), authzid="nobody@example.org"),
        Proof(login="bob", secret=Secret("pw-bob"), authzid=USER),
    ):
        with pytest.raises(MailError) as caught:
            enter(dovecot, proof)
        print(repr(caught.value), caught.value.detail)
        assert isinstance(caught.value, AuthenticationRefused)


# -- tokens


@pytest.fixture(scope="module")
def tokens() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture(scope="module")
def modern(tokens: TokenServer) -> Iterator[Dovecot]:
    with (
        tempfile.TemporaryDirectory(prefix="oauth-", ignore_cleanup_errors=True) as place,
        Dovecot(extra=dovecot_oauth2(tokens, Path(place))) as server,
    ):
        server.add_user(USER, PASSWORD)
        yield server


@pytest.mark.parametrize("mechanism", ["XOAUTH2", "OAUTHBEARER"])
def test_a_token_lets_in_and_a_refusal_says_why(
    modern: Dovecot, tokens: TokenServer, mechanism: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sasl, "_BEARER", (mechanism,))
    token = tokens.give(USER)
    enter(modern, Proof(login=USER, secret=Secret(token), bearer=True, host="127.0.0.1", port=modern.port))
    assert used(modern) == mechanism
    with pytest.raises(AuthenticationRefused) as caught:
        enter(modern, Proof(login=USER, secret=Secret("withdrawn"), bearer=True))
    assert "invalid_token" in caught.value.detail or "status" in caught.value.detail
    assert "withdrawn" not in caught.value.detail


def test_a_server_without_tokens_is_told_as_such(dovecot: Dovecot) -> None:
    before = dovecot.login_attempts()
    with pytest.raises(AuthenticationRefused, match="neither XOAUTH2 nor OAUTHBEARER"):
        enter(dovecot, Proof(login=USER, secret=Secret("t"), bearer=True))
    assert dovecot.login_attempts() == before
