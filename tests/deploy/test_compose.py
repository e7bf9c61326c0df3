"""Tests docker-compose.yml, the Dockerfile and what they mount, as far as possible without running them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from bench.shipped_limits import LIMITS, shipped_mib
from deploy.make_secrets import make_secrets
from shared.runtime.config import unknown_variables
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]
WHOLE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = WHOLE["services"]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
#: Names of variables that would hold a secret in the environment.
_SECRET = re.compile(r"(?i)passw|secret|token|key")


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_hardened(name: str) -> None:
    service = SERVICES[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["ulimits"] == {"core": 0}
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert name.startswith("demo-") or not service["user"].startswith("0"), "only the sample Dovecots begin as root"
    assert "privileged" not in service


@pytest.mark.parametrize("name", SERVICES)
def test_no_secret_is_in_an_environment(name: str) -> None:
    for variable, value in SERVICES[name].get("environment", {}).items():
        if _SECRET.search(variable) or "URL" in variable:
            assert variable.endswith("_FILE"), variable
            assert value.startswith("/secrets/")
    assert not unknown_variables(SERVICES[name].get("environment", {}))


@pytest.mark.parametrize("name", ["worker", "web"])
def test_large_messages_are_kept_on_disk(name: str) -> None:
    """The page fetches what the destination did not take, and writes reports."""
    assert f"{name}-tmp:/tmp" in SERVICES[name]["volumes"]
    assert "/tmp" not in SERVICES[name]["tmpfs"]
    assert "/tmp" in SERVICES["coordinator"]["tmpfs"], "the coordinator sees no message"


def test_each_role_mounts_its_own_secrets_only() -> None:
    mounted = {
        name: {volume.split(":")[0] for volume in service.get("volumes", ()) if volume.startswith("secrets-")}
        for name, service in SERVICES.items()
        if name != "secrets"
    }
    assert mounted["worker"] == {"secrets-worker"}
    assert mounted["coordinator"] == {"secrets-coordinator"}
    assert mounted["web"] == {"secrets-producer"}
    assert mounted["redis"] == {"secrets-redis"}
    assert mounted["prometheus"] == set()
    assert all(
        ":ro" in v
        for s in SERVICES.values()
        if s is not SERVICES["secrets"]
        for v in s.get("volumes", ())
        if "secrets-" in v
    )


def test_what_makes_the_secrets_has_a_volume_for_every_folder(tmp_path: Path) -> None:
    """Checks that each folder has a volume: the root file system is read-only."""
    made = {path.relative_to(tmp_path).parts[0] for path in make_secrets(tmp_path, "redis://redis:6379")}
    assert made == {volume.rpartition("/")[2] for volume in SERVICES["secrets"]["volumes"]}


def test_what_is_mounted_exists() -> None:
    for service in SERVICES.values():
        for volume in service.get("volumes", ()):
            source = volume.partition(":")[0]
            if source.startswith("./"):
                assert (ROOT / source).exists(), source
            elif not source.startswith("${"):
                assert source in WHOLE["volumes"]


def test_only_loopback_is_published() -> None:
    assert all(port.startswith("127.0.0.1:") for service in SERVICES.values() for port in service.get("ports", ()))
    assert WHOLE["networks"]["inside"]["internal"] is True
    assert SERVICES["redis"]["networks"] == ["inside"]


def test_the_dockerfile_keeps_its_promises() -> None:
    final = DOCKERFILE.split("\nFROM ")[-1]
    assert "USER 10001:10001" in final
    assert re.search(r'^HEALTHCHECK .*CMD \["', final, re.MULTILINE)
    assert re.search(r'^ENTRYPOINT \["', final, re.MULTILINE)
    assert "--require-hashes" in DOCKERFILE
    assert "--only-binary :all:" in DOCKERFILE
    assert DOCKERFILE.count("\nFROM ") + DOCKERFILE.startswith("FROM ") == 2
    version = re.search(r"^ARG VERSION=(.+)$", final, re.MULTILINE)
    assert version
    assert f'version = "{version[1]}"' in (ROOT / "pyproject.toml").read_text()


def test_nothing_goes_to_the_engine_that_is_not_named() -> None:
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    for line in lines:
        if line.startswith("!"):
            assert (ROOT / line[1:]).exists()
            assert re.search(rf"^COPY .*{re.escape(line[1:])}", DOCKERFILE, re.MULTILINE), line


def _pinned(path: Path) -> dict[str, str]:
    """Returns each requirement's whole entry with its hashes, by name."""
    entries = re.split(r"\n(?=\S)", path.read_text().partition("\n")[2])
    return {entry.partition("==")[0]: entry.strip() for entry in entries if "==" in entry}


def test_the_image_runs_what_the_tests_ran() -> None:
    whole, part = _pinned(ROOT / "requirements.lock"), _pinned(ROOT / "deploy" / "requirements.lock")
    assert part
    different = sorted(name for name, entry in part.items() if whole.get(name) != entry)
    assert not different, f"{different}: run make lock"
    assert not {"pytest", "mypy", "ruff", "pymap", "hypothesis"} & set(part)


def test_redis_takes_the_configuration_and_is_fit_by_it(tmp_path: Path) -> None:
    make_secrets(tmp_path / "secrets", "redis://nowhere")
    lines = (ROOT / "deploy" / "redis" / "redis.conf").read_text().splitlines()
    options = dict(line.split(" ", 1) for line in lines if line and not line.startswith("#"))
    for of_the_container in ("port", "bind", "dir", "aclfile"):
        del options[of_the_container]
    options["save"] = ""
    with RedisServer(tmp_path, options=options | {"aclfile": str(tmp_path / "secrets/redis/users.acl")}) as server:
        password = (tmp_path / "secrets/admin/redis-url").read_text().split(":")[2].split("@")[0]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "producer", "doctor", "--state-dir", str(tmp_path / "state")],
            env={
                "MAILHAUL_REDIS_URL": f"unix://admin:{password}@{server.socket}",
                "PYTHONPATH": str(ROOT),
                "PATH": "/usr/bin",
            },
            text=True,
            capture_output=True,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "append-only file, appendfsync everysec" in done.stdout
    assert "of 1074 MB in use" in done.stdout


def test_secrets_that_are_there_are_left_alone(tmp_path: Path) -> None:
    first = make_secrets(tmp_path, "redis://redis:6379")
    texts = {path: path.read_text() for path in first}
    assert make_secrets(tmp_path, "redis://elsewhere") == []
    assert all(path.read_text() == text for path, text in texts.items())
    assert all(path.stat().st_mode & 0o077 == 0 for path in first)
    (tmp_path / "worker" / "redis-url").unlink()
    again = make_secrets(tmp_path, "redis://redis:6379")
    assert {path.name for path in again} == {"redis-url", "users.acl"}
    assert (tmp_path / "worker" / "secret-key").read_text() == texts[tmp_path / "worker" / "secret-key"]


@pytest.mark.parametrize("role", sorted(LIMITS))
def test_each_way_to_run_a_role_limits_its_memory(role: str) -> None:
    """`make limits` measures what they need: far less than the least of these."""
    assert shipped_mib(role) >= 256
