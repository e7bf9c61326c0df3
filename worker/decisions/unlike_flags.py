"""Decides what is told of a copy that the destination shows with other flags than it was sent with. Pure.

A copy without a flag that it was sent with is told, and so is a keyword that nobody gave it: one without a name, which Dovecot
calls `unknown-1` and the like, one in the place of another, and one of another message. Any other flag that it was not sent
with may be the work of its owner, who reads while mail comes, or of a filter.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from collections.abc import Set as AbstractSet
from typing import Final

from shared.model import Note
from shared.model.uids import Uid
from shared.wording.phrases import Phrase, several
from worker.decisions.sent import OTHERS_NOT_NAMED, named

SHOWN_WITHOUT: Final = Phrase("shown_without", "the destination said OK and shows the message without: {names}")
SHOWN_WITHOUT_NOW: Final = Phrase(
    "shown_without_now",
    "the destination shows the message without: {names}; it did not keep them, or somebody took them away since",
)
SHOWN_WITH: Final = Phrase("shown_with", "it shows the message with: {names}, which it was not sent with")

#: The kind of the notes.
LOST: Final = "keywords_lost"
#: Most messages of a batch that are told of: a server may keep no flags at all, and say so of none.
MOST_TOLD: Final = 1000
_NAMELESS: Final = re.compile(r"unknown-\d+", re.IGNORECASE)


def nameless(flags: Iterable[str]) -> list[str]:
    """Returns those flags that Dovecot has only a number for."""
    return [flag for flag in flags if _NAMELESS.fullmatch(flag)]


def keywords_of(flags: Iterable[str]) -> list[str]:
    """Returns the keywords among the flags."""
    return [flag for flag in flags if not flag.startswith("\\")]


def unlike(
    sent: Sequence[str], shown: Sequence[str], others: AbstractSet[str] = frozenset(), *, now: bool = False
) -> str:
    """Returns how the flags of a copy differ from those that it was sent with; "" where nothing is to be told.

    `others` are the keywords that other messages were sent with, in small letters. `now`: people may have changed the copy since
    it was sent.
    """
    had, have = {flag.lower() for flag in sent}, {flag.lower() for flag in shown}
    lost = [flag for flag in sent if flag.lower() not in have]
    new = [flag for flag in keywords_of(shown) if flag.lower() not in had]
    foreign = new if keywords_of(lost) else [flag for flag in new if flag.lower() in others or nameless([flag])]
    without = SHOWN_WITHOUT_NOW if now else SHOWN_WITHOUT
    return several(
        [
            without.says(names=named(lost)) if lost else "",
            SHOWN_WITH.says(names=named(foreign)) if foreign else "",
        ]
    )


def told(found: Sequence[tuple[Uid, str]]) -> tuple[Note, ...]:
    """Returns the notes on these copies, each with how it differs; of very many only the first ones."""
    notes = [Note(uid=uid, what=LOST, reason=reason) for uid, reason in found[:MOST_TOLD]]
    if len(found) > MOST_TOLD:
        uid, reason = found[MOST_TOLD - 1]
        notes[-1] = Note(uid=uid, what=LOST, reason=OTHERS_NOT_NAMED.says(what=reason))
    return tuple(notes)
