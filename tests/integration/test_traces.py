"""Tests the look through all keys of a real Redis: what is found, what is struck out, and what is only told."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import redis

from shared.store.records.traces import Names, look, strike
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.servers.redis_server import RedisServer

PERSON = "Ännä@old.example"
P = keys.PREFIX


@pytest.fixture
def client() -> Iterator[redis.Redis]:
    with RedisServer() as server:
        yield connect(server.url())


def _mention(client: redis.Redis) -> None:
    """Mentions the person in keys of every type, in several spellings."""
    client.set(f"{P}desk:once:1", json.dumps({"answer": {"login": PERSON}}))
    client.set(f"{P}desk:rehearsal:1", json.dumps([{"login": PERSON.upper()}], ensure_ascii=False))
    client.xadd(f"{P}desk:events:i", {"who": "x", "detail": json.dumps({"login": PERSON})})
    client.zadd(f"{P}holds", {f"source_account:imap://old.example:143/{PERSON}": 5})
    client.hset(f"{P}whys", f"source_account:imap://old.example:143/{PERSON}", "i:[LIMIT] wait")
    client.hset(f"{P}import:i:brake", f"source:\0{PERSON}", "r")
    client.zadd(f"{P}import:i:by_source", {f"{PERSON.lower()}\0other\0m": 0})
    client.set(f"{P}meter:source_account.bytes_per_day:imap://old.example:143/{PERSON}", "5:1")
    client.rpush(f"{P}import:i:sorted:login", PERSON)
    client.sadd(f"{P}desk:once:2", PERSON)


def test_every_mention_is_found_and_struck_out(client: redis.Redis) -> None:
    _mention(client)
    client.set(f"{P}desk:once:3", json.dumps({"login": f"x{PERSON}"}))  # somebody else
    client.set(f"{P}desk:once:4", json.dumps({"login": f"{PERSON}.org"}))
    seen = look(client, Names([PERSON]))
    assert len(seen.found) == 10
    assert seen.keys == 12
    assert strike(client, seen.found) == 10
    after = look(client, Names([PERSON]))
    assert after.found == ()
    assert {key.decode().removeprefix(P) for key in client.scan_iter()} == {
        "desk:events:i",
        "desk:once:3",
        "desk:once:4",
    }


def test_what_no_rule_knows_is_told_and_left(client: redis.Redis) -> None:
    """The negative control: the look finds a key that nothing here writes."""
    client.hset(f"{P}a-key-of-tomorrow", "login", PERSON)
    seen = look(client, Names([PERSON]))
    assert [trace.key for trace in seen.found] == [f"{P}a-key-of-tomorrow".encode()]
    assert strike(client, seen.found) == 0
    assert look(client, Names([PERSON])).found == seen.found


def test_the_audit_log_is_counted_and_left(client: redis.Redis) -> None:
    for login in (PERSON, "bob@old.example", PERSON):
        client.xadd(keys.AUDIT, {"who": "x", "what": "y", "detail": json.dumps({"login": login})})
    seen = look(client, Names([PERSON]))
    assert (seen.audit, seen.found) == (2, ())
    assert client.xlen(keys.AUDIT) == 3
    for month in ("202611", "202612"):
        client.rpush(keys.audit(month), json.dumps({"who": "x", "what": "y", "detail": {"login": PERSON}}))
    seen = look(client, Names([PERSON]))
    assert (seen.audit, seen.found) == (4, ())


@pytest.mark.parametrize(
    ("login", "text", "there"),
    [
        ("anna", "anna", True),
        ("anna", "joanna", False),
        ("anna", "anna@x", False),
        ("anna", "a sentence of Anna.", True),
        ("DOM\\anna", json.dumps({"login": "dom\\anna"}), True),
        ("anna b", '"anna b"', True),
        ("", "anything", False),
    ],
)
def test_a_name_is_a_whole_word(login: str, text: str, there: bool) -> None:
    assert Names([login]).stand_in(text.encode()) is there
