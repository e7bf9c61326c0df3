"""Tests TLS with real servers: each fault of a certificate or a port, its message and its advice.

The tests then follow the advice, which must work.
"""

from __future__ import annotations

import re
import shlex
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.cli import app
from producer.intake.connection_test import try_connection
from producer.intake.endpoints import parse_endpoint
from shared.mail.answers.extensions import Broken
from shared.mail.auth.sasl import Proof
from shared.mail.imap.session import open_session
from shared.mail.transport import tls
from shared.mail.transport.tls import Door, TlsMode
from shared.model.errors import AuthenticationRefused, TlsFailed
from shared.runtime.secret import Secret
from tests.servers import dovecot as dovecot_server
from tests.servers.certificate import Authority, certificate_and_key, fingerprint
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.skipif(not dovecot_server.available(), reason="needs Dovecot (tests/install-servers)")

PASSWORD = "s3cret-canary"
AUTHORITY = Authority("Example Company CA")
CERTIFICATES = {
    "good": AUTHORITY.issue("mail.example.org", "127.0.0.1"),
    "expired": AUTHORITY.issue("127.0.0.1", days=(-30, -2)),
    "early": AUTHORITY.issue("127.0.0.1", days=(2, 30)),
    "wrong name": AUTHORITY.issue("localhost", "mail.example.org"),
    "self-signed": certificate_and_key(),
}
_Makes = Callable[[str], Dovecot]


@pytest.fixture(scope="module")
def server() -> Iterator[_Makes]:
    """Yields a function that returns the server with this certificate, started once."""
    with ExitStack() as stack:
        running: dict[str, Dovecot] = {}

        def make(kind: str) -> Dovecot:
            if kind not in running:
                running[kind] = stack.enter_context(Dovecot(certificate=CERTIFICATES[kind]))
                running[kind].add_user("user", PASSWORD)
            return running[kind]

        yield make


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(AUTHORITY.certificate)
    return str(path)


def enter(url: str, side: str = "source", *, seconds: float = 20, **trust: str) -> None:
    """Signs in as the command line would."""
    endpoint = parse_endpoint(url, side=side, **trust)  # type: ignore[arg-type]
    open_session(
        side,
        host=endpoint.host,
        port=endpoint.port,
        tls=endpoint.tls.value,
        proof=Proof(login="user", secret=Secret(PASSWORD)),
        connect_timeout_seconds=seconds,
        command_timeout_seconds=20,
        ca_file=endpoint.ca_file or None,
        fingerprint=endpoint.certificate_sha256 or None,
    ).wire.close()


def refused(url: str, side: str = "source", **options: str) -> TlsFailed:
    with pytest.raises(TlsFailed) as caught:
        enter(url, side, **options)  # type: ignore[arg-type]
    return caught.value


def urls(server: Dovecot, host: str = "127.0.0.1") -> tuple[str, str]:
    return f"imaps://{host}:{server.tls_port}", f"imap+starttls://{host}:{server.port}"


@pytest.mark.parametrize("side", ["source", "destination"])
@pytest.mark.parametrize("way", [0, 1], ids=["implicit", "starttls"])
@pytest.mark.parametrize(
    ("kind", "known_ca", "said"),
    [
        ("expired", True, "has expired"),
        ("early", True, "is not valid yet"),
        ("wrong name", True, "is not for 127.0.0.1"),
        ("self-signed", False, "is self-signed"),
        ("good", False, "is signed by a CA that this machine does not know"),
    ],
)
def test_what_is_wrong_is_said_and_the_advice_works(
    server: _Makes, ca_file: str, kind: str, known_ca: bool, said: str, way: int, side: str
) -> None:
    dovecot = server(kind)
    url = urls(dovecot)[way]
    error = refused(url, side, **({"ca_file": ca_file} if known_ca else {}))
    pin = fingerprint(dovecot.certificate)
    assert said in error.what
    for part in ("subject CN=", "issuer CN=", "names ", "valid from ", "expires ", f"SHA-256 {pin}"):
        assert part in error.what
    # The options are those of this side, and work as they are printed.
    assert f"--{side}-fingerprint {pin}" in error.advice
    assert not re.search(f"--{'destination' if side == 'source' else 'source'}", error.advice)
    enter(url, side, certificate_sha256=pin)


def test_a_wrong_name_names_the_right_one(server: _Makes, ca_file: str) -> None:
    dovecot = server("wrong name")
    error = refused(urls(dovecot)[0], ca_file=ca_file)
    assert f"--source with a name that it holds, as in imaps://localhost:{dovecot.tls_port}" in error.advice
    enter(f"imaps://localhost:{dovecot.tls_port}", ca_file=ca_file)


def test_an_unknown_ca_is_asked_for(server: _Makes, ca_file: str) -> None:
    for url in urls(server("good")):
        assert "--destination-ca FILE" in refused(url, "destination").advice
        enter(url, "destination", ca_file=ca_file)


def test_another_ca_is_not_enough(server: _Makes, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    other.write_bytes(Authority("Somebody else").certificate)
    error = refused(urls(server("good"))[0], ca_file=str(other))
    assert f"a CA that the CA file {other} does not know" in error.what


def test_another_pin_is_refused_before_a_password_is_sent(server: _Makes) -> None:
    dovecot = server("self-signed")
    for url in urls(dovecot):
        error = refused(url, certificate_sha256="00" * 32)
        assert "another certificate than the pinned one" in error.what
        assert f"--source-fingerprint {fingerprint(dovecot.certificate)}" in error.advice


def test_a_ca_file_that_is_none(server: _Makes, tmp_path: Path) -> None:
    path = tmp_path / "ca.pem"
    path.write_text("no certificate")
    error = refused(urls(server("good"))[0], ca_file=str(path))
    assert str(path) in error.what
    assert "--source-ca" in error.advice


def test_tls_to_a_plain_port_says_so(server: _Makes, ca_file: str) -> None:
    dovecot = server("good")
    error = refused(f"imaps://127.0.0.1:{dovecot.port}", "destination")
    assert error.what == f"127.0.0.1:{dovecot.port} speaks plain IMAP, not TLS"
    assert "WRONG_VERSION" not in str(error) + error.advice
    advised = f"imap+starttls://127.0.0.1:{dovecot.port}"
    assert f"--destination {advised}, or imaps://127.0.0.1:993" in error.advice
    enter(advised, "destination", ca_file=ca_file)


@contextmanager
def speaking(greeting: bytes) -> Iterator[int]:
    """Yields a port that sends this greeting and nothing else."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                while True:
                    peer, _ = listener.accept()
                    with peer, suppress(OSError):
                        peer.sendall(greeting)
                        peer.recv(4096)

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.parametrize(
    ("greeting", "said", "advice"),
    [
        (b"+OK POP3 ready\r\n", "speaks plain POP3, not TLS", "pop3+starttls://127.0.0.1:"),
        (b"* OK ready\r\n", "speaks plain IMAP, not TLS", "imap+starttls://127.0.0.1:"),
        (b"220 mail ESMTP\r\n", "speaks no TLS and no IMAP but SMTP or FTP", "check the port"),
        (b"SSH-2.0-OpenSSH\r\n", "speaks no TLS and no IMAP", "check the port"),
        (b"\x1b[2J* nonsense without an end" + b"x" * 9000, "no TLS connection", "TLS 1.2"),
    ],
)
def test_tls_to_whatever_else(greeting: bytes, said: str, advice: str) -> None:
    with speaking(greeting) as port:
        error = refused(f"imaps://127.0.0.1:{port}", seconds=5)  # type: ignore[arg-type]
    assert said in error.what
    assert advice in error.advice
    assert f"{error}{error.advice}".isprintable()


@pytest.mark.parametrize("scheme", ["imap+starttls", "imap"])
def test_plain_text_to_a_tls_port_says_so(
    server: _Makes, ca_file: str, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_SILENT_SECONDS", 0.5)
    monkeypatch.setattr(tls, "_PROBE_SECONDS", 20.0)
    dovecot = server("good")
    error = refused(f"{scheme}://127.0.0.1:{dovecot.tls_port}")
    assert "uses implicit TLS" in error.what
    advised = f"imaps://127.0.0.1:{dovecot.tls_port}"
    assert advised in error.advice
    enter(advised, ca_file=ca_file)


def test_a_port_that_greeted_in_plain_text_is_not_asked_for_tls_again(
    server: _Makes, ca_file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    dovecot, broken = server("good"), Broken()
    asked: list[int] = []
    monkeypatch.setattr(Door, "check_silence", lambda door, _sock: asked.append(door.port))

    def opened(port: int, way: TlsMode) -> int:
        asked.clear()
        open_session(
            "source",
            host="127.0.0.1",
            port=port,
            tls=way,
            proof=Proof(login="user", secret=Secret(PASSWORD)),
            connect_timeout_seconds=20,
            command_timeout_seconds=20,
            ca_file=ca_file,
            broken=broken,
        ).wire.abort()
        return len(asked)

    assert opened(dovecot.tls_port, "tls") == 1
    assert not broken.greeted, "nothing was said there in plain text"
    assert [opened(dovecot.port, "starttls") for _ in range(2)] == [1, 0]


def test_connections_share_what_is_trusted_for_a_while(ca_file: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]
    monkeypatch.setattr(tls, "monotonic", lambda: now[0])

    def door(**more: str) -> Door:
        return Door(side="source", host="a", port=1, tls="tls", timeout_seconds=1, **more)  # type: ignore[arg-type]

    first = door(ca_file=ca_file).context()
    assert door(ca_file=ca_file).context() is first
    assert first.verify_mode is ssl.CERT_REQUIRED
    assert door().context() is not first
    pinned = door(ca_file=ca_file, fingerprint="ab" * 32).context()
    assert pinned is not first
    assert pinned.verify_mode is ssl.CERT_NONE
    now[0] += 60
    assert door(ca_file=ca_file).context() is not first, "read again"


def test_trust_is_not_given_where_the_certificate_is_right(server: _Makes, ca_file: str) -> None:
    """The control: with a right certificate there is no fault, and a wrong password is reported as such."""
    for url in urls(server("good")):
        enter(url, ca_file=ca_file)
    endpoint = parse_endpoint(urls(server("good"))[0], ca_file=ca_file)
    with pytest.raises(AuthenticationRefused):
        open_session(
            "source",
            host=endpoint.host,
            port=endpoint.port,
            tls="tls",
            proof=Proof(login="user", secret=Secret("wrong")),
            connect_timeout_seconds=20,
            command_timeout_seconds=20,
            ca_file=ca_file,
        )


def test_check_prints_an_option_that_the_same_command_takes(server: _Makes, ca_file: str, tmp_path: Path) -> None:
    source, destination = server("good"), server("self-signed")
    manifest = tmp_path / "people.csv"
    manifest.write_text(f"login,password\nuser,{PASSWORD}\n")
    ends = ["--source", urls(source)[0], "--destination", urls(destination)[1], "--source-ca", ca_file]
    command = ["check", str(manifest), "--state-dir", str(tmp_path), *ends]
    first = CliRunner().invoke(app, command)
    assert first.exit_code == 3
    assert "is self-signed" in first.output
    found = re.search(r"--destination-fingerprint \w+", first.output)
    assert found
    again = CliRunner().invoke(app, [*command, *shlex.split(found[0])])
    assert again.exit_code == 0, again.output


def test_the_offered_pin_is_that_of_the_certificate_whatever_its_name_says() -> None:
    """Shows a certificate that is named like the fingerprint of another one."""
    named = certificate_and_key("ab" * 32)
    with Dovecot(certificate=named) as shown:
        endpoint = parse_endpoint(f"imaps://127.0.0.1:{shown.tls_port}")
        *_, step = try_connection("source", endpoint, addresses=lambda host, _: [host])
        assert "ab" * 32 in step.said
        assert (step.what, step.ok, step.pin) == ("tls", False, fingerprint(named[0]))
        pinned = parse_endpoint(f"imaps://127.0.0.1:{shown.tls_port}", certificate_sha256="cd" * 32)
        *_, other = try_connection("source", pinned, addresses=lambda host, _: [host])
        assert other.pin == fingerprint(named[0])
        # Pinned, it is accepted; a step that succeeded offers none.
        right = parse_endpoint(f"imaps://127.0.0.1:{shown.tls_port}", certificate_sha256=step.pin)
        assert all(one.ok and not one.pin for one in try_connection("source", right, addresses=lambda host, _: [host]))
