"""The declarations of providers and detect."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.verb import JsonOption, verb


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("providers")(verb(providers))
    app.command("detect")(verb(detect))


def providers(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Show all that is known of this one.")] = "",
    as_json: JsonOption = False,
) -> int:
    """The mail providers that --source and --destination know by name, and what to do first at each."""
    from producer.cli import finding

    return finding.run_providers(name, as_json=as_json)


def detect(
    address: Annotated[str, typer.Argument(metavar="ADDRESS", help="As in user@example.org.")],
    offline: Annotated[bool, typer.Option("--offline", help="Ask nobody: presets only.")] = False,
    as_json: JsonOption = False,
) -> int:
    """Find the servers of an address, and say how they are known. Exit 3 when none are found."""
    from producer.cli import finding

    return finding.run_detect(address, offline=offline, as_json=as_json)
