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
            self._thread.join(30)


def _cutovers(office: AdminEnvironment) -> dict[str, Any]:
    found = json.loads(office.run("cutover", "status", "people", "--json").out)
    return {one["wave"]: one for one in found}


def _reaches(office: AdminEnvironment, wave: str, state: str) -> None:
    """Waits until the cutover of the wave has the state."""
    last = ""

    def reached() -> bool:
        nonlocal last
        last = office.run("cutover", "status", "people", "--wave", wave).out
        return f"/{wave}: {state}" in last.replace(f"wave {wave} of import people", f"people/{wave}")

    try:
        until(reached, state)
    except AssertionError:
        pytest.fail(f"not {state}: {last}\n{office.run('status', 'people').out}\n{office.logs()}")


def _guard(office: AdminEnvironment, wave: str, name: str) -> dict[str, Any]:
    (found,) = [one for one in _cutovers(office)[wave]["guards"] if one["guard"] == name]
    return dict(found)


def _coordinators(office: AdminEnvironment) -> list[int]:
    found = subprocess.run(["ps", "-eo", "pid,args"], capture_output=True, text=True, check=True).stdout.splitlines()
    pids = [int(line.split()[0]) for line in found if "producer.coordinator" in line]
    home = str(office.home / "state").encode()
    return [pid for pid in pids if home in _environment(pid)]


def _environment(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _bodies(box: Box) -> Counter[str]:
    return Counter(kept.sha256 for kept in box.seen().elements())


@pytest.fixture
def moving(office: AdminEnvironment) -> Iterator[tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]]:
    """Two waves that are copied, a switch, a DNS, and `mailhaul up`."""
    switch = office.home / "switched"
    switch.write_text("")
    # The servers are those of other tests too.
    domain = f"{office.home.name.replace('_', '-').lower()}.example"
    logins = [f"{name}@{domain}" for name in (*PILOT, *REST)]
    boxes = office.accounts(*logins)
    for source, _ in boxes.values():
        source.fill({"INBOX": 5, "Sent": 3})
    with MailZone(domain) as zone:
        office.variables |= {
            "MAILHAUL_COORDINATOR_PORT": "0",
            "MAILHAUL_SWITCHES": f"office=dovecot:{switch}?new=127.0.0.2&old=127.0.0.1",
            "MAILHAUL_DNS_RESOLVER": zone.resolver,
        }
        waves = {login: "pilot" if login.split("@")[0] in PILOT else "rest" for login in logins}
        manifest = office.manifest(
            ["login,password,wave", *(f"{login},pw-{login},{wave}" for login, wave in waves.items())]
        )
        up = office.start("up", "--workers", "1", "--threads", "4")
        until(lambda: office.run("limits", code=None).code == 0, "the embedded Redis")
        office.run("import", manifest, *office.ends, "--name", "people")
        yield Deliveries(boxes, switch, domain), zone, boxes
        office.run("down", code=None)
        office.ended(up, code=None)


def test_two_waves_are_cut_over_while_mail_comes(
    office: AdminEnvironment, moving: tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]
) -> None:
    deliveries, zone, boxes = moving
    pilot = ("people", "--wave", "pilot")
    zone.say("mx.old.example", 3600)
    planned = office.run("cutover", "plan", *pilot)
    assert "the switch office says yes for all 3 mailboxes" in planned.out
    assert "MX mx.old.example, backup.example 3600 s" in planned.out
    assert not office.run("cutover", "status", "people").out, "a plan begins nothing"
    assert deliveries._switch.read_text() == ""
    zone.say("mx.old.example", 60)
    assert "say --wave" in office.run("cutover", "start", "people", code=2).said
    options = ("--synced-minutes", "1", "--quiet-hours", "0.002")
    with deliveries.coming():
        office.run("cutover", "start", *pilot, *options)
        _reaches(office, "pilot", "synced")
        said = office.run("cutover", "switch", *pilot, "--yes", code=2).said
        assert "nobody can switch it now" in said
        office.run("cutover", "announce", *pilot)
        for pid in _coordinators(office):
            os.kill(pid, signal.SIGKILL)
        until(lambda: all(one["met"] for one in _cutovers(office)["pilot"]["guards"][:4]), "the guards")
        office.run("cutover", "switch", *pilot, "--yes")
        for pid in _coordinators(office):
            os.kill(pid, signal.SIGKILL)
        _reaches(office, "pilot", "draining")
        assert all(deliveries.is_new(f"{name}@{deliveries.domain}") for name in PILOT)
        assert not any(deliveries.is_new(f"{name}@{deliveries.domain}") for name in REST)
        answers = {one["answer"] for one in _cutovers(office)["pilot"]["mailboxes"]}
        assert answers <= {"done", "already"}
        late = f"ann@{deliveries.domain}"
        deliveries.deliver(late, "old")
        told = office.run("cutover", "close", *pilot, "--yes", code=2).said
        assert "quiet:" in told or "empty:" in told
        until(lambda: any(w["name"] == late for w in _guard(office, "pilot", "quiet")["who"]), "who gets mail there")
        until(lambda: _guard(office, "pilot", "empty")["met"], "two empty looks")
        until(lambda: _guard(office, "pilot", "quiet")["met"], "quiet")
        office.run("cutover", "close", *pilot, "--yes")
    assert "has no cutover" in office.run("cutover", "close", "people", "--wave", "rest", "--yes", code=2).said
    shown = office.run("cutover", "status", *pilot).out
    assert "closed for" in shown
    for name in PILOT:
        source, destination = boxes[f"{name}@{deliveries.domain}"]
        at_new = Counter(
            hashlib.sha256(body).hexdigest()
            for login, side, body in deliveries.sent
            if login == f"{name}@{deliveries.domain}" and side == "new"
        )
        assert _bodies(destination) == _bodies(source) + at_new, "nothing lost, nothing twice"
    entries = office.run("audit").out
    for act in ("cutover begun", "cutover announce", "cutover switch", "cutover close", "act refused"):
        assert act in entries


def test_a_wave_is_rolled_back_with_what_came_to_the_new_server(
    office: AdminEnvironment, moving: tuple[Deliveries, MailZone, dict[str, tuple[Box, Box]]]
) -> None:
    deliveries, _, boxes = moving
    rest = ("people", "--wave", "rest")
    deliveries.people = [f"{name}@{deliveries.domain}" for name in REST]
    with deliveries.coming():
        office.run("cutover", "start", *rest, "--synced-minutes", "1")
        _reaches(office, "rest", "synced")
        office.run("cutover", "announce", *rest)
        until(lambda: all(one["met"] for one in _cutovers(office)["rest"]["guards"][:4]), "the guards")
        office.run("cutover", "switch", *rest, "--yes")
        _reaches(office, "rest", "draining")
        arrived = len(deliveries.sent)
        until(lambda: len(deliveries.sent) >= arrived + 6, "mail at the new server")
        office.run("cutover", "rollback", *rest, "--yes")
        for pid in _coordinators(office):
            os.kill(pid, signal.SIGKILL)
        until(lambda: not any(deliveries.is_new(one) for one in deliveries.people), "the way back")
    done = lambda: "to try again" in office.run("cutover", "status", *rest).out  # noqa: E731
    until(done, "the end of the rollback")
    for login in deliveries.people:
        source, _ = boxes[login]
        wanted = Counter(hashlib.sha256(body).hexdigest() for who, _, body in deliveries.sent if who == login)
        until(lambda: wanted <= _bodies(source), f"what came to {login}")  # noqa: B023
        assert {sha: _bodies(source)[sha] for sha in wanted} == dict(wanted), "nothing twice"
        assert _bodies(source).total() == 8 + wanted.total(), "and nothing else"
