"""What went wrong, by kind: who has it, what the server said, what to do. `producer.operations` passes it on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final

from producer.intake.providers import catalogue
from shared.lifecycle import MailboxState, Outcome
from shared.model import Failure, Folder, Import, Mailbox, Tally, gone, short
from shared.model.ledger import COUNTED
from shared.model.search import Search
from shared.store import Store
from shared.uids import UidSet


@dataclass(frozen=True, kw_only=True, slots=True)
class Sufferer:
    """A mailbox that something happened to."""

    #: Line in the manifest.
    row: int
    #: At the source.
    login: str
    #: At the destination.
    destination_login: str = ""
    #: Folder display name; "" when it concerns the whole mailbox.
    folder: str = ""
    #: What the server said.
    detail: str = ""
    #: Messages concerned; 0 when it is not about single messages.
    messages: int = 0
    #: Room that is missing, bytes; 0 where that is not known, or not the matter.
    missing_bytes: int = 0
    #: When a parked mailbox is tried again by itself, seconds since the epoch; 0: not before a person acts.
    again_at: float = 0.0
    #: When the first of these failures in a row happened, seconds since the epoch; 0 where that is not known.
    since: float = 0.0
    #: When it is tried again by itself, seconds since the epoch; 0: not before a person acts, or it is over.
    next_at: float = 0.0
    #: Since when it is over, seconds since the epoch; 0: it is not.
    over_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorGroup:
    """One kind of trouble, with everyone who has it."""

    #: Stable code.
    code: str
    #: What happened.
    sentence: str
    #: What to do next.
    advice: str
    #: Where, for trouble with a source that rows name themselves; "" for the servers of all.
    server: str = ""
    #: True when the mailboxes are stopped until a person acts.
    parked: bool
    #: Who has it, by row.
    sufferers: tuple[Sufferer, ...]
    #: Mailboxes that have it too and are not named.
    more: int = 0


#: Waiting is not failing: what a server asked for is told by `Progress.waits`.
_WAITING: Final = "_throttled"
#: In which a mailbox is not done with.
_GOING_ON: Final = (
    MailboxState.PARKED, MailboxState.QUEUED, MailboxState.PLANNING, MailboxState.COPYING, MailboxState.VERIFYING,
)  # fmt: skip

#: Trouble with folders that the source is the cause of.
_OF_THE_SOURCE: Final = ("unreadable_folder", "withheld")

#: Code of what happened to single messages → sentence, advice.
_MESSAGE_TROUBLE: Final = {
    "failed": (
        "messages could not be copied after all attempts",
        "see failures.csv of the report; then: mailhaul retry IMPORT",
    ),
    "refused": (
        "messages that the destination does not take",
        "keep them as files: mailhaul spool IMPORT --out DIR; when the server's limit is changed: mailhaul retry IMPORT",
    ),
    "missing": (
        "messages that were copied and that the destination no longer shows",
        "somebody removed them there, or the server lost them; if they may stay away: mailhaul verify IMPORT --accept-missing; "
        "to copy them again: mailhaul retry IMPORT --copy-missing",
    ),
    "altered": (
        "messages at the destination that are not what was copied",
        "failures.csv of the report names each, and what differs; the originals are still at the source",
    ),
    "normalised": (
        "messages of which the destination normalised line endings or dates (harmless)",
        "nothing to do; notes.csv of the report names each",
    ),
    "doubled": (
        "messages that may stand twice at the destination: both copies were left, since nothing proves that the second one is ours",
        "a person or another program may have put it there; notes.csv of the report names both copies of each",
    ),
    "undone": (
        "messages of which a second copy of ours was removed at the destination: each stands there once",
        "nothing to do; notes.csv of the report names each",
    ),
    "dates_changed": (
        "messages that have another date, since the source tells none that can be used",
        "nothing to do; notes.csv of the report names each",
    ),
    "keywords_lost": (
        "messages with keywords that the destination folder cannot hold",
        "nothing to do; the messages themselves are there",
    ),
    "unreadable_folder": (
        "folders that cannot be read at the source",
        "see what the server says; when it is mended: mailhaul retry IMPORT",
    ),
    "withheld": (
        "messages that the source counts and does not show",
        "ask its operator for the limit on what IMAP shows, and have it lifted; then run the import command again",
    ),
}

#: Notes of messages that are not as they should be; all others are worth knowing, and nothing is wrong.
AMISS: Final = frozenset((Outcome.REFUSED, Outcome.FAILED, "missing", "altered"))
#: Codes that stand behind all others.
HARMLESS: Final = ("doubled", "normalised", "dates_changed", "keywords_lost", "undone")


def troubled(mailbox: Mailbox) -> Failure | None:
    """What is wrong with the mailbox now; None while it only waits."""
    failure = mailbox.failure
    waits = failure is not None and failure.code.endswith(_WAITING)
    return None if waits or mailbox.state is MailboxState.COMPLETE else failure


def word(mailbox: Mailbox, tally: Tally) -> str:
    """What a person calls its state: "incomplete" where it came to its end, and the source shows less than it counts or did not let
    some folders be read."""
    short_of = mailbox.state is MailboxState.COMPLETE and (tally.withheld or tally.unreadable)
    return "incomplete" if short_of else mailbox.state.value


def trouble(
    store: Store, request: Import, rows: Sequence[tuple[Mailbox, Tally]], *, folders: bool = True
) -> list[ErrorGroup]:
    """Of these mailboxes: parked ones first, what is harmless last. Without `folders`
    nothing more is read, so that it costs nothing: for a live display."""
    groups: dict[tuple[bool, str, str], list[tuple[str, str, Sufferer]]] = defaultdict(list)
    for mailbox, counts in rows:
        if trouble := troubled(mailbox):
            who = Sufferer(
                row=mailbox.row, login=mailbox.source.login, destination_login=mailbox.destination.login,
                folder=trouble.folder, detail=trouble.detail, missing_bytes=trouble.missing_bytes,
                again_at=mailbox.again_at, since=trouble.since, over_at=mailbox.over_at,
                next_at=0.0 if mailbox.over_at or mailbox.state is MailboxState.PARKED else trouble.next_at,
            )  # fmt: skip
            key = (mailbox.state is MailboxState.PARKED, trouble.code, _server(trouble.code, mailbox, request))
            groups[key].append((trouble.sentence, _told_more(trouble, mailbox), who))
        for code, folder, messages, detail in folder_trouble(store, mailbox, counts) if folders else ():
            sentence, advice = _MESSAGE_TROUBLE[code]
            who = Sufferer(
                row=mailbox.row, login=mailbox.source.login, destination_login=mailbox.destination.login,
                folder=folder.display, detail=detail, messages=messages,
            )  # fmt: skip
            groups[(False, code, _server(code, mailbox, request))].append((sentence, advice, who))
    return [
        ErrorGroup(
            code=code,
            sentence=found[0][0],
            advice=addressed(next((advice for _, advice, _ in found if advice), ""), request.import_id),
            server=server,
            parked=parked,
            sufferers=tuple(who for _, _, who in found),
        )
        for (parked, code, server), found in sorted(groups.items(), key=_gravity)
    ]


def _gravity(group: tuple[tuple[bool, str, str], list[tuple[str, str, Sufferer]]]) -> tuple[object, ...]:
    """What waits for a person first, then what keeps whole mailboxes from going on, then what is over, then single messages;
    what needs nobody last."""
    (parked, code, server), found = group
    rank = 2 if all(who.over_at for _, _, who in found) else 1
    if code in _MESSAGE_TROUBLE:
        rank = 4 if code in HARMLESS else 3
    return not parked, rank, code, server


def trouble_at_a_glance(store: Store, request: Import, named: int) -> list[ErrorGroup]:
    """Of an import that is too large to read all of it: each kind of trouble of whole mailboxes with all who have it
    counted, and `named` of them. Trouble of single messages is in the report."""
    rows: list[tuple[Mailbox, Tally]] = []
    unnamed: dict[tuple[bool, str], int] = defaultdict(int)
    for code, number in store.failure_codes(request.import_id).items():
        for state in _GOING_ON if not code.endswith(_WAITING) else ():
            if number:
                total, found = store.find_mailboxes(request.import_id, Search(state=state, code=code, count=named))
                rows, number = rows + found, number - total
                unnamed[state is MailboxState.PARKED, code] += total - len(found)
    groups = trouble(store, request, rows, folders=False)
    # Servers that rows name themselves have a group each; who is not named is counted with the largest.
    for key, number in unnamed.items():
        alike = [group for group in groups if (group.parked, group.code) == key]
        if number and alike:  # none is left when they all went on between the two looks
            largest = max(alike, key=lambda group: len(group.sufferers))
            groups[groups.index(largest)] = replace(largest, more=number)
    return groups


def _server(code: str, mailbox: Mailbox, request: Import) -> str:
    """What a group of errors has apart: one server's words and advice are not those of another."""
    url = mailbox.source.endpoint.url
    return url if url != request.source.url and (code.startswith("source_") or code in _OF_THE_SOURCE) else ""


def _told_more(trouble: Failure, mailbox: Mailbox) -> str:
    """With what a provider wants before it lets anyone sign in."""
    accounts = {"source_auth_refused": mailbox.source, "destination_auth_refused": mailbox.destination}
    if not (account := accounts.get(trouble.code)):
        return trouble.advice
    return "; ".join(filter(None, (trouble.advice, catalogue().first_at(account.login, account.endpoint.host))))


def addressed(advice: str, import_id: str) -> str:
    """Advice with commands that can be copied: IMPORT in it is this one."""
    return advice.replace("IMPORT", import_id[:8])


def folder_trouble(store: Store, mailbox: Mailbox, counts: Tally) -> Iterator[tuple[str, Folder, int, str]]:
    """(code, folder, messages, what was said) of one mailbox's folders."""
    if mailbox.state is MailboxState.QUEUED and not counts.messages:
        return
    for folder, own in store.folders(mailbox.mailbox_id):
        if folder.unreadable:
            yield "unreadable_folder", folder, 0, folder.note
        if own.withheld:
            yield "withheld", folder, own.withheld, short(folder, own)
        numbers = {
            "failed": own[Outcome.FAILED],
            "refused": own[Outcome.REFUSED],
            "missing": own.missing,
            "altered": own.altered,
            "normalised": own.normalised,
            "doubled": own.doubled,
            "undone": own.undone,
            "dates_changed": own.dates_changed,
            "keywords_lost": own.keywords_lost,
        }
        reasons: dict[str, str] = {}
        if any(numbers.values()):
            notes = store.notes(folder.folder_id)
            if own.missing:
                reasons["missing"] = gone(UidSet.of(note.uid for note in notes if note.what == "missing"))
            for note in notes:
                reasons.setdefault(COUNTED.get(note.what, note.what), note.reason)
        yield from ((code, folder, n, reasons.get(code, "")) for code, n in numbers.items() if n)
