"""Waves in the request: their names, the rows that name one, and the rule for the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from producer.intake.manifest import Row
from shared.model.waves import MOST_NAME, is_name
from shared.wording.phrases import Phrase

NAME: Final = Phrase("wave_name", "must be 1 to {num} printable characters, without spaces around them")
NO_ROW: Final = Phrase("wave_without_row", "no row is of wave {wave_name}")


def wave_name(text: str) -> str:
    """Returns the name as given; "" for none. Raises `UsageError`."""
    if text and not is_name(text):
        raise NAME.error("wave", num=MOST_NAME)
    return text


def of_wave(rows: Sequence[Row], wave: str) -> tuple[Row, ...]:
    """Returns the rows of this wave; all for "". Raises `UsageError` when there is none."""
    found = tuple(row for row in rows if wave in ("", row.wave))
    if rows and not found:
        raise NO_ROW.error("wave", wave_name=wave)
    return found


def in_wave(rows: Sequence[Row], wave: str) -> tuple[Row, ...]:
    """Returns the rows; those that name no wave belong to this one ("" for none)."""
    return tuple(row if row.wave or not wave else replace(row, wave=wave) for row in rows)
