"""Signing in over IMAP: what is tried, what is not tried again, and what never becomes a command."""

from __future__ import annotations

import base64
import contextlib
import json
from typing import Any

import pytest

from shared.mail.auth import signing_in
from shared.mail.auth.sasl import Proof
from shared.model.errors import AuthenticationRefused, AuthorizationRefused, MailError, ProtocolViolation, Throttled
from tests.contract.mail_kit import Reply, Scripted, sign_in
from tests.servers.process import await_ready

B64 = base64.b64encode
OFFERS = "IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=LOGIN AUTH=CRAM-MD5 AUTH=SCRAM-SHA-256 AUTH=XOAUTH2 AUTH=OAUTHBEARER"


def enter(server: Scripted, login: str = "me", password: str = "word", **proof: Any) -> frozenset[str]:
    return sign_in("source", server.port, login, password, proof).capabilities


def told(server: Scripted) -> list[bytes]:
    return [command.partition(b" ")[2] or command for command in server.commands]


def answers(*lines: bytes) -> Reply:
    """Replies with one answer a command line, in order; TAG stands for the tag of the first."""
    left, tags = list(lines), []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        tags.append(tag)
        return left.pop(0).replace(b"TAG", tags[0]) + b"\r\n" if left else None

    return reply


@pytest.mark.parametrize(
    "refusal",
    [b"TAG NO Unsupported authentication mechanism.", b"TAG NO [CANNOT] no", b"TAG BAD unknown SASL mechanism"],
)
def test_a_mechanism_that_is_not_there_after_all_is_no_refusal(refusal: bytes) -> None:
    calls: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        calls.append(text)
        return refusal.replace(b"TAG", tag) + b"\r\n" if text.startswith(b"AUTHENTICATE SCRAM") else None

    with Scripted(capabilities="IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=SCRAM-SHA-256", reply=reply) as server:
        enter(server)
    assert [call.split()[1] for call in calls] == [b"SCRAM-SHA-256", b"PLAIN"]


@pytest.mark.parametrize(
    "refusal",
    [
        b"TAG NO [AUTHENTICATIONFAILED] Unsupported authentication mechanism or password",
        b"TAG NO Authentication failed.",
        b"TAG NO [AUTHENTICATIONFAILED] no",
        b"TAG NO [CONTACTADMIN] this account is disabled, mechanism unknown",
        b"TAG NO SASL(-13): authentication failure: invalid password",
        b"TAG NO Invalid credentials for mechanism PLAIN",
        b"TAG NO Invalid SASL argument",
        b"TAG NO Invalid user or password for authentication method PLAIN",
        b"TAG NO authentication failed: account disabled (sasl)",
        b"TAG NO Authentication mechanism failed: user disabled",
    ],
)
def test_refused_credentials_are_not_shown_by_another_mechanism(refusal: bytes) -> None:
    with Scripted(capabilities=OFFERS, reply=answers(refusal)) as server:
        with pytest.raises(AuthenticationRefused):
            enter(server, mechanism="")
        assert len(server.commands) == 1


def test_a_refusal_before_anything_was_shown_leaves_the_next_mechanism() -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return tag + b" NO not now\r\n" if text == b"AUTHENTICATE CRAM-MD5" else None

    with Scripted(capabilities="IMAP4rev1 AUTH=CRAM-MD5", reply=reply) as server:
        enter(server)
        assert told(server) == [b"AUTHENTICATE CRAM-MD5", b'LOGIN "me" "word"']


def test_too_many_connections_are_no_reason_for_the_next_mechanism() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=CRAM-MD5", reply=answers(b"TAG NO [UNAVAILABLE] busy")) as server:
        with pytest.raises(Throttled):
            enter(server)
        assert len(server.commands) == 1


def test_never_login_where_it_is_disabled() -> None:
    for offers in ("IMAP4rev1 LOGINDISABLED", "IMAP4rev1 LOGINDISABLED AUTH=GSSAPI"):
        with Scripted(capabilities=offers) as server:
            with pytest.raises(AuthenticationRefused, match="LOGINDISABLED"):
                enter(server)
            assert not server.commands
    with Scripted(capabilities="IMAP4rev1 LOGINDISABLED AUTH=CRAM-MD5", reply=answers(b"TAG NO no")) as server:
        with pytest.raises(AuthenticationRefused):
            enter(server)
        assert told(server) == [b"AUTHENTICATE CRAM-MD5"]


@pytest.mark.parametrize(("name", "over"), [("XOAUTH2", b""), ("OAUTHBEARER", B64(b"\1"))])
def test_the_servers_json_is_shown(name: str, over: bytes) -> None:
    said = B64(json.dumps({"status": "400", "schemes": "Bearer", "scope": "https://mail.google.com/"}).encode())
    replies = answers(b"+ " + said, b"TAG NO [AUTHENTICATIONFAILED] Invalid credentials (Failure)")
    with Scripted(capabilities=f"IMAP4rev1 SASL-IR AUTH={name}", reply=replies) as server:
        with pytest.raises(AuthenticationRefused) as caught:
            enter(server, "me@example.org", "ya29.s3cret", bearer=True)
        assert server.commands[1] == over
    assert "status 400, schemes Bearer, scope https://mail.google.com/" in caught.value.detail
    assert "Invalid credentials" in caught.value.detail


def test_a_token_that_the_server_echoes_is_not_shown() -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return tag + b" NO no to ya29.s3cret in " + text + b"\r\n"

    with Scripted(capabilities=OFFERS, reply=reply) as server:
        with pytest.raises(AuthenticationRefused) as caught:
            enter(server, "me", "ya29.s3cret", bearer=True)
        shown = server.commands[0].split()[-1].decode()
    assert "s3cret" not in str(caught.value)
    assert shown not in str(caught.value)


@pytest.mark.parametrize("said", [b'{"status": "401", "token": "word"}', b"you said word"])
def test_a_token_in_the_servers_json_is_not_shown_either(said: bytes) -> None:
    with Scripted(capabilities=OFFERS, reply=answers(b"+ " + B64(said), b"TAG NO no")) as server:
        with pytest.raises(AuthenticationRefused) as caught:
            enter(server, bearer=True)
        assert "word" not in str(caught.value)
        assert "***" in caught.value.detail


def test_scram_with_an_impostor() -> None:
    """Signs in to a server that says OK at once, which proves nothing."""
    with Scripted(capabilities="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256") as server:
        with pytest.raises(ProtocolViolation, match="without proving"):
            enter(server)
        assert len(server.commands) == 1


@pytest.mark.parametrize(
    "challenge", [b"+ !!!", b"+ " + B64(b"r=x"), b"+ " + B64(b"r=x,s=YQ==,i=99999999999999999999"), b"+ \xff"]
)
def test_challenges_that_make_no_sense(challenge: bytes) -> None:
    with Scripted(capabilities="IMAP4rev1 SASL-IR AUTH=SCRAM-SHA-256", reply=answers(challenge)) as server:
        with pytest.raises(ProtocolViolation):
            enter(server)
        assert len(server.commands) == 1


def test_challenges_without_end() -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return b"+ " + B64(b"more") + b"\r\n"

    with (
        Scripted(capabilities="IMAP4rev1 AUTH=XOAUTH2", reply=reply) as server,
        pytest.raises(ProtocolViolation, match="ever more"),
    ):
        enter(server, bearer=True)


# -- PROXYAUTH


def test_proxyauth_after_the_administrators_login() -> None:
    with Scripted() as server:
        assert "LITERAL+" in enter(server, "admin", proxy='an"na\\{3+}@example.org')
        assert told(server)[1] == b'PROXYAUTH "an\\"na\\\\{3+}@example.org"'


@pytest.mark.parametrize("refusal", [b" NO no such user", b" BAD unknown command"])
def test_proxyauth_that_is_refused_is_no_word_about_the_administrator(refusal: bytes) -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return tag + refusal + b"\r\n" if text.startswith(b"PROXYAUTH") else None

    with Scripted(reply=reply) as server, pytest.raises(AuthorizationRefused):
        enter(server, "admin", proxy="anna")


def test_the_administrators_refusal_is() -> None:
    with Scripted(reply=answers(b"TAG NO [AUTHENTICATIONFAILED] no")) as server:
        with pytest.raises(AuthenticationRefused) as caught:
            enter(server, "admin", proxy="anna")
        assert type(caught.value) is AuthenticationRefused
        assert len(server.commands) == 1


# -- what never becomes a command

HOSTILE = ["a\r\nX9 DELETE INBOX", "a\nX9", "a\0b", 'a" {3+}\r\nabc']


@pytest.mark.parametrize("odd", HOSTILE)
@pytest.mark.parametrize("field", ["login", "password", "authzid", "proxy"])
@pytest.mark.parametrize("offers", [OFFERS, "IMAP4rev1 LITERAL+", "IMAP4rev1 AUTH=LOGIN LOGINDISABLED"])
def test_nothing_hostile_is_sent(offers: str, field: str, odd: str) -> None:
    with Scripted(capabilities=offers) as server:
        with pytest.raises(MailError):
            enter(server, **{"login": "me", "password": "word", field: odd})
        assert not server.raw


def test_without_the_checks_it_would_be_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """Proves the checks (negative control): the text is neither looked at nor quoted as it should be."""
    monkeypatch.setattr(Proof, "fault", "")
    monkeypatch.setattr(signing_in, "quoted_string", lambda value, **_: b'"%b"' % value)
    with Scripted() as server:
        with contextlib.suppress(MailError):
            enter(server, "admin", proxy='x"\r\nX9 DELETE "INBOX')
        # The server reads the command while the client, which waits for another answer, may have given up.
        await_ready(lambda: b'X9 DELETE "INBOX"' in server.commands, what="the command")


@pytest.mark.parametrize("odd", ['a"b', "a\\", "{5}", "{5+}", "a b", "ä", "(a)", "*", "]", "'"])
@pytest.mark.parametrize("offers", ["IMAP4rev1 LITERAL+", "IMAP4rev1", OFFERS])
def test_odd_names_arrive_as_they_are(offers: str, odd: str) -> None:
    with Scripted(capabilities=offers) as server:
        mechanism = "PLAIN" if "AUTH=PLAIN" in offers else ""
        enter(server, odd, odd, mechanism=mechanism)
        if mechanism:
            assert base64.b64decode(server.commands[0].split()[-1]) == f"\0{odd}\0{odd}".encode()
        else:
            value = odd.replace("\\", "\\\\").replace('"', '\\"').encode()
            mark = b"+" if "LITERAL+" in offers else b""
            text = b'"%b"' % value if odd.isascii() else b"{2%b}\r\n%b" % (mark, odd.encode())
            assert told(server) == [b"LOGIN " + text + b" " + text]
