"""The declarations of check, plan, import and template."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated, Final

import typer

from producer.cli.option_groups import (
    AccountsOptions,
    RequestOptions,
    ServerOptions,
    SheetOptions,
    SignInOptions,
    all_optional,
    grouped,
)
from producer.cli.verb import (
    ExcludeOption,
    ImportArgument,
    IncludeOption,
    JsonOption,
    ManifestArgument,
    QuietOption,
    SeparatorOption,
    StateOption,
    ThreadsOption,
    VerboseOption,
    WaveOption,
    WaveRuleOption,
    speaking,
    verb,
)
from producer.cli.wanting import SharedFoldersOption
from producer.intake.allowed import Allowed
from producer.intake.selection_options import SelectionOptions
from shared.wording.phrases import Phrase

SEPARATOR: Final = Phrase("separator", "comma, semicolon or tab")


def declare(app: typer.Typer) -> None:
    """Adds the verbs, in the order in which they are used."""
    app.command("check")(verb(check))
    app.command("plan")(verb(plan))
    app.command("import")(verb(import_))
    app.command("edit")(verb(edit))
    app.command("template")(verb(template))


@grouped
def check(
    *,
    manifest: ManifestArgument,
    servers: ServerOptions,
    wave: WaveOption = "",
    wave_rule: WaveRuleOption = None,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    sheet: SheetOptions,
    accounts: AccountsOptions,
    sign_ins: SignInOptions,
    shared_folders: SharedFoldersOption = "leave",
    allowed: Allowed,
    state_dir: StateOption = None,
) -> int:
    """Sign in at both ends of every row; folders, sizes, quota. Writes nothing. Exit 3 when a row does not work."""
    from producer.cli.rehearsing import run_check
    from producer.cli.request import read_request

    selection = SelectionOptions(shared_folders=shared_folders)
    specification = read_request(
        manifest,
        servers,
        sheet=sheet,
        sign_ins=sign_ins,
        accounts=accounts,
        selection=selection,
        allowed=allowed,
        only_wave=wave,
        wave_rule=tuple(wave_rule or ()),
    )
    with speaking(verbose=verbose):
        return run_check(specification, as_json=as_json, state_dir=state_dir)


@grouped
def plan(
    *,
    manifest: ManifestArgument,
    servers: ServerOptions,
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    wave: WaveOption = "",
    wave_rule: WaveRuleOption = None,
    as_json: JsonOption = False,
    sheet: SheetOptions,
    accounts: AccountsOptions,
    sign_ins: SignInOptions,
    selection: SelectionOptions,
    allowed: Allowed,
    state_dir: StateOption = None,
) -> int:
    """Dry run: what import would do, folder by folder. And about how long. Writes nothing."""
    from producer.cli.rehearsing import run_plan
    from producer.cli.request import read_request

    specification = read_request(
        manifest,
        servers,
        sheet=sheet,
        sign_ins=sign_ins,
        accounts=accounts,
        selection=selection,
        allowed=allowed,
        include=tuple(include or ()),
        exclude=tuple(exclude or ()),
        only_wave=wave,
        wave_rule=tuple(wave_rule or ()),
    )
    return run_plan(specification, as_json=as_json, state_dir=state_dir)


@grouped
def import_(
    *,
    manifest: ManifestArgument,
    servers: ServerOptions,
    options: RequestOptions,
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            min=0,
            max=10_000,
            help="Worker processes to start here (MAILHAUL_WORKERS; with MAILHAUL_REDIS_URL none unless given).",
        ),
    ] = None,
    threads: ThreadsOption = None,
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    spool_refused: Annotated[
        Path | None,
        typer.Option(
            "--spool-refused", metavar="DIR", help="Keep what the destination does not take here, as .eml files."
        ),
    ] = None,
    sheet: SheetOptions,
    accounts: AccountsOptions,
    sign_ins: SignInOptions,
    selection: SelectionOptions,
    allowed: Allowed,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be done, as plan does; write nothing.")
    ] = False,
    state_dir: StateOption = None,
) -> int:
    """Copy every mailbox, and verify it. Run it again to go on, or for what is new."""
    from producer.cli.request import read_request
    from producer.early_workers import take_workers

    with speaking(quiet=quiet, verbose=verbose), contextlib.ExitStack() as stack:
        early = take_workers()
        for child in early:
            stack.callback(child.dismiss)
        specification = read_request(
            manifest,
            servers,
            sheet=sheet,
            sign_ins=sign_ins,
            accounts=accounts,
            selection=selection,
            allowed=allowed,
            **options.asked,
        )
        if dry_run:
            from producer.cli.rehearsing import run_plan

            return run_plan(specification, as_json=as_json, state_dir=state_dir)
        from producer.cli.command_context import open_context
        from producer.cli.signals import interruptible

        with interruptible() as interrupted, open_context(state_dir, worker_threads=threads) as context:
            # Loaded while the embedded Redis starts.
            from producer.cli.importing import run_import

            return run_import(
                specification, context, interrupted, workers=workers, as_json=as_json, spool=spool_refused, early=early
            )


@all_optional
@grouped
def edit(
    *,
    context: typer.Context,
    which: ImportArgument = "",
    rows: Annotated[
        Path | None,
        typer.Option("--rows", metavar="FILE", help="Rows that are added, or replace those with the same login."),
    ] = None,
    remove: Annotated[
        list[str] | None, typer.Option("--remove", metavar="LOGIN", help="Take this row out; may be repeated.")
    ] = None,
    servers: ServerOptions,
    options: RequestOptions,
    sheet: SheetOptions,
    accounts: AccountsOptions,
    sign_ins: SignInOptions,
    selection: SelectionOptions,
    allowed: Allowed,
    state_dir: StateOption = None,
) -> int:
    """Change an import that was saved and not started; what is left out stays. The page and the API save imports."""
    from producer.cli.request import taken_down
    from producer.cli.unstarted import given_by, run_edit

    faults, asked = taken_down(
        servers,
        sign_ins=sign_ins,
        accounts=accounts,
        selection=selection,
        allowed=allowed,
        **options.asked,
    )
    return run_edit(
        which, asked, faults, given_by(context), rows=rows, sheet=sheet, remove=tuple(remove or ()), state_dir=state_dir
    )


def template(separator: SeparatorOption = ",") -> None:
    """Print a manifest to fill in."""
    from producer.intake.manifest import template as filled

    try:
        typer.echo(filled(separator or ","), nl=False)
    except StopIteration:
        raise SEPARATOR.error("separator") from None
