"""The declarations of the commands that steer an import, and of those that end one."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from producer.cli.option_groups import SheetOptions, grouped
from producer.cli.verb import (
    DetachOption,
    ImportArgument,
    JsonOption,
    MailboxOption,
    QuietOption,
    StateOption,
    VerboseOption,
    WaveOption,
    YesOption,
    speaking,
    verb,
)


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    for function in (
        pause,
        resume,
        cancel,
        retry,
        verify,
        credentials,
        forget,
        archive,
        close,
        erase,
        limits,
        window,
        waves,
        move,
        standing,
    ):
        app.command(function.__name__)(verb(function))


def pause(
    which: ImportArgument = "", mailbox: MailboxOption = "", wave: WaveOption = "", state_dir: StateOption = None
) -> int:
    """Stop within two seconds, until resumed."""
    from producer.cli import steering

    return steering.run_control("pause", which, mailbox, wave, state_dir=state_dir)


def resume(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    detach: DetachOption = False,
    state_dir: StateOption = None,
) -> int:
    """Go on after a pause, a cancel or an interruption."""
    from producer.cli import steering

    return steering.run_control("run", which, mailbox, wave, detach=detach, state_dir=state_dir)


def cancel(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    yes: YesOption = False,
    state_dir: StateOption = None,
) -> int:
    """Give up what is not finished. What was copied stays."""
    from producer.cli import steering

    return steering.run_control("cancel", which, mailbox, wave, sure=yes, state_dir=state_dir)


def retry(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    copy_missing: Annotated[
        bool, typer.Option("--copy-missing", help="Also what was copied and is missing at the destination.")
    ] = False,
    detach: DetachOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    state_dir: StateOption = None,
) -> int:
    """Try again what is parked, refused, failed or cancelled."""
    from producer.cli import steering

    with speaking(quiet=quiet, verbose=verbose):
        return steering.run_retry(which, mailbox, wave, copy_missing=copy_missing, detach=detach, state_dir=state_dir)


def verify(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    full: Annotated[bool, typer.Option("--full", help="Read every message on both sides and compare SHA-256.")] = False,
    accept_missing: Annotated[
        bool,
        typer.Option("--accept-missing", help="What was told as missing was removed on purpose: miss it no more."),
    ] = False,
    detach: DetachOption = False,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    state_dir: StateOption = None,
) -> int:
    """Run a verification pass: copy what is new and compare both sides."""
    from producer.cli import steering

    with speaking(quiet=quiet, verbose=verbose):
        return steering.run_verify(
            which, mailbox, wave, full=full, accept_missing=accept_missing, detach=detach, state_dir=state_dir
        )


@grouped
def credentials(
    which: Annotated[str, typer.Argument(metavar="IMPORT", help="Name of the import or beginning of its id.")],
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE.csv", help="Rows of the manifest with the right passwords.")
    ] = None,
    source_password_file: Annotated[
        str, typer.Option(metavar="FILE", help="A new administrator's password, token or key of the source.")
    ] = "",
    destination_password_file: Annotated[str, typer.Option(metavar="FILE", help="The same for the destination.")] = "",
    *,
    sheet: SheetOptions,
    detach: DetachOption = False,
    state_dir: StateOption = None,
) -> int:
    """Give new passwords: rows of a file, or what signs in for all. Parked mailboxes go on."""
    from producer.cli import steering
    from shared.model.sides import Side

    files = {Side.SOURCE: source_password_file, Side.DESTINATION: destination_password_file}
    given = {side: path for side, path in files.items() if path}
    return steering.run_credentials(which, file, given, sheet=sheet, detach=detach, state_dir=state_dir)


def forget(which: ImportArgument = "", yes: YesOption = False, state_dir: StateOption = None) -> int:
    """Delete the stored passwords of an import now."""
    from producer.cli import steering

    return steering.run_forget(which, sure=yes, state_dir=state_dir)


def archive(
    which: Annotated[str, typer.Argument(metavar="IMPORT", help="Name of the import or beginning of its id.")],
    back: Annotated[bool, typer.Option("--back", help="Take it back into the list.")] = False,
    state_dir: StateOption = None,
) -> int:
    """Leave an import that does not run out of lists and searches, or take it back. All of it stays."""
    from producer.cli import steering

    return steering.run_archive(which, away=not back, state_dir=state_dir)


def close(
    which: Annotated[str, typer.Argument(metavar="IMPORT", help="Name of the import or beginning of its id.")],
    yes: YesOption = False,
    state_dir: StateOption = None,
) -> int:
    """Forget a finished import: its ledger, report and passwords. Mail stays."""
    from producer.cli import steering

    return steering.run_close(which, sure=yes, state_dir=state_dir)


def erase(
    which: ImportArgument = "",
    login: Annotated[
        str, typer.Option("--login", metavar="LOGIN", help="This person, on either side, in every import.")
    ] = "",
    yes: YesOption = False,
    state_dir: StateOption = None,
) -> int:
    """Forget an import or a person, and prove that no key names them. Mail stays."""
    from producer.cli import erasing

    return erasing.run_erase(which, login, sure=yes, state_dir=state_dir)


def limits(
    scope: Annotated[
        str,
        typer.Argument(
            metavar="SCOPE",
            help="source_account, source_host, … or e.g. source_host:mail.example.org, source_account.bytes_per_day.",
        ),
    ] = "",
    most: Annotated[
        str, typer.Argument(metavar="MOST", help="Most connections, or a rate as in 2GB; or: default.")
    ] = "",
    state_dir: StateOption = None,
) -> int:
    """Show the limits of connections and the rates, or set one while imports run."""
    from producer.cli import steering

    return steering.run_limits(scope, most, state_dir=state_dir)


def window(
    which: ImportArgument = "",
    hours: Annotated[
        str,
        typer.Argument(
            metavar="HOURS", help='"20:00-06:00 Europe/Berlin", "Mon-Fri 20:00-06:00; Sat-Sun UTC", or: none.'
        ),
    ] = "",
    wave: Annotated[
        str, typer.Option("--wave", metavar="NAME", help="The hours of this wave, within those of all.")
    ] = "",
    state_dir: StateOption = None,
) -> int:
    """Show the hours in which an import may work, or set others while it runs."""
    from producer.cli import steering

    return steering.run_window(which, hours, wave, state_dir=state_dir)


def waves(
    which: ImportArgument = "",
    wave: Annotated[str, typer.Option("--wave", metavar="NAME", help="Only this wave, or the one to set.")] = "",
    start_at: Annotated[
        str,
        typer.Option(
            "--start-at", metavar="MOMENT", help="Claim nothing of it before: 2026-02-01T20:00+01:00, or: now."
        ),
    ] = "",
    weight: Annotated[
        int | None, typer.Option("--weight", metavar="N", help="Its share of the lanes beside other waves and imports.")
    ] = None,
    order: Annotated[
        int | None, typer.Option("--order", metavar="N", help="Waves of a lower order go first; usually all have 0.")
    ] = None,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Show the waves of an import, or set when one starts, its weight and its order."""
    from producer.cli import steering

    return steering.run_waves(
        which, wave, start_at=start_at, weight=weight, order=order, as_json=as_json, state_dir=state_dir
    )


def move(
    which: ImportArgument = "",
    mailbox: Annotated[str, typer.Option("--mailbox", metavar="LOGIN", help="The mailbox to move.")] = "",
    wave: Annotated[
        str | None, typer.Option("--wave", metavar="NAME", help="The wave it goes into; - for none.")
    ] = None,
    front: Annotated[bool, typer.Option("--front", help="Before all others, at once.")] = False,
    priority: Annotated[
        int | None, typer.Option("--priority", metavar="N", help="Within its wave the higher goes first.")
    ] = None,
    state_dir: StateOption = None,
) -> int:
    """Move a mailbox into another wave or to the front; it is at work within five seconds."""
    from producer.cli import steering

    return steering.run_move(which, mailbox, wave=wave, priority=priority, front=front, state_dir=state_dir)


def standing(
    which: ImportArgument = "",
    wave: Annotated[str, typer.Option("--wave", metavar="NAME", help="Only the mailboxes of this wave.")] = "",
    on: Annotated[bool, typer.Option("--on", help="Look at its mailboxes again by itself, from now on.")] = False,
    least: Annotated[
        str, typer.Option("--least", metavar="TIME", help="The shortest time between two looks: 30s, 2m (usual).")
    ] = "",
    most: Annotated[str, typer.Option("--most", metavar="TIME", help="The longest: 6h (usual), 1d.")] = "",
    switch_at: Annotated[
        str,
        typer.Option(
            "--switch-at",
            metavar="MOMENT",
            help="Look most often around then: 2026-02-01T20:00+01:00; none: forget it.",
        ),
    ] = "",
    off: Annotated[bool, typer.Option("--off", help="Look no more, and keep the passwords no longer.")] = False,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Look at complete mailboxes again by itself, and copy what is new; or show what stands."""
    from producer.cli import standing_at_work

    asked = standing_at_work.Asked(on=on, least=least, most=most, switch_at=switch_at, off=off)
    return standing_at_work.run_standing(which, wave, asked, as_json=as_json, state_dir=state_dir)
