"""The store's outbox of notices: `shared.store.NoticeStore` on Redis."""

from __future__ import annotations

from collections.abc import Sequence

from shared.model.notices import Delivery, Notice
from shared.store.ports.outbox import TOLD_SECONDS
from shared.store.redis import codec, keys
from shared.store.redis.notice_codec import decode_delivery, decode_notice, digest_of, encode_notice
from shared.store.redis.redis_scripts import Scripts
from shared.wording.kept import packed


class RedisNotices(Scripts):
    """Notices that were told, and their deliveries."""

    def tell(
        self, notice: Notice, *, once: str, seconds: float = TOLD_SECONDS, mark: str = "", height: float = 0.0
    ) -> bool:
        guard, hold = digest_of(once), int(seconds * 1000)
        return bool(
            self._run("tell", notice.notice_id, encode_notice(notice), guard, hold, digest_of(mark), repr(height))
        )

    def notices(self) -> list[Notice]:
        ids = self._read("zrange", keys.NOTICES_AT, 0, -1)
        rows = self._read("hmget", keys.NOTICES, ids) if ids else []
        return [decode_notice(row) for row in rows if row]

    def spread(self, notice_id: str, targets: Sequence[str]) -> int:
        return int(self._run("spread", notice_id, *targets))

    def take_delivery(self, term: int, retry_seconds: float) -> Delivery | None:
        found = self._run("take_delivery", term, int(retry_seconds * 1000))
        return decode_delivery(codec.pairs(found[2]), float(found[1])) if found else None

    def settle_delivery(self, delivery: Delivery, how: str, why: str = "", after_seconds: float = 0.0) -> str:
        after = int(after_seconds * 1000)
        answer: bytes = self._run("settle_delivery", delivery.delivery_id, how, delivery.attempts, after, packed(why))
        return answer.decode()

    def deliveries(self) -> list[Delivery]:
        return self._deliveries(keys.OUTBOX)

    def undelivered(self) -> list[Delivery]:
        return self._deliveries(keys.UNDELIVERED)[::-1]

    def _deliveries(self, key: str) -> list[Delivery]:
        found = self._read("zrange", key, 0, -1, withscores=True)
        rows = self._pipeline(("hgetall", keys.delivery(one.decode())) for one, _ in found)
        return [decode_delivery(row, at) for row, (_, at) in zip(rows, found, strict=True) if b"notice" in row]
