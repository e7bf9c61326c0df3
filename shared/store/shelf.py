"""What the page keeps for its readers: mailboxes of a form that is being filled in, what was done to an import, and how fast
it went."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Final, cast

from shared.store import keys
from shared.store.asking import Asking

#: What happened to an import, and how fast it went, is kept so long after the last of it, seconds.
STORY_SECONDS: Final = 30 * 86_400
#: What was done to one import, at most.
MOST_EVENTS: Final = 500


class Shelf(Asking):
    """On the state database, beside `shared.store.desk`."""

    # -- what was done (`Desk.note` adds to it)

    def events(self, import_id: str) -> list[dict[str, Any]]:
        """Oldest first."""
        rows = cast(
            "Sequence[tuple[bytes, Mapping[bytes, bytes]]]", self._do("xrange", keys.events(import_id), "-", "+")
        )
        return [
            {
                "at": int(entry.split(b"-")[0]) / 1000,
                "who": row[b"who"].decode(),
                "what": row[b"what"].decode(),
                "detail": json.loads(row[b"detail"]),
            }
            for entry, row in rows
        ]

    # -- how fast an import went

    def sampling(self, import_id: str, seconds: float) -> bool:
        """Whether it is ours to add a sample now: nobody did, for so long."""
        return bool(self._do("set", keys.sampled(import_id), "1", nx=True, px=int(seconds * 1000)))

    def keep_samples(self, import_id: str, samples: Sequence[Sequence[float]]) -> None:
        """All of them anew: each a moment (seconds since the epoch), messages and bytes."""
        self._do("set", keys.samples(import_id), json.dumps(samples), ex=STORY_SECONDS)

    def samples(self, import_id: str) -> list[list[float]]:
        """As kept last."""
        row = self._do("get", keys.samples(import_id))
        return cast("list[list[float]]", json.loads(row)) if row else []

    # -- mailboxes for an import that is being filled in

    def keep_draft(self, draft_id: str, sealed: bytes, seconds: int) -> None:
        """For the next step."""
        self._do("set", keys.draft(draft_id), sealed, ex=seconds)

    def draft(self, draft_id: str) -> bytes | None:
        """As kept."""
        return cast("bytes | None", self._do("get", keys.draft(draft_id)))

    def drop_draft(self, draft_id: str) -> None:
        """It was used."""
        self._do("delete", keys.draft(draft_id))
