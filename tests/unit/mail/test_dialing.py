"""Tests the way to a server of which not every address works."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from shared.mail.transport import dialing


@pytest.mark.parametrize("checked", [True, False], ids=["addresses that were checked", "as the system resolves it"])
def test_an_ipv6_address_that_does_not_work_costs_the_way_to_the_next_one(
    monkeypatch: pytest.MonkeyPatch, checked: bool
) -> None:
    """Resolves a name to ::1, where nobody listens, and to 127.0.0.1."""
    real, asked = socket.getaddrinfo, []

    def both(host: str, port: int, *given: Any, **named: Any) -> Any:
        hosts = ["::1", "127.0.0.1"] if host == "two.example" else [host]
        asked.extend(hosts)
        return [one for each in hosts for one in real(each, port, *given, **named)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    allowed = (lambda *_: ["::1", "127.0.0.1"]) if checked else None
    with (
        socket.create_server(("127.0.0.1", 0)) as server,
        dialing.restricted(allowed),
        dialing.connect("two.example", server.getsockname()[1], timeout=5) as connected,
    ):
        assert connected.getpeername()[0] == "127.0.0.1"
    assert asked == ["::1", "127.0.0.1"]
