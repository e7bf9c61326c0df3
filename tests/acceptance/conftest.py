"""Fixtures of the acceptance tests: two Dovecots, a state folder, and the real command line."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests import mail
from tests.mail import Snapshot
from tests.servers import preloaded
from tests.servers.dovecot import Dovecot, available

ROOT = Path(__file__).parents[2]
DEADLINE_SECONDS = 240.0

if not available():
    collect_ignore_glob = ["test_*"]


@dataclass(frozen=True)
class Box:
    """An account of one server."""

    #: The account's server.
    server: Dovecot
    #: The account's login.
    login: str
    #: The account's password.
    password: str

    @property
    def _place(self) -> tuple[str, int, str, str]:
        return self.server.host, self.server.port, self.login, self.password

    def fill(self, folders: dict[str, int], *, size: int = 800, seed: int = 1) -> None:
        """Adds these numbers of messages to each folder, with flags, keywords and dates of all kinds.

        Folders are named as on the wire.
        """
        mail.populate(*self._place, mail.make_mailbox(seed, folders, size))

    def seen(self) -> Snapshot:
        """Returns every message, as a multiset of (folder, SHA-256, flags, date)."""
        return mail.snapshot(*self._place)

    def uids(self) -> dict[bytes, tuple[int, dict[int, tuple[frozenset[str], int]]]]:
        """Returns the state that must not change at the source."""
        return mail.uids_and_flags(*self._place)


@dataclass
class AdminEnvironment:
    """The administrator's environment: two servers, a state folder, the command."""

    #: Server that mail comes from.
    source: Dovecot
    #: Server that mail goes to.
    destination: Dovecot
    #: Folder of the state folder and other files.
    home: Path
    #: Environment variables beside those of the tests.
    variables: dict[str, str] = field(default_factory=dict)

    @property
    def ends(self) -> list[str]:
        """The options that every request has."""
        return [
            "--source",
            f"imap://127.0.0.1:{self.source.port}",
            "--destination",
            f"imap://127.0.0.1:{self.destination.port}",
        ]

    def accounts(self, *names: str, prefix: str = "pw-") -> dict[str, tuple[Box, Box]]:
        """Adds the same accounts to both servers; each password is the prefix and the name."""
        for name in names:
            for server in (self.source, self.destination):
                server.add_user(name, f"{prefix}{name}")
        ends = (self.source, self.destination)
        return {name: (Box(ends[0], name, f"{prefix}{name}"), Box(ends[1], name, f"{prefix}{name}")) for name in names}

    def manifest(self, rows: Mapping[str, str] | Sequence[str], name: str = "people.csv") -> Path:
        """Writes a manifest of two columns, or of these lines."""
        lines = [f"{login},{password}" for login, password in rows.items()] if isinstance(rows, Mapping) else rows
        path = self.home / name
        path.write_text("\n".join(["login,password", *lines] if isinstance(rows, Mapping) else lines) + "\n")
        return path

    def start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Starts the command without waiting."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
        env |= {"MAILHAUL_STATE_DIR": str(self.home / "state"), "PYTHONPATH": str(ROOT), **self.variables}
        pipes = {"text": True, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return preloaded.start("producer", *arguments, env=env, cwd=self.home, **pipes)

    def run(self, *arguments: str | Path, code: int | None = 0) -> Ended:
        """Runs the command to its end."""
        return self.ended(self.start(*arguments), code=code)

    def ended(self, process: subprocess.Popen[str], code: int | None = 0) -> Ended:
        """Waits for the end of the command and checks the exit code."""
        try:
            out, said = process.communicate(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            out, said = process.communicate()
            pytest.fail(f"the command did not end: {out}\n{said}\n{self.logs()}")
        assert code is None or process.returncode == code, f"{process.returncode}: {out}\n{said}\n{self.logs()}"
        return Ended(code=process.returncode, out=out, said=said)

    def import_(self, manifest: Path, *more: str, code: int | None = 0) -> dict[str, Any]:
        """Runs `mailhaul import … --json`. Returns the parsed document."""
        ended = self.run("import", manifest, *self.ends, "--json", *more, code=code)
        found: dict[str, Any] = json.loads(ended.out)
        assert_adds_up(found)
        return found

    def logs(self) -> str:
        """Returns the last part of the processes' logs."""
        return "\n".join(f"{path}: {path.read_text()[-1500:]}" for path in (self.home / "state").glob("logs/*.log"))


@dataclass(frozen=True)
class Ended:
    """The result of a command."""

    #: Exit code.
    code: int
    #: Standard output.
    out: str
    #: Standard error.
    said: str


def assert_adds_up(whole: dict[str, Any]) -> None:
    """Asserts that totals add up in every folder, every mailbox and the import, and over them."""
    outcomes = ("copied", "already_present", "skipped", "refused", "vanished", "failed", "pending")
    counted = [whole["import"], *whole["mailboxes"], *(f for m in whole["mailboxes"] for f in m["folders"])]
    for one in counted:
        assert sum(one[name] for name in outcomes) == one["messages"], one
    for name in (*outcomes, "messages", "bytes"):
        assert whole["import"][name] == sum(mailbox[name] for mailbox in whole["mailboxes"])
        for mailbox in whole["mailboxes"]:
            assert mailbox[name] == sum(folder[name] for folder in mailbox["folders"])


_PAUSE = threading.Event()


def until(check: Callable[[], bool], what: str, seconds: float = DEADLINE_SECONDS) -> None:
    """Waits for something that another process does."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"{what} did not come"
        _PAUSE.wait(0.02)


@pytest.fixture(scope="session")
def servers() -> Iterator[tuple[Dovecot, Dovecot]]:
    with Dovecot(mail_format="sdbox") as source, Dovecot(mail_format="sdbox") as destination:
        yield source, destination


@pytest.fixture
def admin_env(servers: tuple[Dovecot, Dovecot]) -> Iterator[AdminEnvironment]:
    with tempfile.TemporaryDirectory(prefix="office-", ignore_cleanup_errors=True) as place:
        admin_env = AdminEnvironment(*servers, Path(place))
        yield admin_env
        # The process that still owns the folder must end before the folder is removed.
        pidfile = admin_env.home / "state" / "running.pid"
        if pidfile.exists() and (text := pidfile.read_text().split()):
            with contextlib.suppress(ProcessLookupError):
                os.kill(int(text[0]), signal.SIGKILL)


def children(admin_env: AdminEnvironment) -> dict[int, str]:
    """Returns number → name of the processes that write to the logs in this state folder, however they were started.

    A worker that the command forked bears the name `FORKED_WORKER`, and its command line is the command's.
    """
    found = {}
    for place in Path("/proc").glob("[0-9]*"):
        try:
            if (place / "fd/2").readlink().is_relative_to(admin_env.home / "state"):
                found[int(place.name)] = (place / "comm").read_text().strip()
        except OSError:
            continue
    return found
