"""Tests that streams of events end with their token or import, and that their number is limited."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import subprocess
from typing import Any

import httpx2
import pytest
import redis
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

from producer.web.problems import Refused, install
from producer.web.security import streams
from tests.servers.dovecot import Dovecot
from tests.servers.process import kill
from tests.web.conftest import PASSWORD, WebServer, allowed, ends, serve_with
from tests.web.test_signing_in import GOOD, Browser, _user

Servers = tuple[Dovecot, Dovecot]


def _opened(web_server: WebServer, servers: Servers) -> str:
    web_server.serve(**allowed(servers))
    body = {"name": "still", "manifest": f"anna,{PASSWORD}\n", **ends(servers)}
    found: str = web_server.client().post("/imports", json=body).json()["import"]["id"]
    return found


def _events(stream: httpx2.Response, then: Any) -> list[str]:
    """Returns the events until the end of the stream. Calls `then` once, after the first."""
    found: list[str] = []
    for line in stream.iter_lines():
        if line.startswith("data: ") and not any(one.startswith("data: ") for one in found):
            then()
        if line.startswith(("event: ", "data: ")):
            found.append(line)
    return found


@pytest.mark.parametrize("what", ["token", "import"])
def test_a_stream_of_the_api_ends_with_its_token_and_with_its_import(
    web_server: WebServer, servers: Servers, what: str
) -> None:
    import_id = _opened(web_server, servers)
    admin = web_server.client("admin")
    made = admin.post("/tokens", json={"name": "robot", "role": "viewer"}).json()

    def ends_it() -> None:
        if what == "token":
            assert admin.delete(f"/tokens/{made['id']}").status_code == 204
        else:
            _forget(web_server, import_id)

    robot = web_server.anybody(Authorization=f"Bearer {made['token']}")
    with robot.stream("GET", f"/imports/{import_id}/events") as stream:
        *_, kind, said = _events(stream, ends_it)
    told = {"token": "this token is not known", "import": "there is no import with this id"}
    assert (kind, json.loads(said[6:])["detail"]) == ("event: ended", told[what])


def test_a_stream_of_the_page_ends_with_its_import(web_server: WebServer, servers: Servers) -> None:
    import_id = _opened(web_server, servers)
    _user(web_server)
    browser = Browser(web_server)
    browser.signs_in("anna", GOOD)
    with browser.stream("GET", f"/imports/{import_id}/stream") as stream:
        *_, kind, _ = _events(stream, lambda: _forget(web_server, import_id))
    assert kind == "event: ended"


@pytest.mark.parametrize("told", [True, False])
def test_a_process_that_stops_ends_its_streams_at_once(web_server: WebServer, servers: Servers, told: bool) -> None:
    """A stream of the API and one of the page are open. The control does not tell them, and waits for its grace, an hour."""
    # `python -m` runs the main module under another name, so its grace is set where it is given to the server.
    program = """import uvicorn
made = uvicorn.Config.__init__
uvicorn.Config.__init__ = lambda self, *given, **named: made(self, *given, **named | {"timeout_graceful_shutdown": 3600})
"""
    untold = "from producer.web.security.streams import Streams\nStreams.stop = lambda self: None\n"
    serve_with(web_server, program + untold * (not told), **allowed(servers))
    body = {"name": "still", "manifest": f"anna,{PASSWORD}\n", **ends(servers)}
    import_id = web_server.client().post("/imports", json=body).json()["import"]["id"]
    page, process = web_server.signed_in(), web_server._processes[-1]
    with (
        web_server.client("viewer").stream("GET", f"/imports/{import_id}/events") as one,
        page.stream("GET", f"/imports/{import_id}/stream") as other,
    ):
        streams_ = [one.iter_lines(), other.iter_lines()]
        for stream in streams_:
            next(stream)
        process.send_signal(signal.SIGTERM)
        if not told:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(4)
            return kill(process)
        assert process.wait(180) == 0
        assert [list(stream)[-1] for stream in streams_] == ["", ""]  # complete answers: whoever reads comes back


def _forget(web_server: WebServer, import_id: str) -> None:
    """Deletes the import, as when its retention time is over."""
    with redis.Redis(unix_socket_path=str(web_server.redis.socket), db=1) as client:
        client.delete(*client.scan_iter(f"*import:{import_id}*"))


def test_places_are_taken_before_a_stream_begins_and_given_back_however_it_ends(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Three requests come at once for two places. A place is free again when a client leaves in the middle."""
    monkeypatch.setattr(streams, "MOST", 2)
    app = FastAPI()
    app.state.streams = streams.Streams()
    app.state.refusal = None
    install(app)

    @app.get("/api/endless")
    async def endless(_: streams.Seat) -> StreamingResponse:
        async def told() -> Any:
            while True:
                yield b"x"
                await asyncio.sleep(0.01)

        return StreamingResponse(told())

    @app.get("/api/broken")
    async def broken(_: streams.Seat) -> None:
        raise ValueError("no stream")

    async def visit(path: str, leave: asyncio.Event, statuses: list[int]) -> None:
        async def receive() -> dict[str, Any]:
            await leave.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            if message["type"] == "http.response.start":
                statuses.append(message["status"])

        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": b"",
            "headers": [],
            "http_version": "1.1",
            "scheme": "http",
            "server": ("x", 80),
            "client": ("127.0.0.1", 1),
            "root_path": "",
            "asgi": {"version": "3.0"},
        }
        with contextlib.suppress(ValueError):
            await app(scope, receive, send)

    async def all_of_them() -> list[int]:
        statuses: list[int] = []
        leave = [asyncio.Event() for _ in range(4)]
        visits = [asyncio.create_task(visit("/api/endless", one, statuses)) for one in leave[:3]]
        while len(statuses) < 3:
            await asyncio.sleep(0)
        leave[0].set()
        leave[1].set()
        leave[2].set()
        await asyncio.gather(*visits)
        assert app.state.streams.open == {}
        await visit("/api/broken", leave[3], statuses)
        assert app.state.streams.open == {}
        return sorted(statuses)

    assert asyncio.run(all_of_them())[:3] == [200, 200, 429]


def test_one_person_takes_their_share_and_others_have_room() -> None:
    app = FastAPI()
    app.state.streams = streams.Streams()

    async def sit(who: str, stack: contextlib.AsyncExitStack) -> bool:
        request = Request({"type": "http", "app": app, "state": {"who": who}, "headers": []})
        try:
            await stack.enter_async_context(contextlib.asynccontextmanager(streams.seat)(request))
        except Refused:
            return False
        return True

    async def story() -> None:
        async with contextlib.AsyncExitStack() as stack:
            taken = [await sit("user:anna", stack) for _ in range(streams.MOST_OF_ONE + 5)]
            assert (taken.count(True), taken[-1]) == (streams.MOST_OF_ONE, False)
            assert await sit("user:berta", stack)
        assert app.state.streams.open == {}
        async with contextlib.AsyncExitStack() as stack:
            assert await sit("user:anna", stack)

    asyncio.run(story())


def test_one_person_cannot_hold_all_streams_of_the_page(web_server: WebServer, servers: Servers) -> None:
    import_id = _opened(web_server, servers)
    one, other = web_server.client("viewer"), web_server.client("viewer")
    with contextlib.ExitStack() as stack:
        answers = [
            stack.enter_context(one.stream("GET", f"/imports/{import_id}/events")).status_code
            for _ in range(streams.MOST_OF_ONE + 1)
        ]
        assert answers == [200] * streams.MOST_OF_ONE + [429]
        with other.stream("GET", f"/imports/{import_id}/events") as stream:
            assert stream.status_code == 200
