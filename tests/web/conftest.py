"""Fixtures of the web tests: the web process, a real Redis, two real Dovecots, a real coordinator and worker."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx2
import pytest

from shared.runtime.config import load_settings
from shared.runtime.credentials import Vault
from shared.store.records.principals import Principals, role_of
from shared.store.records.web_records import WebRecords
from shared.store.redis.redis_store import RedisStore, connect
from tests.servers import preloaded
from tests.servers.dovecot import Dovecot, available
from tests.servers.process import await_ready, end, free_port
from tests.servers.redis_server import RedisServer

ROOT = Path(__file__).parents[2]
PASSWORD = "s3cret-canary"
#: Begins a web process for which the minute of wrong guesses is an hour: a busy machine needs longer than one for twenty.
ONE_MINUTE = "import shared.store.records.sessions as s\ns.TRIES_SECONDS = 3600\n"

if not available():
    collect_ignore_glob = ["test_*"]


def http_client(**options: Any) -> httpx2.Client:
    """Returns a client that waits long, and reuses no connection that the server may be closing: it does after 5 s."""
    return httpx2.Client(timeout=180, limits=httpx2.Limits(keepalive_expiry=1), **options)


@dataclass
class WebServer:
    """A Redis, and the processes of mailhaul that a test starts with it."""

    #: The Redis of the state and the queue.
    redis: RedisServer
    #: The state folder.
    home: Path
    #: Environment variables beside the usual ones of the tests.
    variables: dict[str, str] = field(default_factory=dict)
    #: The port of the API, once it was started.
    port: int = 0
    _stack: ExitStack = field(default_factory=ExitStack)
    _processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def state_url(self) -> str:
        """The URL of the state: database 1."""
        return f"unix://{self.redis.socket}?db=1"

    @property
    def records(self) -> WebRecords:
        """The tokens and the audit log."""
        return WebRecords(connect(self.state_url), 365)

    @property
    def principals(self) -> Principals:
        """The tokens and the users."""
        return Principals(connect(self.state_url), self.vault)

    @property
    def vault(self) -> Vault:
        """A vault with the key of the processes."""
        key = self.variables.get("MAILHAUL_SECRET_KEY")
        return Vault([key.encode()]) if key else Vault.from_settings(load_settings(state_dir=self.home))

    @property
    def store(self) -> RedisStore:
        """The store of imports."""
        return RedisStore(connect(self.state_url))

    def environment(self) -> dict[str, str]:
        """Returns the environment of the processes."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
        ours = {
            "MAILHAUL_STATE_DIR": str(self.home),
            "MAILHAUL_REDIS_URL": f"unix://{self.redis.socket}",
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_WEB_PORT": str(self.port),
            "PYTHONPATH": str(ROOT),
        }
        return env | ours | self.variables

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Starts `python -m …`, which runs until the end of the test."""
        log = (self.home / f"{arguments[0]}.log").open("ab")
        process = preloaded.start(*arguments, env=self.environment(), cwd=self.home, stdout=log, stderr=log)
        self._processes.append(process)
        return process

    def command(self, *arguments: str, code: int = 0, **variables: str) -> str:
        """Runs `mailhaul …` to its end. Returns its standard output, and its standard error if `code` is not 0."""
        done = preloaded.run("producer", *arguments, env=self.environment() | variables, cwd=self.home)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr * bool(code)

    def serve(self, **variables: str) -> None:
        """Starts the API and waits until it answers."""
        self.variables |= variables
        self.port = free_port()
        process = self.start("producer.web")

        def answers() -> bool:
            assert process.poll() is None, (self.home / "producer.web.log").read_text()
            try:
                return httpx2.get(f"http://127.0.0.1:{self.port}/readyz").status_code == 200
            except httpx2.HTTPError:
                return False

        await_ready(answers, 180)

    def crew(self) -> None:
        """Starts a coordinator and a worker."""
        self.start("producer.coordinator")
        self.start("worker")

    def client(self, role: str = "operator", **headers: str) -> httpx2.Client:
        """Returns a client of the API with a new token."""
        _, token = self.principals.make_token(f"a {role}", role_of(role))
        return self.anybody(Authorization=f"Bearer {token}", **headers)

    def anybody(self, **headers: str) -> httpx2.Client:
        """Returns a client of the API without a token."""
        base = f"http://127.0.0.1:{self.port}/api/v1"
        return self._stack.enter_context(http_client(base_url=base, headers=headers))

    def signed_in(self, role: str = "operator") -> httpx2.Client:
        """Returns a client of the page in English, signed in with a new token; it follows redirects."""
        _, token = self.principals.make_token("a person", role_of(role))
        base = f"http://127.0.0.1:{self.port}"
        headers = {"Accept-Language": "en", "Origin": base}
        client = self._stack.enter_context(http_client(base_url=base, headers=headers, follow_redirects=True))
        client.post("/sign-in", data={"token": token})
        return client

    def page(self, path: str) -> str:
        """Returns a page in English, signed in with a new token."""
        _, token = self.principals.make_token("a person", role_of("operator"))
        base = f"http://127.0.0.1:{self.port}"
        with http_client(base_url=base, headers={"Accept-Language": "en", "Origin": base}) as client:
            client.post("/sign-in", data={"token": token})
            return client.get(path).text

    def close(self) -> None:
        """Ends the clients and the processes."""
        self._stack.close()
        for process in self._processes:
            end(process)


@pytest.fixture
def web_server() -> Iterator[WebServer]:
    with RedisServer() as redis, tempfile.TemporaryDirectory(prefix="web-") as home:
        web_server = WebServer(redis, Path(home))
        try:
            yield web_server
        finally:
            web_server.close()


@pytest.fixture(autouse=True)
def _pages_are_closed(request: pytest.FixtureRequest) -> Iterator[None]:
    """Closes what a test opened in the browser of its module: pages that stay open go on asking, and take memory."""
    browser = request.getfixturevalue("browser") if "browser" in request.fixturenames else None
    yield
    for context in browser.contexts if browser else ():
        context.close()


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(mail_format="sdbox") as source, Dovecot(mail_format="sdbox") as destination:
        yield source, destination


def ends(servers: tuple[Dovecot, Dovecot]) -> dict[str, Any]:
    """Returns the two servers as a request names them."""
    source, destination = servers
    return {
        "source": {"server": f"imap://127.0.0.1:{source.port}"},
        "destination": {"server": f"imap://127.0.0.1:{destination.port}"},
    }


def allowed(servers: tuple[Dovecot, Dovecot]) -> dict[str, str]:
    """Returns the settings that permit connections to these servers."""
    ports = ",".join(str(server.port) for server in servers)
    return {"MAILHAUL_WEB_ALLOW": "127.0.0.0/8", "MAILHAUL_WEB_PORTS": ports}


def serve_with(web_server: WebServer, begins_with: str, **variables: str) -> None:
    """Starts the API in a process that runs these lines of Python first.

    They set other limits, or disable a protection.
    """
    (web_server.home / "sitecustomize.py").write_text(begins_with)
    environment = web_server.environment
    web_server.environment = lambda: (
        environment()
        | {  # type: ignore[method-assign]
            "PYTHONPATH": f"{web_server.home}:{environment()['PYTHONPATH']}"
        }
    )
    web_server.serve(**variables)
