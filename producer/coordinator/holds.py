"""Gathers what an import waits for by cause: servers that ask to wait say nearly the same of many accounts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from shared.model import Wait

_NUMBER = re.compile(r"\d+")


def gathered(waits: Iterable[Wait]) -> tuple[Wait, ...]:
    """Merges waits that are alike, in their order.

    A merged wait lasts until the last one ends and counts the mailboxes of all. Numbers in the words are ignored, since
    they are times. The account is dropped where there were several.
    """
    found: dict[tuple[str, str, str], Wait] = {}
    for wait in waits:
        many = wait.what.is_of_account
        cause = (wait.what, "" if many else wait.key, _NUMBER.sub("#", wait.why))
        if before := found.get(cause):
            both = before.mailboxes + wait.mailboxes
            wait = replace(before, key="", until=max(before.until, wait.until), mailboxes=both)
        found[cause] = wait
    return tuple(found.values())
