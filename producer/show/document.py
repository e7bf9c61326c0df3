"""Presents an import as one JSON document: totals, mailboxes, folders, errors. Counts add up at every level."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from producer.coordinator.tally import Progress
from producer.operations.finding import find_mailboxes
from producer.operations.trouble import ErrorGroup, addressed, troubled, word
from producer.show.lanes import lane_fields
from producer.show.naming import is_renamed, left_out_note
from producer.show.standing_words import standing_fields
from producer.show.waiting import wait_fields
from producer.waves import waves_of
from shared.folders.names import decode_name
from shared.model import Failure, Folder, Import, Mailbox, Options, Tally, Wave, short
from shared.model.lifecycle import MailboxState, Outcome
from shared.store import Store


def counts(tally: Tally) -> dict[str, int]:
    """Returns the counts of a tally.

    copied + already_present + skipped + refused + vanished + failed + withheld + pending = messages.
    """
    return {
        "messages": tally.messages,
        "bytes": tally.size_bytes,
        **{outcome.value: tally[outcome] for outcome in Outcome},
        "withheld": tally.withheld,
        "unreadable_folders": tally.unreadable,
        "pending": tally.pending,
        "done_bytes": tally.done_bytes,
        "altered": tally.altered,
        "normalised": tally.normalised,
        "dates_changed": tally.dates_changed,
        "missing": tally.missing,
        "moved": tally.moved,
        "removed": tally.removed,
        "deleted_at_source": tally.deleted_at_source,
        "moved_at_source": tally.moved_at_source,
        "doubled": tally.doubled,
        "undone": tally.undone,
        "keywords_lost": tally.keywords_lost,
        "resized": tally.resized,
    }


def since(tally: Tally, before: Tally) -> dict[str, int]:
    """Returns what this run did.

    A retry, or a folder that was planned again, may take outcomes of an earlier run back meanwhile. The sums ever
    counted are compared, so nothing is below zero.
    """
    return {
        **{outcome.value: tally.ever.get(outcome, 0) - before.ever.get(outcome, 0) for outcome in Outcome},
        "done_bytes": tally.ever_bytes - before.ever_bytes,
    }


def import_fields(progress: Progress) -> dict[str, Any]:
    """Returns the fields of the import itself, without its mailboxes."""
    import_ = progress.import_
    return {
        **header(import_),
        "status": progress.word,
        **counts(progress.tally),
        "mailboxes": {state.value: progress.mailboxes.get(state, 0) for state in MailboxState},
        "mailboxes_total": progress.mailboxes_total,
        "messages_per_second": round(progress.messages_per_second, 1),
        "eta_seconds": None if progress.eta_seconds is None else round(progress.eta_seconds),
        "eta_low_seconds": None if progress.eta_range is None else round(progress.eta_range[0]),
        "eta_high_seconds": None if progress.eta_range is None else round(progress.eta_range[1]),
        "share": None if progress.share is None else round(progress.share, 4),
        "counted": progress.counted,
        "compared": progress.compared if progress.to_compare else None,
        "to_compare": progress.to_compare or None,
        "window": import_.window,
        "waits": wait_fields(progress.waits),
        "connections": lane_fields(progress.lanes),
        "waiting_for_lost_worker": {
            "messages": progress.stranded.messages,
            "seconds": round(progress.stranded.seconds),
        },
    }


def header(import_: Import) -> dict[str, Any]:
    """Returns the fields of an import that need no counting."""
    return {
        "id": import_.import_id,
        "name": import_.name,
        "state": import_.state.value,
        "control": import_.control.value,
        "source": import_.source.url,
        "destination": import_.destination.url,
        "include": list(import_.options.include),
        "exclude": list(import_.options.exclude),
        "wanted": wanted(import_.options),
        "verify": import_.options.verify,
        "passes": import_.passes,
        "created_at": import_.created_at,
        "first_claim_at": import_.first_claim_at or None,
        "last_record_at": import_.last_record_at or None,
        "finished_at": import_.finished_at or None,
        "archived_at": import_.archived_at or None,
    }


def wanted(options: Options) -> dict[str, Any]:
    """Returns what the operator chose of folders and messages beside include and exclude; defaults are left out."""
    names = (
        "skip_special",
        "shared_folders",
        "into",
        "folder_map",
        "since",
        "before",
        "larger",
        "smaller",
        "unseen",
        "flagged",
        "not_deleted",
        "newest_first",
        "gmail_labels",
        "moves",
        "deletions",
        "deletions_cap",
    )
    usual = Options()
    return {name: value for name in names if (value := getattr(options, name)) != getattr(usual, name)}


def wave_fields(wave: Wave) -> dict[str, Any]:
    """Returns the fields of a wave; the name "" stands for the mailboxes without one."""
    return {
        "wave": wave.name,
        "control": wave.control.value,
        "starts_at": wave.starts_at or None,
        "window": wave.window,
        "weight": wave.weight,
        "order": wave.order,
        "mailboxes": {state.value: wave.mailboxes.get(state, 0) for state in MailboxState},
        "mailboxes_total": sum(wave.mailboxes.values()),
    }


def mailbox_fields(store: Store, mailbox: Mailbox, tally: Tally) -> dict[str, Any]:
    """Returns the fields of a mailbox with its folders."""
    folders = [folder_fields(folder, own) for folder, own in store.folders(mailbox.mailbox_id)]
    return {
        **_identity(mailbox, tally),
        "account": mailbox.account.value,
        "again_at": mailbox.again_at or None,
        "waits_for": mailbox.behind,
        "compared": mailbox.compared,
        "looked_at": mailbox.looked_at or None,
        "synced_at": mailbox.synced_at or None,
        "look_at": mailbox.look_at or None,
        "failure": failure_fields(troubled(mailbox), mailbox.import_id),
        **counts(tally),
        "other_folders": mailbox.other_folders,
        "public_folders": mailbox.public_folders,
        "left_out": left_out_note(mailbox),
        "renamed_folders": [
            {"source": f["folder"], "destination": f["destination"], "note": f["note"]} for f in folders if f["renamed"]
        ],
        "folders": folders,
    }


def row_fields(mailbox: Mailbox, tally: Tally) -> dict[str, Any]:
    """Returns the fields of a mailbox in a list, without its folders."""
    return {
        **_identity(mailbox, tally),
        "failure": failure_fields(troubled(mailbox), mailbox.import_id),
        **counts(tally),
    }


def _identity(mailbox: Mailbox, tally: Tally) -> dict[str, Any]:
    """Returns the fields with which every document of a mailbox begins."""
    return {
        "id": mailbox.mailbox_id,
        "row": mailbox.row,
        "login": mailbox.source.login,
        "server": mailbox.source.endpoint.url,
        "destination_login": mailbox.destination.login,
        "state": word(mailbox, tally),
        "control": mailbox.control.value,
        **place_fields(mailbox),
    }


def found_fields(import_: Import, mailbox: Mailbox, tally: Tally) -> dict[str, Any]:
    """Returns the fields of a mailbox that was searched for in all imports, with its import."""
    return {"import_id": import_.import_id, "import": import_.name, **row_fields(mailbox, tally)}


def place_fields(mailbox: Mailbox) -> dict[str, Any]:
    """Returns where the mailbox stands in the order of work, and whom it is counted with."""
    return {"wave": mailbox.wave, "priority": mailbox.priority, "group": mailbox.group}


def folder_fields(folder: Folder, tally: Tally) -> dict[str, Any]:
    """Returns the fields of a folder."""
    return {
        "folder": folder.display,
        "destination": decode_name(folder.destination_name),
        "renamed": is_renamed(folder),
        "note": folder.note,
        "skipped_why": folder.skipped,
        "shown": short(folder, tally),
        "readable": not folder.unreadable,
        **counts(tally),
    }


def failure_fields(failure: Failure | None, import_id: str) -> dict[str, Any] | None:
    """Returns the reason why a mailbox does not go on; None without one."""
    if failure is None:
        return None
    return {
        "code": failure.code,
        "sentence": failure.sentence,
        "detail": failure.detail,
        "advice": addressed(failure.advice, import_id),
        "folder": failure.folder,
        "at": failure.at,
        "times": failure.times,
        "missing_bytes": failure.missing_bytes,
    }


def error_fields(groups: Iterable[ErrorGroup]) -> list[dict[str, Any]]:
    """Returns the errors by kind."""
    return [asdict(group) for group in groups]


def whole(
    store: Store,
    progress: Progress,
    groups: Iterable[ErrorGroup],
    *,
    exit_code: int | None,
    before: Tally | None = None,
    wave: str = "",
) -> dict[str, Any]:
    """Returns the whole document, or that of one wave."""
    found = without_mailboxes(store, progress, groups, exit_code=exit_code, before=before, wave=wave)
    rows = find_mailboxes(store, progress.import_, "", wave)
    found["mailboxes"] = [mailbox_fields(store, *pair) for pair in rows]
    return found


def without_mailboxes(
    store: Store,
    progress: Progress,
    groups: Iterable[ErrorGroup],
    *,
    exit_code: int | None,
    before: Tally | None = None,
    wave: str = "",
) -> dict[str, Any]:
    """Returns the document without what it says of each mailbox, of which there may be many: None stands in its place."""
    import_ = progress.import_
    fields = import_fields(progress)
    if before is not None:
        fields["this_run"] = since(progress.tally, before)
    return {
        "import": fields,
        "exit_code": exit_code,
        "waves": [wave_fields(one) for one in waves_of(store, import_) if wave in ("", one.name)],
        "standing": standing_fields(store.standings(import_.import_id), store.standing_tally(import_.import_id)),
        "mailboxes": None,
        "errors": error_fields(groups),
    }
