"""Tests Redis in production: unfit servers are refused, absent ones awaited; TLS; Sentinel; lost and old state."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
import redis

from shared.probe import probe
from shared.runtime.redis_client import open_redis
from shared.store.redis.redis_store import RedisStore, connect
from tests import mail
from tests.conftest import DovecotPair
from tests.deploy.deployed_processes import DeployedProcesses
from tests.servers import preloaded
from tests.servers.certificate import certificate_and_key
from tests.servers.process import await_ready, free_port, kill, spawn
from tests.servers.redis_server import RedisServer

MODULES = {"worker": "worker", "coordinator": "producer.coordinator"}


@pytest.mark.parametrize("role", MODULES)
def test_a_server_that_evicts_is_refused_with_a_sentence(tmp_path: Path, role: str) -> None:
    with DeployedProcesses(tmp_path, **{"maxmemory-policy": "allkeys-lru", "maxmemory": "100mb"}) as deployed:
        done = preloaded.run(MODULES[role], env=deployed.env(role, MAILHAUL_COORDINATOR_PORT="0"))
        assert done.returncode == 2
        assert "maxmemory-policy is allkeys-lru" in done.stderr
        assert "BAD   maxmemory-policy" in deployed.run("doctor", code=1)


def test_a_wrong_password_is_refused_with_a_sentence(tmp_path: Path) -> None:
    with DeployedProcesses(tmp_path) as deployed:
        url = deployed.home / "secrets/worker/redis-url"
        url.chmod(0o600)
        url.write_text(f"redis://worker:wrong@127.0.0.1:{deployed.port}")
        done = preloaded.run("worker", env=deployed.env("worker"))
        assert done.returncode == 2
        assert "refuses this user" in done.stderr
        assert "wrong@" not in done.stderr


@pytest.mark.parametrize("role", MODULES)
def test_one_that_is_not_there_is_waited_for(tmp_path: Path, role: str) -> None:
    with DeployedProcesses(tmp_path) as deployed:
        deployed.redis.kill()
        port = free_port()
        ports = {"MAILHAUL_WORKER_METRICS_PORT": str(port), "MAILHAUL_COORDINATOR_PORT": str(port)}
        process = preloaded.spawn(MODULES[role], log=deployed.home / "waits.log", env=deployed.env(role, **ports))
        try:
            await_ready(lambda: "waiting for Redis" in probe(port, "/readyz")[1], 180, "a word")
            assert probe(port, "/healthz")[0]
            deployed.redis.start()
            await_ready(lambda: probe(port, "/readyz")[0], 180, "readiness")
        finally:
            kill(process)


def test_tls_is_verified(tmp_path: Path) -> None:
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    for path, pem in zip((cert, key), certificate_and_key(), strict=True):
        path.write_bytes(pem)
    port = free_port()
    options = {
        "tls-port": str(port),
        "tls-cert-file": str(cert),
        "tls-key-file": str(key),
        "tls-ca-cert-file": str(cert),
        "tls-auth-clients": "no",
    }
    with RedisServer(tmp_path, options=options):
        with open_redis(f"rediss://localhost:{port}/1?ssl_ca_certs={cert}") as client:
            assert client.ping()
        with (
            open_redis(f"rediss://localhost:{port}/1") as stranger,
            pytest.raises(redis.ConnectionError, match="certificate"),
        ):
            stranger.ping()


@pytest.fixture
def sentinels(tmp_path: Path) -> Iterator[tuple[RedisServer, str]]:
    """Starts a master with a replica, and a Sentinel that watches them. Yields (the master, the URL)."""
    with ExitStack() as stack:
        options = {"repl-diskless-sync-delay": "0", "repl-ping-replica-period": "1"}
        master = stack.enter_context(RedisServer(tmp_path, tcp=True, options=options))
        replica = stack.enter_context(
            RedisServer(tmp_path, tcp=True, options={**options, "replicaof": f"127.0.0.1 {master.port}"})
        )
        port = free_port()
        conf = tmp_path / "sentinel.conf"
        conf.write_text(
            f"port {port}\nbind 127.0.0.1\ndir {tmp_path}\n"
            f"sentinel monitor main 127.0.0.1 {master.port} 1\nsentinel down-after-milliseconds main 500\n"
            "sentinel failover-timeout main 5000\n"
        )
        binary = shutil.which("redis-server")
        assert binary
        process = spawn([binary, str(conf), "--sentinel"], log=tmp_path / "sentinel.log")
        stack.callback(kill, process)
        with replica.client() as client:
            await_ready(lambda: client.info("replication")["master_link_status"] == "up", 180, "the replica")

        def known() -> bool:
            try:
                with redis.Redis(port=port, protocol=2, decode_responses=True) as client:
                    # Sentinel may choose the replica only after it has asked the replica itself.
                    return [one["master-link-status"] for one in client.sentinel_slaves("main")] == ["ok"]
            except redis.RedisError:
                return False

        await_ready(known, 180, "the Sentinel")
        yield master, f"redis+sentinel://127.0.0.1:{port}/main?db=1"


def test_a_failover_is_survived(sentinels: tuple[RedisServer, str]) -> None:
    master, url = sentinels
    store = RedisStore(connect(url))
    before = store.lead("me", 60)
    assert before
    with master.client() as client:
        client.set("last", "one")  # WAIT counts only writes of this connection
        assert client.wait(1, 20_000) == 1
    master.kill()
    assert store.lead("me", 60) == before, "the other one knows what was acknowledged and replicated"


def _fill(pair: DovecotPair, logins: list[str], seed: int, folders: dict[str, int]) -> None:
    for login in logins:
        mail.populate("127.0.0.1", pair.source.port, login, pair.password, mail.make_mailbox(seed, folders, 800))


def _same(pair: DovecotPair, logins: list[str]) -> bool:
    return all(
        mail.snapshot("127.0.0.1", pair.source.port, login, pair.password)
        == mail.snapshot("127.0.0.1", pair.destination.port, login, pair.password)
        for login in logins
    )


@pytest.mark.parametrize("what", ["lost", "old copy"])
def test_the_recovery_of_the_runbook_ends_exactly_once(tmp_path: Path, dovecot_pair: DovecotPair, what: str) -> None:
    """Follows the section Recovery of docs/operations.md.

    It stops the workers, starts with an empty Redis and imports the same manifest again.
    """
    logins = [dovecot_pair.account() for _ in range(2)]
    _fill(dovecot_pair, logins, 1, {"INBOX": 40, "Work": 10})
    with DeployedProcesses(tmp_path) as deployed:
        manifest = deployed.home / "people.csv"
        manifest.write_text("login,password\n" + "".join(f"{login},{dovecot_pair.password}\n" for login in logins))
        order = [
            "import",
            manifest,
            "--name",
            "again",
            "--source",
            f"imap://127.0.0.1:{dovecot_pair.source.port}",
            "--destination",
            f"imap://127.0.0.1:{dovecot_pair.destination.port}",
        ]
        deployed.start("coordinator")
        worker, _ = deployed.start("worker")
        deployed.run(*order)
        old = tmp_path / "old"
        shutil.copytree(deployed.redis.data, old)
        _fill(dovecot_pair, logins, 2, {"INBOX": 20})
        deployed.run(*order)
        assert _same(dovecot_pair, logins)
        _fill(dovecot_pair, logins, 3, {"Work": 15})
        # The state of the second run is gone, and there is none yet of the third.
        assert deployed.stop(worker) == 0
        deployed.redis.stop()
        shutil.rmtree(deployed.redis.data)
        if what == "lost":
            deployed.redis.data.mkdir()
        else:
            shutil.copytree(old, deployed.redis.data)
        deployed.redis.start()
        if what == "old copy":
            with deployed.client("admin") as admin:
                admin.flushall()  # redis-cli --user admin FLUSHALL
        deployed.start("worker")
        said = deployed.run(*order)
        assert _same(dovecot_pair, logins), said
        assert "already" in said
