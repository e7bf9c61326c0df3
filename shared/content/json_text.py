"""JSON that comes from outside: from servers, services, programs, people and the state store."""

from __future__ import annotations

import json
from typing import Any

from shared.wording.phrases import Phrase

NESTED_TOO_DEEPLY = Phrase("json_nested_too_deeply", "nested too deeply")


def read_json(text: str | bytes | bytearray) -> Any:
    """Reads a JSON text.

    Raises ValueError for a text that is none, and for one that is nested without end, for which Python raises `RecursionError`:
    who reads what a stranger wrote expects the first, and the other would end what it does for everybody.
    """
    try:
        return json.loads(text)
    except RecursionError:
        raise ValueError(NESTED_TOO_DEEPLY.says()) from None
