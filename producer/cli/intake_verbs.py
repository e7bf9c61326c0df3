"""The declarations of check, plan, import and template."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Annotated

import typer

from producer.cli.verb import (
    AccountsOption,
    AccountsSecretOption,
    DestinationAdminOption,
    DestinationAuthOption,
    DestinationCaOption,
    DestinationOption,
    DestinationPasswordOption,
    DestinationPinOption,
    EncodingOption,
    ExcludeOption,
    GeneratePasswordsOption,
    IgnoreColumnOption,
    IncludeOption,
    JsonOption,
    ManifestArgument,
    NoHeaderOption,
    PlaintextOption,
    QuietOption,
    SeparatorOption,
    SourceAdminOption,
    SourceAuthOption,
    SourceCaOption,
    SourceOption,
    SourcePasswordOption,
    SourcePinOption,
    StateOption,
    ThreadsOption,
    VerboseOption,
    WaveOption,
    speaking,
    verb,
)
from producer.cli.wanting import SharedFoldersOption, allowing, wanting
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import Reading
from producer.intake.wanted import SelectionOptions


def declare(app: typer.Typer) -> None:
    """Adds the verbs, in the order in which they are used."""
    app.command("check")(verb(allowing(check)))
    app.command("plan")(verb(allowing(wanting(plan))))
    app.command("import")(verb(allowing(wanting(import_))))
    app.command("template")(verb(template))


def check(
    manifest: ManifestArgument,
    destination: DestinationOption,
    source: SourceOption = "",
    wave: WaveOption = "",
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    allow_plaintext: PlaintextOption = False,
    encoding: EncodingOption = "",
    separator: SeparatorOption = "",
    ignore_column: IgnoreColumnOption = None,
    no_header: NoHeaderOption = False,
    source_ca: SourceCaOption = "",
    destination_ca: DestinationCaOption = "",
    source_fingerprint: SourcePinOption = "",
    destination_fingerprint: DestinationPinOption = "",
    accounts: AccountsOption = None,
    accounts_secret_file: AccountsSecretOption = None,
    generate_passwords: GeneratePasswordsOption = False,
    source_auth: SourceAuthOption = "",
    source_admin: SourceAdminOption = "",
    source_password_file: SourcePasswordOption = "",
    destination_auth: DestinationAuthOption = "",
    destination_admin: DestinationAdminOption = "",
    destination_password_file: DestinationPasswordOption = "",
    shared_folders: SharedFoldersOption = "leave",
    allowed: Allowed = NOTHING_ALLOWED,
    state_dir: StateOption = None,
) -> int:
    """Sign in at both ends of every row; folders, sizes, quota. Writes nothing. Exit 3 when a row does not work."""
    from producer.cli.rehearsing import run_check
    from producer.cli.request import read_request

    request = read_request(
        manifest,
        source,
        destination,
        allow_plaintext=allow_plaintext,
        encoding=encoding,
        separator=separator,
        only_wave=wave,
        reading=Reading(ignored=tuple(ignore_column or ()), no_header=no_header),
        source_ca=source_ca,
        destination_ca=destination_ca,
        source_fingerprint=source_fingerprint,
        destination_fingerprint=destination_fingerprint,
        accounts=accounts,
        accounts_secret_file=accounts_secret_file,
        generate_passwords=generate_passwords,
        source_auth=source_auth,
        source_admin=source_admin,
        source_password_file=source_password_file,
        destination_auth=destination_auth,
        destination_admin=destination_admin,
        destination_password_file=destination_password_file,
        wanted=SelectionOptions(shared_folders=shared_folders),
        allowed=allowed,
    )
    with speaking(verbose=verbose):
        return run_check(request, as_json=as_json, state_dir=state_dir)


def plan(
    manifest: ManifestArgument,
    destination: DestinationOption,
    source: SourceOption = "",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    wave: WaveOption = "",
    as_json: JsonOption = False,
    allow_plaintext: PlaintextOption = False,
    encoding: EncodingOption = "",
    separator: SeparatorOption = "",
    ignore_column: IgnoreColumnOption = None,
    no_header: NoHeaderOption = False,
    source_ca: SourceCaOption = "",
    destination_ca: DestinationCaOption = "",
    source_fingerprint: SourcePinOption = "",
    destination_fingerprint: DestinationPinOption = "",
    accounts: AccountsOption = None,
    accounts_secret_file: AccountsSecretOption = None,
    generate_passwords: GeneratePasswordsOption = False,
    source_auth: SourceAuthOption = "",
    source_admin: SourceAdminOption = "",
    source_password_file: SourcePasswordOption = "",
    destination_auth: DestinationAuthOption = "",
    destination_admin: DestinationAdminOption = "",
    destination_password_file: DestinationPasswordOption = "",
    wanted: SelectionOptions = SelectionOptions(),  # noqa: B008
    allowed: Allowed = NOTHING_ALLOWED,
    state_dir: StateOption = None,
) -> int:
    """Dry run: what import would do, folder by folder. And about how long. Writes nothing."""
    from producer.cli.rehearsing import run_plan
    from producer.cli.request import read_request

    request = read_request(
        manifest,
        source,
        destination,
        wanted=wanted,
        include=include,
        exclude=exclude,
        allow_plaintext=allow_plaintext,
        encoding=encoding,
        separator=separator,
        only_wave=wave,
        reading=Reading(ignored=tuple(ignore_column or ()), no_header=no_header),
        source_ca=source_ca,
        destination_ca=destination_ca,
        source_fingerprint=source_fingerprint,
        destination_fingerprint=destination_fingerprint,
        accounts=accounts,
        accounts_secret_file=accounts_secret_file,
        generate_passwords=generate_passwords,
        source_auth=source_auth,
        source_admin=source_admin,
        source_password_file=source_password_file,
        destination_auth=destination_auth,
        destination_admin=destination_admin,
        destination_password_file=destination_password_file,
        allowed=allowed,
    )
    return run_plan(request, as_json=as_json, state_dir=state_dir)


def import_(
    manifest: ManifestArgument,
    destination: DestinationOption,
    source: SourceOption = "",
    name: Annotated[str, typer.Option("--name", help="What to call it; the file's name without it.")] = "",
    include: IncludeOption = None,
    exclude: ExcludeOption = None,
    verify: Annotated[
        str, typer.Option("--verify", metavar="default|full", help="full reads every message back and compares it.")
    ] = "default",
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
    window: Annotated[
        str,
        typer.Option(
            "--window",
            metavar="HOURS",
            help='Work only in these hours, e.g. "Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin"; none: at any time.',
        ),
    ] = "",
    wave: Annotated[
        str, typer.Option("--wave", metavar="NAME", help="The wave of rows that name none (docs/waves.md).")
    ] = "",
    quiet: QuietOption = False,
    verbose: VerboseOption = False,
    as_json: JsonOption = False,
    spool_refused: Annotated[
        Path | None,
        typer.Option(
            "--spool-refused", metavar="DIR", help="Keep what the destination does not take here, as .eml files."
        ),
    ] = None,
    allow_plaintext: PlaintextOption = False,
    encoding: EncodingOption = "",
    separator: SeparatorOption = "",
    ignore_column: IgnoreColumnOption = None,
    no_header: NoHeaderOption = False,
    source_ca: SourceCaOption = "",
    destination_ca: DestinationCaOption = "",
    source_fingerprint: SourcePinOption = "",
    destination_fingerprint: DestinationPinOption = "",
    accounts: AccountsOption = None,
    accounts_secret_file: AccountsSecretOption = None,
    generate_passwords: GeneratePasswordsOption = False,
    source_auth: SourceAuthOption = "",
    source_admin: SourceAdminOption = "",
    source_password_file: SourcePasswordOption = "",
    destination_auth: DestinationAuthOption = "",
    destination_admin: DestinationAdminOption = "",
    destination_password_file: DestinationPasswordOption = "",
    wanted: SelectionOptions = SelectionOptions(),  # noqa: B008
    allowed: Allowed = NOTHING_ALLOWED,
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
        request = read_request(
            manifest,
            source,
            destination,
            name=name,
            wanted=wanted,
            include=include,
            exclude=exclude,
            verify=verify,
            window=window,
            wave=wave,
            allow_plaintext=allow_plaintext,
            encoding=encoding,
            separator=separator,
            reading=Reading(ignored=tuple(ignore_column or ()), no_header=no_header),
            source_ca=source_ca,
            destination_ca=destination_ca,
            source_fingerprint=source_fingerprint,
            destination_fingerprint=destination_fingerprint,
            accounts=accounts,
            accounts_secret_file=accounts_secret_file,
            generate_passwords=generate_passwords,
            source_auth=source_auth,
            source_admin=source_admin,
            source_password_file=source_password_file,
            destination_auth=destination_auth,
            destination_admin=destination_admin,
            destination_password_file=destination_password_file,
            allowed=allowed,
        )
        if dry_run:
            from producer.cli.rehearsing import run_plan

            return run_plan(request, as_json=as_json, state_dir=state_dir)
        from producer.cli.command_context import open_context
        from producer.cli.signals import interruptible

        with interruptible() as interrupted, open_context(state_dir, worker_threads=threads) as context:
            # Loaded while the embedded Redis starts.
            from producer.cli.importing import run_import

            return run_import(
                request, context, interrupted, workers=workers, as_json=as_json, spool=spool_refused, early=early
            )


def template(separator: SeparatorOption = ",") -> None:
    """Print a manifest to fill in."""
    from producer.intake.manifest import template as filled
    from shared.model.errors import UsageError

    try:
        typer.echo(filled(separator or ","), nl=False)
    except StopIteration:
        raise UsageError("--separator: comma, semicolon or tab") from None
