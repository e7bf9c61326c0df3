"""The declarations of notify add, list, remove, test and retry."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from producer.cli.grouped_help import App
from producer.cli.verb import JsonOption, StateOption, verb

_TargetArgument = Annotated[str, typer.Argument(metavar="ID", help="As `mailhaul notify list` shows it.")]


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    part = App(
        help="Who is told without looking: by e-mail, webhook, Slack or Teams.",
        no_args_is_help=True,
        rich_markup_mode=None,
    )
    for word, function in (("add", add), ("list", list_), ("remove", remove), ("test", try_), ("retry", retry)):
        part.command(word)(verb(function))
    app.add_typer(part, name="notify")


def add(
    way: Annotated[str, typer.Argument(metavar="WAY", help="email, webhook, slack or teams.")],
    to: Annotated[str, typer.Argument(metavar="TO", help="An address of mail, or the URL of the webhook.")] = "",
    to_file: Annotated[
        Path | None, typer.Option("--to-file", metavar="FILE", help="TO in a file: the URL of a channel is a secret.")
    ] = None,
    server: Annotated[
        str,
        typer.Option("--server", metavar="URL", help="Of mail: smtps://mail.corp.example, or smtp://…:587 (STARTTLS)."),
    ] = "",
    login: Annotated[str, typer.Option("--login", metavar="LOGIN", help="Of mail: the login at that server.")] = "",
    sender: Annotated[str, typer.Option("--from", metavar="ADDRESS", help="Of mail: the sender.")] = "",
    secret_file: Annotated[
        Path | None,
        typer.Option(
            "--secret-file", metavar="FILE", help="The password of the login, or what signs a webhook (else made)."
        ),
    ] = None,
    what: Annotated[
        list[str] | None,
        typer.Option(
            "--what", metavar="KIND", help="state, cutover, person, still, slipped; all without it. Repeatable."
        ),
    ] = None,
    imports: Annotated[
        list[str] | None, typer.Option("--import", metavar="IMPORT", help="Only of this import. Repeatable.")
    ] = None,
    language: Annotated[str, typer.Option("--language", metavar="LANGUAGE", help="en or ru.")] = "en",
    zone: Annotated[str, typer.Option("--zone", metavar="ZONE", help="The reader's, as in Europe/Berlin.")] = "UTC",
    digest: Annotated[
        str, typer.Option("--digest", metavar="HH:MM", help="Where everything stands, every day at this time.")
    ] = "",
    logins: Annotated[bool, typer.Option("--logins", help="Messages may name mailboxes by their logins.")] = False,
    state_dir: StateOption = None,
) -> int:
    """Have somebody told. The page's process sends, and `mailhaul import` while it runs."""
    from producer.cli import notifying

    return notifying.run_add(
        way,
        to,
        to_file=to_file,
        server=server,
        login=login,
        sender=sender,
        secret_file=secret_file,
        what=what or (),
        imports=imports or (),
        language=language,
        zone=zone,
        digest=digest,
        logins=logins,
        state_dir=state_dir,
    )


def list_(as_json: JsonOption = False, state_dir: StateOption = None) -> int:
    """List who is told, what is on its way, and what could not be delivered."""
    from producer.cli import notifying

    return notifying.run_list(as_json=as_json, state_dir=state_dir)


def remove(target_id: _TargetArgument, state_dir: StateOption = None) -> int:
    """Tell somebody nothing more."""
    from producer.cli import notifying

    return notifying.run_remove(target_id, state_dir=state_dir)


def try_(target_id: _TargetArgument, state_dir: StateOption = None) -> int:
    """Send a test message now, and say how it went."""
    from producer.cli import notifying

    return notifying.run_test(target_id, state_dir=state_dir)


def retry(
    drop: Annotated[bool, typer.Option("--drop", help="Forget them instead.")] = False, state_dir: StateOption = None
) -> int:
    """Try again for a day what could not be delivered."""
    from producer.cli import notifying

    return notifying.run_retry(drop=drop, state_dir=state_dir)
