"""The declarations of the verbs of cutover: plan, start, status, announce, switch, rollback and close."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.grouped_help import App
from producer.cli.verb import ImportArgument, JsonOption, StateOption, YesOption, verb

CutoverWaveOption = Annotated[
    str, typer.Option("--wave", metavar="NAME", help="The wave; without it the import as a whole.")
]
SwitchOption = Annotated[
    str,
    typer.Option("--switch", metavar="NAME", help="The switch of MAILHAUL_SWITCHES; not needed where there is one."),
]
SyncedOption = Annotated[
    float, typer.Option("--synced-minutes", metavar="N", help="A mailbox that is further behind is not in sync.")
]
TtlOption = Annotated[int, typer.Option("--ttl", metavar="SECONDS", help="The longest TTL of MX and SPF.")]
QuietOption = Annotated[
    float,
    typer.Option("--quiet-hours", metavar="N", help="So long without new mail at the source before it is closed."),
]
DomainOption = Annotated[
    list[str] | None, typer.Option("--domain", metavar="NAME", help="A mail domain; without it those of the logins.")
]
ForceOption = Annotated[
    list[str] | None,
    typer.Option("--force", metavar="GUARD", help="Go on although this guard is not met: synced, ttl or quiet."),
]
ReasonOption = Annotated[
    str, typer.Option("--reason", metavar="TEXT", help="Why it is forced; stands in the audit log.")
]


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    part = App(
        help="Move the people of a wave to the new server, or back: plan, start, announce, switch, close.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for function in (plan, start, status, announce, switch, rollback, close):
        part.command(function.__name__)(verb(function))
    app.add_typer(part, name="cutover")


def plan(
    which: ImportArgument = "",
    wave: CutoverWaveOption = "",
    switch: SwitchOption = "",
    synced_minutes: SyncedOption = 30,
    ttl: TtlOption = 300,
    quiet_hours: QuietOption = 24,
    domain: DomainOption = None,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Ask the switch and the DNS as a cutover would. Changes nothing."""
    from producer.cli import cutting_over

    options = cutting_over.options(switch, synced_minutes, ttl, quiet_hours, domain or ())
    return cutting_over.run_plan(which, wave, options, as_json=as_json, state_dir=state_dir)


def start(
    which: ImportArgument = "",
    wave: CutoverWaveOption = "",
    switch: SwitchOption = "",
    synced_minutes: SyncedOption = 30,
    ttl: TtlOption = 300,
    quiet_hours: QuietOption = 24,
    domain: DomainOption = None,
    state_dir: StateOption = None,
) -> int:
    """Begin a cutover: rehearse, and keep the mailboxes in sync."""
    from producer.cli import cutting_over

    options = cutting_over.options(switch, synced_minutes, ttl, quiet_hours, domain or ())
    return cutting_over.run_start(which, wave, options, state_dir=state_dir)


def status(
    which: ImportArgument = "",
    wave: Annotated[str, typer.Option("--wave", metavar="NAME", help="Only the cutover of this wave.")] = "",
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Show where each cutover is, what comes next, and each guard with its value."""
    from producer.cli import cutting_over

    return cutting_over.run_status(which, wave, as_json=as_json, state_dir=state_dir)


def announce(
    which: ImportArgument = "",
    wave: CutoverWaveOption = "",
    force: ForceOption = None,
    reason: ReasonOption = "",
    state_dir: StateOption = None,
) -> int:
    """Say that the people of the wave know of the switch."""
    from producer.cli import cutting_over

    return cutting_over.run_event("announce", which, wave, force or (), reason, sure=True, state_dir=state_dir)


def switch(
    which: ImportArgument = "",
    wave: CutoverWaveOption = "",
    force: ForceOption = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    state_dir: StateOption = None,
) -> int:
    """Turn every mailbox to the new server; again: what the switch refused before."""
    from producer.cli import cutting_over

    return cutting_over.run_event("switch", which, wave, force or (), reason, sure=yes, state_dir=state_dir)


def rollback(
    which: ImportArgument = "", wave: CutoverWaveOption = "", yes: YesOption = False, state_dir: StateOption = None
) -> int:
    """Turn every mailbox back to the old server, and bring back the mail that came to the new one."""
    from producer.cli import cutting_over

    return cutting_over.run_event("rollback", which, wave, (), "", sure=yes, state_dir=state_dir)


def close(
    which: ImportArgument = "",
    wave: CutoverWaveOption = "",
    force: ForceOption = None,
    reason: ReasonOption = "",
    yes: YesOption = False,
    state_dir: StateOption = None,
) -> int:
    """End a cutover: nothing is copied any more. Before the switch: give it up."""
    from producer.cli import cutting_over

    return cutting_over.run_event("close", which, wave, force or (), reason, sure=yes, state_dir=state_dir)
