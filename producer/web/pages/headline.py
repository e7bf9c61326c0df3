"""The sentence on top of an import's page, and the one thing to do next. Pure."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from producer.coordinator.tally import Progress, ProgressState
from producer.operations.trouble import ErrorGroup
from shared.model import Import, Wait, WaitKind
from shared.model.lifecycle import Control, CutoverState, ImportState, MailboxState, Outcome
from shared.nouns import dataclass

#: Codes of failures that a new password repairs.
PASSWORD_CODES: Final = (
    "source_auth_refused",
    "destination_auth_refused",
    "source_logins_stopped",
    "destination_logins_stopped",
    "credentials_missing",
)
#: Act → the label of its button.
_LABELS: Final = {
    "start": "Start",
    "cancel": "Cancel",
    "pause": "Pause",
    "resume": "Resume",
    "retry": "Retry",
    "verify": "Sync again",
}


#: Codes of what stops whole mailboxes, and their sentence, where all that wait for a person have one of them.
_STOPPED: Final = {
    "certificate": ("source_tls", "destination_tls"),
    "full": ("destination_over_quota", "destination_takes_nothing"),
    "writer": ("destination_foreign_writer",),
    "account": ("account_rejected",),
}
#: Kinds of wait → their sentence, where all that is left waits for it. The gravest comes first.
_WAITING: Final = {
    WaitKind.SOURCE_SERVER: "away",
    WaitKind.DESTINATION_SERVER: "away",
    WaitKind.WINDOW: "hours",
    WaitKind.WAVE_PAUSED: "wave_paused",
    WaitKind.WAVE_START: "wave_start",
    WaitKind.WAVE_HOURS: "hours",
    WaitKind.RATE: "rate",
    WaitKind.DESTINATION_PAUSED: "behind_paused",
    WaitKind.DESTINATION: "behind",
    WaitKind.SETTLE: "settle",
    WaitKind.SOURCE_HOST: "asked",
    WaitKind.DESTINATION_HOST: "asked",
    WaitKind.SOURCE_ACCOUNT: "asked",
    WaitKind.DESTINATION_ACCOUNT: "asked",
}
#: Kinds of wait that concern every mailbox of the import where their server is the import's own: a row may have another.
_OF_SERVERS: Final = (
    WaitKind.SOURCE_SERVER,
    WaitKind.DESTINATION_SERVER,
    WaitKind.SOURCE_HOST,
    WaitKind.DESTINATION_HOST,
)
#: States of a cutover in which a person has the next step.
_DUE: Final = (CutoverState.SYNCED, CutoverState.ANNOUNCED)
#: Sentence → its next step, where it has one that is always the same.
_STEPS: Final = {"away": "wrong", "wave_paused": "waves", "rate": "limits", "behind_paused": "waits"}


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The sentence that says where an import stands, and its next step."""

    #: Which sentence of headline.html: "ready", "password", "needs", "left", "complete", …
    what: str
    #: The number in the sentence.
    num: int = 0
    #: The look of it: "good", "bad", "wait" or "work".
    tone: str = "work"
    #: The next step: an act, a place of summary.html, or "" where nothing is to be done.
    step: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportFacts:
    """The other facts of an import by which its sentence is chosen."""

    #: The states of its cutovers.
    cutovers: Collection[CutoverState] = ()
    #: Mailboxes in which the last check or rehearsal found trouble.
    found: int = 0
    #: Whether complete mailboxes are looked at again by themselves.
    stands: bool = False
    #: The kind of the rehearsal that is under way, "check" or "plan"; "" for none.
    running: str = ""
    #: Mailboxes that it has looked at so far.
    looked_at: int = 0


def headline(progress: Progress, groups: Sequence[ErrorGroup], facts: ImportFacts | None = None) -> Headline:
    """Chooses the sentence: what a person must do comes before what goes on by itself."""
    facts = facts or ImportFacts()
    import_, boxes = progress.import_, progress.mailboxes
    parked = boxes.get(MailboxState.PARKED, 0)
    total = progress.mailboxes_total
    left = total - progress.mailboxes_complete - parked - boxes.get(MailboxState.CANCELLED, 0)
    stopping = import_.control is Control.CANCEL and not progress.finished
    causes = {wait.what for wait in progress.waits} if not progress.finished else set[WaitKind]()
    if stopping or progress.word is ProgressState.CANCELLED:
        return Headline(what="cancelled", num=boxes.get(MailboxState.CANCELLED, 0), tone="wait", step="resume")
    rehearsed = Headline(what=f"{facts.running}_runs", num=facts.looked_at, step="rehearsal")
    if import_.state is ImportState.OPENING:
        if facts.running:
            return rehearsed
        if facts.found:
            return Headline(what="found", num=facts.found, tone="bad", step="found")
        return Headline(what="ready", num=total, tone="wait", step="start")
    if import_.control is Control.PAUSE and not progress.finished:
        return Headline(what="paused", num=left, tone="wait", step="resume")
    if import_.control is Control.PAUSE and facts.stands:
        return Headline(what="paused_at_rest", tone="wait", step="resume")
    if WaitKind.STORE in causes:
        return Headline(what="store", tone="bad", step="doctor")
    if WaitKind.WORKERS in causes:
        return Headline(what="workers", num=left, tone="bad", step="waits")
    if parked and not (progress.finished and facts.running):
        return _of_parked(parked, groups, finished=progress.finished)
    if due := sum(state in _DUE for state in facts.cutovers):
        return Headline(what="cutover", num=due, tone="wait", step="cutover")
    if not progress.finished:
        return _of_waiting(left, progress.waits, import_)
    if facts.running:
        return rehearsed
    return _of_ended(progress, total, facts)


def _of_parked(parked: int, groups: Sequence[ErrorGroup], *, finished: bool) -> Headline:
    """Returns the sentence of mailboxes that wait for a person."""
    if passwords := _mailboxes(groups, PASSWORD_CODES):
        return Headline(what="password", num=min(passwords, parked), tone="bad", step="credentials")
    what = next((name for name, codes in _STOPPED.items() if _mailboxes(groups, codes) >= parked), "needs")
    return Headline(what=what, num=parked, tone="bad", step="retry" if finished and what == "needs" else "wrong")


def _of_waiting(left: int, waits: Sequence[Wait], import_: Import) -> Headline:
    """Returns the sentence of an import at work: what all that is left waits for, or how many are left."""
    for cause, what in _WAITING.items():
        found = [wait for wait in waits if wait.what is cause]
        if found and (any(_of_all(one, import_) for one in found) or sum(one.mailboxes for one in found) >= left):
            return Headline(what=what, num=left, tone="wait", step=_STEPS.get(what, ""))
    return Headline(what="left", num=left)


def _of_all(wait: Wait, import_: Import) -> bool:
    """Tells whether the wait concerns every mailbox of the import."""
    if wait.what not in _OF_SERVERS:
        return wait.what is WaitKind.WINDOW
    server = import_.source if wait.what.startswith("source") else import_.destination
    return wait.key in (server.host, f"{server.host}:{server.port}")


def _of_ended(progress: Progress, total: int, facts: ImportFacts) -> Headline:
    """Returns the sentence of an import that has ended and needs no person."""
    counts = progress.tally
    if progress.word is ProgressState.COMPLETE:
        return Headline(what="stands" if facts.stands else "complete", num=total, tone="good", step="verify")
    if messages := counts[Outcome.REFUSED] + counts[Outcome.FAILED]:
        return Headline(what="messages", num=messages, tone="bad", step="retry")
    for what, number in (
        ("missing", counts.missing),
        ("altered", counts.altered),
        ("withheld", counts.withheld),
        ("unreadable", counts.unreadable),
    ):
        if number:
            return Headline(what=what, num=number, tone="bad", step="wrong")
    return Headline(what="odd", tone="bad", step="wrong")


def acts(progress: Progress) -> list[tuple[str, str]]:
    """Returns the (act, label) pairs of what may be done to the import as a whole."""
    state, control, word = progress.import_.state, progress.import_.control, progress.word
    if control is Control.CANCEL and state is not ImportState.FINISHED:
        names = ["resume"]
    elif state is ImportState.OPENING:
        names = ["start", "cancel"]
    elif state is ImportState.FINISHED:
        names = {"cancelled": ["resume", "verify"], "incomplete": ["retry", "verify"]}.get(word, ["verify"])
        names = ["resume", *names] if control is Control.PAUSE else names
    else:
        names = ["resume" if control is Control.PAUSE else "pause", "cancel"]
    gone_on = control is Control.CANCEL
    return [(name, "Go on" if name == "resume" and gone_on else _LABELS[name]) for name in names]


def _mailboxes(groups: Sequence[ErrorGroup], codes: Collection[str]) -> int:
    """Returns how many mailboxes wait for a person because of one of these codes."""
    return sum(len(one.sufferers) + one.more for one in groups if one.parked and one.code in codes)
