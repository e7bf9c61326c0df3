"""The command line. Modules `*_verbs` declare the verbs; `producer.operations.verbs` or this package does the work.

The declarations import nothing heavy, so `mailhaul --help` answers at once and a verb loads only what it needs.

Results go to standard output, everything else to standard error. Exit codes: see `EPILOG`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from typer.core import TyperGroup

from producer.cli import (
    cutover_verbs,
    finding_verbs,
    following_verbs,
    intake_verbs,
    notifying_verbs,
    running_verbs,
    steering_verbs,
    web_verbs,
)
from producer.cli.grouped_help import App, GroupedHelp
from shared.runtime.core_dumps import forbid_core_dumps

EPILOG = """Exit codes: 0 all copied and verified; 1 an internal error; 2 bad usage or manifest, nothing was started;
3 finished, but something is parked, cancelled, refused or failed; 4 interrupted, run the same command to go on."""

app = App(
    name="mailhaul",
    cls=GroupedHelp,
    help="Moves mailboxes from any IMAP or POP3 server into your own: nothing lost, nothing twice, nothing changed.",
    epilog=EPILOG,
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and exit."),
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", metavar="FILE", help="Options saved in a file; mailhaul.toml in this folder without it."
        ),
    ] = None,
) -> None:
    if version:
        from importlib.metadata import PackageNotFoundError
        from importlib.metadata import version as installed

        try:
            typer.echo(f"mailhaul {installed('mailhaul')}")
        except PackageNotFoundError:
            typer.echo("mailhaul (from a checkout)")
        raise typer.Exit(0)
    if context.invoked_subcommand is None:
        raise typer.Exit(2)
    _take_saved(context, config)


def _take_saved(context: typer.Context, config: Path | None) -> None:
    """Makes the saved options the defaults of the command line, and says which ones it took."""
    if config is None and not Path("mailhaul.toml").is_file():
        return
    from producer.cli.saved import NAME, saved_options
    from producer.cli.verb import say
    from shared.model.errors import UsageError

    path, group = config or Path(NAME), context.command
    assert isinstance(group, TyperGroup)
    try:
        context.default_map = saved_options(path, group.commands)
    except UsageError as error:
        say(f"mailhaul: {error}")
        raise typer.Exit(2) from None
    if names := context.default_map.get(str(context.invoked_subcommand)):
        say(f"{path} gives: {', '.join(sorted(name.replace('_', '-') for name in names))}")


for part in (
    intake_verbs,
    finding_verbs,
    following_verbs,
    steering_verbs,
    cutover_verbs,
    running_verbs,
    web_verbs,
    notifying_verbs,
):
    part.declare(app)


def main() -> None:
    """Runs the command line; the entry point of the console script."""
    forbid_core_dumps()
    app(prog_name="mailhaul")
