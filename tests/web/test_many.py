"""Tests an import with fifty thousand mailboxes: each page comes in time, whatever its order and filter."""

from __future__ import annotations

import time
from typing import Any, get_args

import pytest
import redis

from shared.model import Account, Endpoint, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.search import ORDERS
from shared.store.redis.redis_store import connect
from tests.web.conftest import WebServer

MAILBOXES = 50_000
_ASKED: tuple[dict[str, Any], ...] = (
    {},
    {"start": 49_900},
    {"descending": True},
    {"order": "login", "start": 25_000},
    {"text": "7777"},
    {"text": "person", "order": "destination_login", "descending": True},
    {"state": "queued", "order": "login"},
    {"state": "parked"},
    {"code": "source_auth_refused"},
)


def opened(web_server: WebServer, number: int = MAILBOXES, waves: int = 0) -> Import:
    """Opens an import of so many mailboxes, in so many waves."""
    source, destination = (Endpoint(host=name, port=993, tls=Tls.IMPLICIT) for name in ("old.example", "new.example"))
    whole = Import(
        import_id=import_id("many", source, destination), name="many", source=source, destination=destination
    )
    mailboxes = [
        Mailbox(
            mailbox_id=mailbox_id(whole.import_id, login, login),
            import_id=whole.import_id,
            row=row,
            source=Account(endpoint=source, login=login),
            destination=Account(endpoint=destination, login=login),
            wave=f"wave{row % waves}" if waves else "",
        )
        for row in range(1, number + 1)
        for login in [f"person{row * 7919 % number}@old.example"]
    ]
    web_server.store.open_import(whole, mailboxes, 14)
    return whole


@pytest.mark.slow
def test_each_page_comes_in_time(web_server: WebServer) -> None:
    there = f"/imports/{opened(web_server).import_id}/mailboxes"
    web_server.serve()
    api = web_server.client("viewer")
    began = time.perf_counter()
    for order in ("login", "destination_login"):
        api.get(there, params={"order": order})
    # builds the sorted index of logins, as opening an import through the API does
    print(f"\n{(time.perf_counter() - began) * 1000:5.0f} ms  for the first looks")
    took = {}
    state = connect(web_server.state_url)
    for asked in _ASKED:
        before = _calls(state)
        seconds = []
        for _ in range(3):
            began = time.perf_counter()
            answer = api.get(there, params={"count": 50, **asked})
            seconds.append(time.perf_counter() - began)
            assert answer.status_code == 200
        took[str(asked)] = (round(min(seconds), 3), answer.json()["total"])
        # The requests of scripts are tested too: none reads every mailbox. Only what fits many by another order is gathered,
        # once in five seconds and in pieces of 500 (`tests/contract/test_bounded_scripts.py`): a read of each, two for a text.
        total = answer.json()["total"]
        many = "order" in asked and bool({"text", "state"} & asked.keys())
        once = total * (2 if "text" in asked else 1) + 20 * (total // 500) if many else 0
        assert _calls(state) - before < 1000 + once, asked
    print("\n".join(f"{seconds * 1000:5.0f} ms  {total:6} fit  {asked}" for asked, (seconds, total) in took.items()))
    assert took["{'text': '7777'}"][1] == 5


def _calls(state: redis.Redis) -> int:
    return sum(one["calls"] for one in state.info("commandstats").values())


def test_the_orders_of_the_api_are_those_of_the_store() -> None:
    from producer.web.api.mailboxes import Order

    assert set(get_args(Order)) == set(ORDERS)
