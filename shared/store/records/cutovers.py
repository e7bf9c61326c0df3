"""Cutovers in the state database: each row is signed, since it says where the mail of people goes.

A role of Redis without the key can delete a row, and can put back one that this cutover had before. It can make none and
change none: such a row is no cutover. Notes are not signed; they say what was seen and done. They name no server and no login, but
who writes them can say that guards are met, or have any mailbox of the import count with the wave (docs/threat-model.md, N14).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any, Final

from shared.content.json_text import read_json
from shared.model.cutover import (
    IN_SYNC,
    CopyBackState,
    Cutover,
    CutoverOptions,
    CutoverStep,
    MailboxCutover,
    Overruled,
    TurnAnswer,
    TurnedTo,
)
from shared.model.lifecycle import CutoverState
from shared.nouns import dataclass
from shared.store import Resealed, Store
from shared.store.records.signed import Signer, row_of, signed_row
from shared.store.redis import keys
from shared.wording.kept import packed_all, unpacked_all
from shared.wording.phrases import Sentence

#: The most characters of a switch's words that are kept.
_MOST_WORDS: Final = 200


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptCutover:
    """A cutover as it stands in the store."""

    #: The row's text, by which a change finds out that nobody else made one.
    row: str = ""
    #: The cutover; None when there is none, or the row was not signed with the key.
    cutover: Cutover | None = None


class Cutovers:
    """The cutovers of the imports in a store. Raises `StoreError` while it is away."""

    def __init__(self, store: Store, signer: Signer) -> None:
        #: The store that has them.
        self.store = store
        self._signer = signer

    def all(self, import_id: str) -> dict[str, KeptCutover]:
        """Returns wave → its cutover, in the order of the waves' names."""
        rows = self.store.cutover_rows(import_id)
        return {wave: self._kept(import_id, wave, rows[wave]) for wave in sorted(rows)}

    def one(self, import_id: str, wave: str) -> KeptCutover:
        """Returns the wave's cutover."""
        row = self.store.cutover_rows(import_id).get(wave, "")
        return self._kept(import_id, wave, row) if row else KeptCutover()

    def notes(self, import_id: str, wave: str) -> dict[str, str]:
        """Returns the notes of the wave's cutover, as written last."""
        return self.store.cutover_notes(import_id, wave)

    def put(self, kept: KeptCutover, cutover: Cutover, notes: Mapping[str, tuple[str, str]] | None = None) -> bool:
        """Puts the cutover in the place of `kept`, and notes (before, after) in the place of others.

        Returns False, and changes nothing, if somebody else changed one of them meanwhile.
        """
        place = _place(cutover.import_id, cutover.wave)
        row = signed_row(self._signer, place, _encoded(cutover))
        return self.store.set_cutover(cutover.import_id, cutover.wave, kept.row, row, notes or {})

    def put_notes(self, kept: KeptCutover, notes: Mapping[str, tuple[str, str]]) -> bool:
        """Puts notes in the place of others while the cutover is still as in `kept`. Returns whether it did."""
        assert kept.cutover is not None
        cutover = kept.cutover
        return self.store.set_cutover(cutover.import_id, cutover.wave, kept.row, kept.row, notes)

    def resign(self, import_id: str) -> Resealed:
        """Signs every row of the import by the first key. Rows that no key signed are left and counted as lost."""
        total = Resealed()
        for wave, row in self.store.cutover_rows(import_id).items():
            place = _place(import_id, wave)
            if found := row_of(self._signer, place, row):
                anew = signed_row(self._signer, place, found)
                total += Resealed(renewed=int(self.store.set_cutover(import_id, wave, row, anew, {})))
            else:
                total += Resealed(lost=1)
        return total

    def _kept(self, import_id: str, wave: str, row: str) -> KeptCutover:
        found = row_of(self._signer, _place(import_id, wave), row)
        return KeptCutover(row=row, cutover=_decoded(import_id, wave, found) if found else None)


def states(store: Store, import_id: str) -> dict[str, str]:
    """Returns wave → the state that its row names, for who has no key: it is a hint, since the signature is not looked at."""
    found = {}
    for wave, row in store.cutover_rows(import_id).items():
        try:
            found[wave] = str(read_json(row)["state"])
        except (ValueError, TypeError, KeyError):
            continue
    return found


def needing(store: Store, import_id: str) -> tuple[str, bool] | None:
    """Returns a wave whose cutover still needs the import's passwords, and whether it is being rolled back; None without one.

    It needs no key, so it is a hint as `states` is.
    """
    for wave, state in states(store, import_id).items():
        if state in IN_SYNC:
            return wave, False
        if state == CutoverState.ROLLED_BACK:
            notes = store.cutover_notes(import_id, wave)
            if any(_on_the_way(decode_mailbox(text)) for name, text in notes.items() if name[:1] != "#"):
                return wave, True
    return None


def _on_the_way(known: MailboxCutover) -> bool:
    """Tells whether a mailbox of a cutover that was rolled back is still to be turned, or its mail to be brought back."""
    if not known.to:
        return False
    return known.to != TurnedTo.OLD or not known.turned or (known.marked and not known.back)


def encode_mailbox(known: MailboxCutover) -> str:
    """Returns a mailbox's note; what has its default is left out."""
    usual = MailboxCutover()
    fields = {name: value for name, value in asdict(known).items() if value != getattr(usual, name)}
    if "words" in fields:
        words = fields["words"]
        fields["words"] = words if isinstance(words, Sentence) else words[:_MOST_WORDS]
    return json.dumps(packed_all(fields), ensure_ascii=False)


def decode_mailbox(text: str) -> MailboxCutover:
    """Returns what a note says of a mailbox; nothing for "" or a text that is no note."""
    usual = MailboxCutover()
    try:
        known = MailboxCutover(**unpacked_all(read_json(text))) if text else usual
        if not same_types(asdict(known), asdict(usual)):
            return usual
        return replace(known, to=TurnedTo(known.to), answer=TurnAnswer(known.answer), back=CopyBackState(known.back))
    except (ValueError, TypeError):
        return usual


def same_types(fields: Mapping[str, object], usual: Mapping[str, object]) -> bool:
    """Tells whether each value is of the type of the usual one; a whole number may stand for any number.

    A note is not signed: whoever may write to Redis could put anything there.
    """
    return all(
        type(value) is type(usual[name])
        or (isinstance(value, str) and isinstance(usual[name], str))
        or (isinstance(usual[name], float) and type(value) is int)
        for name, value in fields.items()
    )


def _place(import_id: str, wave: str) -> str:
    return f"{keys.import_(import_id, 'cutovers')}:{wave}"


def _encoded(cutover: Cutover) -> dict[str, Any]:
    fields = asdict(cutover)
    del fields["import_id"], fields["wave"]
    fields["options"]["domains"] = list(cutover.options.domains)
    for name in ("overruled", "steps"):
        fields[name] = list(fields[name])
    return fields


def _decoded(import_id: str, wave: str, row: Mapping[str, Any]) -> Cutover:
    options = {**row["options"], "domains": tuple(row["options"]["domains"])}
    return Cutover(
        import_id=import_id,
        wave=wave,
        state=CutoverState(row["state"]),
        since=row["since"],
        serial=row["serial"],
        options=CutoverOptions(**options),
        overruled=tuple(Overruled(**one) for one in row["overruled"]),
        steps=tuple(CutoverStep(**{**one, "state": CutoverState(one["state"])}) for one in row["steps"]),
    )
