"""The declarations of web, link, keys, token, user, session and reach.

The verbs of keys are rotate and drop, and those of token are add, list and revoke. The verbs of user are set, list and
remove, and those of session are list and end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated

import typer

from producer.cli.grouped_help import App
from producer.cli.verb import StateOption, YesOption, verb


def declare(app: typer.Typer) -> None:
    """Adds the verbs."""
    app.command("web")(verb(web))
    app.command("link")(verb(link))
    for name, help_, verbs in (
        ("token", "Tokens for the API and the page.", (("add", add), ("list", list_), ("revoke", revoke))),
        ("user", "Who signs in to the page with a password.", (("set", set_), ("list", users), ("remove", remove))),
        ("keys", "The keys that seal stored passwords.", (("rotate", rotate), ("drop", drop))),
        ("session", "Browsers that are signed in.", (("list", sessions), ("end", end))),
        (
            "reach",
            "Servers that the page and the API may connect to, beside public ones.",
            (("list", places), ("add", allow), ("remove", refuse)),
        ),
    ):
        part = App(help=help_, no_args_is_help=True, rich_markup_mode=None)
        for word, function in verbs:
            part.command(word)(verb(function))
        # What is called `remove` elsewhere.
        if name in _REMOVED_BY:
            part.command("remove", hidden=True)(verb(_REMOVED_BY[name]))
        app.add_typer(part, name=name)


def web(state_dir: StateOption = None) -> int:
    """Run the API against MAILHAUL_REDIS_URL."""
    from producer.cli import serving

    return serving.become("producer.web", threads=None, state_dir=state_dir)


def link(state_dir: StateOption = None) -> int:
    """Print a link that signs you in to the page as administrator, once."""
    from producer.cli import users

    return users.run_link(state_dir=state_dir)


def rotate(state_dir: StateOption = None) -> int:
    """Seal everything that is stored by a new key, while imports run."""
    from producer.cli import keys

    return keys.run_rotate(state_dir=state_dir)


def drop(yes: YesOption = False, state_dir: StateOption = None) -> int:
    """Remove the old keys from the key file, once nothing needs them."""
    from producer.cli import keys

    return keys.run_drop(sure=yes, state_dir=state_dir)


def add(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Who or what it is for; stands in the audit log.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin.")] = "operator",
    expires: Annotated[
        str, typer.Option("--expires", help="Its end: 90d, 12h, a date like 2027-01-31, or never.")
    ] = "never",
    state_dir: StateOption = None,
) -> int:
    """Make a token and print it. It is kept as a hash: nobody can print it again."""
    from producer.cli import api_tokens

    return api_tokens.run_add(name, role, expires, state_dir=state_dir)


def list_(state_dir: StateOption = None) -> int:
    """List the tokens."""
    from producer.cli import api_tokens

    return api_tokens.run_list(state_dir=state_dir)


def revoke(
    token_id: Annotated[str, typer.Argument(metavar="ID", help="As `mailhaul token list` shows it.")],
    state_dir: StateOption = None,
) -> int:
    """End a token at once."""
    from producer.cli import api_tokens

    return api_tokens.run_revoke(token_id, state_dir=state_dir)


def set_(
    name: Annotated[str, typer.Argument(metavar="NAME", help="What is typed to sign in; stands in the audit log.")],
    role: Annotated[str, typer.Option("--role", help="viewer, operator or admin.")] = "admin",
    password_file: Annotated[
        Path | None, typer.Option("--password-file", metavar="FILE", help="The password; asked for without it.")
    ] = None,
    state_dir: StateOption = None,
) -> int:
    """Add a user of the page, or give one a new password and role. Kept as a hash; who is signed in by the old one is out."""
    from producer.cli import users

    return users.run_set(name, role, password_file, state_dir=state_dir)


def users(state_dir: StateOption = None) -> int:
    """List the users who sign in with a password."""
    from producer.cli import users

    return users.run_list(state_dir=state_dir)


def remove(
    name: Annotated[str, typer.Argument(metavar="NAME", help="As `mailhaul user list` shows it.")],
    state_dir: StateOption = None,
) -> int:
    """End a user, and their sessions, at once."""
    from producer.cli import users

    return users.run_remove(name, state_dir=state_dir)


def sessions(state_dir: StateOption = None) -> int:
    """List the sessions: who is signed in, since when."""
    from producer.cli import users

    return users.run_sessions(state_dir=state_dir)


def end(
    which: Annotated[str, typer.Argument(metavar="ID|NAME", help="As `mailhaul session list` shows it.")],
    state_dir: StateOption = None,
) -> int:
    """Sign a browser out, or all of one person's."""
    from producer.cli import users

    return users.run_end(which, state_dir=state_dir)


_Place = Annotated[
    str, typer.Argument(metavar="PLACE", help="A host, an address, a network like 10.0.0.0/8, or a port.")
]


def places(state_dir: StateOption = None) -> int:
    """List the hosts, networks and ports that are allowed, with who and when."""
    from producer.cli import reaching

    return reaching.run_list(state_dir=state_dir)


def allow(place: _Place, state_dir: StateOption = None) -> int:
    """Allow a host, a network or a port, at once, for the page, the API and all workers."""
    from producer.cli import reaching

    return reaching.run_add(place, state_dir=state_dir)


def refuse(place: _Place, state_dir: StateOption = None) -> int:
    """Allow it no longer."""
    from producer.cli import reaching

    return reaching.run_remove(place, state_dir=state_dir)


#: Group of verbs → the verb that takes one of them away, where that has a word of its own.
_REMOVED_BY: Mapping[str, Callable[..., int]] = {"token": revoke, "session": end}
