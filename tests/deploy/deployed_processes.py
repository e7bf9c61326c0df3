"""A deployment for tests: a Redis with the shipped ACL file, and each role as a process with its own secrets."""

from __future__ import annotations

import os
import subprocess
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Self

import redis

from deploy.make_secrets import make_secrets
from shared.probe import probe
from tests.servers import preloaded
from tests.servers.process import await_ready, end, free_port, kill
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).resolve().parents[2]


class DeployedProcesses:
    """The deployment: `with DeployedProcesses(tmp_path) as farm: farm.start("worker")`. Redis asks for passwords as shipped."""

    def __init__(self, home: Path, **options: str) -> None:
        self.home = home
        self.port = free_port()
        make_secrets(home / "secrets", f"redis://127.0.0.1:{self.port}")
        self._options = {"port": str(self.port), "aclfile": str(home / "secrets/redis/users.acl"), **options}
        self._stack = ExitStack()
        self._processes: list[subprocess.Popen[bytes]] = []
        self.redis: RedisServer

    def __enter__(self) -> Self:
        self.redis = self._stack.enter_context(RedisServer(self.home, options=self._options))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._processes:
            kill(process)
        self._stack.close()

    def url(self, role: str) -> str:
        """Returns the role's URL with its password."""
        return (self.home / "secrets" / role / "redis-url").read_text().strip()

    def client(self, role: str, database: int = 1) -> redis.Redis:
        """Returns a connection as this role."""
        return redis.Redis.from_url(f"{self.url(role)}/{database}", protocol=2)

    def env(self, role: str, **more: str) -> dict[str, str]:
        """Returns the environment of the role's process."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
        secrets = self.home / "secrets" / role
        key = {"MAILHAUL_SECRET_KEY_FILE": str(secrets / "secret-key")} if (secrets / "secret-key").exists() else {}
        return (
            env
            | key
            | {
                "MAILHAUL_REDIS_URL_FILE": str(secrets / "redis-url"),
                "MAILHAUL_STATE_DIR": str(self.home / f"state-{role}"),
                "MAILHAUL_WORKER_THREADS": "4",
                "PYTHONPATH": str(ROOT),
                **more,
            }
        )

    def start(self, role: str, **more: str) -> tuple[subprocess.Popen[bytes], int]:
        """Starts a worker, a coordinator or the web process and waits until it is ready.

        Returns (process, port of its health checks).
        """
        port = free_port()
        names = ("WORKER_METRICS", "COORDINATOR", "WEB_METRICS")
        ports = {f"MAILHAUL_{name}_PORT": str(port) for name in names}
        module = {"worker": "worker", "coordinator": "producer.coordinator", "web": "producer.web"}[role]
        log = self.home / f"{role}-{port}.log"
        env = self.env("producer" if role == "web" else role, **ports, **more)
        process = preloaded.spawn(module, log=log, env=env)
        self._processes.append(process)

        def ready() -> bool:
            if process.poll() is not None:
                raise RuntimeError(f"the {role} ended with {process.returncode}: {log.read_text()[-2000:]}")
            return probe(port, "/readyz")[0]

        await_ready(ready, 180, f"the {role}")
        return process, port

    def run(self, *arguments: str | Path, role: str = "producer", code: int = 0) -> str:
        """Runs the command line as the producer. Returns what it printed."""
        done = preloaded.run("producer", *arguments, env=self.env(role), cwd=self.home)
        assert done.returncode == code, f"{done.returncode}: {done.stdout}\n{done.stderr}\n{self.logs()}"
        return done.stdout + done.stderr

    def stop(self, process: subprocess.Popen[bytes]) -> int:
        """Sends SIGTERM and waits. Returns the exit code."""
        end(process)
        self._processes.remove(process)
        return int(process.returncode)

    def logs(self) -> str:
        """Returns the last part of all logs."""
        return "\n".join(f"{path.name}: {path.read_text()[-1500:]}" for path in self.home.glob("*.log"))
