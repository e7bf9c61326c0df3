"""The command line. Each verb is declared in a module `*_verbs` and done by one of `producer.operations` or of this
package.

The declarations import nothing heavy: `mailhaul --help` answers at once, and a verb loads only what it needs.

Results go to standard output, everything said on the way to standard error. Exit codes: see `EPILOG`.
"""

from __future__ import annotations

import typer

from producer.cli import finding_verbs, following_verbs, intake_verbs, running_verbs, steering_verbs, web_verbs

EPILOG = """Exit codes: 0 all copied and verified; 1 a fault of mailhaul; 2 bad usage or manifest, nothing was started;
3 finished, but something is parked, cancelled, refused or failed; 4 interrupted, run the same command to go on."""

app = typer.Typer(
    name="mailhaul",
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


for part in (intake_verbs, finding_verbs, following_verbs, steering_verbs, running_verbs, web_verbs):
    part.declare(app)


def main() -> None:
    """The console script."""
    app(prog_name="mailhaul")
