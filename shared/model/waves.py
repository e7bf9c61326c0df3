"""The nouns of an order of work: waves, and what goes first in them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field
from typing import Final

from shared.model.lifecycle import Control, MailboxState
from shared.nouns import dataclass

#: The priority of a mailbox that was moved to the front: above every one that a manifest may give.
FRONT: Final = 100
#: The highest priority that a manifest may give; the lowest is as far below zero.
MOST_PRIORITY: Final = 99
#: The largest weight of a wave, and the largest number of its order.
MOST_WEIGHT: Final = 100
MOST_ORDER: Final = 9_999
#: The most characters of the name of a wave or a group.
MOST_NAME: Final = 64


@dataclass(frozen=True, kw_only=True, slots=True)
class Wave:
    """The mailboxes of an import that move together, and how many of them are in which state."""

    #: The name, as in the manifest.
    name: str
    #: The operator's wish: run or pause.
    control: Control = Control.RUN
    #: When its mailboxes may be claimed first, seconds since the epoch; 0: at once.
    starts_at: float = 0.0
    #: The hours in which it may work, as a person gave them (`shared.rules.hours`); "" for those of the import.
    window: str = ""
    #: The beginning of the time window that is open now or opens next, seconds since the epoch.
    opens_at: float = 0.0
    #: The end of that time window.
    shuts_at: float = 0.0
    #: Its share of the lanes among the waves and imports of the same order.
    weight: int = 1
    #: Waves of a lower order are served first, and only what they cannot take is left to the others.
    order: int = 0
    #: The number of its mailboxes in each state.
    mailboxes: Mapping[MailboxState, int] = field(default_factory=dict)


def is_set(wave: Wave) -> bool:
    """Tells whether anything is set of the wave, so that it is told though it has no name."""
    return wave.weight != 1 or wave.order != 0


def is_name(text: str) -> bool:
    """Tells whether a wave or a group may be called so."""
    return 0 < len(text) <= MOST_NAME and text.isprintable() and text == text.strip()
