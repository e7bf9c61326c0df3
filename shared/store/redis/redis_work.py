"""The store's part for what workers do under a lease: `shared.store.WorkStore` on Redis."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.content.maildrop import DIGEST_BYTES, Known
from shared.model import (
    Audit,
    Failure,
    Folder,
    FolderPlan,
    Intent,
    Lease,
    LedgerEntry,
    Moving,
    Neighbour,
    ProgressReply,
    Settled,
    Unit,
    Writing,
)
from shared.model.lanes import NOTHING_MEASURED, Measured
from shared.model.ledger import AUDITED
from shared.model.lifecycle import Disposition, Outcome, Wish
from shared.model.uids import NO_UIDS, UidSet
from shared.store import BRINGING_SECONDS, SCOPES, SHARED_SECONDS
from shared.store.redis import codec, keys, packing
from shared.store.redis.redis_lanes import encode_measured
from shared.store.redis.redis_scripts import Scripts
from shared.wording.kept import packed

#: The most arguments of one call: Lua takes some thousands.
_RUNS_AT_ONCE = 1000
#: The number of mailboxes that one claim looks at.
SCAN = 2000
#: The most messages of one `share` or `stand`.
_SHARED_AT_ONCE = 500


class RedisWork(Scripts):
    """Claims, progress, the ledger."""

    def claim(self, holder: str, *, prefer: str = "", hint: str = "", held: str = "") -> Lease | None:
        asked = time.monotonic()
        return self._leased(self._run("claim", *self._claim_args(holder, prefer, hint, held)), holder, asked)

    def _claim_args(self, holder: str, prefer: str, hint: str, held: str) -> tuple[Any, ...]:
        return (
            holder,
            int(self._lease_seconds * 1000),
            prefer,
            hint,
            held,
            SCAN,
            *self._limits,
            *self._worth,
            self._rates,
            *self._most_lanes,
        )

    def _leased(self, answer: Any, holder: str, asked: float) -> Lease | None:
        """Decodes the claim script's answer. `asked` is when the claim was sent, by the monotonic clock."""
        if not answer:
            return None
        unit_id, term, unit_row, mailbox_id, mailbox_row, folder_row, ledger, digest, intents, now, ends, *last = answer
        due, neighbours, last_taken, lanes = last
        writers, heads, pending, alone, restarted = lanes
        first_taken, _, end_taken = last_taken.partition(b":")
        unit = codec.decode_unit(unit_id.decode(), pairs := codec.pairs(unit_row))
        source, destination = (codec.decode_endpoint(value.decode()) for value in ends)
        return Lease(
            unit=unit,
            holder=holder,
            term=int(term),
            # The lease is trusted from when the request was sent, not from when the answer came.
            deadline=asked + self._lease_seconds,
            claimed_at=int(now) / 1000,
            mailbox=codec.decode_mailbox(mailbox_id.decode(), codec.pairs(mailbox_row), source, destination),
            folder=codec.decode_folder(unit.folder_id, codec.pairs(folder_row)) if unit.folder_id else None,
            records=packing.decode_records(ledger),
            others=UidSet.parse(codec.text(pairs, "others")),
            digest=int(digest),
            intents=tuple(sorted(map(codec.decode_intent, intents), key=lambda i: (i.at, i.uids.ranges))),
            due=codec.decode_due(due),
            last_taken=(int(first_taken), int(end_taken)),
            neighbours=tuple(
                Neighbour(mailbox_id=other.decode(), same_source=same == b"1")
                for other, same in zip(neighbours[::2], neighbours[1::2], strict=True)
            ),
            writers=writers if unit.folder_id else 1,
            heads=heads if unit.folder_id else 1,
            alone=bool(alone) and bool(unit.folder_id),
            folder_pending=pending,
            restarted=bool(restarted) and bool(unit.folder_id),
        )

    def attend(
        self,
        worker: str,
        leases: Sequence[Lease],
        *,
        extend: bool,
        beat: int = 0,
        measured: Mapping[str, Measured] = NOTHING_MEASURED,
    ) -> list[Wish]:
        args: list[str | int] = []
        for lease in leases:
            args += [lease.unit.unit_id, lease.term, lease.holder]
        lease_ms, told = int(self._lease_seconds * 1000), encode_measured(measured)
        words = self._run("attend", worker, lease_ms, "1" if extend else "0", beat, told, *self._most_lanes, *args)
        return [Wish(word.decode()) for word in words]

    def leave(self, holder: str, mailbox_id: str) -> None:
        self._run("leave", holder, mailbox_id)

    def progress(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> ProgressReply:
        answer = self._run("progress", *self._progress_args(lease, settled, intents, withdrawn, doubts))
        word, due = answer if isinstance(answer, list) else (answer, ())
        return ProgressReply(word=Wish(word.decode()), due=codec.decode_due(due))

    def _progress_args(
        self,
        lease: Lease,
        settled: Sequence[Settled],
        intents: Sequence[Intent] = (),
        withdrawn: Iterable[str] = (),
        doubts: UidSet = NO_UIDS,
    ) -> tuple[Any, ...]:
        return (
            *self._fence(lease),
            json.dumps([codec.encode_settled(s) for s in settled]),
            json.dumps([codec.encode_intent(intent) for intent in intents]),
            json.dumps(list(withdrawn)),
            str(doubts),
            self._rates,
        )

    def finish(self, lease: Lease, records: Sequence[LedgerEntry] = ()) -> None:
        self._run("finish", *self._finish_args(lease, records))

    def _finish_args(self, lease: Lease, records: Sequence[LedgerEntry]) -> tuple[Any, ...]:
        packed = packing.encode_records(records[0].records) if records else b""
        return (*self._fence(lease), packed, "1" if records and records[0].checked else "0")

    def note_unplanned(self, lease: Lease, digests: bytes) -> None:
        self._run("note_unplanned", *self._fence(lease), digests)

    def looked(self, lease: Lease, *, found: bool) -> None:
        self._run("looked", *self._looked_args(lease, found))

    def _looked_args(self, lease: Lease, found: bool) -> tuple[Any, ...]:
        return (*self._fence(lease), int(found), round(lease.claimed_at * 1000))

    def follow(
        self,
        lease: Lease,
        *,
        settled: Sequence[Settled] = (),
        records: Sequence[LedgerEntry] = (),
        prefer: str = "",
        claim: bool = True,
        found: bool | None = None,
    ) -> Lease | None:
        calls: list[tuple[str, tuple[Any, ...]]] = []
        if settled:
            calls.append(("progress", self._progress_args(lease, settled)))
        if found is None:
            calls.append(("finish", self._finish_args(lease, records)))
        else:
            calls.append(("looked", self._looked_args(lease, found)))
        if claim:
            calls.append(("claim", self._claim_args(lease.holder, prefer, "", lease.mailbox.mailbox_id)))
        asked = time.monotonic()
        answers = self._run_all(calls)
        return self._leased(answers[-1], lease.holder, asked) if claim else None

    def release(
        self,
        lease: Lease,
        *,
        how: Disposition,
        delay_seconds: float = 0,
        failure: Failure | None = None,
        hold: str = "",
        hold_seconds: float = 0,
        again_seconds: float = 0,
        crowded: bool = False,
    ) -> None:
        seconds = (hold_seconds, again_seconds)
        self._run(
            "release",
            *self._fence(lease),
            how,
            int(delay_seconds * 1000),
            codec.encode_failure(failure),
            hold,
            *(int(n * 1000) for n in seconds),
            round(lease.claimed_at * 1000),
            "1" if crowded else "0",
            *self._unset_lanes(hold),
        )

    def hold(self, name: str, seconds: float, *, import_id: str, why: str) -> None:
        self._run("hold", name, int(seconds * 1000), import_id, packed(why), *self._unset_lanes(name))

    def _unset_lanes(self, name: str) -> list[str]:
        """Returns how many lanes "scope:key" lets in where nothing is set or found, and the most that may be tried."""
        numbers = {str(scope): both for scope, *both in zip(SCOPES, self._limits, self._most_lanes, strict=True)}
        return numbers.get(name.partition(":")[0], ["", ""])

    def split(self, lease: Lease, halves: Sequence[tuple[Unit, Sequence[Intent]]]) -> None:
        rows = [
            {
                "id": unit.unit_id,
                "uids": packing.encode_uids(unit.uids),
                "size": unit.size_bytes,
                "messages": len(unit.uids),
                "attempts": unit.attempts,
                "intents": [codec.encode_intent(intent) for intent in intents],
            }
            for unit, intents in halves
        ]
        self._run("split", *self._fence(lease), json.dumps(rows))

    def widen(self, lease: Lease, writers: int) -> int:
        return int(self._run("widen", *self._fence(lease), writers))

    def writing(self, lease: Lease) -> Writing:
        taken, live, left = self._run("writing", *self._fence(lease))
        return Writing(
            taken=UidSet.parse(b",".join(taken).decode()),
            live=tuple(map(codec.decode_intent, live)),
            left=tuple(map(codec.decode_intent, left)),
        )

    def recheck(self, mailbox_id: str, delay_seconds: float) -> bool:
        return bool(self._run("recheck", mailbox_id, int(delay_seconds * 1000)))

    def plan_folders(
        self, lease: Lease, plans: Sequence[tuple[FolderPlan, int]], *, settle_seconds: float = 0.0
    ) -> None:
        settle = int(settle_seconds * 1000)
        self._run_all([("plan_folder", (*self._plan_args(lease, plan, order), settle)) for plan, order in plans])

    def _plan_args(self, lease: Lease, plan: FolderPlan, order: int) -> tuple[Any, ...]:
        batches = [
            {
                "id": b.unit_id,
                "uids": packing.encode_uids(b.uids),
                "size": b.size_bytes,
                "messages": len(b.uids),
                "band": b.band,
            }
            for b in plan.batches
        ]
        return (
            *self._fence(lease),
            plan.folder.folder_id,
            json.dumps(codec.encode_folder(plan.folder)),
            json.dumps(batches),
            order,
            plan.messages,
            plan.size_bytes,
            json.dumps([codec.encode_settled(s) for s in plan.adopted]),
            "1" if plan.reset else "0",
            packing.encode_records([record for settled in plan.adopted for record in settled.records]),
            packing.encode_sets(plan.skipped) if plan.skipped is not None else b"",
            sum(map(len, (plan.skipped or {}).values())),
            plan.skipped_bytes,
            "" if plan.withheld is None else plan.withheld,
            int(plan.folder.unreadable),
            packing.encode_sets(plan.flags) if plan.flags is not None else b"",
            len(plan.folder.taken_away) if plan.let_go else "",
            len(plan.folder.deleted),
            len(plan.folder.followed),
            codec.encode_digests(plan.digests),
            json.dumps([f"{uid}:{Outcome.VANISHED}" for uid in plan.shown_again]),
        )

    def folder(self, folder_id: str) -> Folder | None:
        row = self._read("hgetall", keys.folder(folder_id))
        return codec.decode_folder(folder_id, row) if row else None

    def ledger(self, folder_id: str) -> list[LedgerEntry]:
        return codec.decode_ledger(self._read("hgetall", keys.folder(folder_id, "ledger")))

    def audit(self, lease: Lease, audits: Sequence[Audit]) -> None:
        self._run_all([("audit", self._audit_args(lease, audit)) for audit in audits])

    def compared(self, lease: Lease, messages: int) -> None:
        self._run("compared", *self._fence(lease), messages)

    def _audit_args(self, lease: Lease, audit: Audit) -> tuple[Any, ...]:
        return (
            *self._fence(lease),
            audit.folder_id,
            audit.verified,
            codec.encode_digests(audit.digests),
            json.dumps({what: getattr(audit, what) for what in AUDITED}),
            json.dumps({codec.note_field(note): codec.encode_note(note) for note in audit.notes}),
            json.dumps(list(audit.checked)),
        )

    def set_flags(self, lease: Lease, folder_id: str, highestmodseq: int, seen: Mapping[str, UidSet]) -> None:
        self._run("set_flags", *self._fence(lease), folder_id, highestmodseq, packing.encode_sets(seen))

    def set_deleted_too(self, lease: Lease, folder_id: str, uids: UidSet) -> None:
        self._run("deleted_too", *self._fence(lease), folder_id, packing.encode_uids(uids))

    def note_mixed(self, lease: Lease, folder_id: str) -> None:
        self._run("mixed", *self._fence(lease), folder_id)

    def set_moving(self, lease: Lease, folder_id: str, moving: Sequence[Moving]) -> None:
        self._run("moving", *self._fence(lease), folder_id, codec.encode_moving(moving))

    def note_left_out(self, lease: Lease, other_folders: int, public_folders: int) -> None:
        self._run("note_left_out", *self._fence(lease), other_folders, public_folders)

    def flags(self, folder_id: str) -> dict[str, UidSet]:
        return packing.decode_sets(self._read("get", keys.folder(folder_id, "flags")))

    def maildrop(self, mailbox_id: str) -> Known:
        key = keys.mailbox(mailbox_id, "maildrop")
        row, said = self._pipeline([("hmget", key, "generation", "identities"), ("get", f"{key}:said")])
        return Known(generation=int(row[0] or 1), digests=row[1] or b"", said=said or b"")

    def replace_maildrop(self, mailbox_id: str, before: Known, generation: int, digests: bytes) -> Known:
        seen = hashlib.sha1(before.digests, usedforsecurity=False).hexdigest()
        found = self._run("maildrop", mailbox_id, before.generation, seen, generation, digests)
        said = before.said if int(found[0]) == before.generation else b""
        return Known(generation=int(found[0]), digests=found[1], said=said)

    def say_maildrop(self, mailbox_id: str, generation: int, said: Mapping[int, bytes]) -> None:
        runs: list[Any] = []
        last = 0
        for number in sorted(said):
            if number == last + 1 and runs:
                runs[-1] += said[number]
            else:
                runs += [(number - 1) * DIGEST_BYTES, said[number]]
            last = number
        for at in range(0, len(runs), _RUNS_AT_ONCE):
            self._run("maildrop_said", mailbox_id, generation, *runs[at : at + _RUNS_AT_ONCE])

    def share(self, mailbox_id: str, unit_id: str, messages: Sequence[int]) -> list[bytes]:
        holder = hashlib.blake2b(unit_id.encode(), digest_size=6).hexdigest()
        head = (mailbox_id, holder, BRINGING_SECONDS, SHARED_SECONDS * 1000)
        parts = [messages[at : at + _SHARED_AT_ONCE] for at in range(0, len(messages), _SHARED_AT_ONCE)]
        calls = [("share", (*head, *(word for message in part for word in keys.shared(message)))) for part in parts]
        return [place for answer in self._run_all(calls) for place in answer] if calls else []

    def stand(self, mailbox_id: str, places: Mapping[int, bytes]) -> None:
        every = list(places.items())
        for at in range(0, len(every), _SHARED_AT_ONCE):
            words = [
                word for message, place in every[at : at + _SHARED_AT_ONCE] for word in (*keys.shared(message), place)
            ]
            self._run("stand", mailbox_id, SHARED_SECONDS * 1000, *words)

    def skipped(self, folder_id: str) -> dict[str, UidSet]:
        return packing.decode_sets(self._read("get", keys.folder(folder_id, "skipped")))

    def limits_of(self, mailbox_id: str) -> dict[str, str]:
        values = self._read("hmget", keys.mailbox(mailbox_id), *SCOPES)
        return {scope: (value or b"").decode() for scope, value in zip(SCOPES, values, strict=True)}
