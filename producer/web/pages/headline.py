"""The sentence on top of an import's page, and the one thing to do next. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from producer.coordinator.tally import Progress
from producer.operations.trouble import ErrorGroup
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome

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


@dataclass(frozen=True, kw_only=True, slots=True)
class Headline:
    """The sentence that says where an import stands, and its next step."""

    #: Which sentence: "ready", "password", "needs", "left", "complete", …
    what: str
    #: The number in the sentence.
    num: int = 0
    #: How it looks: "good", "bad", "wait" or "work".
    tone: str = "work"
    #: The next step: an act, "credentials", "wrong", or "" where nothing is to be done.
    step: str = ""


def headline(progress: Progress, groups: Sequence[ErrorGroup]) -> Headline:
    """Chooses the sentence: what a person must do comes before what goes on by itself."""
    import_, boxes = progress.import_, progress.mailboxes
    parked = boxes.get(MailboxState.PARKED, 0)
    total = progress.mailboxes_total
    left = total - progress.mailboxes_complete - parked - boxes.get(MailboxState.CANCELLED, 0)
    stopping = import_.control is Control.CANCEL and not progress.finished
    if import_.state is ImportState.OPENING:
        return Headline(what="ready", num=total, tone="wait", step="start")
    if stopping or progress.word == "cancelled":
        return Headline(what="cancelled", num=boxes.get(MailboxState.CANCELLED, 0), tone="wait", step="resume")
    if import_.control is Control.PAUSE and not progress.finished:
        return Headline(what="paused", num=left, tone="wait", step="resume")
    if any(wait.what == "workers" for wait in progress.waits) and not progress.finished:
        return Headline(what="workers", num=left, tone="bad")
    if passwords := sum(_mailboxes(one) for one in groups if one.parked and one.code in PASSWORD_CODES):
        return Headline(what="password", num=min(passwords, parked) or passwords, tone="bad", step="credentials")
    if parked:
        return Headline(what="needs", num=parked, tone="bad", step="retry" if progress.finished else "wrong")
    if not progress.finished:
        held = any(wait.what == "window" for wait in progress.waits)
        return Headline(what="hours" if held else "left", num=left, tone="wait" if held else "work")
    if progress.word == "complete":
        return Headline(what="complete", num=total, tone="good", step="verify")
    if messages := progress.tally[Outcome.REFUSED] + progress.tally[Outcome.FAILED]:
        return Headline(what="messages", num=messages, tone="bad", step="retry")
    return Headline(what="odd", tone="bad", step="wrong")


def acts(progress: Progress) -> list[tuple[str, str]]:
    """Returns the (act, label) pairs of what may be done to the import as a whole."""
    state, control, word = progress.import_.state, progress.import_.control, progress.word
    if state is ImportState.OPENING:
        names = ["start", "cancel"]
    elif control is Control.CANCEL and state is not ImportState.FINISHED:
        names = ["resume"]
    elif state is ImportState.FINISHED:
        names = {"cancelled": ["resume", "verify"], "incomplete": ["retry", "verify"]}.get(word, ["verify"])
    else:
        names = ["resume" if control is Control.PAUSE else "pause", "cancel"]
    gone_on = control is Control.CANCEL
    return [(name, "Go on" if name == "resume" and gone_on else _LABELS[name]) for name in names]


def _mailboxes(group: ErrorGroup) -> int:
    return len(group.sufferers) + group.more
