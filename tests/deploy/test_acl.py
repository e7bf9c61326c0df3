"""Tests that each Redis user of the ACL file can do what its role must, and nothing else."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.exceptions import NoPermissionError

from deploy.make_secrets import make_secrets, users
from shared.model.errors import StoreError
from shared.store import ChangedStore
from shared.store.redis.redis_store import RedisStore, connect
from tests import mail
from tests.conftest import DovecotPair
from tests.contract.store_kit import person, request, start
from tests.deploy.commands import AUDIT, SCRIPTS, needed, scripts_of_nobody
from tests.deploy.deployed_processes import ROOT, DeployedProcesses
from tests.deploy.test_kubernetes import KEDA_SCRIPT
from tests.servers.redis_server import RedisServer

TEMPLATE = ROOT / "deploy" / "redis" / "users.acl.template"
ROLES = sorted(SCRIPTS)
FORBIDDEN = (
    ("FLUSHALL",),
    ("FLUSHDB",),
    ("CONFIG", "GET", "*"),
    ("CONFIG", "SET", "maxmemory", "1"),
    ("SHUTDOWN", "NOSAVE"),
    ("ACL", "LIST"),
    ("BGREWRITEAOF",),
    ("CLIENT", "KILL", "TYPE", "normal"),
    ("CLIENT", "LIST"),
    ("SCRIPT", "FLUSH"),
    ("EVAL", "return 1", "0"),
    ("MONITOR",),
    ("REPLICAOF", "NO", "ONE"),
    ("DUMP", "mailhaul:1:limits"),
    ("SWAPDB", "0", "1"),
    ("MOVE", "mailhaul:1:limits", "0"),
    ("RENAME", "mailhaul:1:limits", "mailhaul:1:x"),
    ("PUBLISH", "a", "b"),
    ("GET", "other"),
    ("SET", "other", "1"),
    ("HGET", "somebody:else", "x"),
    ("RANDOMKEY",),
)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[DeployedProcesses]:
    with DeployedProcesses(tmp_path) as deployed:
        yield deployed


@pytest.mark.parametrize("role", ROLES)
def test_the_list_of_a_role_is_what_its_scripts_and_its_code_call(role: str) -> None:
    line = next(line for line in TEMPLATE.read_text().splitlines() if line.startswith(f"user {role} "))
    own, _, to_the_audit_log = line.partition(" (")
    given = set(re.findall(r"\+([\w|]+)", own.replace("+@connection", "")))
    assert given == needed(role)
    assert set(re.findall(r"\+(\w+)", to_the_audit_log)) == (AUDIT if role == "producer" else set())


def test_every_script_belongs_to_a_role() -> None:
    assert scripts_of_nobody() == set()


@pytest.mark.parametrize("role", ROLES)
@pytest.mark.parametrize("command", FORBIDDEN, ids=lambda command: "-".join(command[:2]))
def test_what_no_role_may_do(shipped: DeployedProcesses, role: str, command: tuple[str, ...]) -> None:
    with shipped.client(role) as client, pytest.raises(NoPermissionError):
        client.execute_command(*command)


@pytest.mark.parametrize("role", sorted({*ROLES} - {"producer"}))
def test_only_who_erases_may_scan(shipped: DeployedProcesses, role: str) -> None:
    with shipped.client(role) as client, pytest.raises(NoPermissionError):
        client.execute_command("SCAN", "0")
    with shipped.client("producer") as client:
        client.execute_command("SCAN", "0")


@pytest.fixture(scope="module")
def shipped(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DeployedProcesses]:
    with DeployedProcesses(tmp_path_factory.mktemp("acl")) as deployed:
        yield deployed


def test_who_shows_no_password_may_nothing_and_health_may_ping(shipped: DeployedProcesses) -> None:
    with redis.Redis(port=shipped.port, protocol=2) as client, pytest.raises(redis.AuthenticationError):
        client.ping()
    with redis.Redis(port=shipped.port, protocol=2, username="health", password="-") as client:
        assert client.ping()
        with pytest.raises(NoPermissionError):
            client.get("mailhaul:1:limits")


def _after_a_crash(home: Path, template: str) -> int:
    """Opens an import, kills Redis and starts it again. Returns how many imports it still knows."""
    acl = home / "users.acl"
    acl.write_text(users(template, {"worker": "w", "coordinator": "c", "producer": "p", "admin": "a"}))
    with RedisServer(home, options={"aclfile": str(acl)}) as server:
        url = f"unix://producer:p@{server.socket}?db=1"
        start(RedisStore(connect(url)))
        server.kill()
        server.start()
        return len(RedisStore(connect(url)).imports())


def test_a_redis_that_crashed_reads_back_what_it_wrote(tmp_path: Path) -> None:
    assert _after_a_crash(tmp_path, TEMPLATE.read_text()) == 1


def test_with_fewer_rights_for_the_default_user_all_is_lost(tmp_path: Path) -> None:
    """The negative control, and the reason why `default` is disabled and not restricted."""
    template = TEMPLATE.read_text().replace(
        "user default off resetpass ~* &* +@all", "user default off resetpass -@all"
    )
    assert _after_a_crash(tmp_path, template) == 0


def test_passwords_are_in_the_file_as_hashes_only(shipped: DeployedProcesses) -> None:
    text = (shipped.home / "secrets/redis/users.acl").read_text()
    for role in (*ROLES, "admin"):
        assert (shipped.url(role).split(":")[2].split("@")[0]) not in text
    assert "{" not in text


def test_a_whole_life_as_shipped_is_refused_nothing(deployed: DeployedProcesses, dovecot_pair: DovecotPair) -> None:
    """Imports, pauses, resumes, retries, verifies, copies new mail and deletes.

    Three processes do this, each with its own user.
    """
    logins = [dovecot_pair.account() for _ in range(2)]
    for login in logins:
        place = ("127.0.0.1", dovecot_pair.source.port, login, dovecot_pair.password)
        mail.populate(*place, mail.make_mailbox(1, {"INBOX": 30, "Work": 10}, 800))
    manifest = deployed.home / "people.csv"
    manifest.write_text("login,password\n" + "".join(f"{login},{dovecot_pair.password}\n" for login in logins))
    ends = [
        "--source",
        f"imap://127.0.0.1:{dovecot_pair.source.port}",
        "--destination",
        f"imap://127.0.0.1:{dovecot_pair.destination.port}",
    ]
    deployed.start("coordinator")
    worker, _ = deployed.start("worker")
    deployed.run("import", manifest, *ends, "--name", "acl")
    for login in logins:
        ends_of = [
            mail.snapshot("127.0.0.1", server.port, login, dovecot_pair.password)
            for server in (dovecot_pair.source, dovecot_pair.destination)
        ]
        assert ends_of[0] == ends_of[1]
    for verb in ("pause", "resume", "retry", "status", "errors", "list", "verify"):
        deployed.run(verb, *([] if verb == "list" else ["acl"]))
    mail.populate(
        "127.0.0.1", dovecot_pair.source.port, logins[0], dovecot_pair.password, mail.make_mailbox(2, {"INBOX": 3}, 800)
    )
    deployed.run("import", manifest, *ends, "--name", "acl")
    assert "an administrator of Redis runs BGREWRITEAOF" in deployed.run("forget", "acl", "--yes")
    doctor = deployed.run("doctor")
    assert "BAD" not in doctor
    assert "append-only file" in doctor
    assert deployed.stop(worker) == 0
    with deployed.client("admin") as admin:
        # appendfsync is asked for and may be hidden, since whoever reads settings reads passwords too.
        # So is a new append-only file, after `forget`: who is told no tells the person to have an administrator do it.
        refused = {entry[7] for entry in admin.execute_command("ACL", "LOG")}
        assert refused <= {b"config|get", b"bgrewriteaof"}


def test_the_producer_changes_an_import_in_one_step_and_nobody_else_may(shipped: DeployedProcesses) -> None:
    whole = request(name="saved")
    producer = RedisStore(connect(f"{shipped.url('producer')}/1"))
    producer.open_import(whole, [person(whole, 1)], 14)

    def seal(changed: ChangedStore) -> None:
        assert changed.import_(whole.import_id) is not None
        changed.seal(whole.import_id, {(whole.import_id, "source"): b"sealed"})

    producer.at_once([whole.import_id], seal)
    assert producer.sealed(whole.import_id, whole.import_id, "source") == b"sealed"
    for role in ("worker", "coordinator"):
        with pytest.raises(StoreError):
            RedisStore(connect(f"{shipped.url(role)}/1")).at_once([whole.import_id], seal)


def test_who_keeps_refused_messages_may_sign_in(shipped: DeployedProcesses) -> None:
    """Signs in as `mailhaul spool` and the API do: they fetch messages from the source as a worker would."""
    store = RedisStore(connect(f"{shipped.url('producer')}/1"))
    request, (mailbox,) = start(store, name="kept")
    asked = (request.import_id, mailbox.mailbox_id, "source", "digest", "holder")
    assert store.login_turn(*asked, shared=False, seconds=5).state == "trial"
    store.login_told(*asked, shared=False, result="in")
    assert store.login_turn(*asked, shared=False, seconds=5).state == "proved"
    assert store.token(request.import_id, "google", "holder", seconds=5) == (b"", 0)
    store.keep_token(request.import_id, "google", "holder", b"sealed", 5)


def test_keda_may_count_jobs_and_nothing_else(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets", "redis://nowhere", keda=True)
    password = (tmp_path / "secrets/keda/password").read_text()
    options = {"aclfile": str(tmp_path / "secrets/redis/users.acl")}
    with (
        RedisServer(tmp_path, options=options) as server,
        redis.Redis.from_url(f"unix://keda:{password}@{server.socket}", protocol=2) as client,
    ):
        assert client.eval(KEDA_SCRIPT, 1, "mailhaul:copy.msgs") == 0
        for command in (*FORBIDDEN, ("HGETALL", "mailhaul:copy.msgs"), ("HLEN", "mailhaul:1:limits")):
            if command[0] != "EVAL":
                with pytest.raises(NoPermissionError):
                    client.execute_command(*command)


def test_a_role_that_lacks_a_command_is_found_out(tmp_path: Path) -> None:
    """The negative control: without one command the store reports it, and Redis's own log names the command."""
    acl = tmp_path / "users.acl"
    template = TEMPLATE.read_text().replace("+zrange ", "")
    acl.write_text(users(template, {"worker": "w", "coordinator": "c", "producer": "p", "admin": "a"}))
    with RedisServer(tmp_path, options={"aclfile": str(acl)}) as server:
        store = RedisStore(connect(f"unix://worker:w@{server.socket}?db=1"))
        with pytest.raises(StoreError, match="refused claim"):
            store.claim("lane")
        with redis.Redis.from_url(f"unix://admin:a@{server.socket}", protocol=2) as admin:
            assert b"zrange" in str(admin.execute_command("ACL", "LOG")).encode()
