"""Tests the page and the API as deployed.

They have their own Redis user, the first token from a file, and a port for health checks.
"""

from __future__ import annotations

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

from shared.probe import probe
from tests.conftest import DovecotPair
from tests.deploy.deployed_processes import DeployedProcesses
from tests.servers.process import await_ready, end, free_port


class Web:
    """A web process in a deployment."""

    def __init__(self, deployed: DeployedProcesses, **more: str) -> None:
        self.deployed, self.port, self._more = deployed, free_port(), more
        self.token = (deployed.home / "secrets/producer/web-token").read_text().strip()
        self.process, self.health = self.start()

    def start(self) -> tuple[subprocess.Popen[bytes], int]:
        """Starts the process as the compose file and the units do."""
        first = str(self.deployed.home / "secrets/producer/web-token")
        variables = {"MAILHAUL_WEB_PORT": str(self.port), "MAILHAUL_WEB_FIRST_TOKEN_FILE": first, **self._more}
        return self.deployed.start("web", **variables)

    def client(self, token: str = "") -> httpx2.Client:
        """Returns a client of the API."""
        base = f"http://127.0.0.1:{self.port}/api/v1"
        return httpx2.Client(base_url=base, headers={"Authorization": f"Bearer {token or self.token}"}, timeout=180)


@pytest.fixture
def deployed(tmp_path: Path) -> Iterator[DeployedProcesses]:
    with DeployedProcesses(tmp_path) as deployed:
        yield deployed


def test_a_whole_life_by_the_api_as_shipped_is_refused_nothing(
    deployed: DeployedProcesses, dovecot_pair: DovecotPair
) -> None:
    """Signs in, opens, starts, watches and steers an import, uses tokens and the audit log.

    Redis's own log of refusals stays empty.
    """
    ports = f"{dovecot_pair.source.port},{dovecot_pair.destination.port}"
    # Listens on all addresses, as in a container: this is allowed because the first token exists.
    more = {"MAILHAUL_WEB_HOST": "0.0.0.0", "MAILHAUL_WEB_PORTS": ports, "MAILHAUL_WEB_ALLOW": "127.0.0.1"}
    web = Web(deployed, **more)
    deployed.start("coordinator")
    deployed.start("worker", **{name: more[name] for name in ("MAILHAUL_WEB_PORTS", "MAILHAUL_WEB_ALLOW")})
    login, password = dovecot_pair.account(), dovecot_pair.password
    with web.client() as api:
        body = {
            "name": "by the page",
            "source": {"server": f"imap://127.0.0.1:{dovecot_pair.source.port}"},
            "destination": {"server": f"imap://127.0.0.1:{dovecot_pair.destination.port}"},
            "manifest": f"login,password\n{login},{password}\n",
        }
        opened = api.post("/imports", json=body, headers={"Idempotency-Key": "once"})
        assert opened.status_code == 201, opened.text
        import_id = opened.json()["import"]["id"]
        api.post(f"/imports/{import_id}/start")
        await_ready(lambda: '"finished"' in api.get(f"/imports/{import_id}").text, 180, "the end of the import")
        for verb in ("pause", "resume", "retry", "verify"):
            assert api.post(f"/imports/{import_id}/{verb}").status_code < 500
        for path in (f"/imports/{import_id}/mailboxes", f"/imports/{import_id}/errors", "/limits", "/audit", "/tokens"):
            assert api.get(path).status_code == 200, path
        made = api.post("/tokens", json={"name": "a person", "role": "viewer"})
        assert made.status_code in (200, 201), made.text
    with web.client("mh_000000000000_" + "x" * 40) as stranger:
        assert stranger.get("/imports").status_code == 401
    base = f"http://127.0.0.1:{web.port}"
    with web.client() as api:
        api.put("/users/anna", json={"password": "a long enough password"})
        with httpx2.Client(base_url=base, timeout=180, follow_redirects=True, headers={"Origin": base}) as page:
            assert page.get("/enter/guess").status_code == 401
            page.post("/sign-in", data={"name": "anna", "password": "a long enough password"})
            assert page.get("/new").url.path == "/new"
            (session,) = api.get("/sessions").json()["sessions"]
            assert api.delete(f"/sessions/{session['id']}").status_code == 204
            assert page.get("/new").url.path == "/sign-in"
    with deployed.client("admin") as admin:
        # Reading appendfsync may be forbidden, since a user who may read settings may read passwords too.
        assert {entry[7] for entry in admin.execute_command("ACL", "LOG")} <= {b"config|get"}


def test_health_answers_to_any_name_and_counts_what_the_page_answered(deployed: DeployedProcesses) -> None:
    web = Web(deployed)
    # Kubernetes uses the address of the pod, which is no name of the page.
    asked = urllib.request.Request(f"http://127.0.0.1:{web.health}/readyz", headers={"Host": "10.1.2.3:9470"})
    assert urllib.request.urlopen(asked).status == 200
    with httpx2.Client(timeout=180) as anybody:
        assert anybody.get(f"http://127.0.0.1:{web.port}/", headers={"Host": "10.1.2.3"}).status_code == 421
    text = urllib.request.urlopen(f"http://127.0.0.1:{web.health}/metrics").read().decode()
    assert 'mailhaul_web_requests_total{status="4xx"} 1.0' in text
    deployed.redis.stop()
    await_ready(lambda: not probe(web.health, "/readyz")[0], 180, "not ready")
    assert probe(web.health, "/healthz")[0], "a Redis that is away is no reason to restart it"
    deployed.redis.start()
    await_ready(lambda: probe(web.health, "/readyz")[0], 180, "ready again")
    assert deployed.stop(web.process) == 0


def test_the_first_token_lets_in_only_while_it_is_the_only_one(deployed: DeployedProcesses) -> None:
    web = Web(deployed)
    with web.client() as api:
        other = api.post("/tokens", json={"name": "mine", "role": "admin"}).json()["token"]
        first = next(one["id"] for one in api.get("/tokens").json()["tokens"] if one["name"] == "first")
    with web.client(other) as api:
        assert api.delete(f"/tokens/{first}").status_code < 300
    end(web.process)
    web.process, web.health = web.start()
    with web.client() as api:
        refused = api.get("/imports")
        assert refused.status_code == 401, refused.text
    with web.client(other) as api:
        assert api.get("/imports").status_code == 200
    # Redis lost everything, as in docs/operations.md: no token is known any more, and the first one is valid again.
    with deployed.client("admin") as admin:
        admin.flushall()
    end(web.process)
    web.process, web.health = web.start()
    with web.client() as api:
        assert api.get("/imports").status_code == 200
