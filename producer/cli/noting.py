"""The command line's entries in the audit log."""

from __future__ import annotations

import os
import pwd

from producer.cli.ground import Ground
from shared.logs import clean
from shared.store.desk import Desk
from shared.store.redis import connect


def person() -> str:
    """Who types, as the system knows them, whatever their variables say: "command line (1000 anna)"."""
    number = os.getuid()
    try:
        return f"command line ({number} {pwd.getpwuid(number).pw_name})"
    except KeyError:  # a container's number without a name
        return f"command line ({number})"


def note(ground: Ground, what: str, **detail: object) -> None:
    """Before it is done: what is not written down does not happen. Never give it a secret. Raises `StoreError`."""
    # An argument may hold what is no text, and by mistake a URL with its password.
    said = {name: clean(_text(value)) if isinstance(value, str) else value for name, value in detail.items()}
    Desk(connect(ground.urls[1])).note(person(), what, {"from": "command line", **said})


def _text(argument: str) -> str:
    return argument.encode(errors="backslashreplace").decode()
