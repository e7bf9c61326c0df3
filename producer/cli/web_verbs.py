"""web, and token add, list, revoke."""

from __future__ import annotations

from typing import Annotated

import typer

from producer.cli.verb import StateOption, verb


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("web")(verb(web))
    tokens = typer.Typer(help="Tokens for the API.", no_args_is_help=True, rich_markup_mode=None)
    for name, function in (("add", add), ("list", list_), ("revoke", revoke)):
        tokens.command(name)(verb(function))
    app.add_typer(tokens, name="token")


def web(state_dir: StateOption = None) -> int:
    """Run the API against MAILHAUL_REDIS_URL."""
    from producer.cli import serving

    return serving.become("producer.web", threads=None, state_dir=state_dir)


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for; stands in the audit log.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin.")] = "operator",
    state_dir: StateOption = None,
) -> int:
    """Make a token and print it. It is kept as a hash: nobody can print it again."""
    from producer.cli import tokens

    return tokens.run_add(name, role, state_dir=state_dir)


def list_(state_dir: StateOption = None) -> int:
    """Who has one."""
    from producer.cli import tokens

    return tokens.run_list(state_dir=state_dir)


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `mailhaul token list` shows it.")],
    state_dir: StateOption = None,
) -> int:
    """End a token at once."""
    from producer.cli import tokens

    return tokens.run_revoke(token_id, state_dir=state_dir)
