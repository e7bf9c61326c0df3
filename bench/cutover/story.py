"""Takes waves from the first pass to the end by the commands that anybody types, each a process of its own."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench.cutover.judge import brought_back
from bench.cutover.post import Post
from shared.store.records.cutovers import states
from tests.integration.process_cluster import ROOT, ProcessCluster
from tests.servers import preloaded

#: The name of the import.
NAME: Final = "people"
#: Seconds between two tries of a command that a guard still refuses.
_AGAIN_SECONDS: Final = 5.0
#: The longest wait for one step, seconds.
_LONGEST: Final = 3_600.0
#: The longest that one command may take, seconds.
_COMMAND_SECONDS: Final = 300.0


class StepFailed(RuntimeError):
    """Raised when a command says no to what must work, or a step takes too long."""


@dataclass
class Office:
    """The operator's commands."""

    cluster: ProcessCluster
    home: Path
    #: Takes each line that is told.
    tell: Callable[[str], object]

    def run(self, *words: str) -> str:
        """Runs a command. Returns what it printed. Raises `StepFailed` when it fails."""
        code, out, err = self.tried(*words)
        if code:
            raise StepFailed(f"mailhaul {' '.join(words)}: exit code {code}: {err.strip()[-1500:]}")
        return out

    def tried(self, *words: str) -> tuple[int, str, str]:
        """Runs a command. Returns its exit code and what it printed on both streams."""
        env = {**self.cluster.variables, "PYTHONPATH": str(ROOT)}
        ended = preloaded.run("producer", *words, env=env, cwd=self.home, seconds=_COMMAND_SECONDS)
        return ended.returncode, ended.stdout, ended.stderr

    def until(self, met: Callable[[], bool], what: str, pause: float = 1.0) -> None:
        """Waits. Raises `StepFailed` when it takes too long."""
        deadline = time.monotonic() + _LONGEST
        while not met():
            if time.monotonic() > deadline:
                raise StepFailed(f"not within {_LONGEST:.0f} s: {what}")
            time.sleep(pause)

    def accepted(self, *words: str) -> None:
        """Gives a command again and again until the guards let it pass. Raises `StepFailed` when that takes too long."""
        said = ""

        def passes() -> bool:
            nonlocal said
            code, out, err = self.tried(*words)
            if code not in (0, 2):
                raise StepFailed(f"mailhaul {' '.join(words)}: exit code {code}: {err.strip()[-1500:]}")
            said = out + err
            return code == 0

        try:
            self.until(passes, " ".join(words), _AGAIN_SECONDS)
        except StepFailed as error:
            raise StepFailed(f"{error}\n{said[-3000:]}") from None

    def cutover(self, wave: str) -> dict[str, Any]:
        """Returns the cutover of a wave, as `status --json` has it."""
        (found,) = json.loads(self.run("cutover", "status", NAME, "--wave", wave, "--json"))
        return dict(found)

    def reaches(self, import_id: str, wave: str, *wanted: str) -> None:
        """Waits until the wave's cutover is in one of these states."""
        self.until(lambda: states(self.cluster.store, import_id).get(wave) in wanted, f"{wave}: {wanted}", 0.1)


@dataclass
class WaveStory:
    """The story of a wave from `start` to `close`, in a thread; with `back` it is rolled back once on the way."""

    office: Office
    post: Post
    import_id: str
    wave: str
    people: Sequence[str]
    #: The options of `cutover start`.
    options: Sequence[str]
    #: Whether it is rolled back, and how many messages are to come to the new server first.
    back: bool
    arrivals: int
    #: Whether it has come to the new server once: the next wave may begin.
    draining: threading.Event = field(default_factory=threading.Event)
    #: From when to when nothing of it was kept in sync, since it was rolled back, seconds since the epoch.
    away: tuple[float, float] = (0.0, 0.0)
    #: How many messages were brought back, and how long that took, seconds.
    returned: int = 0
    returned_seconds: float = 0.0
    failed: BaseException | None = None
    thread: threading.Thread | None = None

    def begin(self) -> None:
        """Starts the thread."""
        self.thread = threading.Thread(target=self._run, name=self.wave, daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            self._switch()
            if self.back:
                self._roll_back()
                self._switch()
            self.draining.set()
            self._command("close", "--yes")
            self.office.tell(f"{self.wave}: closed")
        except BaseException as error:
            self.failed = error
        finally:
            self.draining.set()

    def _command(self, verb: str, *more: str) -> None:
        self.office.accepted("cutover", verb, NAME, "--wave", self.wave, *more)

    def _switch(self) -> None:
        """Takes it from its plan to the new server."""
        self.office.run("cutover", "plan", NAME, "--wave", self.wave)
        self._command("start", *self.options)
        if self.away[0]:
            self.away = (self.away[0], time.time())
        self.office.reaches(self.import_id, self.wave, "synced")
        self._command("announce")
        self._command("switch", "--yes")
        self.office.reaches(self.import_id, self.wave, "draining")
        self.office.tell(f"{self.wave}: at the new server")

    def _roll_back(self) -> None:
        """Lets some mail come to the new server, goes back, and waits until all of it stands at the old one."""
        came = self.post.came_to(self.people, "new")
        self.office.until(
            lambda: self.post.came_to(self.people, "new") >= came + self.arrivals, "mail at the new server"
        )
        at = time.time()
        self._command("rollback", "--yes")
        self.away = (at, float("inf"))
        self.office.until(lambda: not self.post.at_new() & set(self.people), "the way back", 0.2)
        stop = time.time() + self.post.late_seconds
        self.office.until(lambda: time.time() > stop and self._all_back(), "what came to the new server")
        self.returned_seconds = time.time() - at
        self.office.tell(f"{self.wave}: rolled back, {self.returned} messages brought back")

    def _all_back(self) -> bool:
        came = tuple(self.post.came)
        try:
            self.returned, wanted = brought_back(self.post.servers["old"], came, self.people)
        except FileNotFoundError:  # Dovecot has just renamed a file of the maildir
            return False
        return self.returned == wanted
