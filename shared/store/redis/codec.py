"""Translates nouns to and from what stands in Redis. Pure; no key is spelled here."""

from __future__ import annotations

import dataclasses
import json
import zlib
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

from shared.content.json_text import read_json
from shared.model import (
    Account,
    AccountState,
    Endpoint,
    Failure,
    Folder,
    FolderMark,
    Import,
    Intent,
    LedgerEntry,
    Mailbox,
    Moving,
    Note,
    Options,
    Profile,
    Settled,
    SwitchMarks,
    Tally,
    Tls,
    Unit,
    UnitKind,
    Wave,
)
from shared.model.choices import DeletionsChoice, LabelMode, MoveChoice, SharedFolders, Verification
from shared.model.folders import COUNTERS
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome, UnitState
from shared.model.rates import Due
from shared.model.sign_in import SignIn, Way
from shared.model.uids import UidSet
from shared.rules.age_bands import band_of
from shared.rules.standing import Standing
from shared.store.redis.packing import decode_records, decode_uids, encode_uids
from shared.wording.kept import packed, packed_all, unpacked, unpacked_all
from shared.wording.phrases import changed

Hash = Mapping[bytes, bytes]


def pairs(flat: Sequence[bytes]) -> dict[bytes, bytes]:
    """Turns the flat answer of HGETALL inside a script into a mapping."""
    return dict(zip(flat[::2], flat[1::2], strict=True))


def text(row: Hash, name: str) -> str:
    """Returns a text field; "" when absent."""
    return row.get(name.encode(), b"").decode("utf-8", "surrogateescape")


def number(row: Hash, name: str) -> int:
    """Returns a whole number; 0 when absent."""
    return int(row.get(name.encode(), b"0") or b"0")


def encode_endpoint(endpoint: Endpoint) -> str:
    return json.dumps(dataclasses.asdict(endpoint))


@lru_cache(64)
def decode_endpoint(value: str) -> Endpoint:
    fields = read_json(value)
    return Endpoint(**{**fields, "tls": Tls(fields["tls"])})


def encode_import(import_: Import) -> dict[str, str]:
    """Encodes the request alone; the scripts write the import's state."""
    return {
        "name": import_.name,
        "source": encode_endpoint(import_.source),
        "destination": encode_endpoint(import_.destination),
        "options": json.dumps(dataclasses.asdict(import_.options)),
    }


#: Options that are a choice among a few.
_CHOICES: Final = {
    "shared_folders": SharedFolders,
    "gmail_labels": LabelMode,
    "moves": MoveChoice,
    "deletions": DeletionsChoice,
    "verify": Verification,
}


@lru_cache(64)
def _decode_options(value: str) -> Options:
    """Decodes the options of an import, which every connection of it asks for."""
    said: dict[str, Any] = read_json(value or "{}")
    options: dict[str, Any] = {key: _frozen(value) for key, value in said.items()}
    for name, choice in _CHOICES.items():
        if name in said:
            options[name] = choice(said[name])
    for side in ("source_sign_in", "destination_sign_in"):
        if side in said:
            options[side] = SignIn(**{**said[side], "way": Way(said[side]["way"])})
    return Options(**options)


def decode_import(import_id: str, row: Hash) -> Import:
    return Import(
        import_id=import_id,
        name=text(row, "name"),
        source=decode_endpoint(text(row, "source")),
        destination=decode_endpoint(text(row, "destination")),
        options=_decode_options(text(row, "options")),
        state=ImportState(text(row, "state")),
        control=Control(text(row, "control")),
        created_at=number(row, "created_at") / 1000,
        finished_at=number(row, "finished_at") / 1000,
        first_claim_at=number(row, "first_claim_at") / 1000,
        last_record_at=number(row, "last_record_at") / 1000,
        passes=number(row, "passes"),
        window=text(row, "window"),
        opens_at=number(row, "opens_at") / 1000,
        shuts_at=number(row, "shuts_at") / 1000,
        archived_at=number(row, "archived_at") / 1000,
    )


def _frozen(value: Any) -> Any:
    """Turns JSON's lists into tuples, at every depth."""
    return tuple(map(_frozen, value)) if isinstance(value, list) else value


def encode_own_source(mailbox: Mailbox, import_: Import) -> str:
    """Encodes the mailbox's source where it is not the import's.

    Returns "" elsewhere, since the import's CA file or fingerprint may change.
    """
    own = mailbox.source.endpoint
    return "" if own.url == import_.source.url else encode_endpoint(own)


def decode_mailbox(mailbox_id: str, row: Hash, source: Endpoint, destination: Endpoint) -> Mailbox:
    failure, own = text(row, "failure"), text(row, "source")
    return Mailbox(
        mailbox_id=mailbox_id,
        import_id=text(row, "import"),
        row=number(row, "row"),
        source=Account(endpoint=decode_endpoint(own) if own else source, login=text(row, "source_login")),
        destination=Account(endpoint=destination, login=text(row, "destination_login")),
        state=MailboxState(text(row, "state")),
        control=Control(text(row, "control")),
        failure=decode_failure(failure) if failure else None,
        wave=text(row, "wave"),
        priority=number(row, "priority"),
        group=text(row, "group"),
        profile=decode_profile(text(row, "profile")),
        account=AccountState(text(row, "account")),
        account_at=number(row, "account_at") / 1000,
        again_at=number(row, "again_at") / 1000,
        other_folders=number(row, "other_folders"),
        public_folders=number(row, "public_folders"),
        over_at=number(row, "over_at") / 1000,
        behind=text(row, "behind"),
        compared=number(row, "compared"),
        unplanned=row.get(b"unplanned", b""),
        planned_at=number(row, "planned_at") / 1000,
        after_look=b"after_look" in row,
        looked_at=number(row, "looked_at") / 1000,
        synced_at=number(row, "synced_at") / 1000,
        mail_at=number(row, "mail_at") / 1000,
        look_at=(number(row, "looking") or number(row, "look_at")) / 1000,
    )


def encode_standing(standing: Standing | None) -> str:
    """Encodes bounds in milliseconds; None becomes "off"."""
    if standing is None:
        return "off"
    times = (standing.least_seconds, standing.most_seconds, standing.switch_at)
    return ":".join(str(round(seconds * 1000)) for seconds in times)


def decode_standing(value: bytes) -> Standing | None:
    """Decodes what `encode_standing` wrote."""
    if value == b"off":
        return None
    least, most, switch = (int(part) / 1000 for part in value.split(b":"))
    return Standing(least_seconds=least, most_seconds=most, switch_at=switch)


def encode_profile(profile: Profile) -> str:
    """Encodes the profile; an empty one becomes "", since most manifests give none and there are many mailboxes."""
    return json.dumps(dataclasses.asdict(profile)) if profile != Profile() else ""


def decode_profile(value: str) -> Profile:
    return Profile(**read_json(value)) if value else Profile()


def decode_failure(text: str | bytes) -> Failure:
    """The opposite of `encode_failure`, of a failure."""
    return Failure(**unpacked_all(read_json(text)))


def encode_failure(failure: Failure | None) -> str:
    return json.dumps(packed_all(dataclasses.asdict(failure))) if failure else ""


def decode_tally(row: Hash) -> Tally:
    counts: dict[str, Any] = {name: number(row, name) for name in COUNTERS}
    return Tally(
        **counts | {"ever_bytes": number(row, "ever:done_bytes")},
        outcomes={o: n for o in Outcome if (n := number(row, f"o:{o}"))},
        ever={o: n for o in Outcome if (n := number(row, f"ever:o:{o}"))},
    )


def _printable(value: str) -> str:
    """Replaces half surrogate pairs.

    A hostile folder name may decode to one, which is neither UTF-8 nor JSON that Redis reads.
    """
    return changed(value, lambda text: text.encode("utf-16", "surrogatepass").decode("utf-16", "replace"))


def encode_folder(folder: Folder) -> dict[str, str | int]:
    return {
        # Latin-1 keeps every byte of a raw name, and survives JSON.
        "source_name": folder.source_name.decode("latin-1"),
        "destination_name": folder.destination_name.decode("latin-1"),
        "display": _printable(folder.display),
        "uidvalidity": folder.uidvalidity,
        "uidnext": folder.uidnext,
        # 63 bits (RFC 7162): as a number it would not survive Lua.
        "highestmodseq": str(folder.highestmodseq),
        "source_messages": folder.source_messages,
        "destination_uidvalidity": folder.destination_uidvalidity,
        "destination_uidnext": folder.destination_uidnext,
        "destination_messages": folder.destination_messages,
        "accounted": folder.accounted,
        "note": packed(_printable(folder.note)),
        "skipped": packed(_printable(folder.skipped)),
        "remade": folder.remade,
        "hidden": encode_uids(folder.hidden),
        "taken_away": encode_uids(folder.taken_away),
        "unmatched": encode_uids(folder.unmatched),
        "deleted": encode_uids(folder.deleted),
        "followed": encode_uids(folder.followed),
        **({"object_id": folder.object_id} if folder.object_id else {}),
        **({"same_as": ",".join(sorted(folder.same_as))} if folder.same_as else {}),
    }


def encode_digests(digests: Mapping[str, int]) -> str:
    return json.dumps({name: str(digest) for name, digest in digests.items()})


def encode_moving(moving: Sequence[Moving]) -> str:
    """Leaves out a `uidvalidity` of None: workers of before it had that field read these notes too."""
    rows = [{name: said for name, said in dataclasses.asdict(one).items() if said is not None} for one in moving]
    return json.dumps(rows) if rows else ""


def decode_moving(value: str) -> tuple[Moving, ...]:
    return tuple(Moving(**{**one, "messages": tuple(map(tuple, one["messages"]))}) for one in read_json(value or "[]"))


def decode_folder(folder_id: str, row: Hash) -> Folder:
    return Folder(
        folder_id=folder_id,
        mailbox_id=text(row, "mailbox"),
        source_name=text(row, "source_name").encode("latin-1"),
        destination_name=text(row, "destination_name").encode("latin-1"),
        display=text(row, "display"),
        uidvalidity=number(row, "uidvalidity"),
        uidnext=number(row, "uidnext"),
        highestmodseq=number(row, "highestmodseq"),
        object_id=text(row, "object_id"),
        same_as=frozenset(filter(None, text(row, "same_as").split(","))),
        source_messages=number(row, "source_messages"),
        destination_uidvalidity=number(row, "destination_uidvalidity"),
        destination_uidnext=number(row, "destination_uidnext"),
        destination_messages=number(row, "destination_messages"),
        accounted=number(row, "accounted"),
        note=unpacked(text(row, "note")),
        skipped=unpacked(text(row, "skipped")),
        remade=number(row, "remade"),
        hidden=decode_uids(text(row, "hidden")),
        taken_away=decode_uids(text(row, "taken_away")),
        unmatched=decode_uids(text(row, "unmatched")),
        deleted=decode_uids(text(row, "deleted")),
        followed=decode_uids(text(row, "followed")),
        deleted_too=decode_uids(text(row, "deleted_too")),
        mixed=text(row, "mixed") == "1",
        moving=decode_moving(text(row, "moving")),
        doubts=UidSet.parse(text(row, "doubts")),
        doubted_at=number(row, "doubted_at") / 1000,
        accepted=UidSet.parse(text(row, "accepted")),
        unchecked=number(row, "unchecked"),
        verified=text(row, "verified"),
    )


def decode_wave(name: str, row: Hash) -> Wave:
    return Wave(
        name=name,
        control=Control(text(row, "control") or Control.RUN),
        starts_at=number(row, "starts_at") / 1000,
        window=text(row, "window"),
        opens_at=number(row, "opens_at") / 1000,
        shuts_at=number(row, "shuts_at") / 1000,
        weight=number(row, "weight") or 1,
        order=number(row, "order"),
        mailboxes={state: many for state in MailboxState if (many := number(row, f"s:{state}"))},
    )


def decode_unit(unit_id: str, row: Hash) -> Unit:
    return Unit(
        unit_id=unit_id,
        kind=UnitKind(text(row, "kind")),
        band=band_of(number(row, "order")),
        mailbox_id=text(row, "mailbox"),
        folder_id=text(row, "folder"),
        uids=decode_uids(text(row, "uids")),
        size_bytes=number(row, "size"),
        state=UnitState(text(row, "state")),
        attempts=number(row, "attempts"),
    )


def encode_intent(intent: Intent) -> dict[str, object]:
    return {
        "id": intent.intent_id,
        "uids": str(intent.uids),
        "uidvalidity": intent.destination_uidvalidity,
        "uidnext": intent.destination_uidnext,
        "at": intent.at * 1000,
        "size": intent.size_bytes,
    }


def decode_intent(value: bytes) -> Intent:
    fields = read_json(value)
    return Intent(
        intent_id=fields["id"],
        uids=UidSet.parse(fields["uids"]),
        destination_uidvalidity=int(fields["uidvalidity"]),
        destination_uidnext=int(fields["uidnext"]),
        at=fields["at"] / 1000,
        size_bytes=int(fields.get("size", 0)),
    )


def decode_due(answer: Sequence[bytes]) -> Due | None:
    """Decodes what is owed, as `told_due` of the scripts writes it."""
    if not answer:
        return None
    wait, until, name, used, most = answer
    return Due(name=name.decode(), seconds=int(wait) / 1000, until=int(until) / 1000, used=int(used), most=int(most))


#: The note's reason in a store that was written before content and form were told apart: only the date differed.
OLD_DATE: Final = "internal date changed by the destination"


def note_field(note: Note) -> str:
    return f"{note.uid}:{note.what}"


def encode_note(note: Note) -> str:
    return json.dumps([packed(note.reason), note.message_id, note.internaldate, note.size_bytes])


def decode_note(name: bytes, value: bytes) -> Note:
    uid, _, what = name.decode().partition(":")
    kept, message_id, internaldate, size = read_json(value)
    reason = unpacked(kept)
    if what == "altered" and reason == OLD_DATE:
        what = "normalised"
    note = Note(uid=int(uid), what=what, reason=reason)
    return dataclasses.replace(note, message_id=message_id, internaldate=internaldate, size_bytes=size)


def encode_settled(settled: Settled) -> dict[str, object]:
    return {
        "intent": settled.intent_id,
        "records": [[str(r.source), str(r.destination)] for r in settled.records],
        "messages": sum(len(r.source) for r in settled.records),
        "outcome": settled.outcome,
        "others": {outcome: [str(uids), len(uids)] for outcome, uids in settled.others.items() if uids},
        "size": settled.size_bytes,
        "digest": settled.digest,
        "notes": {note_field(note): encode_note(note) for note in settled.notes},
    }


def decode_ledger(row: Hash) -> list[LedgerEntry]:
    return [
        LedgerEntry(
            name=name.decode(),
            records=decode_records(value),
            digest=int(row.get(name + b"#", b"0").rstrip(b"!")),
            checked=row.get(name + b"#", b"").endswith(b"!"),
        )
        for name, value in row.items()
        if not name.endswith(b"#")
    ]


def encode_marks(marks: SwitchMarks) -> bytes:
    """Packs the marks of a mailbox: twenty folders take about 300 bytes."""
    rows = [[one.name.decode("latin-1"), one.uidvalidity, one.uidnext] for one in marks.folders]
    return zlib.compress(json.dumps([round(marks.at, 3), rows], separators=(",", ":")).encode(), 9)


def decode_marks(packed: bytes) -> SwitchMarks:
    at, rows = read_json(zlib.decompress(packed))
    return SwitchMarks(
        at=at,
        folders=tuple(FolderMark(name=name.encode("latin-1"), uidvalidity=v, uidnext=n) for name, v, n in rows),
    )
