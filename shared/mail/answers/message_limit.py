"""Reads how many messages a server deals with in one command (RFC 9738), and where it stopped. Pure.

Some servers say it by [LIMIT] (RFC 5530). A server that wants fewer requests says that, too: then its words decide.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from shared.mail.answers.hints import hint_in

_CAPABILITY: Final = re.compile(r"MESSAGELIMIT=(\d{1,10})")
_CODE: Final = re.compile(rb"\[(?:MESSAGELIMIT(?: (\d{1,10}))?(?: \d{1,10})?|(LIMIT))\]", re.IGNORECASE)


def announced(capabilities: Iterable[str]) -> int | None:
    """Returns the limit of MESSAGELIMIT=n; None where the server names no possible one."""
    found = [int(match[1]) for name in capabilities if (match := _CAPABILITY.fullmatch(name))]
    return min((limit for limit in found if limit), default=None)


def cut_short(text: bytes) -> int | None:
    """Returns the limit in the response code of a command that was not done, or not wholly.

    0 where the code names none; None without the code. The UID in the code is ignored: the worker knows better which
    messages came.
    """
    found = _CODE.search(text)
    if found is None or (found[2] and hint_in(text)):
        return None
    return int(found[1] or 0)
