"""The verbs user set, list and remove; session list and end; and link."""

from __future__ import annotations

import getpass
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from producer.cli.command_context import CommandContext, open_context
from producer.cli.noting import noted, user_name
from producer.cli.verb import COMPLETE, say, show
from producer.web.security.scrypt import checked, hashed
from shared.probe import probe
from shared.runtime.config import Settings, here
from shared.runtime.logs import clean
from shared.store.records.principals import Principals, Role, checked_name, role_of
from shared.store.records.sessions import LINK_SECONDS, BrowserSessions
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase

NO_SESSION: Final = Phrase("session_unknown", "nobody is signed in as {text}; mailhaul session list shows who is")
NOT_THE_SAME: Final = Phrase("password_twice", "the two are not the same: nothing was changed")
NO_USER: Final = Phrase("user_unknown", "no user is called {text}; mailhaul user list shows them")
NO_TERMINAL: Final = Phrase("password_without_terminal", "give --password-file FILE: there is no terminal to ask at")
NO_PASSWORD: Final = Phrase("password_missing", "no password was given")
UNREADABLE: Final = Phrase("password_file_unreadable", "{path} cannot be read ({cause})")

_MOST_BYTES: Final = 1000


def run_set(name: str, role: str, password_file: Path | None, *, state_dir: Path | None) -> int:
    """Adds a user, or gives one a new password and role."""
    wanted, name = role_of(role), checked_name(name)
    password = checked(_from_file(password_file) if password_file else _asked(name))
    with open_context(state_dir) as context, noted(context, "user set", name=name, role=wanted.word):
        Principals(connect(context.urls[1]), context.vault).set_user(name, wanted, hashed(password))
    say(f"{clean(name)} signs in to the page as {wanted.word} with this password from now on")
    return COMPLETE


def run_list(*, state_dir: Path | None) -> int:
    """Lists the users, one a line."""
    with open_context(state_dir) as context:
        known = Principals(connect(context.urls[1]), context.vault).users()
        if not known:
            say("no user; make one with: mailhaul user set NAME")
        for one in known:
            show(f"{one.role.word:<8}  {_moment(one.set_at)}  {clean(one.name)}")
    return COMPLETE


def run_remove(name: str, *, state_dir: Path | None) -> int:
    """Removes a user. Their sessions end too."""
    with open_context(state_dir) as context, noted(context, "user removed", name=name[:80]):
        if not Principals(connect(context.urls[1]), context.vault).remove_user(name):
            raise NO_USER.error(text=f"{name[:80]!r}")
    say(f"{clean(name)} signs in no more, and is signed out everywhere")
    return COMPLETE


def run_sessions(*, state_dir: Path | None) -> int:
    """Lists browsers that are signed in, one a line."""
    with open_context(state_dir) as context:
        for one in BrowserSessions(connect(context.urls[1]), context.vault).all():
            who = one.principal
            show(
                f"{one.session_id}  {who.role.word:<8}  {_moment(one.began_at)}  {clean(who.name)} ({who.principal_id})"
            )
    return COMPLETE


def run_end(which: str, *, state_dir: Path | None) -> int:
    """Ends a session by its id, or all sessions of a person by name."""
    with open_context(state_dir) as context, noted(context, "sessions ended", of=which[:200]):
        ended = BrowserSessions(connect(context.urls[1]), context.vault).end_of(which)
        if not ended:
            raise NO_SESSION.error(text=f"{which[:80]!r}")
    say(f"signed out: {ended} {'browser' if ended == 1 else 'browsers'}")
    return COMPLETE


def run_link(*, state_dir: Path | None) -> int:
    """Prints a link that signs in, alone on standard output."""
    with open_context(state_dir) as context:
        link, settings = make_link(context), context.settings
    if not probe(settings.web_port, "/healthz", here(settings.web_host))[0]:
        say("no page answers there now: start it with mailhaul up")
    say(f"this link signs one browser in as administrator, once, within {LINK_SECONDS // 60} minutes:")
    print(link, flush=True)
    return COMPLETE


def make_link(context: CommandContext) -> str:
    """Makes a link that signs in as administrator. Whoever can run this command has the store and the key already."""
    user = user_name() or f"uid {os.getuid()}"
    with noted(context, "link made", name=user):
        text = BrowserSessions(connect(context.urls[1]), context.vault).make_link(user, Role.ADMIN)
        return f"{page_url(context.settings)}enter/{text}"


def page_url(settings: Settings) -> str:
    """Returns the URL of the page for a browser on this machine."""
    host = here(settings.web_host)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.web_port}/"


def _asked(name: str) -> str:
    try:
        os.close(os.open("/dev/tty", os.O_RDWR | os.O_NOCTTY))
    except OSError:
        raise NO_TERMINAL.error() from None
    try:
        first = getpass.getpass(f"Password for {clean(name)}: ")
        again = getpass.getpass("The same again: ")
    except EOFError:
        raise NO_PASSWORD.error() from None
    if first != again:
        raise NOT_THE_SAME.error()
    return first


def _from_file(path: Path) -> str:
    try:
        text = path.read_bytes()[:_MOST_BYTES].decode()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UNREADABLE.error("password_file", path=str(path), cause=str(reason)) from None
    return text.removesuffix("\n").removesuffix("\r")


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
