"""Tests a URL of one protocol at a port of another: the message comes at once, and the advised URL then works."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest
from typer.testing import CliRunner

from producer.cli import app
from producer.intake.connection_test import try_connection
from producer.intake.endpoints import parse_endpoint
from shared.content.maildrop import ListingIdentities
from shared.mail.auth.sasl import Proof
from shared.mail.transport import tls
from shared.mail.transport.tls import Door
from shared.mail.ways import Ways
from shared.model.errors import MailError, ProtocolViolation, TlsFailed, WrongProtocol
from shared.runtime.secret import Secret
from tests.servers import dovecot as dovecot_server
from tests.servers.certificate import fingerprint
from tests.servers.dovecot import Dovecot

pytestmark = pytest.mark.skipif(not dovecot_server.available(), reason="needs Dovecot (tests/install-servers)")

PROOF = Proof(login="user", secret=Secret("s3cret-canary"))


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        server.add_user("user", "s3cret-canary")
        yield server


def enter(dovecot: Dovecot, url: str, side: str = "source", seconds: float = 20.0) -> None:
    """Signs in as a worker does, with a pinned certificate unless the URL is without TLS."""
    pin = "" if re.match(r"(imap|pop3)://", url) else fingerprint(dovecot.certificate)
    end = parse_endpoint(url, side=side, certificate_sha256=pin)
    ways = Ways(connect_timeout_seconds=seconds, command_timeout_seconds=20)
    mail = ways.source(end, PROOF, ListingIdentities()) if side == "source" else ways.destination(end, PROOF)
    mail.close()


def refused(dovecot: Dovecot, url: str, side: str = "source", seconds: float = 20.0) -> MailError:
    with pytest.raises(MailError) as caught:
        enter(dovecot, url, side, seconds)
    return caught.value


@pytest.mark.parametrize("scheme", ["imap", "imap+starttls", "imaps", "pop3", "pop3+starttls", "pop3s"])
def test_the_other_protocol_is_named_and_what_is_advised_works(dovecot: Dovecot, scheme: str) -> None:
    ours, theirs = ("IMAP", "POP3") if scheme.startswith("imap") else ("POP3", "IMAP")
    tls = scheme.endswith("ps") or scheme == "pop3s"
    ports = {
        "POP3": dovecot.pop3s_port if tls else dovecot.pop3_port,
        "IMAP": dovecot.tls_port if tls else dovecot.port,
    }
    error = refused(dovecot, f"{scheme}://127.0.0.1:{ports[theirs]}")
    assert isinstance(error, WrongProtocol)
    assert error.what == f"127.0.0.1:{ports[theirs]} speaks {theirs}, not {ours}"
    advised = f"{scheme.replace(ours.lower(), theirs.lower())}://127.0.0.1:{ports[theirs]}"
    assert error.advice == f"give --source {advised}, or the port of {ours}"
    enter(dovecot, advised)


def test_nobody_is_advised_to_give_a_destination_by_pop3(dovecot: Dovecot) -> None:
    error = refused(dovecot, f"imap://127.0.0.1:{dovecot.pop3_port}", "destination")
    assert error.advice == "give the port of IMAP, usually 993 or 143"


def test_without_a_look_at_the_greeting_nobody_knows(dovecot: Dovecot, monkeypatch: pytest.MonkeyPatch) -> None:
    """The control: without a look at the greeting the fault is not recognised."""
    monkeypatch.setattr(Door, "check_greeting", lambda self, line: None)
    for url in (f"imap://127.0.0.1:{dovecot.pop3_port}", f"pop3://127.0.0.1:{dovecot.port}"):
        assert isinstance(refused(dovecot, url), ProtocolViolation)


def test_the_right_protocol_is_let_in(dovecot: Dovecot) -> None:
    for url in (
        f"imap://127.0.0.1:{dovecot.port}",
        f"imaps://127.0.0.1:{dovecot.tls_port}",
        f"pop3://127.0.0.1:{dovecot.pop3_port}",
        f"pop3s://127.0.0.1:{dovecot.pop3s_port}",
    ):
        enter(dovecot, url)


# -- TLS ports


@pytest.mark.parametrize("scheme", ["imap", "imap+starttls", "pop3", "pop3+starttls"])
def test_a_silent_tls_port_is_named_long_before_the_time_for_connecting_is_over(
    dovecot: Dovecot, scheme: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tls, "_PROBE_SECONDS", 20.0)  # what a busy machine needs for a handshake
    port = dovecot.tls_port if scheme.startswith("imap") else dovecot.pop3s_port
    # A client that waited for the greeting would wait longer than a test may take.
    error = refused(dovecot, f"{scheme}://127.0.0.1:{port}", seconds=3600)
    assert isinstance(error, TlsFailed)
    assert "uses implicit TLS" in error.what
    enter(dovecot, error.advice.removeprefix("give --source "))


@contextmanager
def slow(answer: bytes) -> Iterator[tuple[int, list[bytes]]]:
    """Yields a plain port that is silent until another connection was tried with TLS.

    It also yields the data of that other connection.
    """
    seen: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            with suppress(OSError):
                first, _ = listener.accept()
                with first:
                    probe, _ = listener.accept()
                    with probe:
                        seen.append(probe.recv(1))
                    first.sendall(answer)
                    first.recv(4096)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1], seen
        listener.shutdown(socket.SHUT_RDWR)
        thread.join(180)


def test_a_server_that_is_slow_to_greet_in_plain_text_is_waited_for(dovecot: Dovecot) -> None:
    with slow(b"+OK late\r\n") as (port, seen):
        error = refused(dovecot, f"imap://127.0.0.1:{port}")
    assert isinstance(error, WrongProtocol), "its greeting was read after all"
    assert seen == [b"\x16"]


# -- the operator's view


@pytest.mark.parametrize("command", ["check", "plan", "import"])
def test_each_command_says_so(dovecot: Dovecot, command: str, tmp_path: Path) -> None:
    manifest = tmp_path / "people.csv"
    manifest.write_text("login,password\nuser,s3cret-canary\n")
    ends = [f"--source=imap://127.0.0.1:{dovecot.pop3_port}", f"--destination=imap://127.0.0.1:{dovecot.port}"]
    found = CliRunner().invoke(app, [command, str(manifest), "--state-dir", str(tmp_path / "state"), *ends])
    assert found.exit_code == 3
    said = " ".join(found.output.split())
    assert f"127.0.0.1:{dovecot.pop3_port} speaks POP3, not IMAP" in said
    assert f"--source pop3://127.0.0.1:{dovecot.pop3_port}" in said


@pytest.mark.parametrize("tls", [False, True])
def test_a_look_at_one_server_says_so(dovecot: Dovecot, tls: bool) -> None:
    port = dovecot.tls_port if tls else dovecot.pop3_port
    end = parse_endpoint(f"imap://127.0.0.1:{port}", side="source")
    last = try_connection("source", end, addresses=lambda host, port: [host])[-1]
    assert (last.what, last.ok) == ("greeting", False)
    assert ("uses implicit TLS" if tls else "speaks POP3, not IMAP") in last.said
    assert f"--source {'imaps' if tls else 'pop3'}://127.0.0.1:{port}" in last.advice
