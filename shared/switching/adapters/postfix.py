"""Postfix's transport map (transport(5)): `anna@example.org  smtp:[mx.new.example]`, or a whole domain.

The text is replaced as a whole under a lock; then `postmap` makes the table from it. Both are looked at before a turn
counts as made, so that one that died in between is completed.
"""

from __future__ import annotations

import errno
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shared.accounts.api import shortened
from shared.model.sides import Side
from shared.runtime.replaced_files import locked, replace_file, why_not_replaced
from shared.runtime.secret import Secret
from shared.switching import SwitchedMailbox, Turned, TurnedBefore, TurnOutcome, TurnRefused
from shared.switching.kinds import SwitchKind, SwitchPlace, SwitchUrl, register
from shared.switching.row import RowChange, value_of
from shared.wording.often_said import (
    CANNOT_BE_READ_OR_WRITTEN,
    RUN_COORDINATOR_WHERE_THE_FILE_IS,
    THERE_IS_NO_FILE,
    TOOK_TOO_LONG,
)
from shared.wording.phrases import Phrase

IT_LOOKS_UP: Final = Phrase("it_looks_up", "it looks up {value}")
PROGRAM_FOR_TABLE_MISSING: Final = Phrase(
    "program_for_table_missing", "there is no program {program} here, which makes the table from {file}"
)
NAME_POSTMAP_BY_WHOLE_PATH: Final = Phrase(
    "name_postmap_by_whole_path", "name it by postmap=/whole/path, or use type=texthash"
)
CANNOT_STAND: Final = Phrase("cannot_stand", "{address} cannot stand in {file}")
GIVE_WHOLE_ADDRESS_WITHOUT_BLANKS: Final = Phrase(
    "give_whole_address_without_blanks", "give a whole address without blanks"
)
HAS_ROWS: Final = Phrase("has_rows", "{file} has {count} rows for {key}")
LEAVE_ONE_OF_THEM: Final = Phrase("leave_one_of_them", "leave one of them")
DID_NOT_MAKE_TABLE: Final = Phrase("did_not_make_table", "{program} did not make the table of {file}: {said}")
SEE_THAT_PROGRAM_WORKS_HERE: Final = Phrase(
    "see_that_program_works_here", "see that `{program} {table}` works here; the text is written"
)
MAKE_EMPTY_TRANSPORT_MAP: Final = Phrase(
    "make_empty_transport_map",
    "make an empty one on the coordinator's machine, and name it as transport_maps in main.cf",
)
TRY_IT_BY_HAND: Final = Phrase("try_it_by_hand", "try it by hand")

TYPE: Final = Phrase("switch_postfix_type", "postfix: type must be one of {names}")
PER: Final = Phrase("switch_postfix_per", "postfix: per must be mailbox or domain")
NEXT_HOP: Final = Phrase(
    "switch_postfix_ends",
    "postfix: new and old are a transport and its next hop, as in smtp:[mx.new.example]",
)

#: Types of tables; texthash is read from the text itself.
_TYPES: Final = frozenset({"hash", "btree", "lmdb", "cdb", "dbm", "texthash"})
_POSTMAP_SECONDS: Final = 60


class PostfixTransport:
    """The adapter for a transport map."""

    def __init__(self, path: str, values: dict[Side, str], *, per_domain: bool, kind: str, postmap: str) -> None:
        """Knows the map. `values` are transports with their next hops, "none" for no row.

        The hosts that an import names get into no row: whoever opens an import chooses them.
        """
        self._path, self._values, self._kind, self._postmap = Path(path), values, kind, postmap
        self.per_domain = per_domain
        self.shown = f"postfix {path}"

    def rehearse(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Looks as `Switch.rehearse` says: at the file, its owner, its folder, postmap and the row."""
        try:
            outcome = self._change(self._path.read_bytes(), mailbox, to)[0]
            if why := why_not_replaced(self._path):
                return self._unwritable(PermissionError(errno.EACCES, why))
        except OSError as error:
            return self._unwritable(error)
        if self._kind != "texthash" and shutil.which(self._postmap) is None:
            return TurnRefused(
                words=PROGRAM_FOR_TABLE_MISSING.says(program=self._postmap, file=str(self._path)),
                advice=NAME_POSTMAP_BY_WHOLE_PATH.says(),
            )
        return outcome

    def turn(self, mailbox: SwitchedMailbox, to: Side) -> TurnOutcome:
        """Turns as `Switch.turn` says."""
        try:
            with locked(self._path):
                text = self._path.read_bytes()
                outcome, content = self._change(text, mailbox, to)
                if isinstance(outcome, Turned):
                    replace_file(self._path, content)
                    text = content
                if isinstance(outcome, Turned | TurnedBefore) and self._kind != "texthash":
                    outcome = self._table_made(outcome, self._key(mailbox), text)
        except OSError as error:
            return self._unwritable(error)
        except subprocess.TimeoutExpired:
            return TurnRefused(
                words=TOOK_TOO_LONG.says(service=self._postmap, num=str(_POSTMAP_SECONDS)), advice=TRY_IT_BY_HAND.says()
            )
        return outcome

    def close(self) -> None:
        """Does nothing: no connection is kept."""

    def _key(self, mailbox: SwitchedMailbox) -> str:
        # Postfix looks up keys in lower case, and postmap folds them.
        return mailbox.domain if self.per_domain else mailbox.address.lower()

    def _change(self, content: bytes, mailbox: SwitchedMailbox, to: Side) -> tuple[TurnOutcome, bytes]:
        """Returns the outcome, and the content of the file with the row changed."""
        key = self._key(mailbox)
        if not mailbox.domain or any(char.isspace() or char == "\0" for char in key) or key.startswith(("#", '"')):
            refused = TurnRefused(
                words=CANNOT_STAND.says(address=repr(mailbox.address), file=str(self._path)),
                advice=GIVE_WHOLE_ADDRESS_WITHOUT_BLANKS.says(),
            )
            return refused, content
        rows = list(_rows(content))
        mine = [i for i, row in enumerate(rows) if _entry(row)[0] == key]
        now = _entry(rows[mine[0]])[1] if mine else None
        wanted, other = (value_of(self._values[side]) for side in (to, *(set(Side) - {to})))
        if len(mine) > 1:
            refused = TurnRefused(
                words=HAS_ROWS.says(file=str(self._path), count=len(mine), key=key), advice=LEAVE_ONE_OF_THEM.says()
            )
            return refused, content
        line = b"" if wanted is None else f"{key}\t{wanted}\n".encode()
        if mine:
            rows[mine[0]] = line
        else:
            if rows and not rows[-1].endswith(b"\n"):
                rows[-1] += b"\n"
            rows.append(line)
        outcome = RowChange(table=str(self._path), key=key, now=now, wanted=wanted, other=other, to=to).judged()
        return outcome, b"".join(rows)

    def _table_made(self, outcome: Turned | TurnedBefore, key: str, text: bytes) -> TurnOutcome:
        """Lets postmap make the table, unless it says what the text says already."""
        # A mailbox that was never turned away has no row, whatever its side's value is.
        wanted = next((value for name, value in map(_entry, _rows(text)) if name == key), None)
        if self._looked_up(key) == wanted:
            return outcome
        made = self._run(str(self._named()))
        found = self._looked_up(key) if made.returncode == 0 else None
        if made.returncode != 0 or found != wanted:
            said = shortened(made.stderr.decode("utf-8", "replace")) or IT_LOOKS_UP.says(value=str(found))
            return TurnRefused(
                words=DID_NOT_MAKE_TABLE.says(program=self._postmap, file=str(self._path), said=said),
                advice=SEE_THAT_PROGRAM_WORKS_HERE.says(program=self._postmap, table=self._named()),
            )
        return Turned(words=outcome.words)

    def _looked_up(self, key: str) -> str | None:
        found = self._run("-q", key, self._named())
        return found.stdout.decode("utf-8", "replace").rstrip("\n") if found.returncode == 0 else None

    def _named(self) -> str:
        return f"{self._kind}:{self._path}"

    def _run(self, *arguments: str) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [self._postmap, *arguments], capture_output=True, timeout=_POSTMAP_SECONDS, stdin=subprocess.DEVNULL
        )

    def _unwritable(self, error: OSError) -> TurnRefused:
        if isinstance(error, FileNotFoundError):
            return TurnRefused(
                words=THERE_IS_NO_FILE.says(file=str(error.filename or self._path)),
                advice=MAKE_EMPTY_TRANSPORT_MAP.says(),
            )
        return TurnRefused(
            words=CANNOT_BE_READ_OR_WRITTEN.says(path=str(self._path), cause=error.strerror or ""),
            advice=RUN_COORDINATOR_WHERE_THE_FILE_IS.says(),
        )


def _rows(content: bytes) -> Iterator[bytes]:
    """Yields the logical lines: one that begins with a blank continues the line before; comments stand by themselves."""
    row = b""
    for line in content.splitlines(keepends=True):
        if row and line[:1] in (b" ", b"\t") and line.strip() and not row.startswith(b"#") and row.strip():
            row += line
            continue
        if row:
            yield row
        row = line
    if row:
        yield row


def _entry(row: bytes) -> tuple[str, str]:
    """Returns the key and the value of a logical line; two empty ones for a comment."""
    text = row.decode("utf-8", "replace")
    if text.lstrip().startswith("#") or not text.strip():
        return "", ""
    key, *value = text.split()
    return key.lower(), " ".join(value)


def _opened(url: SwitchUrl, secret: Secret) -> PostfixTransport:
    kind, per = url.options.get("type", "hash"), url.options.get("per", "mailbox")
    if kind not in _TYPES:
        raise TYPE.error(names=", ".join(sorted(_TYPES)))
    if per not in ("mailbox", "domain"):
        raise PER.error()
    values = {Side.DESTINATION: url.options["new"], Side.SOURCE: url.options.get("old", "none")}
    for value in values.values():
        if value != "none" and (":" not in value or any(char.isspace() for char in value)):
            raise NEXT_HOP.error()
    postmap = url.options.get("postmap", "postmap")
    return PostfixTransport(url.place, values, per_domain=per == "domain", kind=kind, postmap=postmap)


register(
    SwitchKind(
        name="postfix",
        place=SwitchPlace.PATH,
        example="postfix:/etc/postfix/transport?new=smtp:[mx.new.example]&per=domain",
        options=frozenset({"new", "old", "per", "type", "postmap"}),
        secretive=False,
        open=_opened,
        needed=frozenset({"new"}),
    )
)
