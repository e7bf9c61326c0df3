"""Rows of the state database that give rights: each carries a signature, so that only a holder of the key can give any.

A role of Redis that may write to the database, without the key, can delete such a row but cannot make or change one.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Protocol

from shared.content.json_text import read_json
from shared.runtime.logs import get_logger

_log = get_logger("mailhaul.rights")


class Signer(Protocol):
    """The signer with the key of this installation (`shared.runtime.credentials.Vault`)."""

    def sign(self, text: str) -> str:
        """Returns a signature of the text."""

    def signed(self, text: str, signature: str) -> bool:
        """Tells whether one of the keys made this signature of this text."""


def signed_row(signer: Signer, place: str, row: Mapping[str, Any]) -> str:
    """Returns the row as JSON with its signature.

    `place` is the key and field that the row is for; it does not count anywhere else.
    """
    return json.dumps({**row, "signature": signer.sign(_text(place, row))})


def row_of(signer: Signer, place: str, text: bytes | str | None) -> dict[str, Any] | None:
    """Returns the row that `signed_row` wrote for this place; None when it is missing.

    A row without a valid signature gives None too, and is logged.
    """
    if text is None:
        return None
    try:
        row: dict[str, Any] = read_json(text)
        signature = row.pop("signature", "")
        if isinstance(signature, str) and signer.signed(_text(place, row), signature):
            return row
    except (ValueError, AttributeError):
        pass
    _log.warning("row_not_signed", place=place)
    return None


def _text(place: str, row: Mapping[str, Any]) -> str:
    return json.dumps([place, dict(row)], sort_keys=True)
