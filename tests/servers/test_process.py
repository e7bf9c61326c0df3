"""Tests that each port belongs to one test, whatever runs beside it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import process
from tests.servers.process import free_port

OTHER = """
import sys
from tests.servers.process import free_port
print(*(free_port() for _ in range(3)), flush=True)
sys.stdin.read()
"""


def test_a_port_is_not_the_kernels_to_give_away() -> None:
    lowest, highest = map(int, Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split())
    assert not [port for port in (free_port() for _ in range(20)) if lowest <= port <= highest]


def test_a_port_that_another_process_was_given_is_left_to_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with subprocess.Popen([sys.executable, "-c", OTHER], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout
        theirs = [int(port) for port in other.stdout.readline().split()]
        monkeypatch.setattr(process, "_PORTS", process._ports(other.pid * 97))
        ours = [free_port() for _ in range(3)]
        other.kill()
    assert len({*theirs, *ours}) == 6


def test_ports_cost_one_descriptor_for_many(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "_TAKEN", [])
    monkeypatch.setattr(process, "_PORTS", process._ports(0))
    ports = [free_port() for _ in range(40)]
    assert len(set(ports)) == 40
    assert len(process._TAKEN) <= 2
