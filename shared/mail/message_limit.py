"""Reads how many messages a server deals with in one command (RFC 9738), and where it stopped. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_CAPABILITY: Final = re.compile(r"MESSAGELIMIT=(\d{1,10})")
_CODE: Final = re.compile(rb"\[MESSAGELIMIT(?: (\d{1,10}))?(?: \d{1,10})?\]", re.IGNORECASE)


def announced(capabilities: Iterable[str]) -> int | None:
    """Returns the limit of MESSAGELIMIT=n; None where the server names no possible one."""
    found = [int(match[1]) for name in capabilities if (match := _CAPABILITY.fullmatch(name))]
    return min((limit for limit in found if limit), default=None)


def cut_short(text: bytes) -> int | None:
    """Returns the limit in the response code of a command that was not done, or not wholly. 0 where the code names
    none; None without the code. The UID in the code is ignored: the worker knows better which messages came."""
    found = _CODE.search(text)
    return int(found[1] or 0) if found else None
