"""The step from one value to another that every table of switches takes. Pure.

Where the table has no value for the mailbox, it stands as before any switch.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.switching import SwitchSide, Turned, TurnedBefore, TurnRefused


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
    to: SwitchSide

    def judged(self) -> Turned | TurnedBefore | TurnRefused:
        """Tells whether the row is to be written: `Turned`. A row that somebody else made is left alone."""
        if self.now == self.wanted or (self.now is None and self.to is SwitchSide.SOURCE):
            # Without a row the mailbox was never turned away.
            return TurnedBefore(words=f"{self.table} says for {self.key}: {_said(self.now)}")
        if self.now is not None and self.now != self.other:
            known = " nor ".join(_said(value) for value in (self.wanted, self.other))
            return TurnRefused(
                words=f"{self.table} says for {self.key}: {self.now}, which is neither {known}",
                advice="correct the row, or name what stands there by the options new and old of the switch",
            )
        return Turned(words=f"{self.table} says for {self.key}: {_said(self.wanted)}, instead of {_said(self.now)}")


def _said(value: str | None) -> str:
    return "nothing" if value is None else value


def value_of(option: str) -> str | None:
    """Reads an option that is a value, or "none" for no row."""
    return None if option == "none" else option
