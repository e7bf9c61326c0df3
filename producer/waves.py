"""Operations on waves: what there is, what a person sets, and mailboxes that are moved. No function here prints or waits."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from shared.model import Import, Wave
from shared.model.lifecycle import MailboxState
from shared.model.waves import FRONT, MOST_ORDER, MOST_WEIGHT
from shared.store import Store
from shared.wording.phrases import FieldName, Phrase

NO_WAVE: Final = Phrase("wave_unknown", "import {name} has no wave called {wave_name}; {what}")
ITS_WAVES: Final = Phrase("its_waves", "its waves are: {names}")
NO_WAVES: Final = Phrase("no_waves", "it has no waves")
WEIGHT: Final = Phrase("wave_weight", "a whole number from 1 to {num}")
ORDER: Final = Phrase("wave_order", "a whole number from 0 to {num}")
FRONT_ALONE: Final = Phrase("front_alone", "is a priority above all others; give it or {priority}")
PRIORITY: Final = Phrase("priority", "a whole number from {num} to {most_num}; {front} goes before all")
NO_MOMENT: Final = Phrase(
    "no_moment",
    "{word} is no moment; write {example} (without a zone it is UTC), or: {otherwise}",
)

START_IS_OVER: Final = Phrase("start_is_over", "{when} is over; give a moment to come, or: now")

#: Number of waves named in an error.
_NAMED = 8


def waves_of(store: Store, import_: Import) -> list[Wave]:
    """Returns the import's waves by their order; last come the mailboxes without one, as "", where there are any."""
    known = store.waves(import_.import_id)
    found = [wave for wave in known if wave.name]
    rest_of = next((wave for wave in known if not wave.name), Wave(name=""))
    rest = Counter(store.import_tally(import_.import_id)[1])
    for wave in found:
        rest.subtract(wave.mailboxes)
    left: dict[MailboxState, int] = {state: number for state, number in rest.items() if number > 0}
    return [*found, replace(rest_of, mailboxes=left)] if left and known else found


def wave_of(store: Store, import_: Import, name: str) -> Wave:
    """Returns the wave of this name. Raises `UsageError` that lists the others."""
    known = [wave for wave in store.waves(import_.import_id) if wave.name]
    for wave in known:
        if wave.name == name:
            return wave
    names = ", ".join(wave.name for wave in known[:_NAMED]) + (" …" if known[_NAMED:] else "")
    there = ITS_WAVES.says(names=names) if known else NO_WAVES.says()
    raise NO_WAVE.error(name=import_.name, wave_name=name, what=there)


def read_start(text: str, field: str = "starts_at", otherwise: str = "now") -> float:
    """Returns the moment of ``2026-02-01T20:00+01:00`` in seconds since the epoch; 0 for ``now``. Raises `UsageError`.

    A moment without a zone is UTC. `field` is what the text was given for, and `otherwise` the word that it may be instead.
    """
    if text.strip() == "now":
        return 0.0
    try:
        when = datetime.fromisoformat(text.strip())
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise NO_MOMENT.error(field, word=f"{text!r}", example="2026-02-01T20:00+01:00", otherwise=otherwise) from None


def checked(weight: int | None, order: int | None, starts_at: float | None, now: float) -> None:
    """Raises `UsageError` for a weight, an order or a start that no wave may have; a start of 0 is none."""
    if starts_at and starts_at < now:
        raise START_IS_OVER.error("starts_at", when=f"{datetime.fromtimestamp(starts_at, UTC):%Y-%m-%d %H:%M} UTC")
    if weight is not None and not 1 <= weight <= MOST_WEIGHT:
        raise WEIGHT.error("weight", num=MOST_WEIGHT)
    if order is not None and not 0 <= order <= MOST_ORDER:
        raise ORDER.error("order", num=MOST_ORDER)


def priority_of(priority: int | None, *, front: bool) -> int | None:
    """Returns the priority that is asked for; None to leave it. Raises `UsageError`."""
    if front and priority is not None:
        raise FRONT_ALONE.error("front", priority=FieldName("priority"))
    if priority is not None and abs(priority) >= FRONT:
        raise PRIORITY.error("priority", num=1 - FRONT, most_num=FRONT - 1, front=FieldName("front"))
    return FRONT if front else priority
