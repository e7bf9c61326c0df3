"""Tests that clients that hold connections, send slowly or send everything at once do not stop the page for others.

Each protection has its control.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
import socket
from collections.abc import Iterator
from typing import Any, cast

import httpx2
import pytest
from uvicorn.config import Config
from uvicorn.server import ServerState

from producer.web.security import connections
from producer.web.security.connections import HEAD_BYTES, LEAST_BYTES, PageProtocol, Room
from producer.web.security.turns import Turns
from tests.servers.process import await_ready
from tests.web.conftest import WebServer, serve_with

#: Idle connections of the flood.
FLOOD = 1100
#: Lines that the server's process runs first: the usual limit of open files, and short periods.
LIMITED = """
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (1024, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
import producer.web.security.connections as ours
ours.PERIODS = {name: 0.5 for name in ours.PERIODS}
"""
#: The same, but with uvicorn's own protocol.
UNPROTECTED = f"""{LIMITED}
import uvicorn
configured = uvicorn.Config
uvicorn.Config = lambda app, **named: configured(app, **{{**named, "http": "h11"}})
"""


@pytest.fixture
def many_files() -> Iterator[None]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2 * FLOOD:
        pytest.skip(f"this test needs {2 * FLOOD} open files, the limit here is {hard}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * FLOOD), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def _connect(web_server: WebServer) -> socket.socket:
    return socket.create_connection(("127.0.0.1", web_server.port), timeout=180)


def test_idle_connections_do_not_stop_the_page(web_server: WebServer, many_files: None) -> None:
    serve_with(web_server, LIMITED.replace("0.5", "3600.0"))
    with contextlib.ExitStack() as stack:
        for _ in range(FLOOD):
            stack.enter_context(_connect(web_server))
        for _ in range(3):
            assert httpx2.get(f"http://127.0.0.1:{web_server.port}/healthz", timeout=180).status_code == 200
        assert web_server.client().get("/imports").status_code == 200
    assert (web_server.home / "producer.web.log").stat().st_size < 100_000


def test_without_the_protection_they_do(web_server: WebServer, many_files: None) -> None:
    serve_with(web_server, UNPROTECTED)
    with contextlib.ExitStack() as stack:
        for _ in range(FLOOD):
            stack.enter_context(_connect(web_server))
        with pytest.raises(httpx2.TimeoutException):
            httpx2.get(f"http://127.0.0.1:{web_server.port}/healthz", timeout=3)
        log = web_server.home / "producer.web.log"
        await_ready(lambda: "out of system resource" in log.read_text(), 180, "the fault of accept()")
    # Python writes thousands of equal lines here; they are folded.
    assert log.read_text().count("out of system resource") < 20


#: The data that a slow client sends before it stops.
SLOW = {
    "nothing": b"",
    "half a head": b"GET /healthz HTTP/1.1\r\nHost: loc",
    "a head without measure": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * (HEAD_BYTES + 1000),
    "half a body": b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Length: 60000\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\n\r\nname=",
    "half a second head": b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET /heal",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
def test_who_does_not_finish_a_request_is_closed(web_server: WebServer, sent: bytes) -> None:
    serve_with(web_server, LIMITED)
    with _connect(web_server) as sock:
        sock.sendall(sent)
        with contextlib.suppress(ConnectionResetError):
            while sock.recv(1000):
                pass


def test_without_the_protection_half_a_request_is_waited_for(web_server: WebServer) -> None:
    serve_with(web_server, UNPROTECTED)
    with _connect(web_server) as sock:
        sock.sendall(SLOW["half a head"])
        sock.settimeout(3)
        with pytest.raises(TimeoutError):
            sock.recv(1000)


# -- the decision to close, with a simulated connection


class Wire(asyncio.Transport):
    """A transport that records what the protocol writes to it."""

    def __init__(self, address: str = "192.0.2.1") -> None:
        super().__init__({"peername": (address, 40_000), "sockname": ("192.0.2.9", 80)})
        self.aborted, self.unread, self.written = False, 0, b""

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.aborted = True

    def is_closing(self) -> bool:
        return self.aborted

    def get_write_buffer_size(self) -> int:
        return self.unread

    def write(self, data: Any) -> None:
        self.written += bytes(data)

    def pause_reading(self) -> None:
        pass

    def resume_reading(self) -> None:
        pass


async def _reads_all(scope: Any, receive: Any, send: Any) -> None:
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


class Hall:
    """Simulated connections with one `Room`."""

    def __init__(self, most: int = 10, most_from_one: int = 10, proxy: str = "") -> None:
        self.config = Config(cast(Any, _reads_all), log_config=None, http="h11", ws="none", lifespan="off")
        self.state = ServerState()
        self.room = Room(most, most_from_one, lambda address: address == proxy)

    def come(self, address: str = "192.0.2.1") -> tuple[PageProtocol, Wire]:
        one, wire = (
            PageProtocol(config=self.config, server_state=self.state, app_state={}, room=self.room),
            Wire(address),
        )
        one.connection_made(wire)
        return one, wire


BODY = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1000000\r\n\r\n"


def _run(story: Any) -> None:
    async def told() -> None:
        await story(Hall())

    asyncio.run(told())


async def _settle() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


def test_an_honest_slow_sender_and_reader_are_waited_for() -> None:
    async def story(hall: Hall) -> None:
        one, wire = hall.come()
        one.data_received(BODY)
        for _ in range(3):
            await _settle()
            one.data_received(b"x" * LEAST_BYTES)
            one.period_over()
            assert not wire.aborted
        await _settle()
        one.period_over()
        assert wire.aborted, "nothing came in this period"

        one, wire = hall.come()
        one.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for unread in (100_000, 80_000, 60_000):
            wire.unread = unread
            one.period_over()
            assert not wire.aborted
        one.period_over()
        assert wire.aborted, "nothing was read in this period"

    _run(story)


def test_our_own_slowness_closes_nothing() -> None:
    async def story(hall: Hall) -> None:
        one, wire = hall.come()
        one.data_received(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        for _ in range(5):
            one.period_over()
        assert not wire.aborted
        await _settle()
        assert wire.written.endswith(b"ok")
        one.period_over()
        assert wire.aborted, "answered, and no other request came"

    _run(story)


def test_a_body_that_goes_on_after_its_answer_ends() -> None:
    async def refuses(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 413, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body"})

    async def story(hall: Hall) -> None:
        hall.config = Config(cast(Any, refuses), log_config=None, http="h11", ws="none", lifespan="off")
        one, wire = hall.come()
        one.data_received(BODY)
        await _settle()
        one.data_received(b"x" * LEAST_BYTES)
        one.period_over()
        assert wire.aborted

    _run(story)


def test_the_longest_idle_makes_way_and_who_is_at_work_never() -> None:
    async def story(_: Hall) -> None:
        hall = Hall(most=4, most_from_one=2)
        first, second, third = hall.come(), hall.come(), hall.come()
        assert [wire.aborted for _, wire in (first, second, third)] == [True, False, False], "two from one address"
        other, busy = hall.come("198.51.100.1"), hall.come("198.51.100.2")
        busy[0].data_received(BODY)
        sixth = hall.come("198.51.100.3")
        assert (second[1].aborted, other[1].aborted, busy[1].aborted, sixth[1].aborted) == (True, False, False, False)
        for one, wire in (third, other, sixth):
            one.data_received(BODY)
            assert not wire.aborted
        late = hall.come("198.51.100.4")
        assert late[1].aborted, "all are at work"
        busy[0].connection_lost(None)
        assert not hall.come("198.51.100.4")[1].aborted

    _run(story)


def test_a_proxy_may_have_all_and_ipv6_counts_by_network() -> None:
    async def story(_: Hall) -> None:
        hall = Hall(most=5, most_from_one=2, proxy="10.0.0.1")
        assert not any(wire.aborted for _, wire in [hall.come("10.0.0.1") for _ in range(3)])
        six = [hall.come(f"2001:db8::{n}") for n in range(3)]
        assert [wire.aborted for _, wire in six] == [True, False, False]

    _run(story)


def test_half_of_the_files_are_left_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 1024))
    assert connections.room_of(lambda _: False)._most == 512


# -- requests in progress


def _statuses(turns: Turns, visits: list[tuple[str, str]]) -> list[int]:
    """Returns the statuses of visits (address, path) that all take place at once."""

    async def all_of_them() -> list[int]:
        statuses: list[int] = []

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        async def visit(address: str, path: str) -> None:
            scope = {"type": "http", "path": path, "method": "GET", "headers": [], "client": (address, 1)}
            await turns(scope, cast(Any, None), send)

        await asyncio.gather(*(visit(*one) for one in visits))
        return statuses

    return asyncio.run(all_of_them())


def _turns(kind: str = "text/html", **most: int) -> Turns:
    async def works(scope: Any, receive: Any, send: Any) -> None:
        headers = [(b"content-type", kind.encode())]
        if kind != "text/event-stream":
            await _settle()
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await _settle()

    return Turns(works, **most)


def test_so_many_requests_are_at_work_at_once() -> None:
    turns = _turns(most=4, most_from_one=2)
    places = ["192.0.2.1", "192.0.2.1", "192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"]
    assert sorted(_statuses(turns, [(one, "/") for one in places])) == [200, 200, 200, 200, 503, 503]
    assert _statuses(turns, [("192.0.2.1", "/healthz")] * 9) == [200] * 9
    assert _statuses(turns, [("192.0.2.1", "/")] * 2) == [200] * 2, "each gave its turn back"


def test_an_open_stream_holds_no_turn() -> None:
    turns = _turns("text/event-stream", most=4, most_from_one=2)
    assert _statuses(turns, [("192.0.2.1", "/")] * 9) == [200] * 9
