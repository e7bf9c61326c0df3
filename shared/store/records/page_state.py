"""The rows that the page keeps for its readers.

They hold the mailboxes of a form that is being filled in, what was done to an import, and how fast it went.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, cast

import redis

from shared.content.json_text import read_json
from shared.model.errors import CredentialsError
from shared.store import Resealed
from shared.store.records.plain_commands import PlainCommands
from shared.store.redis import keys
from shared.store.redis.redis_scripts import unreachable

#: The time after the last entry for which the events and the speed of an import are kept, seconds.
STORY_SECONDS: Final = 30 * 86_400
#: The most events that are kept of one import.
MOST_EVENTS: Final = 500


class PageState(PlainCommands):
    """The page's rows in the state database, beside `shared.store.records.web_records`."""

    # -- what was done to an import (`WebRecords.note` adds to it)

    def events(self, import_id: str) -> list[dict[str, Any]]:
        """Returns what was done to the import, oldest first."""
        rows = cast(
            "Sequence[tuple[bytes, Mapping[bytes, bytes]]]", self._do("xrange", keys.events(import_id), "-", "+")
        )
        return [
            {
                "at": int(entry.split(b"-")[0]) / 1000,
                "who": row[b"who"].decode(),
                "what": row[b"what"].decode(),
                "detail": read_json(row[b"detail"]),
            }
            for entry, row in rows
        ]

    # -- how fast an import went

    def sampling(self, import_id: str, seconds: float) -> bool:
        """Tells whether the caller is to add a sample now: no process did so within `seconds`.

        The call counts as doing so.
        """
        return bool(self._do("set", keys.sampled(import_id), "1", nx=True, px=int(seconds * 1000)))

    def keep_samples(self, import_id: str, samples: Sequence[Sequence[float]]) -> None:
        """Replaces all samples: each is (seconds since the epoch, messages, bytes)."""
        self._do("set", keys.samples(import_id), json.dumps(samples), ex=STORY_SECONDS)

    def samples(self, import_id: str) -> list[list[float]]:
        """Returns the samples as kept last."""
        row = self._do("get", keys.samples(import_id))
        return cast("list[list[float]]", read_json(row)) if row else []

    # -- mailboxes for an import that is being filled in

    def keep_draft(self, draft_id: str, sealed: bytes, seconds: int) -> None:
        """Keeps the sealed mailboxes for the form's next step, for `seconds`."""
        self._do("set", keys.draft(draft_id), sealed, ex=seconds)

    def draft(self, draft_id: str) -> bytes | None:
        """Returns the sealed mailboxes, or None when they expired or were dropped."""
        return cast("bytes | None", self._do("get", keys.draft(draft_id)))

    def take_draft(self, draft_id: str) -> bytes | None:
        """Returns the draft and deletes it: of two callers, one gets it."""
        return cast("bytes | None", self._do("getdel", keys.draft(draft_id)))

    def drop_draft(self, draft_id: str) -> None:
        """Deletes the draft after its use."""
        self._do("delete", keys.draft(draft_id))

    def renew_drafts(self, renew: Callable[[bytes], bytes]) -> Resealed:
        """Seals all drafts anew. One that its reader changes meanwhile is left: it is sealed by the first key by then.

        One that no key opens is of no use to anybody, and expires.
        """
        renewed = 0
        try:
            for key in self._redis.scan_iter(match=keys.draft("*"), count=500):
                with self._redis.pipeline() as pipe, contextlib.suppress(redis.WatchError, CredentialsError):
                    pipe.watch(key)  # type: ignore[no-untyped-call]
                    if (sealed := cast("bytes | None", pipe.get(key))) is None:
                        continue
                    anew = renew(sealed)
                    pipe.multi()
                    pipe.set(key, anew, keepttl=True)
                    pipe.execute()
                    renewed += 1
        except redis.RedisError as error:
            raise unreachable(error) from error
        return Resealed(renewed=renewed)

    # -- forms that are being filled in; each is a draft

    def note_form(self, who: str, form_id: str, at: float, most: int, seconds: int) -> list[str]:
        """Notes that the person keeps a form, for `seconds`. Returns the oldest ones above `most`, which are not noted any more."""
        key = _forms(who)
        self._do("zadd", key, {form_id: at})
        self._do("expire", key, seconds)
        old = [one.decode() for one in self._do("zrange", key, 0, -most - 1)]
        if old:
            self._do("zrem", key, *old)
        return old

    def forms(self, who: str, since: float) -> list[tuple[str, float]]:
        """Returns the ids of the person's forms, and when each was kept, the newest first."""
        rows = self._do("zrevrangebyscore", _forms(who), "+inf", since, withscores=True)
        return [(form_id.decode(), at) for form_id, at in rows]

    def drop_form(self, who: str, form_id: str) -> None:
        """Notes that the person has no such form any more."""
        self._do("zrem", _forms(who), form_id)


def _forms(who: str) -> str:
    return keys.forms(hashlib.sha256(who.encode()).hexdigest()[:24])
