"""Runs the proof (`make prove-cutover MAILBOXES=500 WAVES=5`), prints its figures; the exit code is 1 if it does not hold.

It holds when no message is lost, twice or changed at the destination after every wave is closed, none is lost or changed at the
source, half of the copies stand within 2 minutes of the delivery and all within 10, and a coordinator and a worker were killed in
every state.
"""

from __future__ import annotations

import argparse
import csv
import os
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from bench.chaos.oracle import Snapshot, Verdict, read_maildir
from bench.cutover.judge import CopyTimes, at_destination, at_source, copy_times
from bench.cutover.post import NEW_HOST, Post
from bench.cutover.story import NAME, Office, StepFailed, WaveStory
from bench.cutover.strikes import Strikes
from shared.runtime.config import SETTINGS
from tests.integration.process_cluster import QUICK, ProcessCluster, folders_of
from tests.servers.dovecot import Dovecot
from tests.servers.mail_zone import MailZone

#: The longest times in which half of the copies, and all of them, must be at the destination, seconds.
MEDIAN_SECONDS: Final = 120.0
LONGEST_SECONDS: Final = 600.0
_DOMAIN: Final = "example.org"
_FOLDERS: Final = {"INBOX": 4, "Sent": 2, "Projects": 2}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The run that is played."""

    mailboxes: int = 500
    waves: int = 5
    #: Messages a second.
    rate: float = 1.0
    seed: int = 1
    workers: int = 2
    threads: int = 8
    #: Seconds until the work of a dead worker is taken over; the default of the settings.
    lease_seconds: int = 60
    #: The number of times that a coordinator and a worker are killed in each state.
    kills: int = 2
    #: The options of each cutover: minutes, hours.
    synced_minutes: float = 5.0
    quiet_hours: float = 0.04
    #: The time for which mail may still come to the side that a person has left, seconds.
    late_seconds: float = 60.0
    #: The number of messages that come to the new server before the rollback.
    arrivals: int = 40


@dataclass
class Proof:
    """The outcome of a run."""

    plan: Plan
    before: int = 0
    at_old: int = 0
    at_new: int = 0
    late: int = 0
    destination: Verdict = field(default_factory=lambda: Verdict(Counter(), Counter()))
    source: Verdict = field(default_factory=lambda: Verdict(Counter(), Counter()))
    times: CopyTimes = field(default_factory=lambda: CopyTimes(count=0, median=0, nearly_all=0, longest=0))
    killed: Counter[tuple[str, str]] = field(default_factory=Counter)
    killed_at_work: int = 0
    unstruck: list[str] = field(default_factory=list)
    returned: int = 0
    returned_seconds: float = 0.0
    seconds: float = 0.0
    loads: list[float] = field(default_factory=list)

    @property
    def faults(self) -> list[str]:
        """The reasons for which it does not hold."""
        found = []
        if not self.destination.clean:
            found.append(f"at the new server: {self.destination}")
        if not self.source.clean:
            found.append(f"at the old server: {self.source}")
        if not self.times.count or self.times.median > MEDIAN_SECONDS or self.times.longest > LONGEST_SECONDS:
            found.append(f"too slow: {self.times}")
        if self.plan.kills and self.unstruck:
            found.append(f"nobody was killed in: {', '.join(self.unstruck)}")
        return found

    def lines(self) -> list[str]:
        """Returns the figures as a table of Markdown."""
        plan, new, old, times = self.plan, self.destination, self.source, self.times
        loads = sorted(self.loads) or [0.0]
        rows = [
            ("mailboxes, waves, messages before", f"{plan.mailboxes}, {plan.waves}, {self.before:,}"),
            ("delivered meanwhile at the old, at the new server", f"{self.at_old:,}, {self.at_new:,}"),
            ("of these where the person no longer was", f"{self.late:,}"),
            ("new server after `closed`: lost, twice, changed", f"{new.lost_messages}, {new.doubled}, {new.changed}"),
            ("old server: lost, strange, changed", f"{old.lost_messages}, {old.doubled}, {old.changed}"),
            (
                f"delivery at the old server to its copy ({times.count:,}): median, 95 %, longest",
                f"{times.median:.0f} s, {times.nearly_all:.0f} s, {times.longest:.0f} s",
            ),
            (
                "killed: coordinators, workers (of these with work under way), states",
                f"{self._killed('coordinator')}, {self._killed('worker')} ({self.killed_at_work}), "
                f"{len({state for state, _ in self.killed})}",
            ),
            ("brought back by the rollback, within", f"{self.returned}, {self.returned_seconds:.0f} s"),
            ("minutes", f"{self.seconds / 60:.0f}"),
            ("load of the machine: median, highest", f"{loads[len(loads) // 2]:.1f}, {loads[-1]:.1f}"),
        ]
        return ["| measure | |", "|---|--:|", *(f"| {name} | {value} |" for name, value in rows)]

    def _killed(self, kind: str) -> int:
        return sum(count for (_, killed), count in self.killed.items() if killed == kind)


def prove(plan: Plan) -> Proof:
    """Plays it, and tells of each step. Raises `StepFailed` when a step never comes."""
    say = Teller()
    proof, began = Proof(plan=plan), time.monotonic()
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="prove-")))
        switch = home / "switched"
        switch.touch()
        zone = stack.enter_context(MailZone(_DOMAIN))
        source, destination = stack.enter_context(Dovecot()), stack.enter_context(Dovecot())
        usual = {name: str(SETTINGS[name[9:].lower()].default) for name in QUICK}
        cluster = stack.enter_context(
            ProcessCluster(
                source,
                destination,
                **usual
                | {
                    "MAILHAUL_LEASE_SECONDS": str(plan.lease_seconds),
                    "MAILHAUL_RENEW_SECONDS": str(plan.lease_seconds // 4),
                    "MAILHAUL_WORKER_THREADS": str(plan.threads),
                    "MAILHAUL_SWITCHES": f"office=dovecot:{switch}?new={NEW_HOST}&old=127.0.0.1",
                    "MAILHAUL_DNS_RESOLVER": zone.resolver,
                },
            )
        )
        office = Office(cluster, home, say)
        before = _filled(cluster, plan)
        proof.before = sum(one.total() for one in before.values())
        for _ in range(plan.workers):
            cluster.start_worker()
        cluster.start_coordinator()
        waves = _waves([person.login for person in cluster.people], plan.waves)
        _imported(office, home, waves)
        (request,) = cluster.store.imports()
        say(f"{plan.mailboxes} mailboxes of {plan.waves} waves are copied")
        chance = random.Random(plan.seed)
        people = {person.login: person.password for person in cluster.people}
        post = Post(switch, {"old": source, "new": destination}, people, plan.rate, plan.late_seconds, chance)
        strikes = Strikes(cluster, request.import_id, plan.kills)
        options = ("--synced-minutes", str(plan.synced_minutes), "--quiet-hours", str(plan.quiet_hours))
        stories = [
            WaveStory(office, post, request.import_id, name, logins, options, back=number == 1, arrivals=plan.arrivals)
            for number, (name, logins) in enumerate(waves.items())
        ]
        with Loads(proof.loads), strikes, post:
            _play(stories)
        _gathered(proof, post, before, stories)
        proof.killed, proof.killed_at_work, proof.unstruck = strikes.killed, strikes.at_work, strikes.missing
    proof.seconds = time.monotonic() - began
    return proof


def _filled(cluster: ProcessCluster, plan: Plan) -> dict[str, Snapshot]:
    """Adds the accounts and their mail. Returns what the old server holds of each."""
    for number in range(plan.mailboxes):
        cluster.person(folders_of(plan.seed * 100_000 + number, _FOLDERS, size=800))
    return {one.login: read_maildir(cluster.source.mail_folder(one.login)) for one in cluster.people}


def _waves(logins: Sequence[str], number: int) -> dict[str, list[str]]:
    return {f"wave{at + 1}": list(logins[at::number]) for at in range(number)}


def _imported(office: Office, home: Path, waves: Mapping[str, Sequence[str]]) -> None:
    """Copies everybody, and has everybody kept in sync from then on."""
    cluster = office.cluster
    with (home / "people.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["login", "password", "wave"])
        passwords = {person.login: person.password for person in cluster.people}
        rows.writerows((login, passwords[login], wave) for wave, logins in waves.items() for login in logins)
    ends = [f"imap://{cluster.host}:{port}" for port in (cluster.source_port, cluster.destination_port)]
    office.until(lambda: office.tried("limits")[0] == 0, "Redis")
    code, _, err = office.tried(
        "import", "people.csv", "--source", ends[0], "--destination", ends[1], "--name", NAME, "-q"
    )
    if code:
        raise StepFailed(f"the import ended with {code}: {err[-2000:]}")
    office.run("standing", NAME, "--on", "--least", "1m", "--most", "2m")


def _play(stories: Sequence[WaveStory]) -> None:
    """Begins each wave once the one before is at the new server, and waits for all. Raises the error of one that fails."""
    for story in stories:
        story.begin()
        story.draining.wait()
        if story.failed:
            raise story.failed
    for story in stories:
        assert story.thread is not None
        story.thread.join()
        if story.failed:
            raise story.failed


def _gathered(proof: Proof, post: Post, before: Mapping[str, Snapshot], stories: Sequence[WaveStory]) -> None:
    came = post.came
    proof.at_old = sum(one.side == "old" for one in came)
    proof.at_new = len(came) - proof.at_old
    proof.late = sum(one.late for one in came)
    returned = [story for story in stories if story.back]
    rolled_back = [login for story in returned for login in story.people]
    # Mail that comes to the old server during a rollback belongs there; it is copied when the wave begins anew.
    away = [(login, *story.away) for story in returned for login in story.people]
    proof.destination = at_destination(post.servers["new"], before, came)
    proof.source = at_source(post.servers["old"], before, came, rolled_back)
    proof.times = copy_times(post.servers["new"], came, away)
    proof.returned = sum(story.returned for story in returned)
    proof.returned_seconds = max((story.returned_seconds for story in returned), default=0.0)


class Teller:
    """Prints lines with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    def __call__(self, line: str) -> None:
        print(f"{time.monotonic() - self._began:6.0f} s  {line}", flush=True)


class Loads:
    """Notes the load of the machine every 10 seconds; a context manager."""

    def __init__(self, into: list[float]) -> None:
        self._into, self._stop = into, threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(20)

    def _run(self) -> None:
        while not self._stop.wait(10):
            self._into.append(os.getloadavg()[0])


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    usual = Plan()
    for name, value in vars(usual).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(value), default=value)
    proof = prove(Plan(**vars(parser.parse_args())))
    print("\n" + "\n".join(proof.lines()))
    for fault in proof.faults:
        print(f"DOES NOT HOLD: {fault}")
    return 1 if proof.faults else 0


if __name__ == "__main__":
    sys.exit(main())
