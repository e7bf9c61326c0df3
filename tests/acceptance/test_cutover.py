"""Tests a cutover as an administrator makes it: two waves, real servers, a switch and a DNS, while mail comes."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from tests import mail
from tests.acceptance.conftest import AdminEnvironment, Box, until
from tests.servers.mail_zone import MailZone

PILOT = ("ann", "bob", "cyd")
REST = ("dan", "eve", "fay")


class Deliveries:
    """Delivers mail to people at the server where the switch says that they are, as an MX would, while it is open."""

    def __init__(self, boxes: dict[str, tuple[Box, Box]], switch: Path, domain: str) -> None:
        self._boxes, self._switch, self.domain = boxes, switch, domain
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._random = random.Random(5)
        #: Who gets mail.
        self.people = sorted(boxes)
        #: (login, side, body) of every message.
        self.sent: list[tuple[str, str, bytes]] = []

    def is_new(self, login: str) -> bool:
        """Tells whether the switch says that this person is at the new server."""
        rows = [line for line in self._switch.read_text().splitlines() if line.startswith(f"{login}:")]
        return any("host=127.0.0.2" in line for line in rows)

    def deliver(self, login: str, side: str = "") -> None:
        """Delivers one message."""
        where = side or ("new" if self.is_new(login) else "old")
        box = self._boxes[login][where == "new"]
        number = len(self.sent)
        body = (
            f"From: a@x.example\r\nTo: {login}\r\nSubject: delivered {number}\r\nMessage-ID: <d{number}@x.example>\r\n"
            f"Date: Mon, 30 Nov 2026 10:00:00 +0000\r\n\r\nmessage {number} for {login}\r\n"
        ).encode()
        mail.populate(box.server.host, box.server.port, box.login, box.password, {"INBOX": [mail.Mail(body)]})
        self.sent.append((login, where, body))

    def _run(self) -> None:
        while not self._stop.wait(0.7):
            if self.people:
                self.deliver(self._random.choice(self.people))

    @contextmanager
    def coming(self) -> Iterator[None]:
        """Delivers a message every 0.7 s within the block."""
        self._thread.start()
        try:
            yield
        finally:
            self._stop.set()
            self._thread.join(180)


def _cutovers(admin_env: AdminEnvironment) -> dict[str, Any]:
    found = json.loads(admin_env.run("cutover", "status", "people", "--json").out)
    return {one["wave"]: one for one in found}


def _reaches(admin_env: AdminEnvironment, wave: str, state: str) -> None:
    """Waits until the cutover of the wave has the state."""
    last = ""

    def reached() -> bool:
        nonlocal last
        last = admin_env.run("cutover", "status", "people", "--wave", wave).out
        return f"/{wave}: {state}" in last.replace(f"wave {wave} of import people", f"people/{wave}")

    try:
        until(reached, state)
    except AssertionError:
        pytest.fail(f"not {state}: {last}\n{admin_env.run('status', 'people').out}\n{admin_env.logs()}")


def _guard(admin_env: AdminEnvironment, wave: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in _cutovers(admin_env)[wave]["guards"] if one["guard"] == name]
    return dict(found)


def _coordinators(admin_env: AdminEnvironment) -> list[int]:
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    pids = [int(line.split()[0]) for line in found if "producer.coordinator" in line]
    home = str(admin_env.home / "state").encode()
    return [pid for pid in pids if home in _environment(pid)]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _bodies(box: Box) -> Counter[str]:
    return Counter(kept.sha256 for kept in box.seen().elements())


@pytest.fixture
def moving(admin_env: AdminEnvironment) -> Iterator[tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]]:
    """Two waves that are copied, a switch, a DNS, and `mailhaul up`."""
    switch = admin_env.home / "switched"
    switch.write_text("")
    # The servers are those of other tests too.
    domain = f"{admin_env.home.name.replace('_', '-').lower()}.example"
    logins = [f"{name}@{domain}" for name in (*PILOT, *REST)]
    boxes = admin_env.accounts(*logins)
    for source, _ in boxes.values():
        source.fill({"INBOX": 5, "Sent": 3})
    with MailZone(domain) as zone:
        admin_env.variables |= {
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_SWITCHES": f"office=dovecot:{switch}?new=127.0.0.2&old=127.0.0.1",
            "MAILHAUL_DNS_RESOLVER": zone.resolver,
        }
        waves = {login: "pilot" if login.split("@")[0] in PILOT else "rest" for login in logins}
        manifest = admin_env.manifest(
            ["login,password,wave", *(f"{login},pw-{login},{wave}" for login, wave in waves.items())]
        )
        up = admin_env.start("up", "--workers", "1", "--threads", "4")
        until(lambda: admin_env.run("limits", code=None).code == 0, "the embedded Redis")
        admin_env.run("import", manifest, *admin_env.ends, "--name", "people")
        yield Deliveries(boxes, switch, domain), zone, boxes
        admin_env.run("down", code=None)
        admin_env.ended(up, code=None)


def test_two_waves_are_cut_over_while_mail_comes(
    admin_env: AdminEnvironment, moving: tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]
) -> None:
    deliveries, zone, boxes = moving
    pilot = ("people", "--wave", "pilot")
    zone.say("mx.old.example", 3600)
    planned = admin_env.run("cutover", "plan", *pilot)
    assert "the switch office says yes for all 3 mailboxes" in planned.out
    assert "MX mx.old.example, backup.example 3600 s" in planned.out
    assert not admin_env.run("cutover", "status", "people").out, "a plan begins nothing"
    assert deliveries._switch.read_text() == ""
    zone.say("mx.old.example", 60)
    assert "say --wave" in admin_env.run("cutover", "start", "people", code=2).said
    options = ("--synced-minutes", "1", "--quiet-hours", "0.002")
    with deliveries.coming():
        admin_env.run("cutover", "start", *pilot, *options)
        _reaches(admin_env, "pilot", "synced")
        said = admin_env.run("cutover", "switch", *pilot, "--yes", code=2).said
        assert "nobody can switch it now" in said
        admin_env.run("cutover", "announce", *pilot)
        for pid in _coordinators(admin_env):
            os.kill(pid, signal.SIGKILL)
        until(lambda: all(one["met"] for one in _cutovers(admin_env)["pilot"]["guards"][:4]), "the guards")
        admin_env.run("cutover", "switch", *pilot, "--yes")
        for pid in _coordinators(admin_env):
            os.kill(pid, signal.SIGKILL)
        _reaches(admin_env, "pilot", "draining")
        assert all(deliveries.is_new(f"{name}@{deliveries.domain}") for name in PILOT)
        assert not any(deliveries.is_new(f"{name}@{deliveries.domain}") for name in REST)
        answers = {one["answer"] for one in _cutovers(admin_env)["pilot"]["mailboxes"]}
        assert answers <= {"done", "already"}
        late = f"ann@{deliveries.domain}"
        deliveries.deliver(late, "old")
        told = admin_env.run("cutover", "close", *pilot, "--yes", code=2).said
        assert "quiet:" in told or "empty:" in told
        until(lambda: any(w["name"] == late for w in _guard(admin_env, "pilot", "quiet")["who"]), "who gets mail there")
        until(lambda: _guard(admin_env, "pilot", "empty")["met"], "two empty looks")
        until(lambda: _guard(admin_env, "pilot", "quiet")["met"], "quiet")
        admin_env.run("cutover", "close", *pilot, "--yes")
    assert "has no cutover" in admin_env.run("cutover", "close", "people", "--wave", "rest", "--yes", code=2).said
    shown = admin_env.run("cutover", "status", *pilot).out
    assert "closed for" in shown
    for name in PILOT:
        source, destination = boxes[f"{name}@{deliveries.domain}"]
        at_new = Counter(
            hashlib.sha256(body).hexdigest()
            for login, side, body in deliveries.sent
            if login == f"{name}@{deliveries.domain}" and side == "new"
        )
        assert _bodies(destination) == _bodies(source) + at_new, "nothing lost, nothing twice"
    entries = admin_env.run("audit").out
    for act in ("cutover begun", "cutover announce", "cutover switch", "cutover close", "act refused"):
        assert act in entries


def test_a_wave_is_rolled_back_with_what_came_to_the_new_server(
    admin_env: AdminEnvironment, moving: tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]
) -> None:
    deliveries, _, boxes = moving
    rest = ("people", "--wave", "rest")
    deliveries.people = [f"{name}@{deliveries.domain}" for name in REST]
    with deliveries.coming():
        admin_env.run("cutover", "start", *rest, "--synced-minutes", "1")
        _reaches(admin_env, "rest", "synced")
        admin_env.run("cutover", "announce", *rest)
        until(lambda: all(one["met"] for one in _cutovers(admin_env)["rest"]["guards"][:4]), "the guards")
        admin_env.run("cutover", "switch", *rest, "--yes")
        _reaches(admin_env, "rest", "draining")
        arrived = len(deliveries.sent)
        until(lambda: len(deliveries.sent) >= arrived + 6, "mail at the new server")
        admin_env.run("cutover", "rollback", *rest, "--yes")
        for pid in _coordinators(admin_env):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(deliveries.is_new(one) for one in deliveries.people), "the way back")
    done = lambda: "to try again" in admin_env.run("cutover", "status", *rest).out  # noqa: E731
    until(done, "the end of the rollback")
    for login in deliveries.people:
        source, _ = boxes[login]
        wanted = Counter(hashlib.sha256(body).hexdigest() for who, _, body in deliveries.sent if who == login)
        until(lambda: wanted <= _bodies(source), f"what came to {login}")  # noqa: B023
        assert {sha: _bodies(source)[sha] for sha in wanted} == dict(wanted), "nothing twice"
        assert _bodies(source).total() == 8 + wanted.total(), "and nothing else"
