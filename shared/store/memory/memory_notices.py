"""The model's outbox of notices. Plain Python, as `shared.store.redis.redis_notices` is on Redis."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from shared.model.errors import LeaseLost
from shared.model.notices import Delivery, Notice
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_waits import MemoryWaits
from shared.store.ports.outbox import TOLD_SECONDS

#: The time for which a delivery is tried, the longest time between two attempts, and the time for which a mark is known, ms.
DELIVERY_MS, LONGEST_RETRY_MS, MARK_MS = 86_400_000, 3_600_000, 5_184_000_000
#: The number of given-up deliveries that are kept.
MOST_UNDELIVERED = 200


class MemoryNotices(MemoryWaits):
    """Notices that were told, and their deliveries."""

    def __init__(self, *args: Any, **settings: Any) -> None:
        super().__init__(*args, **settings)
        #: Notice that was told → until when that is known (ms); mark → its height, and until when it is known (ms).
        self._told: dict[str, int] = {}
        self._marks: dict[str, tuple[float, int]] = {}
        #: Notice id → when it was told (ms), and the notice.
        self._notices: dict[str, tuple[int, Notice]] = {}
        #: Delivery id → when it is tried next, or was given up (ms), and the delivery.
        self._outbox: dict[str, tuple[int, Delivery]] = {}
        self._given_up: dict[str, tuple[int, Delivery]] = {}

    @atomic
    def tell(
        self, notice: Notice, *, once: str, seconds: float = TOLD_SECONDS, mark: str = "", height: float = 0.0
    ) -> bool:
        now = self._rows.now()
        if self._told.get(once, 0) > now:
            return False
        if mark:
            highest, until = self._marks.get(mark, (0.0, 0))
            if height <= (highest if until > now else 0.0):
                return False
            self._marks[mark] = (height, now + MARK_MS)
        self._told[once] = now + int(seconds * 1000)
        self._notices = {one: row for one, row in self._notices.items() if row[0] > now - DELIVERY_MS}
        self._notices[notice.notice_id] = (now, notice)
        return True

    @atomic
    def notices(self) -> list[Notice]:
        return [notice for _, notice in sorted(self._notices.values(), key=lambda row: (row[0], row[1].notice_id))]

    @atomic
    def spread(self, notice_id: str, targets: Sequence[str]) -> int:
        if notice_id not in self._notices:
            return 0
        now, (_, notice) = self._rows.now(), self._notices.pop(notice_id)
        for target in targets:
            made = Delivery(notice=notice, target_id=target, first_at=now / 1000)
            self._outbox[made.delivery_id] = (now, made)
        return len(targets)

    @atomic
    def take_delivery(self, term: int, retry_seconds: float) -> Delivery | None:
        now = self._rows.now()
        _, sender, until = self._posts.get("sender", ("", 0, 0))
        if sender != term or until <= now:
            raise LeaseLost("another worker holds this now")
        due = sorted((at, one) for one, (at, _) in self._outbox.items() if at <= now)
        if not due:
            return None
        found = self._outbox[due[0][1]][1]
        found = replace(found, attempts=found.attempts + 1)
        then = now + min(int(retry_seconds * 1000) * 2 ** (found.attempts - 1), LONGEST_RETRY_MS)
        self._outbox[found.delivery_id] = (then, found)
        return replace(found, due_at=then / 1000)

    @atomic
    def settle_delivery(self, delivery: Delivery, how: str, why: str = "", after_seconds: float = 0.0) -> str:
        now, one = self._rows.now(), delivery.delivery_id
        waits = self._outbox.get(one)
        row = waits or self._given_up.get(one)
        if row is None:
            return ""
        if how in ("sent", "drop"):
            self._outbox.pop(one, None)
            self._given_up.pop(one, None)
            return "gone"
        if how == "anew":
            if not waits:
                self._outbox[one] = (now, replace(self._given_up.pop(one)[1], attempts=0, first_at=now / 1000))
            return "due"
        if not waits or row[1].attempts != delivery.attempts:
            return ""
        failed = replace(row[1], why=why)
        if how == "failed" and now < round(failed.first_at * 1000) + DELIVERY_MS:
            self._outbox[one] = (max(row[0], now + int(after_seconds * 1000)), failed)
            return "due"
        del self._outbox[one]
        self._given_up[one] = (now, failed)
        for old in sorted(self._given_up, key=lambda one: (self._given_up[one][0], one))[:-MOST_UNDELIVERED]:
            del self._given_up[old]
        return "given up"

    @atomic
    def deliveries(self) -> list[Delivery]:
        return _listed(self._outbox)

    @atomic
    def undelivered(self) -> list[Delivery]:
        return _listed(self._given_up)[::-1]


def _listed(rows: dict[str, tuple[int, Delivery]]) -> list[Delivery]:
    return [
        replace(found, due_at=at / 1000) for at, found in sorted(rows.values(), key=lambda r: (r[0], r[1].delivery_id))
    ]
