"""Fixtures of the tests that run lanes in this process."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.integration.in_process_import import InProcessImport, Wires
from tests.servers.faulty import FaultyServer


@pytest.fixture
def wires() -> Iterator[Wires]:
    """Yields two scripted servers with a login on each."""
    with FaultyServer() as source, FaultyServer() as destination:
        yield Wires(source, destination)


@pytest.fixture
def in_process(wires: Wires) -> InProcessImport:
    """Returns a stage on which twelve messages were copied."""
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process
