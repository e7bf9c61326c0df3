"""What an import waits for, by cause: servers that asked to wait say much the same of many accounts. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from shared.model import Wait

_NUMBER = re.compile(r"\d+")


def gathered(waits: Iterable[Wait]) -> tuple[Wait, ...]:
    """Those alike made one, in their order: until the last is over, with the mailboxes of all. Numbers in the words do not
    count, since they tell times; which account it was is lost where it was several."""
    found: dict[tuple[str, str, str], Wait] = {}
    for wait in waits:
        many = wait.what.endswith("_account")
        cause = (wait.what, "" if many else wait.key, _NUMBER.sub("#", wait.why))
        if before := found.get(cause):
            both = before.mailboxes + wait.mailboxes
            wait = replace(before, key="", until=max(before.until, wait.until), mailboxes=both)
        found[cause] = wait
    return tuple(found.values())
