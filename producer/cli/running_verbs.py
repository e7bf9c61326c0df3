"""The declarations of demo, up, down, worker, coordinator and doctor."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.verb import JsonOption, StateOption, ThreadsOption, verb


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    for function in (demo, up, down, worker, coordinator, doctor):
        app.command(function.__name__)(verb(function))


def demo(
    as_json: JsonOption = False,
    cutover: Annotated[
        bool,
        typer.Option("--cutover", help="Two waves with mail that goes on coming, one rolled back; about a minute."),
    ] = False,
) -> int:
    """Import three sample mailboxes between two sample servers. Under half a minute; leaves nothing behind."""
    if cutover:
        from producer.demo.two_waves import run_cutover_demo

        return run_cutover_demo()
    from producer.demo.one_import import run_demo

    return run_demo(as_json=as_json)


def up(
    workers: Annotated[int | None, typer.Option("--workers", min=1, max=10_000, help="Worker processes.")] = None,
    threads: ThreadsOption = None,
    state_dir: StateOption = None,
) -> int:
    """Run everything on this machine until stopped. Redis (unless MAILHAUL_REDIS_URL is set), coordinator, workers."""
    from producer.cli import serving

    return serving.run_up(workers=workers, threads=threads, state_dir=state_dir)


def down(state_dir: StateOption = None) -> int:
    """Stop what `mailhaul up` started."""
    from producer.cli import serving

    return serving.run_down(state_dir=state_dir)


def worker(threads: ThreadsOption = None, state_dir: StateOption = None) -> int:
    """Run one worker process against MAILHAUL_REDIS_URL."""
    from producer.cli import serving

    return serving.become("worker", threads=threads, state_dir=state_dir)


def coordinator(state_dir: StateOption = None) -> int:
    """Run one coordinator process against MAILHAUL_REDIS_URL."""
    from producer.cli import serving

    return serving.become("producer.coordinator", threads=None, state_dir=state_dir)


def doctor(as_json: JsonOption = False, state_dir: StateOption = None) -> int:
    """Check that everything mailhaul needs is installed and working."""
    from producer.cli import doctor as looking

    return looking.run_doctor(as_json=as_json, state_dir=state_dir)
