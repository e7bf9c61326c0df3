"""Tells something: one function for each kind of notice. A notice that is told twice arrives once.

Nothing is sent here. The notice goes into the store's outbox, from where a notifier takes it. Whoever tells needs
neither the key nor a network, and waits for no answer.
"""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from shared.model import Import
from shared.model.notices import Notice
from shared.store import Store

#: Seconds in which a cause is told once at most.
CAUSE_SECONDS: Final = 3600.0
#: More seconds than any moment has: an end in a later pass is above all ends in the ones before.
_PASS_SECONDS: Final = 1e11


def new_id() -> str:
    """Returns the id of a new notice."""
    return secrets.token_hex(8)


def state_reached(
    store: Store, import_: Import, wave: str, word: str, at: float, *, step: str, values: Mapping[str, str | float]
) -> bool:
    """Tells that an import, or a wave of it, reached a state. `step` differs each time that it reaches it anew."""
    once = f"state:{import_.import_id}:{wave}:{word}:{step}"
    return store.tell(_notice("state", import_, at, wave, {"word": word, **values}), once=once)


def import_ended(store: Store, import_: Import, word: str, *, stands: bool, values: Mapping[str, str | float]) -> bool:
    """Tells that an import came to its end. `word` says how.

    While it stands each look that finds mail ends it anew: that is told once in a pass that a person began.
    """
    mark = f"state:{import_.import_id}:{import_.created_at}:{word}"
    height = import_.passes * _PASS_SECONDS + (0.0 if stands else import_.finished_at)
    notice = _notice("state", import_, import_.finished_at, "", {"word": word, **values})
    return store.tell(notice, once=f"{mark}:{height}", mark=mark, height=height)


def cutover_reached(
    store: Store, import_: Import, wave: str, word: str, at: float, values: Mapping[str, str | float] | None = None
) -> bool:
    """Tells that the cutover of a wave reached a state.

    `at` is when it did, seconds since the epoch, as the store keeps it: a repeat with the same moment is not told again.
    """
    once = f"cutover:{import_.import_id}:{wave}:{word}:{at}"
    return store.tell(_notice("cutover", import_, at, wave, {"word": word, **(values or {})}), once=once)


def people_awaited(
    store: Store,
    import_: Import,
    wave: str,
    code: str,
    at: float,
    newest: float,
    ids: Sequence[str],
    values: Mapping[str, str | float],
) -> bool:
    """Tells that mailboxes wait for a person by a cause; once an hour at most, and only when one more has joined them.

    `newest` is when the last of them stopped, seconds since the epoch.
    """
    cause = f"person:{import_.import_id}:{wave}:{code}"
    notice = _notice("person", import_, at, wave, {"code": code, **values}, ids)
    return store.tell(notice, once=cause, seconds=CAUSE_SECONDS, mark=cause, height=newest)


def stands_still(store: Store, import_: Import, at: float, since: float, values: Mapping[str, str | float]) -> bool:
    """Tells that nothing moved since a moment; once for each such moment."""
    once = f"still:{import_.import_id}:{since:.0f}"
    return store.tell(_notice("still", import_, at, "", {"since": since, **values}), once=once)


def forecast_slipped(
    store: Store, import_: Import, at: float, fifths: int, made_at: float, values: Mapping[str, str | float]
) -> bool:
    """Tells that the end is forecast later, by so many fifths of the time that was forecast at `made_at`."""
    mark = f"slipped:{import_.import_id}:{made_at:.0f}"
    return store.tell(_notice("slipped", import_, at, "", values), once=f"{mark}:{fifths}", mark=mark, height=fifths)


def one_target_told(
    store: Store, kind: str, target_id: str, at: float, once: str, values: Mapping[str, str | float] | None = None
) -> str:
    """Tells one target alone: its digest, or a test message. Returns the notice's id, "" when it was told before."""
    notice = Notice(notice_id=new_id(), kind=kind, at=at, values=values or {}, target_id=target_id)
    return notice.notice_id if store.tell(notice, once=f"{kind}:{target_id}:{once}") else ""


def _notice(
    kind: str, import_: Import, at: float, wave: str, values: Mapping[str, str | float], ids: Sequence[str] = ()
) -> Notice:
    return Notice(
        notice_id=new_id(),
        kind=kind,
        at=at,
        import_id=import_.import_id,
        name=import_.name,
        wave=wave,
        values=values,
        mailbox_ids=tuple(ids),
    )
