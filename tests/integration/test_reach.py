"""Tests that workers apply the rule of `shared.sign_in.reach` at every connection to servers that came through page or API."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from shared.content.maildrop import SessionIdentities
from shared.mail.auth.sasl import Proof
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.errors import Unreachable
from shared.runtime.secret import Secret
from shared.sign_in.reach import Reach, reach_of
from tests.servers.dovecot import Dovecot

PROOF = Proof(login="anna", secret=Secret("pw"))


@pytest.fixture(scope="module")
def server() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        server.add_user("anna", "pw")
        yield server


def ways(reach: Reach) -> Ways:
    return Ways(connect_timeout_seconds=20, command_timeout_seconds=20, allowed=reach.addresses)


def endpoint(server: Dovecot, protocol: str, host: str = "localhost", *, guarded: bool = True) -> Endpoint:
    port = server.pop3_port if protocol == "pop3" else server.port
    return Endpoint(protocol=protocol, host=host, port=port, tls=Tls.NONE, guarded=guarded)


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
def test_an_address_that_is_not_public_is_not_connected_to(server: Dovecot, protocol: str) -> None:
    end = endpoint(server, protocol)
    before = server.logins("anna")
    with pytest.raises(Unreachable, match=r"not public.*MAILHAUL_WEB_ALLOW"):
        ways(reach_of("", str(end.port))).source(end, PROOF, SessionIdentities())
    with pytest.raises(Unreachable, match="MAILHAUL_WEB_PORTS"):
        ways(reach_of("127.0.0.0/8", "143")).source(end, PROOF, SessionIdentities())
    assert server.logins("anna") == before


def test_a_destination_is_held_to_it_too(server: Dovecot) -> None:
    end = endpoint(server, "imap")
    with pytest.raises(Unreachable, match="not public"):
        ways(reach_of("", str(end.port))).destination(end, PROOF)


def test_a_name_that_means_another_address_by_now_is_looked_at_again(server: Dovecot) -> None:
    """Simulates DNS rebinding: a public address when the import was opened, loopback when a worker connects."""
    means = ["93.184.215.14"]
    reach = Reach(ports=frozenset({server.port}), resolve=lambda host, port: means)
    end = endpoint(server, "imap", "mail.stranger.example")
    reach.check("source", end)
    means[:] = ["127.0.0.1"]
    with pytest.raises(Unreachable, match="not public"):
        ways(reach).source(end, PROOF, SessionIdentities())


def test_what_is_allowed_or_was_named_on_the_command_line_is_connected_to(server: Dovecot) -> None:
    """The control: only the rule prevented the connection."""
    port = str(server.port)
    ways(reach_of("127.0.0.0/8,::1", port)).source(endpoint(server, "imap"), PROOF, SessionIdentities()).close()
    ways(reach_of("", port)).source(endpoint(server, "imap", guarded=False), PROOF, SessionIdentities()).close()
