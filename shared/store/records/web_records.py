"""The rows that the page and the API keep beside imports: the audit log, answers to repeated requests, rehearsals.

An act is noted before it is done; where it is refused, a second entry of the audit log says so, and among the events of its
import it takes the place of the first one.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import count, islice
from typing import Any, Final, cast

from shared.content.json_text import read_json
from shared.nouns import dataclass
from shared.store.records.audit_log import FAULTS, AuditLog
from shared.store.records.page_state import MOST_EVENTS, STORY_SECONDS
from shared.store.redis import keys
from shared.wording.kept import as_json, packed_all, unpacked_all
from shared.wording.phrases import Fault, option, worded

#: The words of the audit log for who ran a command, and for where.
COMMAND_LINE: Final = "command line"
#: Answers to repeated requests are kept for so long, seconds.
ANSWER_SECONDS: Final = 86_400
#: Rehearsals are kept for so long, seconds.
REHEARSAL_SECONDS: Final = 86_400
#: A request that was begun and never answered blocks its key for so long, seconds.
_BEGUN_SECONDS: Final = 900
#: Mailboxes of a rehearsal that are written or read at once.
_PIECE: Final = 500


@dataclass(frozen=True, kw_only=True, slots=True)
class NotedEntry:
    """An entry of the audit log, as it was noted before its act."""

    #: The principal, as the log names it.
    who: str
    #: The act.
    what: str
    #: Its details.
    detail: Mapping[str, object]
    #: Its id among the events of its import; None where it concerns none.
    event: bytes | None


class WebRecords(AuditLog):
    """The audit log, answers and rehearsals in the state database.

    Thread-safe. Raises `StoreError` while it is away.
    """

    # -- acts

    def note(self, who: str, what: str, detail: Mapping[str, object]) -> NotedEntry:
        """Adds an act to the audit log, and to the events of its import. `detail` must hold no secret."""
        self.add_entry(who, what, detail)
        event: bytes | None = None
        if isinstance(import_id := detail.get("import_id"), str):
            fields = {"who": who, "what": what, "detail": json.dumps(detail, ensure_ascii=False)}
            events = keys.events(import_id)
            event = cast(bytes, self._do("xadd", events, fields, maxlen=MOST_EVENTS))
            self._do("expire", events, STORY_SECONDS)
        return NotedEntry(who=who, what=what, detail=detail, event=event)

    def refused(self, entry: NotedEntry, faults: Sequence[Fault]) -> None:
        """Adds an entry that says that the act was refused, and why; among the events of its import it replaces the first."""
        why = "\n".join(worded(fault, option) for fault in faults)
        told = {"act": entry.what, "why": why, FAULTS: list(map(as_json, faults))}
        self.note(entry.who, "act refused", {**entry.detail, **told})
        if entry.event is not None:
            self._do("xdel", keys.events(str(entry.detail["import_id"])), entry.event)

    # -- requests that may be repeated

    def begin(self, key: str, digest: str) -> dict[str, Any] | None:
        """Returns None when the caller is to carry the request out.

        Else returns what is known of it: its digest, and its answer once there is one.
        """
        row = json.dumps({"digest": digest})
        if self._do("set", keys.once(key), row, nx=True, ex=_BEGUN_SECONDS):
            return None
        known = self._do("get", keys.once(key))
        return cast(dict[str, Any], read_json(known)) if known else self.begin(key, digest)

    def answer(self, key: str, digest: str, answer: object) -> None:
        """Keeps the answer that a repetition of the request gets from now on."""
        self._do("set", keys.once(key), json.dumps({"digest": digest, "answer": answer}), ex=ANSWER_SECONDS)

    def drop(self, key: str) -> None:
        """Forgets a request that came to nothing: the same key may be used again."""
        self._do("delete", keys.once(key))

    # -- rehearsals

    def keep_rehearsal(self, rehearsal_id: str, document: Mapping[str, Any]) -> None:
        """Keeps the state of a rehearsal, or its result."""
        self._do("set", keys.rehearsal(rehearsal_id), json.dumps(packed_all(document)), ex=REHEARSAL_SECONDS)

    def keep_rehearsed(self, rehearsal_id: str, mailboxes: Iterable[Mapping[str, Any]]) -> None:
        """Keeps what a rehearsal found, mailbox by mailbox, in this order."""
        key, rows = keys.rehearsed(rehearsal_id), iter(mailboxes)
        while piece := [json.dumps(packed_all(row)) for row in islice(rows, _PIECE)]:
            self._do("rpush", key, *piece)
            self._do("expire", key, REHEARSAL_SECONDS)

    def rehearsed(self, rehearsal_id: str, start: int, count: int) -> list[dict[str, Any]]:
        """Returns some of the mailboxes of a rehearsal, in the order in which they were kept."""
        rows = cast("Sequence[bytes]", self._do("lrange", keys.rehearsed(rehearsal_id), start, start + count - 1))
        return [unpacked_all(read_json(row)) for row in rows]

    def all_rehearsed(self, rehearsal_id: str) -> Iterator[dict[str, Any]]:
        """Yields all the mailboxes of a rehearsal, while they are read."""
        for start in count(0, _PIECE):
            rows = self.rehearsed(rehearsal_id, start, _PIECE)
            yield from rows
            if len(rows) < _PIECE:
                return

    def add_rehearsal(self, import_id: str, rehearsal_id: str, kind: str, wave: str = "") -> None:
        """Enters a rehearsal among those of its import, of a wave if one is given."""
        of_wave = {"wave": wave} if wave else {}
        row = json.dumps({"id": rehearsal_id, "kind": kind, "at": time.time(), **of_wave})
        self._do("hset", keys.rehearsals(import_id), rehearsal_id, row)
        self._do("expire", keys.rehearsals(import_id), REHEARSAL_SECONDS)

    def note_found(self, import_id: str, rehearsal_id: str, broken: int) -> None:
        """Notes in how many mailboxes a rehearsal of the import found trouble."""
        if row := cast("bytes | None", self._do("hget", keys.rehearsals(import_id), rehearsal_id)):
            noted = json.dumps({**read_json(row), "broken": broken})
            self._do("hset", keys.rehearsals(import_id), rehearsal_id, noted)

    def rehearsals_of(self, import_id: str) -> list[dict[str, Any]]:
        """Returns the rehearsals of an import that are still kept, newest first.

        Each has its id, its kind, when it began, and `broken` once it is done: in how many mailboxes it found trouble.
        """
        rows = cast("Mapping[bytes, bytes]", self._do("hgetall", keys.rehearsals(import_id)))
        since = time.time() - REHEARSAL_SECONDS
        found = sorted(map(read_json, rows.values()), key=lambda row: -row["at"])
        return [row for row in found if row["at"] > since]

    def rehearsal(self, rehearsal_id: str) -> dict[str, Any] | None:
        """Returns the rehearsal as kept last, or None."""
        row = self._do("get", keys.rehearsal(rehearsal_id))
        return cast(dict[str, Any], unpacked_all(read_json(row))) if row else None
