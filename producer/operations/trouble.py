"""Groups what went wrong by kind: which mailboxes, what the server said, what to do."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Set
from dataclasses import replace
from typing import Final

from shared.model import Failure, Folder, Import, Mailbox, Tally, gone, short
from shared.model.ledger import COUNTED, GONE
from shared.model.lifecycle import MailboxState, Outcome
from shared.model.search import Search, troubles_of
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.store import Store
from shared.wording.often_said import without_side
from shared.wording.phrases import changed, several


@dataclass(frozen=True, kw_only=True, slots=True)
class FailedMailbox:
    """A mailbox with trouble."""

    #: Line in the manifest.
    row: int
    #: Login at the source.
    login: str
    #: Login at the destination.
    destination_login: str = ""
    #: Display name of the folder; "" when the trouble concerns the whole mailbox.
    folder: str = ""
    #: The server's own words.
    detail: str = ""
    #: Messages concerned; 0 when the trouble is not about single messages.
    messages: int = 0
    #: Missing room in bytes; 0 where it is not known, or not the cause.
    missing_bytes: int = 0
    #: When a parked mailbox is tried again by itself, seconds since the epoch; 0 if only the operator can make it go
    #: on.
    again_at: float = 0.0
    #: When the first of these failures in a row happened, seconds since the epoch; 0 where that is not known.
    since: float = 0.0
    #: When it is tried again by itself, seconds since the epoch; 0 if the operator must act, or if it is over.
    next_at: float = 0.0
    #: Since when the trouble is over, seconds since the epoch; 0 if it is not.
    over_at: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class ErrorGroup:
    """A kind of trouble, with the mailboxes that have it."""

    #: Stable code.
    code: str
    #: The event, in a sentence.
    sentence: str
    #: The next step for the operator.
    advice: str
    #: URL of the source, if rows name it themselves; "" for the import's own servers.
    server: str = ""
    #: True when the mailboxes are stopped until the operator acts.
    parked: bool
    #: Mailboxes that have the trouble, by row.
    sufferers: tuple[FailedMailbox, ...]
    #: Number of further mailboxes that have it and are not named.
    more: int = 0


#: A group: parked, code, server, and the sentence where one code has several reasons (a locked account is no wrong
#: password).
_Kind = tuple[bool, str, str, str]
#: Ending of codes that mean waiting, not failing: `Progress.waits` reports what a server asked for.
_WAITING: Final = "_throttled"
#: The kind under which a mailbox is named for what stops it as a whole.
_GOES_ON: Final = "whole"
#: States in which a mailbox's last failure counts: all but complete, those that wait for a person first.
_FAILING: Final = (
    MailboxState.PARKED,
    *(state for state in MailboxState if state not in (MailboxState.PARKED, MailboxState.COMPLETE)),
)

#: Kinds of trouble with folders that the source causes.
_OF_THE_SOURCE: Final = ("unreadable_folder", "withheld")

#: Sentence and advice by code, for trouble with single messages.
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
        "the server lost them, or somebody removed them before they were verified; "
        "if they may stay away: mailhaul verify IMPORT --accept-missing; "
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
    "moved": (
        "messages whose copies their user moved at the destination (harmless)",
        "nothing to do; notes.csv of the report names each, and where it is now",
    ),
    "removed": (
        "messages whose copies their user removed at the destination; they are not copied again (harmless)",
        "nothing to do; notes.csv of the report names each",
    ),
    "moved_at_source": (
        "messages that were moved at the source, and whose copies were moved with them (harmless)",
        "nothing to do; notes.csv of the report names each",
    ),
    "deleted_at_source": (
        "messages that were deleted at the source after they were copied (harmless)",
        "nothing to do; notes.csv of the report names each, and says whether its copy stays",
    ),
    "dates_changed": (
        "messages that have another date, since the source's cannot be used or kept (harmless)",
        "nothing to do; notes.csv of the report names each",
    ),
    "keywords_lost": (
        "messages of which the destination did not keep all flags or keywords",
        "the messages themselves are there; notes.csv of the report says of each what it lacks",
    ),
    "resized": (
        "messages of which the source sent more or fewer bytes than it announced",
        "notes.csv of the report names each; where the source sent fewer, see there whether the message is whole",
    ),
    "unreadable_folder": (
        "folders that cannot be read at the source",
        "see what the server says; when it is mended: mailhaul retry IMPORT",
    ),
    "withheld": (
        "messages that the source counts and does not show",
        "ask its operator for the limit on what it shows, and have it lifted; then run the import command again",
    ),
}

#: Notes of messages with a fault; all other notes are only worth knowing.
AMISS: Final = frozenset((Outcome.REFUSED, Outcome.FAILED, "missing", "altered"))
#: Codes that are listed after all others.
HARMLESS: Final = (
    "doubled",
    "normalised",
    "dates_changed",
    "keywords_lost",
    "resized",
    "undone",
    "moved",
    "removed",
    "moved_at_source",
    "deleted_at_source",
)


def troubled(mailbox: Mailbox) -> Failure | None:
    """Returns what is wrong with the mailbox now; None while it only waits."""
    failure = mailbox.failure
    waits = failure is not None and failure.code.endswith(_WAITING)
    return None if waits or mailbox.state is MailboxState.COMPLETE else failure


def word(mailbox: Mailbox, tally: Tally) -> str:
    """Returns the word for the mailbox's state.

    It is "incomplete" where a complete mailbox's source shows fewer messages than it counts, or did not let some
    folders be read.
    """
    short_of = mailbox.state is MailboxState.COMPLETE and (tally.withheld or tally.unreadable)
    return "incomplete" if short_of else mailbox.state.value


def trouble(
    store: Store,
    import_: Import,
    rows: Iterable[tuple[Mailbox, Tally]],
    *,
    folders: bool = True,
    only: Mapping[str, Set[str]] | None = None,
) -> list[ErrorGroup]:
    """Returns the trouble of these mailboxes: parked ones first, harmless kinds last.

    Without `folders` no more is read from the store, so that a live display costs nothing. `only` says of which kinds
    of trouble with messages a mailbox is named (mailbox id → codes); without it, of all.
    """
    groups: dict[_Kind, list[tuple[str, str, FailedMailbox]]] = defaultdict(list)
    for mailbox, counts in rows:
        if (trouble := troubled(mailbox)) and (only is None or _GOES_ON in only.get(mailbox.mailbox_id, ())):
            who = FailedMailbox(
                row=mailbox.row,
                login=mailbox.source.login,
                destination_login=mailbox.destination.login,
                folder=trouble.folder,
                detail=trouble.detail,
                missing_bytes=trouble.missing_bytes,
                again_at=mailbox.again_at,
                since=trouble.since,
                over_at=mailbox.over_at,
                next_at=0.0 if mailbox.over_at or mailbox.state is MailboxState.PARKED else trouble.next_at,
            )
            # Most imports have no trouble, and load nothing for it.
            from shared.mail.answers.refusals import NO_PASSWORD

            reason = trouble.sentence if without_side(trouble.sentence) in NO_PASSWORD else ""
            kind = (mailbox.state is MailboxState.PARKED, trouble.code, _server(trouble.code, mailbox, import_), reason)
            # Nothing is left to do about what is over.
            advice = "" if mailbox.over_at else _told_more(trouble, mailbox)
            groups[kind].append((trouble.sentence, advice, who))
        wanted = None if only is None else only.get(mailbox.mailbox_id, frozenset())
        for code, folder, messages, detail in folder_trouble(store, mailbox, counts, wanted) if folders else ():
            sentence, advice = _MESSAGE_TROUBLE[code]
            who = FailedMailbox(
                row=mailbox.row,
                login=mailbox.source.login,
                destination_login=mailbox.destination.login,
                folder=folder.display,
                detail=detail,
                messages=messages,
            )
            groups[(False, code, _server(code, mailbox, import_), "")].append((sentence, advice, who))
    return [
        ErrorGroup(
            code=code,
            sentence=found[0][0],
            advice=addressed(next((advice for _, advice, _ in found if advice), ""), import_.import_id),
            server=server,
            parked=parked,
            sufferers=tuple(who for _, _, who in found),
        )
        for (parked, code, server, _), found in sorted(groups.items(), key=_gravity)
    ]


def _gravity(group: tuple[_Kind, list[tuple[str, str, FailedMailbox]]]) -> tuple[object, ...]:
    """Returns the sort key of a group.

    First comes what waits for the operator, then what stops whole mailboxes, then what is over, then single messages;
    what needs no one comes last.
    """
    (parked, code, server, reason), found = group
    rank = 2 if all(who.over_at for _, _, who in found) else 1
    if code in _MESSAGE_TROUBLE:
        rank = 4 if code in HARMLESS else 3
    return not parked, rank, code, server, reason


def trouble_at_a_glance(store: Store, import_: Import, named: int, wave: str = "") -> list[ErrorGroup]:
    """Returns the trouble of an import, or of a wave, that is too large to read whole.

    Each kind of trouble has the count of all mailboxes that have it, and `named` of them.
    """
    rows: dict[str, tuple[Mailbox, Tally]] = {}
    only: dict[str, set[str]] = defaultdict(set)
    unnamed: dict[tuple[bool, str], int] = defaultdict(int)

    def look(kind: str, state: MailboxState | None, code: str) -> int:
        wanted = Search(state=state, code=code, wave=wave, count=named)
        total, found = store.find_mailboxes(import_.import_id, wanted)
        for mailbox, counts in found:
            rows[mailbox.mailbox_id] = mailbox, counts
            only[mailbox.mailbox_id].add(kind)
        unnamed[state is MailboxState.PARKED, code] += total - len(found)
        return total

    for code, number in store.failure_codes(import_.import_id).items():
        for state in _FAILING if not code.endswith(_WAITING) else ():
            if number:
                number -= look(_GOES_ON, state, code)
    sums = store.import_tally(import_.import_id)[0]
    for code in sorted(troubles_of(sums)):
        look(code, None, code)
    groups = trouble(store, import_, list(rows.values()), only=only)
    # Servers that rows name themselves have a group each; mailboxes that are not named are counted with the largest
    # group.
    for key, number in unnamed.items():
        alike = [group for group in groups if (group.parked, group.code) == key]
        if number and alike:  # none is left when they all went on between the two looks
            largest = max(alike, key=lambda group: len(group.sufferers))
            groups[groups.index(largest)] = replace(largest, more=number)
    return groups


def _server(code: str, mailbox: Mailbox, import_: Import) -> str:
    """Returns the server by which errors are grouped apart: one server's words and advice do not fit another."""
    url = mailbox.source.endpoint.url
    return url if url != import_.source.url and (code.startswith("source_") or code in _OF_THE_SOURCE) else ""


def _told_more(trouble: Failure, mailbox: Mailbox) -> str:
    """Returns the advice, with what the provider demands before it lets anyone sign in."""
    accounts = {"source_auth_refused": mailbox.source, "destination_auth_refused": mailbox.destination}
    if not (account := accounts.get(trouble.code)):
        return trouble.advice
    from producer.intake.providers import catalogue

    return several((trouble.advice, catalogue().first_at(account.login, account.endpoint.host)))


def said_of_messages(code: str, import_id: str) -> dict[str, str]:
    """Returns the sentence and the advice of a kind of trouble with messages or folders."""
    sentence, advice = _MESSAGE_TROUBLE[code]
    return {"sentence": sentence, "advice": addressed(advice, import_id)}


def addressed(advice: str, import_id: str) -> str:
    """Returns advice with commands that can be copied: IMPORT in it becomes this import's id."""
    return changed(advice, lambda text: text.replace("IMPORT", import_id[:8]))


def folder_trouble(
    store: Store, mailbox: Mailbox, counts: Tally, wanted: Set[str] | None = None
) -> Iterator[tuple[str, Folder, int, str]]:
    """Yields (code, folder, messages, what was said) for one mailbox's folders: of all codes, or of those in `wanted`."""
    told = troubles_of(counts)
    if wanted is not None:
        all_of = folder_trouble(store, mailbox, counts) if wanted & told else ()
        yield from (found for found in all_of if found[0] in wanted)
        return
    if not told or (mailbox.state is MailboxState.QUEUED and not counts.messages):
        return  # nothing is read of a mailbox that has none
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
            "moved": own.moved,
            "removed": own.removed,
            "moved_at_source": own.moved_at_source,
            "deleted_at_source": own.deleted_at_source,
            "normalised": own.normalised,
            "doubled": own.doubled,
            "undone": own.undone,
            "dates_changed": own.dates_changed,
            "keywords_lost": own.keywords_lost,
            "resized": own.resized,
        }
        reasons: dict[str, str] = {}
        if any(numbers.values()):
            notes = store.notes(folder.folder_id)
            for kind in (kind for kind in GONE if numbers[kind]):
                reasons[kind] = gone(UidSet.of(note.uid for note in notes if note.what == kind))
            for note in notes:
                reasons.setdefault(COUNTED.get(note.what, note.what), note.reason)
        yield from ((code, folder, n, reasons.get(code, "")) for code, n in numbers.items() if n)
