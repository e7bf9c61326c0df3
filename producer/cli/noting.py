"""The command line's entries in the audit log."""

from __future__ import annotations

import os
import pwd

from producer.cli.ground import Ground
from shared.logs import clean
from shared.store.desk import Desk
from shared.store.redis import connect


def user_name() -> str:
    """Who types, as the system knows them, whatever their variables say; "" for a container's number without a name."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return ""


def person() -> str:
    """ "command line (1000 anna)"."""
    return f"command line ({f'{os.getuid()} {user_name()}'.strip()})"


def note(ground: Ground, what: str, **detail: object) -> None:
    """Before it is done: what is not written down does not happen. Never give it a secret. Raises `StoreError`."""
    # An argument may hold what is no text, and by mistake a URL with its password.
    said = {name: clean(_text(value)) if isinstance(value, str) else value for name, value in detail.items()}
    Desk(connect(ground.urls[1])).note(person(), what, {"from": "command line", **said})


def _text(argument: str) -> str:
    return argument.encode(errors="backslashreplace").decode()
