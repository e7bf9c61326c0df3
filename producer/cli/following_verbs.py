"""The declarations of list, where, status, watch, errors, report, spool and audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from producer.cli.verb import (
    ImportArgument,
    JsonOption,
    MailboxOption,
    QuietOption,
    StateOption,
    VerboseOption,
    WaveOption,
    speaking,
    verb,
)

if TYPE_CHECKING:
    from producer.cli.command_context import CommandContext

ArchivedOption = Annotated[bool, typer.Option("--archived", help="Also imports that are in the archive.")]


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("list")(verb(list_))
    app.command("where")(verb(where))
    app.command("status")(verb(status))
    app.command("watch")(verb(watch))
    app.command("errors")(verb(errors))
    app.command("forecast")(verb(forecast))
    app.command("report")(verb(report))
    app.command("spool")(verb(spool))
    app.command("audit")(verb(audit))


def _looking(state_dir: Path | None) -> CommandContext:
    """Opens a context for a look. An embedded Redis starts while the rest of the verb is loaded."""
    from producer.cli.command_context import open_context

    return open_context(state_dir, make=False)


def list_(archived: ArchivedOption = False, as_json: JsonOption = False, state_dir: StateOption = None) -> int:
    """All imports, newest first."""
    with _looking(state_dir) as context:
        from producer.cli import following

        return following.run_list(context, archived=archived, as_json=as_json)


def where(
    text: Annotated[str, typer.Argument(metavar="TEXT", help="A part of a login, of either side.")],
    archived: ArchivedOption = False,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Find mailboxes by login in all imports. Exit 3 when there is none."""
    from producer.cli import searching

    return searching.run_where(text, archived=archived, as_json=as_json, state_dir=state_dir)


def status(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    failed: Annotated[bool, typer.Option("--failed", help="Only mailboxes with trouble, all of them.")] = False,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Show where an import stands, by mailbox. With --mailbox: by folder."""
    with _looking(state_dir) as context:
        from producer.cli import following

        return following.run_status(context, which, mailbox, wave, failed=failed, as_json=as_json)


def watch(
    which: ImportArgument = "",
    wave: WaveOption = "",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Follow an import, or one wave of it, until it is finished. Ctrl-C stops watching, not the import."""
    from producer.cli import following

    with speaking(quiet=quiet, verbose=verbose):
        return following.run_watch(which, wave, as_json=as_json, state_dir=state_dir)


def errors(
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Show what went wrong, what the server said, what to do."""
    with _looking(state_dir) as context:
        from producer.cli import following

        return following.run_errors(context, which, mailbox, wave, as_json=as_json)


def forecast(
    which: ImportArgument = "",
    wave: WaveOption = "",
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Say when all is done under the limits that are set, what binds, and how earlier forecasts did. It is kept."""
    from producer.cli import foreseeing

    return foreseeing.run_forecast(which, wave, as_json=as_json, state_dir=state_dir)


def report(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the files; made when missing.")],
    which: ImportArgument = "",
    wave: WaveOption = "",
    language: Annotated[str, typer.Option("--language", metavar="LANGUAGE", help="Of the one page: en or ru.")] = "en",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="Of the one page, as in Europe/Berlin.")] = "UTC",
    state_dir: StateOption = None,
) -> int:
    """Write results.csv, failures.csv, notes.csv, folders.csv and summary.json, and one page for those who pay."""
    from producer.cli import following

    return following.run_report(which, out, wave, language=language, zone=zone, state_dir=state_dir)


def spool(
    out: Annotated[Path, typer.Option("--out", metavar="DIR", help="Folder for the messages; made when missing.")],
    which: ImportArgument = "",
    mailbox: MailboxOption = "",
    wave: WaveOption = "",
    state_dir: StateOption = None,
) -> int:
    """Save messages rejected by the destination as .eml files. Exit 3 when one could not be had."""
    from producer.cli import spooling

    return spooling.run_spool(which, out, mailbox, wave, state_dir=state_dir)


def audit(
    since: Annotated[str, typer.Option("--since", metavar="DATE", help="2026-02-01, or 2026-02-01T12:00+03:00.")] = "",
    kind: Annotated[str, typer.Option("--format", metavar="table|csv|jsonl", help="How to write it.")] = "table",
    state_dir: StateOption = None,
) -> int:
    """Show who did what, oldest first, by command, page or API."""
    from producer.cli import auditing

    return auditing.run_audit(since, kind, state_dir=state_dir)
