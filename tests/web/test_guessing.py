"""Whoever guesses passwords is slowed down, and takes nothing from others. Each with its control."""

from __future__ import annotations

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from types import SimpleNamespace
from typing import Any, cast

import httpx2
import pytest
from fastapi import Request
from redis import Redis

from producer.web.problems import Refused
from producer.web.security import scrypt
from producer.web.security.access import guess, right
from producer.web.web_context import WebContext
from shared.store.records.sessions import BrowserSessions
from shared.store.redis.redis_store import connect
from tests.servers.readable import readable
from tests.web.conftest import ONE_MINUTE, WebServer, serve_with
from tests.web.test_signing_in import GOOD, Browser, _audit, _user


def test_guessing_is_slowed_down_by_name_and_by_address(web_server: WebServer) -> None:
    serve_with(web_server, ONE_MINUTE)
    _user(web_server)
    browser = Browser(web_server)
    with ThreadPoolExecutor(4) as pool:
        codes = list(pool.map(lambda _: Browser(web_server).signs_in("anna", "wrong").status_code, range(10)))
    assert codes == [401] * 10
    refused = browser.signs_in("anna", GOOD)
    assert (refused.status_code, 0 < int(refused.headers["retry-after"]) <= 3600) == (429, True)
    assert "too many wrong guesses" in refused.text.lower()
    assert browser.signs_in("berta", "wrong").status_code == 401  # another name from here: not yet
    assert (
        len([entry for entry in _audit(web_server) if entry[1] == "sign-in refused"]) == 11
    )  # the refused one guessed nothing


def test_guesses_count_before_they_are_looked_at(web_server: WebServer) -> None:
    """Ten are being looked at, none is known to be wrong yet: an eleventh is refused, from wherever it comes."""
    known = cast(WebContext, SimpleNamespace(sessions=BrowserSessions(connect(web_server.state_url), web_server.vault)))
    counted = [guess(known, _request(f"192.0.2.{n}"), "anna") for n in range(10)]
    with pytest.raises(Refused) as refused:
        guess(known, _request("192.0.2.99"), "anna")
    assert refused.value.status == 429
    guess(known, _request("192.0.2.99"), "berta")
    right(known, counted[0])
    guess(known, _request("192.0.2.99"), "anna")
    with pytest.raises(Refused):
        guess(known, _request("192.0.2.99"), "anna")


def test_of_many_guesses_at_once_ten_are_tried(web_server: WebServer) -> None:
    serve_with(web_server, ONE_MINUTE)
    _user(web_server)
    with ThreadPoolExecutor(30) as pool:
        codes = list(pool.map(lambda _: Browser(web_server).signs_in("anna", "wrong").status_code, range(60)))
    assert set(codes) == {401, 429}
    assert codes.count(401) <= 10
    tried = [entry for entry in _audit(web_server) if entry[1] == "sign-in refused"]
    assert len(tried) == codes.count(401)


def _request(address: str) -> Request:
    return Request({"type": "http", "client": (address, 1), "headers": []})


#: In the server's process: nobody's hash is ever computed, as when guessing never stops.
STUCK = "import producer.web.security.scrypt as s\ns._TURNS.acquire()\ns._TURNS.acquire()\n"
#: The same, and any number may wait.
UNPROTECTED = f"{STUCK}import threading\ns._PLACES = threading.BoundedSemaphore(1_000_000)\n"


def _sign_ins(web_server: WebServer, number: int, stack: ExitStack) -> list[socket.socket]:
    """Sends so many guesses at once, each from an address of its own."""
    form = b"name=x%d&password=wrong"
    sent = []
    for n in range(number):
        body = form % n
        sock = socket.create_connection(("127.0.0.1", web_server.port), 60, source_address=(f"127.0.1.{n + 1}", 0))
        stack.enter_context(sock)
        sock.sendall(
            b"POST /sign-in HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/x-www-form-urlencoded\r\n"
            b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
        )
        sent.append(sock)
    return sent


def test_a_long_queue_of_sign_ins_refuses_and_the_page_goes_on(web_server: WebServer) -> None:
    serve_with(web_server, STUCK)
    with ExitStack() as stack:
        sent = _sign_ins(web_server, scrypt.PLACES + 40, stack)
        refused: list[socket.socket] = []
        while len(refused) < 40:
            ready = readable([sock for sock in sent if sock not in refused], 60)
            assert ready
            refused += ready
        assert {sock.recv(12) for sock in refused} == {b"HTTP/1.1 429"}
        assert web_server.client().get("/imports").status_code == 200


def test_without_its_own_places_sign_in_takes_all_threads(web_server: WebServer) -> None:
    serve_with(web_server, UNPROTECTED)
    client = web_server.client()
    with ExitStack() as stack:
        sent = _sign_ins(web_server, 48, stack)
        client.timeout = 3

        def ask_until_nobody_answers() -> None:
            while True:
                client.get("/imports")

        with pytest.raises(httpx2.TimeoutException):
            ask_until_nobody_answers()
        assert not readable(sent, 0)


def test_guesses_are_forgotten_even_when_their_count_ended_while_one_was_counted(web_server: WebServer) -> None:
    state = connect(web_server.state_url)

    class Ends:
        """The state database; what was counted before ends right before the next count."""

        def __getattr__(self, name: str) -> Any:
            if name == "incr":
                state.delete(*state.scan_iter("*desk:tries:*"), "nothing")
            return getattr(state, name)

    BrowserSessions(cast(Redis, Ends()), web_server.vault).guessed("192.0.2.7")
    (key,) = list(state.scan_iter("*desk:tries:*"))
    assert state.ttl(key) > 0  # else nobody from there is ever let in again
