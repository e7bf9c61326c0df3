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
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from producer.operations.trouble import AMISS, troubled
from producer.show.notes import notes_of
from shared.model import LEFT_ALONE, Mailbox, Note, short
from shared.store import Store
from shared.wording.phrases import Phrase

UNWRITABLE: Final = Phrase("report_folder_unwritable", "{path} cannot be written ({cause})")

#: Characters that begin a formula in some program, including the full-width forms (which are normalised on import).
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠", "−", "|", "%")
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
    text = str(value).replace("\0", "")
    return f"'{text}" if text.lstrip(" \u00a0\u3000").startswith(FORMULA) else text


def write_report(store: Store, whole: Mapping[str, Any], mailboxes: Sequence[Mailbox], folder: Path) -> list[Path]:
    """Writes the five files, each whole or not at all; `whole` is `document.whole`. Raises `UsageError`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        results = _csv(folder / "results.csv", RESULTS, _results(whole))
        failures = _csv(folder / "failures.csv", MESSAGES, _failures(store, mailboxes))
        notes = _csv(folder / "notes.csv", MESSAGES, _notes(store, mailboxes))
        folders = _csv(folder / "folders.csv", FOLDERS, _renamed(whole))
        text = json.dumps(whole, ensure_ascii=False, indent=2) + "\n"
        summary = _replaced(folder / "summary.json", text.encode(errors="backslashreplace"))
    except OSError as error:
        raise UNWRITABLE.error("out", path=str(folder), cause=str(error.strerror)) from None
    return [results, failures, notes, folders, summary]


def _results(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for mailbox in whole["mailboxes"]:
        failure = mailbox["failure"] or _not_read(whole, mailbox) or _withheld(whole, mailbox)
        words = {name: failure.get(name, "") for name in ("sentence", "detail", "advice")}
        number = len(mailbox["renamed_folders"])
        yield {**mailbox, "failure": failure.get("code", ""), **words, "renamed_folders": number}


def _renamed(whole: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for mailbox in whole["mailboxes"]:
        who = {name: mailbox[name] for name in ("row", "login", "destination_login")}
        for one in mailbox["renamed_folders"]:
            yield {**who, "folder": one["source"], "destination": one["destination"], "why": one["note"]}


def _not_read(whole: Mapping[str, Any], mailbox: Mapping[str, Any]) -> dict[str, str]:
    """Returns the failure of a mailbox that came to its end without some of its folders."""
    details = [folder["note"] for folder in mailbox["folders"] if not folder["readable"]]
    group = next((group for group in whole["errors"] if group["code"] == "unreadable_folder"), None)
    if not details or group is None:
        return {}
    return {**{name: group[name] for name in ("code", "sentence", "advice")}, "detail": details[0]}


def _withheld(whole: Mapping[str, Any], mailbox: Mapping[str, Any]) -> dict[str, str]:
    """Returns the failure of a mailbox whose source shows fewer messages than it counts."""
    details = [f"{folder['folder']}: {folder['shown']}" for folder in mailbox["folders"] if folder["shown"]]
    group = next((group for group in whole["errors"] if group["code"] == "withheld"), None)
    if not details or group is None:
        return {}
    return {**{name: group[name] for name in ("code", "sentence", "advice")}, "detail": "; ".join(details[:5])}


def _failures(store: Store, mailboxes: Sequence[Mailbox]) -> Iterator[dict[str, Any]]:
    for mailbox in mailboxes:
        who = _who(mailbox)
        if failure := troubled(mailbox):
            reason = ": ".join(filter(None, (failure.sentence, failure.detail)))
            yield {**who, "folder": failure.folder, "what": mailbox.state.value, "reason": reason}
        for folder, own in store.folders(mailbox.mailbox_id):
            if folder.unreadable:
                yield {**who, "folder": folder.display, "what": "unreadable_folder", "reason": folder.note}
            if own.withheld:
                yield {
                    **who,
                    "folder": folder.display,
                    "what": "withheld",
                    "reason": f"the source {short(folder, own)}",
                }
            for note in store.notes(folder.folder_id):
                if note.what in AMISS:
                    yield {**who, "folder": folder.display, **_note(note)}


def _notes(store: Store, mailboxes: Sequence[Mailbox]) -> Iterator[dict[str, Any]]:
    for mailbox in mailboxes:
        for folder, _ in store.folders(mailbox.mailbox_id):
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


def _csv(path: Path, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Path:
    draft = path.with_suffix(".new")
    with draft.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows([safe_cell(row.get(column)) for column in columns] for row in rows)
    return draft.replace(path)


def _replaced(path: Path, content: bytes) -> Path:
    draft = path.with_suffix(".new")
    draft.write_bytes(content)
    return draft.replace(path)
