"""The command line. Modules `*_verbs` declare the verbs; `producer.operations` or this package does the work.

The declarations import nothing heavy, so `mailhaul --help` answers at once and a verb loads only what it needs.

Results go to standard output, everything else to standard error. Exit codes: see `EPILOG`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer
from typer.core import TyperGroup

from producer.cli.grouped_help import App, GroupedHelp
from shared.runtime.core_dumps import forbid_core_dumps

EPILOG = """Exit codes: 0 all copied and verified; 1 an internal error; 2 bad usage or manifest, nothing was started;
3 finished, but something is parked, cancelled, refused or failed; 4 interrupted, run the same command to go on;
130 interrupted before anything of an import was under way."""

#: The file with saved options (`producer.cli.saved`).
_SAVED = "mailhaul.toml"

#: The modules that declare verbs, in the order of `--help`, and the verbs and groups of verbs of each.
PARTS: Final[Mapping[str, Sequence[str]]] = {
    "intake_verbs": ("check", "plan", "import", "edit", "template"),
    "finding_verbs": ("providers", "detect"),
    "following_verbs": ("list", "status", "watch", "errors", "forecast", "report", "spool", "audit", "where"),
    "steering_verbs": (
        "pause",
        "resume",
        "cancel",
        "retry",
        "verify",
        "credentials",
        "forget",
        "archive",
        "close",
        "erase",
        "limits",
        "window",
        "waves",
        "move",
        "standing",
    ),
    "cutover_verbs": ("cutover",),
    "running_verbs": ("demo", "up", "down", "worker", "coordinator", "doctor"),
    "web_verbs": ("web", "link", "token", "user", "keys", "session", "reach"),
    "notifying_verbs": ("notify",),
    "service_verbs": ("service",),
}


def new_app(word: str = "") -> App:
    """Returns the application: with this verb or group of verbs alone, or with all where there is none of this name.

    Typer reads the parameters of all verbs before it runs one, and their modules have to be loaded for that.
    """
    made = App(
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
    made.callback(invoke_without_command=True)(_root)
    parts = [part for part, verbs in PARTS.items() if word in verbs] or PARTS
    for part in parts:
        import_module(f"producer.cli.{part}").declare(made)
    return made.only(word)


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
    if config is None and not Path(_SAVED).is_file():
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


def main() -> None:
    """Runs the command line; the entry point of the console script."""
    forbid_core_dumps()
    word = next(iter(sys.argv[1:]), "")
    # Saved options are checked against all commands, and a shell completes all of their names.
    everything = "_MAILHAUL_COMPLETE" in os.environ or Path(_SAVED).is_file()
    new_app("" if everything else word)(prog_name="mailhaul")


if TYPE_CHECKING:
    app: App
else:

    def __getattr__(name: str) -> Any:
        """Makes the whole application for whoever asks for `app`."""
        if name != "app":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()["app"] = new_app()
        return globals()["app"]
