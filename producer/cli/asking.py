"""Asks the operator at the terminal before an act."""

from __future__ import annotations

import sys
from typing import Final

from shared.wording.phrases import Phrase

UNASKED: Final = Phrase("nobody_to_ask", "{command}: nobody can be asked here; give --yes")


def can_ask() -> bool:
    """Tells whether there is a terminal to ask at."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str, command: str) -> bool:
    """Tells whether the operator says yes. Raises `UsageError` if there is no terminal to ask at."""
    if not can_ask():
        raise UNASKED.error(command=command)
    print(f"{question} [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")
