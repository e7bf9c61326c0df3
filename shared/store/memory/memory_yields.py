"""The model's part for lanes that give way: to a mailbox that was moved, and to an import that has fewer than its share."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from shared.model import Lease, UnitKind
from shared.model.lifecycle import Wish
from shared.store.memory.memory_lines import Shares, import_of
from shared.store.memory.memory_rows import Rows
from shared.store.memory.memory_tables import MailboxRow

#: The time for which another lane waits before it gives way too, ms.
NEXT_GIVES_WAY_MS = 3_000
#: The time after its move for which lanes give way to a mailbox, ms.
GIVES_WAY_NO_MORE_MS = 10_000
#: The time for which an import has fewer lanes than its share before another's gives way; until the next does; after which
#: that was in vain; and for which none does then, ms.
STARVES_MS, NEXT_STARVED_MS, HELPS_MS, IN_VAIN_MS = 5_000, 2_000, 20_000, 60_000
#: The kinds of units that give way to another import, in the order in which they do.
_GIVE_WAY = (UnitKind.COPY, UnitKind.PLAN, UnitKind.VERIFY)


def share_out(rows: Rows, leases: Sequence[Lease], words: list[Wish]) -> None:
    """Tells one lane of an import that has more than its share to give way where another had less for a while."""
    now, shares = rows.now(), rows.shares()
    order: dict[str, int] = {}
    for line in rows.lines:
        if shares.under(one := import_of(line)):
            order[one] = min(order.get(one, rows.wave_of(line).order), rows.wave_of(line).order)
    for one, (at, before) in list(rows.starving.items()):
        if one not in order and at <= now and (at + IN_VAIN_MS <= now or shares.held[one] > before):
            del rows.starving[one]
    for one in sorted(order):
        at, before = rows.starving.get(one, (0, 0))
        if not at:
            rows.starving[one] = now + STARVES_MS, -1
        elif at <= now and shares.held[one] <= before:
            if at + HELPS_MS <= now:
                rows.starving[one] = now + IN_VAIN_MS, -1
        elif at <= now and (chosen := _longest(rows, leases, words, shares, order[one])) is not None:
            words[chosen] = rows.units[leases[chosen].unit.unit_id].yields = Wish.YIELD
            rows.starving[one] = now + NEXT_STARVED_MS, shares.held[one]
            return


def _longest(rows: Rows, leases: Sequence[Lease], words: Sequence[Wish], shares: Shares, order: int) -> int | None:
    """Returns which of these lanes has been longest at a batch, else at a plan, else at a verification.

    Its import has more than its share.
    """
    found = []
    for n, (lease, word) in enumerate(zip(leases, words, strict=True)):
        if word is Wish.RUN and lease.unit.kind in _GIVE_WAY:
            mailbox = rows.mailboxes[lease.unit.mailbox_id].mailbox
            wave = rows.wave_of(f"{mailbox.import_id}:{mailbox.wave}")
            if shares.over(mailbox.import_id) and wave.order >= order:
                found.append((_GIVE_WAY.index(lease.unit.kind), lease.term, n))
    return min(found)[-1] if found else None


def give_way(rows: Rows, on_hold: Callable[[MailboxRow], bool], leases: Sequence[Lease], words: list[Wish]) -> None:
    """Tells one lane to pause where a mailbox that was moved has waited for a free one."""
    now = rows.now()
    due = sorted((at, mailbox_id) for mailbox_id, at in rows.urgent.items() if at <= now)
    first = rows.mailboxes[due[0][1]] if due else None
    if (
        first is None
        or not (first.stands or first.looking)
        or not rows.servable(first)
        or now - first.moved > GIVES_WAY_NO_MORE_MS
        or on_hold(first)
    ):
        return
    ranks = []
    for n, (lease, word) in enumerate(zip(leases, words, strict=True)):
        m = rows.mailboxes[lease.unit.mailbox_id] if word is Wish.RUN else first
        if m is not first:
            kind = (UnitKind.COPY, UnitKind.VERIFY, UnitKind.PLAN, UnitKind.LOOK).index(lease.unit.kind)
            ranks.append((m.route != first.route, kind, m.mailbox.priority, n))
    if ranks:
        at = min(ranks)[-1]
        rows.urgent[first.mailbox.mailbox_id] = now + NEXT_GIVES_WAY_MS
        words[at] = rows.units[leases[at].unit.unit_id].yields = Wish.PAUSE
