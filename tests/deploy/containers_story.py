"""Does what an operator does with the compose stack, and checks the results."""

from __future__ import annotations

import json
import time
import urllib.error
import urllib.parse
import urllib.request
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.deploy.containers import Engine

from tests.deploy.containers import _PAGE_PORT, _PORT, claim, say, until

#: Factor of the sample mail, so that the import takes long enough to be interrupted.
_TIMES = 20
_SERVICES = ("secrets", "redis", "coordinator", "worker", "web", "prometheus")


def story(engine: Engine) -> None:
    """Starts the stack, scales it, runs a migration with kills, checks the alerts, and stops the stack."""
    began = time.monotonic()
    engine.check_health()
    engine.compose("up", "-d", "--no-build", "--scale", "worker=2", *_SERVICES)
    until("redis is healthy", lambda: engine.healthy("redis"))
    until("the coordinator is healthy", lambda: engine.healthy("coordinator"))
    until("two workers run", lambda: len(engine.names("worker")) == 2 and engine.healthy("worker"))
    until("the page is healthy", lambda: engine.healthy("web"))
    say(f"      the stack was up in {time.monotonic() - began:.0f} s from nothing, secrets and all")
    _secrets(engine)
    _hardened(engine)
    _page(engine)
    until("Prometheus scrapes the coordinator, the page and two workers", _scraped, 90)
    until("the coordinator counts two workers", lambda: _value("sum(mailhaul_workers)") == 2)
    until("one leads", lambda: _value("sum(mailhaul_leader)") == 1)
    _doctor(engine)
    _migration(engine)


def _doctor(engine: Engine) -> None:
    found = engine.compose("--profile", "cli", "run", "--rm", "cli", "doctor", check=False)
    claim(f"`mailhaul doctor` finds nothing amiss\n{_indented(found)}", "BAD" not in found and "Redis answers" in found)


def _secrets(engine: Engine) -> None:
    worker, coordinator = engine.names("worker")[0], engine.names("coordinator")[0]
    held = engine.podman("exec", worker, "ls", "/secrets").split()
    claim("a worker has its own secrets only", held == ["redis-url", "secret-key"])
    claim("the coordinator has no key", engine.podman("exec", coordinator, "ls", "/secrets").split() == ["redis-url"])
    url = engine.podman("exec", worker, "cat", "/secrets/redis-url").strip()
    password = urllib.parse.urlsplit(url).password or "?"
    seen = engine.podman("inspect", worker) + engine.logs(worker, 1000)
    seen += engine.podman("exec", worker, "cat", "/proc/1/cmdline")
    claim("no password is in its environment, arguments or log", password not in seen)
    users = engine.podman("exec", engine.names("redis")[0], "cat", "/secrets/users.acl")
    claim("Redis knows no password either, only its hash", password not in users and "user worker" in users)
    refused = engine.podman("exec", engine.names("redis")[0], "redis-cli", "ping", check=False)
    claim("without a password Redis answers nothing", "NOAUTH" in refused)


def _hardened(engine: Engine) -> None:
    for service in ("redis", "coordinator", "worker", "web", "prometheus"):
        container = engine.names(service)[0]
        facts = json.loads(engine.podman("inspect", container))[0]
        claim(f"{service}: read-only root file system", facts["HostConfig"]["ReadonlyRootfs"])
        claim(f"{service}: not root", not facts["Config"]["User"].startswith("0"))
        status = engine.podman("exec", container, "cat", "/proc/1/status")
        caps = dict(line.split(None, 1) for line in status.splitlines() if line.startswith(("Cap", "NoNewPrivs")))
        claim(f"{service}: no capability, none to be had", int(caps["CapEff:"], 16) == int(caps["CapBnd:"], 16) == 0)
        claim(f"{service}: no new privileges", caps["NoNewPrivs:"] == "1")


def _migration(engine: Engine) -> None:
    say("a migration between the two sample servers, with each process of the stack killed in the middle …")
    engine.compose("--profile", "demo", "up", "-d", "--no-build", "demo-source", "demo-destination")
    ran = ("--profile", "demo", "run", "--no-deps")
    filled = engine.compose(*ran, "--rm", "demo-fill", "demo-source", "/demo/accounts.csv", str(_TIMES))
    total = 3 * 250 * _TIMES
    claim(f"{total} messages lie at the source", filled.count(f": {250 * _TIMES} messages") == 3)
    engine.compose(*ran, "-d", "--name", "mailhaul_the_import", "demo-import")

    def held() -> int:
        count = "find /srv/mail -path '*/cur/*' -o -path '*/new/*' | wc -l"
        return int(engine.podman("exec", engine.names("demo-destination")[0], "sh", "-c", count))

    until("the first messages arrive", held)
    at_the_kill = {}
    for service in ("redis", "worker", "coordinator", "web", "prometheus"):
        at_the_kill[service] = held()
        engine.crash(engine.names(service)[0])
    killed = time.monotonic()
    counts = ", ".join(f"{service} after {messages}" for service, messages in at_the_kill.items())
    # On a slow machine all mail may have arrived before the last process is killed.
    claim(f"each was killed: {counts}; Redis in the middle", 0 < at_the_kill["redis"] < total)
    until("Redis is back", lambda: engine.healthy("redis"))
    until("the coordinator is back", lambda: engine.healthy("coordinator"))
    until("the page is back", lambda: engine.healthy("web"))
    code = engine.podman("wait", "mailhaul_the_import").strip()
    said = engine.logs("mailhaul_the_import")
    claim(f"the import ended with exit code 0 (it is {code})\n{_indented(said[-800:])}", code == "0")
    claim(f"exactly {total} messages lie at the destination (are {held()})", held() == total)
    until(
        "the worker that was killed is back", lambda: len(engine.names("worker")) == 2 and engine.healthy("worker"), 90
    )
    until("Prometheus says that the import is finished", lambda: _value('sum(mailhaul_imports{state="finished"})') == 1)
    until("two minutes after the kill no alert fires", lambda: time.monotonic() - killed > 120 and not _firing(), 240)
    stopping = engine.names("worker")[-1]
    began = time.monotonic()
    engine.podman("stop", "-t", "40", stopping)
    exit_code = json.loads(engine.podman("inspect", stopping))[0]["State"]["ExitCode"]
    claim(f"SIGTERM ends a worker with exit code 0 after {time.monotonic() - began:.1f} s", exit_code == 0)


def _scraped() -> bool:
    return _value('sum(up{job=~"mailhaul-.*"})') == 4


def _page(engine: Engine) -> None:
    """Checks the page as docs/deployment.md describes it: at the published port, with the first token."""
    token = engine.podman("exec", engine.names("web")[0], "cat", "/secrets/web-token").strip()
    claim("the first token signs in at the page's port", _answer(token) == 200)
    claim("without one nobody is let in", _answer("") == 401)
    claim("nor with another", _answer(f"mh_000000000000_{'x' * 43}") == 401)


def _answer(token: str) -> int:
    asked = urllib.request.Request(f"http://127.0.0.1:{_PAGE_PORT}/api/v1/imports")
    if token:
        asked.add_header("Authorization", f"Bearer {token}")
    try:
        with urllib.request.urlopen(asked, timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def _firing() -> list[str]:
    found = _ask("alerts")
    return [alert["labels"]["alertname"] for alert in found["alerts"] if alert["state"] == "firing"] if found else ["?"]


def _ask(path: str) -> Any:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{_PORT}/api/v1/{path}", timeout=5) as answer:
            return json.load(answer)["data"]
    except (urllib.error.URLError, OSError):
        return None


def _value(query: str) -> float | None:
    found = _ask(f"query?query={urllib.parse.quote(query)}")
    return float(found["result"][0]["value"][1]) if found and found["result"] else None


def _indented(text: str) -> str:
    return "\n".join(f"        {line}" for line in text.strip().splitlines())
