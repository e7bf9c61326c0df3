"""Tests the sentence on top of an import's page: each state has one, and a person's turn comes first."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from producer.coordinator.tally import Progress
from producer.operations.trouble import ErrorGroup, Sufferer
from producer.web.pages.headline import Headline, acts, headline
from shared.model import Endpoint, Import, Tally, Wait
from shared.model.lifecycle import Control, ImportState, MailboxState, Outcome
from shared.model.requests import Tls

_SERVER = Endpoint(host="old.example", port=993, tls=Tls.IMPLICIT)
_QUEUED, _COMPLETE, _PARKED = MailboxState.QUEUED, MailboxState.COMPLETE, MailboxState.PARKED
_CANCELLED = MailboxState.CANCELLED
_RUNNING, _FINISHED = ImportState.RUNNING, ImportState.FINISHED


def _progress(
    state: ImportState, boxes: Mapping[MailboxState, int], control: Control = Control.RUN, *waits: str, refused: int = 0
) -> Progress:
    import_ = Import(import_id="i1", name="office", source=_SERVER, destination=_SERVER, state=state, control=control)
    tally = Tally(messages=9, outcomes={Outcome.COPIED: 9 - refused, Outcome.REFUSED: refused})
    return Progress(
        import_=import_, tally=tally, mailboxes=boxes, waits=tuple(Wait(what=what, mailboxes=1) for what in waits)
    )


def _group(code: str, mailboxes: int) -> ErrorGroup:
    return ErrorGroup(
        code=code, sentence="no", advice="", parked=True, sufferers=(Sufferer(row=2, login="anna"),), more=mailboxes - 1
    )


@pytest.mark.parametrize(
    ("progress", "groups", "wanted"),
    [
        (_progress(ImportState.OPENING, {_QUEUED: 3}), [], Headline(what="ready", num=3, tone="wait", step="start")),
        (_progress(_RUNNING, {_QUEUED: 3, _COMPLETE: 2}), [], Headline(what="left", num=3)),
        (_progress(_RUNNING, {_QUEUED: 3}, Control.RUN, "window"), [], Headline(what="hours", num=3, tone="wait")),
        (_progress(_RUNNING, {_QUEUED: 3}, Control.RUN, "workers"), [], Headline(what="workers", num=3, tone="bad")),
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 1}, Control.PAUSE),
            [],
            Headline(what="paused", num=3, tone="wait", step="resume"),
        ),
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 4}),
            [_group("source_auth_refused", 3), _group("account_rejected", 1)],
            Headline(what="password", num=3, tone="bad", step="credentials"),
        ),
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 1}),
            [_group("account_rejected", 1)],
            Headline(what="needs", num=1, tone="bad", step="wrong"),
        ),
        (
            _progress(_FINISHED, {_COMPLETE: 3, _PARKED: 1}),
            [_group("account_rejected", 1)],
            Headline(what="needs", num=1, tone="bad", step="retry"),
        ),
        (_progress(_FINISHED, {_COMPLETE: 3}), [], Headline(what="complete", num=3, tone="good", step="verify")),
        (
            _progress(_FINISHED, {_COMPLETE: 3}, refused=2),
            [],
            Headline(what="messages", num=2, tone="bad", step="retry"),
        ),
        (
            _progress(_FINISHED, {_COMPLETE: 1, _CANCELLED: 2}, Control.CANCEL),
            [],
            Headline(what="cancelled", num=2, tone="wait", step="resume"),
        ),
    ],
)
def test_each_state_has_its_sentence_and_its_next_step(
    progress: Progress, groups: list[ErrorGroup], wanted: Headline
) -> None:
    assert headline(progress, groups) == wanted
    # A step that is an act has its button.
    assert wanted.step in {"", "credentials", "wrong"} or wanted.step in dict(acts(progress))


def test_acts_fit_the_state() -> None:
    assert [name for name, _ in acts(_progress(ImportState.OPENING, {_QUEUED: 1}))] == ["start", "cancel"]
    assert [name for name, _ in acts(_progress(_RUNNING, {_QUEUED: 1}))] == ["pause", "cancel"]
    assert acts(_progress(_RUNNING, {_QUEUED: 1}, Control.CANCEL)) == [("resume", "Go on")]
    assert acts(_progress(_RUNNING, {_QUEUED: 1}, Control.PAUSE))[0] == ("resume", "Resume")
