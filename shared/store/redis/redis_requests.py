"""The store's part that the producer writes and every process reads: `shared.store.RequestStore` on Redis."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.model import (
    Endpoint,
    Failure,
    Folder,
    Import,
    Mailbox,
    Note,
    Stranded,
    SwitchMarks,
    Tally,
    Unit,
    Wait,
    WaitKind,
    Wave,
    account_key,
    route_id,
)
from shared.model.errors import StoreError
from shared.model.lifecycle import Control, MailboxState
from shared.model.rates import is_rate
from shared.model.search import ORDERS, Search, small
from shared.model.sides import Scope
from shared.model.uids import UidSet, without_sources
from shared.model.waves import is_set
from shared.rules.standing import Standing, StandingTally
from shared.store import SILENT_SECONDS
from shared.store.redis import codec, keys, packing
from shared.store.redis.redis_secrets import Secrets
from shared.wording.kept import unpacked


class RedisRequests(Secrets):
    """Imports and mailboxes: opened, read, steered."""

    #: The number of mailboxes that one script looks at when some are looked for; what fits more is found in pieces.
    walk: int = 2000

    def open_import(self, import_: Import, mailboxes: Sequence[Mailbox], retention_days: float) -> int:
        fields = codec.encode_import(import_) | {"retention": str(int(retention_days * 86400))}
        exact = import_.options.case_sensitive_logins
        rows = [
            {
                "id": m.mailbox_id,
                "row": m.row,
                "source_login": m.source.login,
                "destination_login": m.destination.login,
                "source": codec.encode_own_source(m, import_),
                "route": route_id(m.source.endpoint, import_.destination),
                Scope.SOURCE_ACCOUNT: f"{m.source.endpoint.url}/{m.source.login}",
                Scope.SOURCE_HOST: m.source.endpoint.host,
                Scope.DESTINATION_ACCOUNT: f"{import_.destination.url}/{m.destination.login}",
                Scope.DESTINATION_HOST: import_.destination.host,
                "profile": codec.encode_profile(m.profile),
                "destination_key": account_key(
                    replace(m.destination, endpoint=import_.destination), case_sensitive=exact
                ),
                "source_key": account_key(m.source, case_sensitive=exact),
                "wave": m.wave,
                "wave_by_rule": m.wave_by_rule,
                "priority": m.priority,
                "group": m.group,
            }
            for m in mailboxes
        ]
        queued = 0
        for at in range(0, max(1, len(rows)), self.piece):
            part = json.dumps(rows[at : at + self.piece])
            queued += self._run_alone("open", import_.import_id, json.dumps(fields), part)
        return queued

    def life(self) -> str:
        return str(self._run("restarted").decode())

    def submit(self, import_id: str, *, since: str = "") -> None:
        self._run_sweep("submit", import_id, since)

    def imports(self) -> list[Import]:
        while True:
            ids = [i.decode() for i in self._read("zrevrange", keys.IMPORTS, 0, -1)]
            rows = self._pipeline([("hgetall", keys.import_(i)) for i in ids]) if ids else []
            if not self._make_decided(ids):
                return [codec.decode_import(i, row) for i, row in zip(ids, rows, strict=True) if row]

    def import_(self, import_id: str) -> Import | None:
        row = self._row(import_id)
        return codec.decode_import(import_id, row) if row else None

    def _row(self, import_id: str) -> Any:
        return self._whole(import_id, lambda: self._read("hgetall", keys.import_(import_id)))

    def import_tally(self, import_id: str) -> tuple[Tally, dict[MailboxState, int]]:
        row = self._row(import_id)
        return codec.decode_tally(row), {s: n for s in MailboxState if (n := codec.number(row, f"s:{s}"))}

    def stranded(self, import_id: str) -> Stranded:
        lease_ms, silent_ms = int(self._lease_seconds * 1000), int(SILENT_SECONDS * 1000)
        units, messages, left = self._run("stranded", import_id, lease_ms, silent_ms)
        return Stranded(units=units, messages=messages, seconds=max(0, left) / 1000)

    def waits(self, import_id: str) -> list[Wait]:
        behind, *flat = self._run("waits", import_id)
        found = [
            Wait(
                what=WaitKind(what.decode()),
                key=key.decode(),
                until=int(until) / 1000,
                why=unpacked(why.decode()),
                mailboxes=many,
            )
            for what, key, until, why, many in zip(*(flat[n::5] for n in range(5)), strict=True)
        ]
        return found + (self._behind(import_id) if behind else [])

    def _behind(self, import_id: str) -> list[Wait]:
        """Returns the mailboxes whose destination another has, as one entry for each cause.

        Few are read at a time, so that nobody waits for it: one that comes or goes meanwhile may be missed.
        """
        causes: dict[tuple[str, str], Wait] = {}
        start, read = 0, self.piece
        while read == self.piece:
            read, *flat = self._run("behind", import_id, start, self.piece)
            start += read
            for what, why, many, login in zip(*(flat[n::4] for n in range(4)), strict=True):
                cause = what.decode(), why.decode()
                before = causes.get(cause)
                one = before or Wait(what=WaitKind(cause[0]), key=login.decode(), why=unpacked(cause[1]), mailboxes=0)
                causes[cause] = replace(one, mailboxes=one.mailboxes + many)
        return [one if one.mailboxes == 1 else replace(one, key="") for one in causes.values()]

    def set_window(
        self,
        import_id: str,
        window: str,
        opens_at: float = 0,
        shuts_at: float = 0,
        *,
        renew: bool = False,
        wave: str = "",
    ) -> bool:
        span = (int(opens_at * 1000), int(shuts_at * 1000))
        return bool(self._run_sweep("hours", import_id, window, *span, "1" if renew else "0", wave))

    def _both(self, import_id: str) -> tuple[Endpoint, Endpoint]:
        # Read each time: the same import may be opened again with another CA file or fingerprint.
        found = self.import_(import_id)
        if found is None:
            raise StoreError(f"import {import_id} is not in the store")
        return found.source, found.destination

    def mailboxes(self, import_id: str, start: int = 0, count: int = -1) -> list[tuple[Mailbox, Tally]]:
        last = -1 if count < 0 else start + count - 1

        def read() -> list[tuple[Mailbox, Tally]]:
            ids = [m.decode() for m in self._read("zrange", keys.import_(import_id, "mailboxes"), start, last)]
            return self._rows(import_id, ids)

        return self._whole(import_id, read)

    def _rows(self, import_id: str, ids: Sequence[str]) -> list[tuple[Mailbox, Tally]]:
        rows = self._pipeline(("hgetall", keys.mailbox(m)) for m in ids)
        source, destination = self._both(import_id) if ids else (None, None)
        return [
            (codec.decode_mailbox(m, row, source, destination), codec.decode_tally(row))  # type: ignore[arg-type]
            for m, row in zip(ids, rows, strict=True)
            if row  # erased since it was found
        ]

    def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        return self._whole(import_id, lambda: self._found(import_id, wanted))

    def _found(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
        what = (
            wanted.state or "",
            wanted.code,
            small(wanted.text),
            ORDERS[wanted.order],
            "1" if wanted.descending else "",
        )
        page = (wanted.start, wanted.count, wanted.wave)
        # What the page needs is made in pieces where it is missing: two orders, trouble, what fits. Where it cannot be
        # kept, one script does it all.
        for walk in (*[self.walk] * 5, 0):
            total, *ids = self._run("find", import_id, *what, *page, walk)
            if total >= 0:
                break
            missing = ids[0].decode()
            asked: tuple[Any, ...] = (*what, wanted.wave) if missing == "found" else (missing,)
            while self._run("gather" if missing == "found" else "rank", import_id, *asked, self.piece):
                pass
        return int(total), self._rows(import_id, [m.decode() for m in ids])

    def failure_codes(self, import_id: str) -> dict[str, int]:
        row = self._whole(import_id, lambda: self._read("hgetall", keys.import_(import_id, "codes")))
        return {code.decode(): int(number) for code, number in row.items()}

    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        row = self._read("hgetall", keys.mailbox(mailbox_id))
        if row and self._make_decided([codec.text(row, "import")]):
            row = self._read("hgetall", keys.mailbox(mailbox_id))
        return codec.decode_mailbox(mailbox_id, row, *self._both(codec.text(row, "import"))) if row else None

    def mailbox_state(self, mailbox_id: str) -> MailboxState | None:
        state, import_id = self._read("hmget", keys.mailbox(mailbox_id), ["state", "import"])
        if state and self._make_decided([import_id.decode()]):
            state = self._read("hget", keys.mailbox(mailbox_id), "state")
        return MailboxState(state.decode()) if state else None

    def folders(self, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        ids = [f.decode() for f in self._read("zrange", keys.mailbox(mailbox_id, "folders"), 0, -1)]
        rows = self._pipeline(("hgetall", keys.folder(f)) for f in ids)
        return [(codec.decode_folder(f, row), codec.decode_tally(row)) for f, row in zip(ids, rows, strict=True)]

    def notes(self, folder_id: str) -> list[Note]:
        row = self._read("hgetall", keys.folder(folder_id, "notes"))
        return sorted((codec.decode_note(k, v) for k, v in row.items()), key=lambda note: (note.uid, note.what))

    def failures(self, mailbox_id: str) -> list[Failure]:
        return [codec.decode_failure(v) for v in self._read("lrange", keys.mailbox(mailbox_id, "failures"), 0, -1)]

    def mark_switch(self, mailbox_id: str, marks: SwitchMarks) -> bool:
        return bool(self._run("mark", mailbox_id, codec.encode_marks(marks)))

    def switch_marks(self, mailbox_id: str) -> SwitchMarks | None:
        packed = self._read("get", keys.mailbox(mailbox_id, "marks"))
        return codec.decode_marks(packed) if packed else None

    def in_doubt(self, mailbox_id: str) -> bool:
        return bool(self._run("in_doubt", mailbox_id))

    def control(self, import_id: str, mailbox_id: str | None, word: Control, *, wave: str = "") -> int:
        return self._run_sweep("control", import_id, mailbox_id or "", word, wave)

    def waves(self, import_id: str) -> list[Wave]:
        return self._whole(import_id, lambda: self._waves(import_id))

    def _waves(self, import_id: str) -> list[Wave]:
        names = ["", *(name.decode() for name in self._read("zrange", keys.import_(import_id, "waves"), 0, -1))]
        rows = self._pipeline(("hgetall", keys.import_(import_id, f"wave:{name}")) for name in names)
        found = [codec.decode_wave(name, row) for name, row in zip(names, rows, strict=True)]
        return sorted((wave for wave in found if wave.name or is_set(wave)), key=lambda wave: wave.order)

    def set_wave(
        self,
        import_id: str,
        name: str,
        *,
        starts_at: float | None = None,
        weight: int | None = None,
        order: int | None = None,
    ) -> bool:
        starts = None if starts_at is None else round(starts_at * 1000)
        given = ("" if value is None else value for value in (starts, weight, order))
        return bool(self._run_sweep("wave", import_id, name, *given))

    def set_standing(self, import_id: str, wave: str, standing: Standing | None) -> bool:
        return bool(self._run_sweep("standing", import_id, wave, codec.encode_standing(standing)))

    def standings(self, import_id: str) -> dict[str, Standing | None]:
        row = self._whole(import_id, lambda: self._read("hgetall", keys.import_(import_id, "standing")))
        return {wave.decode(): codec.decode_standing(value) for wave, value in row.items()}

    def standing_tally(self, import_id: str) -> StandingTally:
        looks, looking = (keys.import_(import_id, part) for part in ("looks", "looking"))
        counts, later, due, first, oldest = self._pipeline(
            [
                ("hmget", keys.import_(import_id), "looks", "looks_found"),
                ("zcard", looks),
                ("zcard", looking),
                ("zrange", looks, 0, 0, False, True),
                ("zrange", looking, 0, 0, False, True),
            ]
        )
        return StandingTally(
            mailboxes=later + due,
            due=due,
            due_since=oldest[0][1] / 1000 if oldest else 0.0,
            next_at=first[0][1] / 1000 if first else 0.0,
            looks=int(counts[0] or 0),
            found=int(counts[1] or 0),
        )

    def move(self, import_id: str, mailbox_id: str, *, wave: str | None = None, priority: int | None = None) -> bool:
        moves = ("0", "") if wave is None else ("1", wave)
        return bool(self._run_alone("move", import_id, mailbox_id, *moves, "" if priority is None else priority))

    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        rows = [
            {
                "folder": unit.folder_id,
                "id": unit.unit_id,
                "uids": packing.encode_uids(unit.uids),
                "size": unit.size_bytes,
                "adopted": 0,
                "notes": [codec.note_field(note) for note in notes],
            }
            for unit, notes in batches
        ]
        struck = {}
        for folder_id in {unit.folder_id for unit, notes in batches if any(note.what == "missing" for note in notes)}:
            lost = [
                (row, UidSet.of(note.uid for note in notes if note.what == "missing"))
                for row, (unit, notes) in zip(rows, batches, strict=True)
                if unit.folder_id == folder_id
            ]
            struck[folder_id] = self._struck(folder_id, lost)
        return bool(self._run_alone("retry", import_id, mailbox_id, json.dumps(rows), json.dumps(struck)))

    def _struck(self, folder_id: str, lost: Sequence[tuple[dict[str, Any], UidSet]]) -> list[tuple[str, str, str]]:
        """Returns the ledger's entries that hold any of `lost`: name, SHA-1, and the records that stay.

        Counts into each row of a batch how many of its messages were adopted.
        """
        every = UidSet.joined([part for _, uids in lost for part in uids.ranges])
        struck = []
        for name, value in self._read("hgetall", keys.folder(folder_id, "ledger")).items():
            records = () if name.endswith(b"#") else packing.decode_records(value)
            here = every & UidSet.joined([part for record in records for part in record.source.ranges])
            if here:
                rest = ";".join(map(str, without_sources(records, here)))
                struck.append((name.decode(), hashlib.sha1(value, usedforsecurity=False).hexdigest(), rest))
                if name.startswith(b"adopted."):
                    for row, uids in lost:
                        row["adopted"] += len(uids & here)
        return struck

    def accept_missing(self, import_id: str, mailbox_id: str, folder_id: str, uids: UidSet) -> int:
        return int(self._run("accept", import_id, mailbox_id, folder_id, json.dumps([int(uid) for uid in uids])))

    def close(self, import_id: str) -> bool:
        # In a change in one step the import was not begun: its mailboxes hold little, and are many.
        at_once = 1 if self._gathered is None else max(1, self.piece // 10)
        mailboxes = [m.decode() for m in self._read("zrange", keys.import_(import_id, "mailboxes"), 0, -1)]
        for at in range(0, len(mailboxes), at_once):
            self._run_alone("close", import_id, *mailboxes[at : at + at_once])
        return bool(self._run_alone("close", import_id, ""))

    def archive(self, import_id: str, *, away: bool) -> bool:
        return bool(self._run_alone("archive", import_id, "1" if away else "0"))

    def erase(self, import_id: str, mailbox_id: str) -> bool:
        return bool(self._run_alone("erase", import_id, mailbox_id))

    def set_limit(self, scope: str, most: int | None) -> None:
        where = keys.RATES if is_rate(scope) else keys.LIMITS
        if most is None:
            self._read("hdel", where, scope)
        else:
            self._read("hset", where, scope, most)

    def limits(self) -> dict[str, int]:
        return {scope: most for scope, most in self._limits_set() if not scope.startswith(keys.USUAL)}

    def set_usual(self, limits: Mapping[str, int]) -> None:
        for where in (keys.LIMITS, keys.RATES):
            here = {scope: most for scope, most in limits.items() if is_rate(scope) == (where == keys.RATES)}
            if here:
                self._read("hset", where, mapping={f"{keys.USUAL}{scope}": most for scope, most in here.items()})

    def usual(self) -> dict[str, int]:
        found = self._limits_set()
        return {scope.removeprefix(keys.USUAL): most for scope, most in found if scope.startswith(keys.USUAL)}

    def _limits_set(self) -> list[tuple[str, int]]:
        return [
            (scope.decode(), int(most))
            for where in self._pipeline([("hgetall", keys.LIMITS), ("hgetall", keys.RATES)])
            for scope, most in where.items()
        ]
