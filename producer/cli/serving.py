"""The verbs up, down, worker and coordinator."""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Final

from producer.cli.command_context import CommandContext, open_context
from producer.cli.dead_workers import DeadWorkerReaper
from producer.cli.local_processes import LocalProcesses, environment, python_module
from producer.cli.owner import mark_owner, owner_of
from producer.cli.signals import interruptible
from producer.cli.users import make_link, page_url
from producer.cli.verb import COMPLETE, FAULT, say
from shared.model.errors import MailhaulError
from shared.probe import probe
from shared.runtime.config import here, is_local, load_settings
from shared.runtime.interrupts import hold_back, let_in
from shared.runtime.processes import children_of
from shared.wording.phrases import Phrase

NO_REDIS: Final = Phrase(
    "redis_missing",
    "set MAILHAUL_REDIS_URL, e.g. redis://host:6379; without a Redis of your own, `mailhaul up` runs everything",
)
RUNS_ALREADY: Final = Phrase("runs_already", "it runs already{who}: stop that one with mailhaul down")

#: Seconds that `down` waits. Workers, coordinator and Redis each have a grace period.
_DOWN_SECONDS = 60.0
#: Seconds after which `down` says anew what it waits for.
_TELL_SECONDS = 5.0
#: Seconds that `up` waits for another verb (`status`, `list`) that runs the embedded Redis for its own short use.
_MOMENT_SECONDS = 15.0


def run_up(*, workers: int | None, threads: int | None, state_dir: Path | None) -> int:
    """Runs everything until SIGTERM or Ctrl-C."""
    with interruptible() as interrupted, open_context(state_dir, workers=workers, worker_threads=threads) as context:
        settings = context.settings
        with mark_owner(settings.state_dir, "up") as alone:
            if not (alone and _owns(context, interrupted)):
                running = owner_of(settings.state_dir) if not alone else None
                who = f" (mailhaul {running[1]}, process {running[0]})" if running else ""
                raise RUNS_ALREADY.error(who=who)
            reaper = DeadWorkerReaper(context)
            reaper.look()
            variables = context.child_settings() | {"MAILHAUL_WORKER_THREADS": str(settings.worker_threads)}
            logs, web = settings.state_dir / "logs", settings.web_port > 0
            with LocalProcesses(variables, logs, workers=settings.workers, coordinator_port=None, web=web) as processes:
                where = "the embedded Redis" if context.embedded else "MAILHAUL_REDIS_URL"
                many = f"{settings.workers} worker{'s' if settings.workers != 1 else ''}"
                say(f"up: {many} and a coordinator on {where}; logs in {logs}")
                if settings.coordinator_port:
                    say(f"metrics at http://{settings.listen_host}:{settings.coordinator_port}/metrics")
                shown = not web
                while not interrupted.wait(0.5 if shown else 0.1):
                    if not shown and probe(settings.web_port, "/healthz", here(settings.web_host))[0]:
                        _point_to_the_page(context)
                        shown = True
                    reaper.look()
                    processes.check()
                say("stopping …")
    return COMPLETE


def _point_to_the_page(context: CommandContext) -> None:
    """Says where the page is.

    Adds a link that signs in only if the page is for this machine alone and standard error is a terminal: the link
    must never get into a log.
    """
    if is_local(context.settings.web_host) and sys.stderr.isatty():
        say(f"page at {make_link(context)}\n(signs you in, once, within the hour; another link: mailhaul link)")
    else:
        say(
            f"page at {page_url(context.settings)}, API at /api/v1; to sign in: mailhaul link, or mailhaul user set NAME"
        )


def _owns(context: CommandContext, interrupted: threading.Event) -> bool:
    """Tells whether this process runs the Redis. Waits for another verb that started it for a short use."""
    deadline = time.monotonic() + _MOMENT_SECONDS
    while context.embedded and not context.owner:
        if interrupted.wait(0.1) or time.monotonic() > deadline:
            return False
        context.embedded.stop()
        context.embedded.start()
    return True


def run_down(*, state_dir: Path | None) -> int:
    """Stops the owner of the state folder with SIGTERM, and waits for its end. It says what it waits for, at once and again."""
    folder = load_settings(state_dir=state_dir).state_dir
    running = owner_of(folder)
    if running is None:
        say("nothing runs here")
        return COMPLETE
    process, who = running[0], f"mailhaul {running[1]} (process {running[0]})"
    os.kill(process, signal.SIGTERM)
    say(f"stopping {who}: what is on its way is finished first, which takes {_DOWN_SECONDS:.0f} s at most")
    began = time.monotonic()
    tell_at = began + _TELL_SECONDS
    while owner_of(folder) == running:
        now = time.monotonic()
        waiting = f"{who} waits for {', '.join(children_of(process)) or 'itself'}"
        if now > began + _DOWN_SECONDS:
            say(f"{waiting}, and does not stop; to end it all the same: kill -9 {process}")
            return FAULT
        if now >= tell_at:
            say(f"{waiting} ({now - began:.0f} s)")
            tell_at = now + _TELL_SECONDS
        time.sleep(0.05)
    say(f"{who} has stopped")
    return COMPLETE


def become(module: str, *, threads: int | None, state_dir: Path | None) -> int:
    """Replaces this process by the worker or the coordinator, so that a signal reaches it directly."""
    settings = load_settings(state_dir=state_dir, worker_threads=threads)
    if settings.redis_url is None:
        raise NO_REDIS.error()
    variables = {"MAILHAUL_STATE_DIR": str(settings.state_dir), "MAILHAUL_WORKER_THREADS": str(settings.worker_threads)}
    argv = python_module(module)
    hold_back()
    try:
        os.execvpe(argv[0], argv, environment(variables))  # noqa: S606 - our own interpreter
    except OSError as error:
        let_in()
        raise MailhaulError(f"{module} cannot be started: {error.strerror}") from None
