"""The declarations of service set, list, remove and test."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from producer.cli.grouped_help import App
from producer.cli.verb import JsonOption, StateOption, verb

_NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="The name that imports choose it by.")]


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    part = App(
        help="Account services that page and API choose by name.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for word, function in (("set", set_), ("list", list_), ("remove", remove), ("test", try_)):
        part.command(word)(verb(function))
    app.add_typer(part, name="service")


def set_(
    name: _NameArgument,
    url: Annotated[str, typer.Argument(metavar="URL", help="As for --accounts, as in scim+https://host/scim/v2.")],
    secret_file: Annotated[
        Path | None, typer.Option("--secret-file", metavar="FILE", help="What the service demands, in a file.")
    ] = None,
    state_dir: StateOption = None,
) -> int:
    """Set a service up, in place of one that has its name. Nothing is sent to it."""
    from producer.cli import services

    return services.run_set(name, url, secret_file=secret_file, state_dir=state_dir)


def list_(as_json: JsonOption = False, state_dir: StateOption = None) -> int:
    """List the services, without their secrets."""
    from producer.cli import services

    return services.run_list(as_json=as_json, state_dir=state_dir)


def remove(name: _NameArgument, state_dir: StateOption = None) -> int:
    """Remove a service. Imports that chose it keep what they need."""
    from producer.cli import services

    return services.run_remove(name, state_dir=state_dir)


def try_(
    name: _NameArgument,
    login: Annotated[str, typer.Argument(metavar="LOGIN", help="A login of the destination. It is not made.")],
    as_json: JsonOption = False,
    state_dir: StateOption = None,
) -> int:
    """Ask a service about one account, and make none."""
    from producer.cli import services

    return services.run_test(name, login, as_json=as_json, state_dir=state_dir)
