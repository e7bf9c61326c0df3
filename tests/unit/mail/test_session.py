"""Sessions: opening a connection, securing it, signing in."""

from __future__ import annotations

import base64
import datetime
import ipaddress
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.mail.imap.imap_mailbox import ImapSession
from shared.model.errors import AuthenticationRefused, MailError, ProtocolViolation, Throttled, TlsFailed, Unreachable
from tests.contract.mail_kit import Scripted, sign_in
from tests.servers.process import free_port

WORD = 'pä"ss\\wörd '


@dataclass
class Certificate:
    """A self-signed certificate for 127.0.0.1."""

    file: Path
    context: ssl.SSLContext
    fingerprint: str


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Certificate:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mail.example.org")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=30))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "pem"
    plain = serialization.NoEncryption()
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    file.write_bytes(made.public_bytes(serialization.Encoding.PEM) + pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(file)
    return Certificate(file=file, context=context, fingerprint=made.fingerprint(hashes.SHA256()).hex())


def enter(server: Scripted, login: str = "me", password: str = "word", **options: Any) -> ImapSession:
    return ImapSession(sign_in("source", server.port, login, password, **options))


def told(server: Scripted) -> list[bytes]:
    return [command.split(b" ", 1)[1] for command in server.commands]


# -- signing in


def test_plain_with_sasl_ir_is_one_round_trip() -> None:
    with Scripted() as server:
        assert "LITERAL+" in enter(server, "me", WORD).capabilities
        plain = base64.b64encode(f"\0me\0{WORD}".encode())
        assert told(server) == [b"AUTHENTICATE PLAIN " + plain]


def test_plain_without_sasl_ir_waits() -> None:
    plain = base64.b64encode(b"\0me\0word")

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text == b"AUTHENTICATE PLAIN":
            return b"+ \r\n"
        return b"m1 OK [CAPABILITY IMAP4rev1] in\r\n" if tag == plain else None

    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN", reply=reply) as server:
        enter(server)
        assert server.commands == [b"m1 AUTHENTICATE PLAIN", plain]


def test_signing_in_for_another() -> None:
    with Scripted() as server:
        enter(server, "admin", proof={"authzid": "me"})
        assert base64.b64decode(server.commands[0].split()[-1]) == b"me\0admin\0word"
    with Scripted(capabilities="IMAP4rev1") as server, pytest.raises(AuthenticationRefused):
        enter(server, "admin", proof={"authzid": "me"})


@pytest.mark.parametrize("literal", ["LITERAL+", ""])
def test_login_where_plain_is_not_offered(literal: str) -> None:
    with Scripted(capabilities=f"IMAP4rev1 {literal}") as server:
        enter(server, 'm"e', "w\\ord")
        enter(server, "me", WORD)
        size = len(WORD.encode())
        mark = b"+" if literal else b""
        assert told(server) == [
            b'LOGIN "m\\"e" "w\\\\ord"',
            b'LOGIN "me" {%d%b}\r\n%b' % (size, mark, WORD.encode()),
        ]


@pytest.mark.parametrize(("login", "password"), [("a\r\nb", "x"), ("a", "x\ny"), ("a\0", "x"), ("", "x")])
def test_what_could_be_a_second_command_is_never_sent(login: str, password: str) -> None:
    with Scripted() as server:
        with pytest.raises(AuthenticationRefused):
            enter(server, login, password)
        assert not server.raw


def test_logindisabled_is_honoured() -> None:
    with Scripted(capabilities="IMAP4rev1 LOGINDISABLED STARTTLS") as server:
        with pytest.raises(AuthenticationRefused, match="imaps://"):
            enter(server)
        assert b"word" not in server.raw


def test_capabilities_are_read_again_after_login() -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"LOGIN"):
            return tag + b" OK\r\n"
        return b"* CAPABILITY IMAP4rev1 UIDPLUS\r\n" + tag + b" OK\r\n" if text == b"CAPABILITY" else None

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        assert enter(server).capabilities == {"IMAP4REV1", "UIDPLUS"}


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (b"TAG NO [AUTHENTICATIONFAILED] no\r\n", AuthenticationRefused),
        (b"TAG NO [UNAVAILABLE] later\r\n", Throttled),
        (b"TAG NO [ALERT] Too many simultaneous connections. (Failure)\r\n", Throttled),
        (b"* BYE Too many connections\r\n", Throttled),
        (b"TAG BAD what\r\n", ProtocolViolation),
    ],
)
def test_a_refused_login(answer: bytes, error: type[MailError]) -> None:
    with Scripted(reply=lambda tag, text: answer.replace(b"TAG", tag)) as server:
        with pytest.raises(error) as caught:
            enter(server)
        assert type(caught.value) is error
        # A BAD refuses no credentials: AUTHENTICATE follows without an initial response, then LOGIN.
        assert len(server.commands) == (3 if error is ProtocolViolation else 1)


def test_a_password_that_the_server_echoes_is_not_shown() -> None:
    with Scripted(reply=lambda tag, text: tag + b" NO bad line: " + text + b" s3cret\r\n") as server:
        with pytest.raises(AuthenticationRefused) as caught:
            enter(server, "me", "s3cret")
        shown = str(caught.value) + repr(caught.value)
        assert "s3cret" not in shown
        assert base64.b64encode(b"\0me\0s3cret").decode() not in shown
        assert "***" in shown


# -- greetings


@pytest.mark.parametrize(
    ("greeting", "error"),
    [
        (b"* PREAUTH [CAPABILITY IMAP4rev1] hi\r\n", ProtocolViolation),
        (b"* BYE go away\r\n", Unreachable),
        (b"* BYE Too many connections\r\n", Throttled),
        (b"HTTP/1.1 400 Bad Request\r\n", ProtocolViolation),
        (b"* OK [CAPABILITY POP3] hi\r\n", ProtocolViolation),
        (b"x" * 3_000_000, ProtocolViolation),
    ],
)
def test_greetings(greeting: bytes, error: type[MailError]) -> None:
    with Scripted(greeting=greeting) as server:
        with pytest.raises(error) as caught:
            enter(server)
        assert type(caught.value) is error
        assert not server.commands


def test_capabilities_are_asked_for_when_the_greeting_names_none() -> None:
    with Scripted(greeting=b"* OK hi\r\n") as server:
        enter(server)
        assert told(server)[0] == b"CAPABILITY"


def test_nobody_there() -> None:
    with pytest.raises(Unreachable):
        sign_in("source", free_port(), "me", "word")


# -- TLS


def test_tls_with_a_trusted_certificate(certificate: Certificate) -> None:
    with Scripted(tls=certificate.context) as server:
        enter(server, tls="tls", ca_file=str(certificate.file)).noop()


def test_an_untrusted_certificate_is_shown_and_nothing_is_sent(certificate: Certificate) -> None:
    for options in (
        {"tls": certificate.context},
        {"starttls": certificate.context, "capabilities": "IMAP4rev1 STARTTLS"},
    ):
        with Scripted(**options) as server:  # type: ignore[arg-type]
            with pytest.raises(TlsFailed) as caught:
                enter(server, tls="tls" if "tls" in options else "starttls")
            text = f"{caught.value} {caught.value.advice}"
            for part in ("CN=mail.example.org", "expires", certificate.fingerprint, "--source-ca"):
                assert part in text
            assert b"word" not in server.raw


def test_a_pinned_fingerprint_replaces_trust(certificate: Certificate) -> None:
    with Scripted(tls=certificate.context) as server:
        pin = ":".join(certificate.fingerprint[at : at + 2].upper() for at in range(0, 64, 2))
        enter(server, tls="tls", fingerprint=pin).noop()
        with pytest.raises(TlsFailed, match="another certificate than the pinned one"):
            enter(server, tls="tls", fingerprint="00" * 32)
        assert b"LOGIN" not in server.raw.replace(b"AUTHENTICATE", b"", 1)


def test_starttls_reads_capabilities_anew(certificate: Certificate) -> None:
    with Scripted(capabilities="IMAP4rev1 STARTTLS AUTH=PLAIN SASL-IR", starttls=certificate.context) as server:
        enter(server, tls="starttls", ca_file=str(certificate.file)).noop()
        assert told(server)[:2] == [b"STARTTLS", b"CAPABILITY"]


def test_starttls_that_is_not_offered_is_no_reason_to_do_without() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR") as server:
        with pytest.raises(TlsFailed, match="offers no STARTTLS"):
            enter(server, tls="starttls")
        assert not server.raw


def test_plaintext_slipped_in_before_the_handshake_is_refused(certificate: Certificate) -> None:
    capabilities = "IMAP4rev1 STARTTLS AUTH=PLAIN"
    injected = b"* CAPABILITY IMAP4rev1 AUTH=PLAIN EVIL\r\n"
    with (
        Scripted(capabilities=capabilities, starttls=certificate.context, injected=injected) as server,
        pytest.raises(ProtocolViolation, match="ahead of the TLS handshake"),
    ):
        enter(server, tls="starttls", ca_file=str(certificate.file))


def test_a_plaintext_server_is_no_tls_server() -> None:
    with Scripted() as server, pytest.raises(TlsFailed):
        enter(server, tls="tls", connect_timeout_seconds=2.0)
