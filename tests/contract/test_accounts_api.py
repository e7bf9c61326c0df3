"""Tests the handling of HTTP answers that all account adapters share."""

from __future__ import annotations

import gzip

import httpx2
import pytest

from shared.accounts import api
from shared.accounts.api import Halted, http_client, shortened, wait_of
from shared.model.accounts import Rejected
from tests.servers.http_api import Asked, HttpApi, Said


class Large(HttpApi):
    """A server that answers as it was told."""

    body: bytes = b"x" * 5_000_000

    def answer(self, asked: Asked) -> Said:
        return Said(body=self.body)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("7", 7.0),
        ("0", 1.0),
        ("", 30.0),
        ("soon", 30.0),
        ("nan", 30.0),
        ("-5", 1.0),
        ("999999999", 21600.0),
        ("Thu, 01 Jan 1970 00:02:00 GMT", 60.0),
        ("Jan +1 12:00:00 99999999999 32 GMT", 30.0),
    ],
)
def test_how_long_to_wait(header: str, seconds: float) -> None:
    assert wait_of(header, 60.0) == seconds


def test_an_endless_answer_is_cut_off() -> None:
    too_large = pytest.raises(httpx2.RemoteProtocolError, match="too large")
    with Large() as server, http_client(server.url, "it", {}) as client, too_large:
        client.get("/")


def test_without_the_bound_it_would_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(api, "_MOST_BYTES", 1 << 30)
    with Large() as server, http_client(server.url, "it", {}) as client:
        assert len(client.get("/").content) == 5_000_000


def _said(said: Said) -> httpx2.Response:
    """Returns the answer of a service to the shared client."""
    server = Large()
    server.instead = [said]
    with server, http_client(server.url, "it", {}) as client:
        found = client.get("/")
    assert server.asked[0].headers["accept-encoding"] == "identity"
    return found


def test_an_answer_that_expands_is_not_expanded() -> None:
    """Four megabytes of gzip are some gigabytes of memory."""
    small = gzip.compress(b"x" * 3_000_000)
    with pytest.raises(httpx2.RemoteProtocolError, match="compressed"):
        _said(Said(body=small, headers={"Content-Encoding": "gzip"}))


def test_without_the_refusal_it_would_be_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the test above."""
    monkeypatch.setattr(api, "_Bounded", lambda transport: transport)
    small = gzip.compress(b"x" * 3_000_000)
    assert len(_said(Said(body=small, headers={"Content-Encoding": "gzip"})).content) == 3_000_000


@pytest.mark.parametrize("encoding", ["punycode", "utf-7", "rot13", "hex", "utf-16", "nonsense"])
def test_no_header_chooses_how_a_text_is_read(encoding: str) -> None:
    found = _said(Said(body="{}é".encode(), headers={"Content-Type": f"application/json; charset={encoding}"}))
    assert found.text == "{}é"


def test_an_answer_that_is_nested_without_end_is_no_answer() -> None:
    with pytest.raises(httpx2.RemoteProtocolError, match="nested"):
        _said(Said(body=b"[" * 100_000))


def test_a_status_that_means_the_same_everywhere_is_an_outcome() -> None:
    server = Large()
    server.instead = [Said(status=403, body=b"no \x1b[31m scope\r\n")]
    with server, http_client(server.url, "it", {}) as client, pytest.raises(Halted) as halted:
        client.get("/")
    assert isinstance(halted.value.outcome, Rejected)
    assert halted.value.outcome.reason == "it does not let us in (403: no [31m scope)"


def test_text_of_a_service_is_one_short_line() -> None:
    assert shortened("a\r\nb\0c\x1bd ") == "a b c d"
    assert len(shortened("x" * 1000)) == 300
