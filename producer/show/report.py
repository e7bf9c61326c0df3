"""Writes the report as files: results.csv, failures.csv, notes.csv, folders.csv and summary.json.

- results.csv: a line for each mailbox.
- failures.csv: a line for each message or mailbox with a fault.
- notes.csv: a line for each message with a remark and without a fault.
- folders.csv: a line for each folder that has another name at the destination.

People open these files in a spreadsheet, and folder names, Message-IDs and servers' words come from outside. A cell
that a spreadsheet would take for a formula gets an apostrophe in front.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from producer.operations.trouble import AMISS, said_of_messages, troubled
from producer.show.document import folder_fields, mailbox_fields
from producer.show.notes import notes_of
from shared.model import LEFT_ALONE, Mailbox, Note, Tally, short
from shared.store import Store
from shared.wording.phrases import Phrase

UNWRITABLE: Final = Phrase("report_folder_unwritable", "{path} cannot be written ({cause})")

#: Characters that begin a formula in some program, including the full-width forms (which are normalised on import).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "−", "|", "%")
_BLANKS = " \u00a0\u3000"
#: Where a spreadsheet takes semicolons or tabs for the ends of cells, as in most of Europe, a cell begins inside a text.
_NEXT_CELL = re.compile(rf"([;\t\r\n][\"'{_BLANKS}]*+)(?=[{re.escape(''.join(FORMULA))}])")
RESULTS = (
    "row",
    "login",
    "destination_login",
    "server",
    "wave",
    "priority",
    "group",
    "state",
    "messages",
    "bytes",
    "copied",
    "already_present",
    "skipped",
    "refused",
    "vanished",
    "failed",
    "withheld",
    "pending",
    "altered",
    "normalised",
    "dates_changed",
    "missing",
    "moved",
    "removed",
    "moved_at_source",
    "deleted_at_source",
    "doubled",
    "undone",
    "keywords_lost",
    "resized",
    "unreadable_folders",
    "failure",
    "sentence",
    "detail",
    "advice",
    "renamed_folders",
    "left_out",
)
FOLDERS = ("row", "login", "destination_login", "folder", "destination", "why")
#: Columns of failures.csv and notes.csv.
MESSAGES = (
    "row",
    "login",
    "destination_login",
    "folder",
    "uid",
    "message_id",
    "date",
    "size_bytes",
    "what",
    "reason",
)


def safe_cell(value: object) -> str:
    """Returns text that no spreadsheet runs. mailhaul's own numbers stay numbers."""
    if value is None:
        return ""
    if isinstance(value, int | float):
        return str(value)
    text = _NEXT_CELL.sub(r"\1'", str(value).replace("\0", ""))
    return f"'{text}" if text.lstrip(_BLANKS).startswith(FORMULA) else text


#: The mailboxes of an import, read anew with each call, so that none has to be kept.
Rows = Callable[[], Iterable[tuple[Mailbox, Tally]]]


def write_report(store: Store, whole: Mapping[str, Any], rows: Rows, folder: Path) -> list[Path]:
    """Writes the five files, each whole or not at all; `whole` is `document.without_mailboxes`. Raises `UsageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        found = [_written(folder / file, csv_lines(store, file, rows())) for file in CSV_FILES]
        return [*found, _written(folder / "summary.json", summary_pieces(store, whole, rows()))]
    except OSError as error:
        raise UNWRITABLE.error("out", path=str(folder), cause=str(error.strerror)) from None


def csv_lines(store: Store, file: str, rows: Iterable[tuple[Mailbox, Tally]]) -> Iterator[str]:
    """Yields the lines of one of `CSV_FILES`, while the mailboxes are read."""
    columns, found = CSV_FILES[file]
    line = io.StringIO(newline="")
    writer = csv.writer(line)

    def written(cells: Iterable[object]) -> str:
        line.seek(0)
        line.truncate()
        writer.writerow([safe_cell(cell) for cell in cells])
        return line.getvalue()

    yield written(columns)
    for mailbox, tally in rows:
        for row in found(store, mailbox, tally):
            yield written(row.get(column) for column in columns)


def summary_pieces(store: Store, whole: Mapping[str, Any], rows: Iterable[tuple[Mailbox, Tally]]) -> Iterator[str]:
    """Yields the document with its mailboxes as JSON, while they are read; `whole` is `document.without_mailboxes`."""
    head, _, rest = json.dumps(whole, ensure_ascii=False, indent=2).partition('\n  "mailboxes": null')
    yield head + '\n  "mailboxes": ['
    between = "\n    "
    for pair in rows:
        text = json.dumps(mailbox_fields(store, *pair), ensure_ascii=False, indent=2)
        yield between + text.replace("\n", "\n    ")
        between = ",\n    "
    yield ("\n  ]" if between.startswith(",") else "]") + rest + "\n"


def _results(store: Store, mailbox: Mailbox, tally: Tally) -> Iterator[dict[str, Any]]:
    fields = mailbox_fields(store, mailbox, tally)
    failure = fields["failure"] or _not_read(fields, mailbox) or _withheld(fields, mailbox)
    words = {name: failure.get(name, "") for name in ("sentence", "detail", "advice")}
    number = len(fields["renamed_folders"])
    yield {**fields, "failure": failure.get("code", ""), **words, "renamed_folders": number}


def _renamed(store: Store, mailbox: Mailbox, _: Tally) -> Iterator[dict[str, Any]]:
    for folder, own in store.folders(mailbox.mailbox_id):
        one = folder_fields(folder, own)
        if one["renamed"]:
            yield {**_who(mailbox), "folder": one["folder"], "destination": one["destination"], "why": one["note"]}


def _not_read(fields: Mapping[str, Any], mailbox: Mailbox) -> dict[str, str]:
    """Returns the failure of a mailbox that came to its end without some of its folders."""
    details = [folder["note"] for folder in fields["folders"] if not folder["readable"]]
    return _of_folders("unreadable_folder", details[:1], mailbox)


def _withheld(fields: Mapping[str, Any], mailbox: Mailbox) -> dict[str, str]:
    """Returns the failure of a mailbox whose source shows fewer messages than it counts."""
    details = [f"{folder['folder']}: {folder['shown']}" for folder in fields["folders"] if folder["shown"]]
    return _of_folders("withheld", details[:5], mailbox)


def _of_folders(code: str, details: Sequence[str], mailbox: Mailbox) -> dict[str, str]:
    if not details:
        return {}
    return {"code": code, **said_of_messages(code, mailbox.import_id), "detail": "; ".join(details)}


def _failures(store: Store, mailbox: Mailbox, _: Tally) -> Iterator[dict[str, Any]]:
    who = _who(mailbox)
    if failure := troubled(mailbox):
        reason = ": ".join(filter(None, (failure.sentence, failure.detail)))
        yield {**who, "folder": failure.folder, "what": mailbox.state.value, "reason": reason}
    for folder, own in store.folders(mailbox.mailbox_id):
        if folder.unreadable:
            yield {**who, "folder": folder.display, "what": "unreadable_folder", "reason": folder.note}
        if own.withheld:
            yield {**who, "folder": folder.display, "what": "withheld", "reason": f"the source {short(folder, own)}"}
        for note in store.notes(folder.folder_id):
            if note.what in AMISS:
                yield {**who, "folder": folder.display, **_note(note)}


def _notes(store: Store, mailbox: Mailbox, _: Tally) -> Iterator[dict[str, Any]]:
    for folder, _own in store.folders(mailbox.mailbox_id):
        for note in notes_of(store, folder):
            if note.what not in AMISS:
                yield {**_who(mailbox), "folder": folder.display, **_note(note)}
        for uid in folder.taken_away:
            gone = Note(uid=uid, what="removed", reason=LEFT_ALONE)
            yield {**_who(mailbox), "folder": folder.display, **_note(gone)}


def _who(mailbox: Mailbox) -> dict[str, Any]:
    return {"row": mailbox.row, "login": mailbox.source.login, "destination_login": mailbox.destination.login}


def _note(note: Note) -> dict[str, Any]:
    date = ""
    if note.internaldate is not None:
        try:
            date = datetime.fromtimestamp(note.internaldate, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (OverflowError, ValueError, OSError):
            date = str(note.internaldate)
    return {
        "uid": note.uid,
        "message_id": note.message_id,
        "date": date,
        "size_bytes": note.size_bytes if note.size_bytes >= 0 else "",
        "what": note.what,
        "reason": note.reason,
    }


def _written(path: Path, pieces: Iterable[str]) -> Path:
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        file.writelines(pieces)
    return draft.replace(path)


#: File → its columns, and what yields a mailbox's rows in it.
CSV_FILES: Final[Mapping[str, tuple[Sequence[str], Callable[[Store, Mailbox, Tally], Iterator[dict[str, Any]]]]]] = {
    "results.csv": (RESULTS, _results),
    "failures.csv": (MESSAGES, _failures),
    "notes.csv": (MESSAGES, _notes),
    "folders.csv": (FOLDERS, _renamed),
}
