"""Tests which libraries a verb loads: each takes time in which a person waits, and comes back unnoticed otherwise."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from producer.cli import PARTS, app
from shared.store import SCOPES
from shared.store.redis.redis_store import RedisStore, connect
from tests.contract.store_kit import start
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
#: What a verb that only looks has no use for: it signs nowhere in, seals nothing, draws nothing, serves nothing.
HEAVY = frozenset(
    {
        "pydantic",
        "opentelemetry",
        "structlog",
        "rich",
        "dramatiq",
        "prometheus_client",
        "jinja2",
        "babel",
        "httpx2",
        "imapclient",
        "cryptography.fernet",
        "cryptography.x509",
        "smtplib",
        "authlib",
        "fastapi",
        "shared.store.memory.memory_store",
        "shared.runtime.credentials",
        "shared.runtime.broker",
        "shared.mail.imap.imap_mailbox",
        "shared.mail.ways",
        "producer.cutover.acts",
        "producer.operations.credentials",
        "producer.intake.manifest",
        "producer.notices.notifier",
        "producer.reports.reporting",
        "producer.spool.fetch",
        "producer.cli.intake_verbs",
    }
)
#: What is needed for an import with trouble, with limits or with folders that are left out.
HEAVY_FOR_STATUS = frozenset({"producer.intake.providers", "producer.forecast.simulation", "shared.folders.mapping"})
#: What a worker has no use for until it meets a server that needs it, or somebody asks for metrics.
HEAVY_FOR_A_WORKER = frozenset(
    {"pydantic", "rich", "prometheus_client", "jinja2", "httpx2", "cryptography.x509", "producer", "typer"}
)

_RUN = """
import atexit, sys
atexit.register(lambda: print("LOADED", *(name for name, one in sys.modules.items() if one), file=sys.stderr))
from producer.__main__ import run
run()
"""


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    with RedisServer(tmp_path_factory.mktemp("looking")) as server:
        start(RedisStore(connect(server.url(1)), limits=dict.fromkeys(SCOPES, 4)))
        yield f"unix://{server.socket}"


def _loaded(words: list[str], variables: dict[str, str]) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words],
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **variables},
    )
    assert done.returncode in (0, 2), done.stderr  # 2: nothing can be forecast of this import yet
    return set(done.stderr.rpartition("LOADED ")[2].split())


@pytest.mark.parametrize("words", [["status"], ["status", "--json"], ["list"], ["errors"], ["forecast"], ["audit"]])
def test_a_verb_that_only_looks_loads_what_it_shows_and_no_more(url: str, tmp_path: Path, words: list[str]) -> None:
    loaded = _loaded(words, {"MAILHAUL_REDIS_URL": url, "MAILHAUL_STATE_DIR": str(tmp_path)})
    assert "shared.store.redis.redis_store" in loaded, "it has looked"
    assert loaded & (HEAVY | HEAVY_FOR_STATUS if words[0] == "status" else HEAVY) == set()


def test_help_loads_neither_redis_nor_settings() -> None:
    assert (
        _loaded(["--help"], {})
        & {*HEAVY, "redis", "pydantic", "shared.runtime.config", "shared.model"} - {"producer.cli.intake_verbs"}
        == set()
    )


def test_a_worker_loads_what_it_copies_with_and_no_more() -> None:
    ask = "import sys, worker.__main__; print(*(name for name, one in sys.modules.items() if one))"
    done = subprocess.run([sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=ROOT)
    assert set(done.stdout.split()) & HEAVY_FOR_A_WORKER == set()


def test_an_import_loads_no_library_that_checks_data(tmp_path: Path) -> None:
    manifest = tmp_path / "mailboxes.csv"
    manifest.write_text("login,password\nanna@example.org,secret\n")
    # The file of the CA is not there: the command has read all it was given by then, and nothing is started.
    words = [
        "import",
        str(manifest),
        "--source",
        "gmail",
        "--destination",
        "imaps://new.example.org",
        "--source-ca",
        "none",
    ]
    done = subprocess.run(
        [sys.executable, "-c", _RUN, *words], capture_output=True, text=True, check=False, timeout=240, cwd=ROOT
    )
    loaded = set(done.stderr.rpartition("LOADED ")[2].split())
    assert "producer.intake.specification" in loaded, done.stderr
    assert "pydantic" not in loaded


def test_each_verb_is_declared_by_the_module_that_the_table_names() -> None:
    names = [one.name for one in (*app.registered_commands, *app.registered_groups)]
    listed = [name for verbs in PARTS.values() for name in verbs]
    assert sorted(map(str, names)) == sorted(listed)
