"""Runs `mailhaul demo --cutover`: two waves move from one sample server to another while mail goes on arriving, one is rolled back.

Every step is a command that anybody could type, run as a process of its own. The switch is a transport map, and what delivers the
mail looks into it for each message, as Postfix does. At the end every message that ever came is looked for.
"""

from __future__ import annotations

import contextlib
import imaplib
import os
import random
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from email.message import EmailMessage
from email.parser import BytesParser
from pathlib import Path
from typing import Any, Final

from producer.cli.local_processes import environment, last_line, python_module
from producer.cli.verb import COMPLETE, INCOMPLETE, say
from producer.demo.one_import import SampleServer, fill, served
from shared.content.json_text import read_json
from shared.model.errors import MailhaulError
from shared.runtime.supervise import Command, spawn

#: Wave → its people.
_WAVES: Final = {
    "one": ("anna@company.example", "ivan@company.example"),
    "two": ("li@company.example", "olga@company.example"),
}
_FOLDERS: Final = (("INBOX", 30), ("Sent", 10), ("Projects", 5), ("Projects/2026", 10))
#: Between two messages that are delivered, seconds.
_PAUSE: Final = 0.25
#: The longest wait for one step, seconds.
_LONGEST: Final = 240.0
_CSV: Final = "people.csv"


@dataclass
class _Post:
    """Delivers mail, each message at the side that the transport map says at that moment."""

    transport: Path
    old: SampleServer
    new: SampleServer
    #: Login → Message-IDs that were delivered, at each side.
    delivered: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    _stop: threading.Event = field(default_factory=threading.Event)
    _thread: threading.Thread | None = None

    def __enter__(self) -> _Post:
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """Ends the deliveries; the one that is under way is finished."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(20)

    def count(self, wave: str, side: str) -> int:
        """Returns how many messages came to this side for the people of the wave."""
        return sum(one == side for login in _WAVES[wave] for _, one in self.delivered.get(login, ()))

    def _run(self) -> None:
        people, number = [login for several in _WAVES.values() for login in several], 0
        while not self._stop.wait(_PAUSE):
            login, number = people[number % len(people)], number + 1
            rows = [line.split() for line in self.transport.read_text().splitlines() if line.strip()]
            side = "new" if any(row[0] == login for row in rows) else "old"
            name = f"<delivered.{number}@elsewhere.example>"
            message = EmailMessage()
            message["From"], message["To"], message["Message-ID"] = "somebody@elsewhere.example", login, name
            message["Subject"] = f"message {number}, for the {side} server"
            message.set_content("It came while the migration ran.\n")
            server = self.new if side == "new" else self.old
            with _signed_in(server, login) as client:
                client.append("INBOX", "()", imaplib.Time2Internaldate(time.time()), _crlf(message))
            self.delivered.setdefault(login, []).append((name, side))


@dataclass(frozen=True)
class _Operator:
    """The commands of one operator."""

    env: dict[str, str]
    home: Path

    def run(self, *words: str, shown: bool = True) -> str:
        """Runs a command as a person would, and returns what it printed. Raises `MailhaulError` when it fails."""
        if shown:
            say("\n$ mailhaul " + " ".join(f'"{word}"' if " " in word else word for word in words))
        argv = [*python_module("producer"), *words]
        ended = subprocess.run(argv, env=self.env, cwd=self.home, capture_output=True, text=True, timeout=_LONGEST)
        if shown:
            for line in (ended.stdout + ended.stderr).rstrip().splitlines()[-12:]:
                say("    " + line.rpartition("\r")[2])
        if ended.returncode:
            raise MailhaulError(f"mailhaul {words[0]} ended with {ended.returncode}: {ended.stderr.strip()[-500:]}")
        return ended.stdout

    def cutover(self, wave: str) -> dict[str, Any]:
        """Returns the cutover of a wave."""
        told = read_json(self.run("cutover", "status", "people", "--wave", wave, "--json", shown=False))
        found: dict[str, Any] = told[0]
        return found

    def until(self, what: str, met: Callable[[], bool]) -> None:
        """Waits for it. Raises `MailhaulError` when it takes too long."""
        say(f"    … waiting until {what}")
        deadline = time.monotonic() + _LONGEST
        while not met():
            if time.monotonic() > deadline:
                self.run("cutover", "status", "people")
                raise MailhaulError(f"not within {_LONGEST:.0f} s: {what}")
            time.sleep(0.3)

    def reaches(self, wave: str, state: str) -> None:
        """Waits until the wave's cutover is in this state."""
        self.until(f"wave {wave} is {state}", lambda: self.cutover(wave)["state"] == state)


def run_cutover_demo() -> int:
    """Runs the demo. Returns 0 when no message was lost and none is there twice."""
    for name in [name for name in os.environ if name.startswith("MAILHAUL_")]:
        del os.environ[name]  # the demo uses no Redis, state folder or keys of the operator
    with tempfile.TemporaryDirectory(prefix="mailhaul-demo-", ignore_cleanup_errors=True) as place:
        home = Path(place)
        transport = home / "transport"
        transport.touch()
        chance = random.Random(2026)  # noqa: S311 - the same sample mail every time
        accounts = {login: f"{chance.getrandbits(40):x}" for several in _WAVES.values() for login in several}
        say("starting an old and a new mail server …")
        with served(home / "old", accounts) as old, served(home / "new", accounts) as new:
            sample = sum(fill(old, login, _FOLDERS, chance) for login in accounts)
            say(
                f"filled four mailboxes of two waves with {sample} messages; from now on new mail comes four times a second"
            )
            lines = [f"{login},{accounts[login]},{wave}" for wave, several in _WAVES.items() for login in several]
            (home / _CSV).write_text("login,password,wave\n" + "\n".join(lines) + "\n", encoding="utf-8")
            env = environment(
                {
                    "MAILHAUL_STATE_DIR": str(home / "state"),
                    "MAILHAUL_SWITCHES": f"office=postfix:{transport}?type=texthash&new=smtp:[mail.new.example]",
                    "MAILHAUL_COORDINATOR_PORT": "0",
                    "MAILHAUL_WEB_PORT": "0",
                }
            )
            operator = _Operator(env, home)
            with _up(operator, home), _Post(transport, old, new) as post:
                _story(operator, post, old, new)
                post.stop()
                return _end(operator, post, old, new, sample // len(accounts))


def _story(operator: _Operator, post: _Post, old: SampleServer, new: SampleServer) -> None:
    """Plays the migration up to its last step."""
    urls = [f"imap://127.0.0.1:{server.port}" for server in (old, new)]
    operator.run("import", _CSV, "--source", urls[0], "--destination", urls[1], "--quiet")
    for wave in _WAVES:
        _switched(operator, wave)
        say(f"    wave {wave} is at the new server; its mail goes there now")
        came = post.count(wave, "new")
        operator.until("some mail came there", lambda wave=wave, came=came: post.count(wave, "new") > came + 5)  # type: ignore[misc]
    say("\nwave two has trouble at the new server: it goes back")
    operator.run("cutover", "rollback", "people", "--wave", "two", "--yes")
    operator.reaches("two", "rolled_back")
    operator.until("its people are turned back", lambda: not _turned_away(post, "two"))
    came = post.count("two", "old")
    operator.until("its mail comes to the old server again", lambda: post.count("two", "old") > came + 3)


def _switched(operator: _Operator, wave: str) -> None:
    """Takes a wave from its plan to the new server."""
    which = ("people", "--wave", wave)
    if wave == next(iter(_WAVES)):
        operator.run("cutover", "plan", *which)
    operator.run("cutover", "start", *which, "--synced-minutes", "0.5", "--quiet-hours", "0.002")
    operator.reaches(wave, "synced")
    operator.run("cutover", "announce", *which)
    operator.run("cutover", "switch", *which, "--force", "ttl", "--reason", "no DNS in this demo", "--yes")
    operator.reaches(wave, "draining")


def _turned_away(post: _Post, wave: str) -> bool:
    return any(login in post.transport.read_text() for login in _WAVES[wave])


def _end(operator: _Operator, post: _Post, old: SampleServer, new: SampleServer, sample: int) -> int:
    """Closes the first wave, waits for the copy back of the second, and looks for every message."""
    say("\nno more mail comes; what is under way comes to its end")

    def brought_back() -> bool:
        told = read_json(operator.run("status", "people (back)", "--json", shown=False))
        return bool(told["import"]["state"] == "finished")

    operator.until("what came to the new server for wave two is at the old one", brought_back)
    operator.run("status", "people (back)")

    def may_close() -> bool:
        guards = {guard["guard"]: guard["met"] for guard in operator.cutover("one")["guards"]}
        return all(guards[name] for name in ("copied", "turned", "quiet", "empty"))

    operator.until("the old server is quiet for wave one, and two looks found nothing", may_close)
    operator.run("cutover", "status", "people", "--wave", "one")
    operator.run("cutover", "close", "people", "--wave", "one", "--yes")
    say("")
    code = COMPLETE
    for wave, server, where in (("one", new, "new"), ("two", old, "old")):
        for login in _WAVES[wave]:
            held = _message_ids(server, login)
            wanted = [name for name, _ in post.delivered.get(login, ())]
            lost, twice = judged(held, wanted, sample=sample)
            there = sum(one == "new" for _, one in post.delivered.get(login, ()))
            say(
                f"{login}: {sum(held.values())} messages at the {where} server, {len(wanted)} of which came meanwhile "
                f"({there} of these to the new server): {lost} lost, {twice} twice"
            )
            if lost or twice:
                code = INCOMPLETE
    twice = sum(judged(_message_ids(new, login), [], sample=0)[1] for login in _WAVES["two"])
    say(f"at the new server, which wave two has left again: {twice} twice")
    if twice:
        code = INCOMPLETE
    say("0 lost, 0 twice" if code == COMPLETE else "the demo found a fault: see above")
    return code


def judged(held: Counter[str], delivered: Sequence[str], *, sample: int) -> tuple[int, int]:
    """Returns how many messages are lost, and how many copies there are too many.

    `held` counts each Message-ID in a mailbox, which had `sample` messages before those that were `delivered` came.
    """
    came = set(delivered)
    lost = sum(name not in held for name in came) + max(0, sample - len(set(held) - came))
    return lost, sum(held.values()) - len(held)


@contextlib.contextmanager
def _up(operator: _Operator, home: Path) -> Iterator[None]:
    say("\n$ mailhaul up &")
    argv = [*python_module("producer"), "up", "--workers", "1", "--threads", "8"]
    process = spawn(Command(name="up", argv=argv, env=operator.env, log_path=home / "up.log"))
    try:
        deadline = time.monotonic() + 60
        while not (home / "state" / "logs" / "worker-1.log").exists():
            if process.poll() is not None or time.monotonic() > deadline:
                raise MailhaulError(f"mailhaul up does not start: {last_line(home / 'up.log')}")
            time.sleep(0.2)
        yield
    finally:
        process.terminate()
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()


@contextlib.contextmanager
def _signed_in(server: SampleServer, login: str) -> Iterator[imaplib.IMAP4]:
    client = imaplib.IMAP4("127.0.0.1", server.port, timeout=20)
    client.login(login, server.accounts[login])
    yield client
    client.logout()


def _crlf(message: EmailMessage) -> bytes:
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def _message_ids(server: SampleServer, login: str) -> Counter[str]:
    """Returns how often each Message-ID stands in the mailbox."""
    found: Counter[str] = Counter()
    with _signed_in(server, login) as client:
        folders = [line.rpartition(b' "/" ')[2] for line in client.list()[1] if isinstance(line, bytes)]
        for folder in folders:
            client.select(folder.decode(), readonly=True)
            for part in client.fetch("1:*", "(BODY.PEEK[HEADER.FIELDS (MESSAGE-ID)])")[1]:
                if isinstance(part, tuple):
                    found[str(BytesParser().parsebytes(part[1])["Message-ID"])] += 1
    return found
