"""Runs the real `mailhaul` command with a state folder of its own, and reads the files of its report."""

from __future__ import annotations

import contextlib
import csv
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.compatibility.mailbox import Account
from tests.servers.process import await_ready

ROOT = Path(__file__).parents[2]
#: Seconds within which a run of the command ends; `--deadline` sets another number.
DEADLINE_SECONDS = 300.0
_NAME = "contract"


class Command:
    """The command between two accounts; `state` names its state folder, so another one knows nothing."""

    def __init__(
        self, home: Path, source: Account, destination: Account, *, pop3: bool = False, ways: Sequence[str] = ()
    ) -> None:
        self._home, self._state = home, "state"
        theirs = f"pop3://{source.host}:{source.pop3_port}" if pop3 else f"imap://{source.host}:{source.port}"
        ours = f"imap://{destination.host}:{destination.port}"
        self._ends = ["--source", theirs, "--destination", ours, "--name", _NAME, "--same-mailbox", *ways]
        self._manifest = home / "people.csv"
        rows = ["login,password,new_login,new_password"]
        rows.append(f"{source.login},{source.password},{destination.login},{destination.password}")
        self._manifest.write_text("\n".join(rows) + "\n")

    def forget_everything(self) -> None:
        """Goes on with an empty state folder."""
        self._state += "-new"

    def run(self) -> tuple[int, str]:
        """Runs the import to its end. Returns the exit code and what the command printed."""
        return self._ended(self._import())

    def run_killed(self, when: Callable[[], bool]) -> bool:
        """Runs the import and kills all of its processes when `when` says so. Tells whether it was still running."""
        process = self._import()
        await_ready(lambda: process.poll() is not None or when(), DEADLINE_SECONDS, "the middle")
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        return self._ended(process)[0] == -signal.SIGKILL

    def reported(self) -> dict[tuple[str, int], set[str]]:
        """Returns what the report says about messages of the source, by folder's display name and UID."""
        out = self._home / "report"
        self._ended(self._start("report", _NAME, "--out", out))
        found: dict[tuple[str, int], set[str]] = {}
        for name in ("failures.csv", "notes.csv"):
            with (out / name).open(encoding="utf-8", newline="") as file:
                for row in csv.DictReader(file):
                    if row["uid"].isdigit():
                        found.setdefault((row["folder"].removeprefix("'"), int(row["uid"])), set()).add(row["what"])
        return found

    def _import(self) -> subprocess.Popen[str]:
        return self._start("import", self._manifest, *self._ends)

    def _start(self, *arguments: str | Path) -> subprocess.Popen[str]:
        env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
        env |= {
            "MAILHAUL_STATE_DIR": str(self._home / self._state),
            "PYTHONPATH": str(ROOT),
            "MAILHAUL_SETTLE_SECONDS": "1",
            "MAILHAUL_GROUP_MESSAGES": "20",
        }
        return subprocess.Popen(
            [sys.executable, "-m", "producer", *map(str, arguments)],
            env=env,
            cwd=self._home,
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )

    def _ended(self, process: subprocess.Popen[str]) -> tuple[int, str]:
        try:
            said, _ = process.communicate(timeout=DEADLINE_SECONDS)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            said, _ = process.communicate()
            raise TimeoutError(f"an import did not end in {DEADLINE_SECONDS:g} s: {said[-200:]}") from None
        return process.returncode, said
