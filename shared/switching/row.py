"""The step from one value to another that every table of switches takes. Pure.

Where the table has no value for the mailbox, it stands as before any switch.
"""

from __future__ import annotations

from typing import Final

from shared.model.sides import Side
from shared.nouns import dataclass
from shared.switching import Turned, TurnedBefore, TurnRefused
from shared.wording.phrases import Phrase

SAYS_FOR_INSTEAD: Final = Phrase("says_for_instead", "{table} says for {key}: {value}, instead of {other}")
SAYS_FOR: Final = Phrase("says_for", "{table} says for {key}: {value}")
SAYS_FOR_KEY_NEITHER_VALUE: Final = Phrase(
    "says_for_key_neither_value", "{table} says for {key}: {value}, which is neither {values}"
)
CORRECT_ROW_OR_NAME_ITS_VALUE: Final = Phrase(
    "correct_row_or_name_its_value",
    "correct the row, or name what stands there by the options new and old of the switch",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class RowChange:
    """The change of one row of a table."""

    #: The table's name for people.
    table: str
    #: The row's key: an address, or a domain.
    key: str
    #: The value that stands there; None without a row.
    now: str | None
    #: The value that is wanted; None for no row.
    wanted: str | None
    #: The value of the other side; None for no row.
    other: str | None
    #: The side that is turned to.
    to: Side

    def judged(self) -> Turned | TurnedBefore | TurnRefused:
        """Tells whether the row is to be written: `Turned`. A row that somebody else made is left alone."""
        if self.now == self.wanted or (self.now is None and self.to is Side.SOURCE):
            # Without a row the mailbox was never turned away.
            return TurnedBefore(words=SAYS_FOR.says(table=self.table, key=self.key, value=_said(self.now)))
        if self.now is not None and self.now != self.other:
            known = " nor ".join(_said(value) for value in (self.wanted, self.other))
            return TurnRefused(
                words=SAYS_FOR_KEY_NEITHER_VALUE.says(table=self.table, key=self.key, value=self.now, values=known),
                advice=CORRECT_ROW_OR_NAME_ITS_VALUE.says(),
            )
        return Turned(
            words=SAYS_FOR_INSTEAD.says(table=self.table, key=self.key, value=_said(self.wanted), other=_said(self.now))
        )


def _said(value: str | None) -> str:
    return "nothing" if value is None else value


def value_of(option: str) -> str | None:
    """Reads an option that is a value, or "none" for no row."""
    return None if option == "none" else option
