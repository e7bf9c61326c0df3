"""Tests the sentence on top of an import's page: each state has one, and a person's turn comes first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import producer.web
from producer.coordinator.tally import Progress
from producer.operations.trouble import ErrorGroup, Sufferer
from producer.web.pages import administering, mending, rehearsing
from producer.web.pages.headline import Beside, Headline, acts, headline
from shared.model import Endpoint, Import, Tally, Wait
from shared.model.lifecycle import Control, CutoverState, ImportState, MailboxState, Outcome
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


def _at_work(*waits: str) -> Progress:
    return _progress(_RUNNING, {_QUEUED: 1}, Control.RUN, *waits)


def _ended(**counts: int) -> Progress:
    progress = _progress(_FINISHED, {_COMPLETE: 3})
    return replace(progress, tally=replace(progress.tally, **counts))


def _stopped(code: str, state: ImportState = _RUNNING) -> tuple[Progress, list[ErrorGroup]]:
    return _progress(state, {_QUEUED: 3, _PARKED: 2}), [_group(code, 2)]


_CASES: tuple[tuple[Progress, list[ErrorGroup], Beside, Headline], ...] = tuple(
    (progress, groups, beside, Headline(what=what, num=num, tone=tone, step=step))
    for progress, groups, beside, what, num, tone, step in (
        (_progress(ImportState.OPENING, {_QUEUED: 3}), [], Beside(), "ready", 3, "wait", "start"),
        (_progress(ImportState.OPENING, {_QUEUED: 3}), [], Beside(found=2), "found", 2, "bad", "found"),
        (_progress(_RUNNING, {_QUEUED: 3, _COMPLETE: 2}), [], Beside(), "left", 3, "work", ""),
        (_progress(_RUNNING, {_QUEUED: 3, _PARKED: 1}, Control.PAUSE), [], Beside(), "paused", 3, "wait", "resume"),
        (
            _progress(_FINISHED, {_COMPLETE: 1, _CANCELLED: 2}, Control.CANCEL),
            [],
            Beside(),
            "cancelled",
            2,
            "wait",
            "resume",
        ),
        # What nothing moves by.
        (_at_work("workers"), [], Beside(), "workers", 1, "bad", "doctor"),
        (_at_work("store", "workers"), [], Beside(), "store", 0, "bad", "doctor"),
        # What waits for a person.
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 4}),
            [_group("source_auth_refused", 3), _group("account_rejected", 1)],
            Beside(cutovers=[CutoverState.SYNCED]),
            *("password", 3, "bad", "credentials"),
        ),
        (*_stopped("source_tls"), Beside(), "certificate", 2, "bad", "wrong"),
        (*_stopped("destination_over_quota"), Beside(), "full", 2, "bad", "wrong"),
        (*_stopped("destination_takes_nothing"), Beside(), "full", 2, "bad", "wrong"),
        (*_stopped("destination_foreign_writer"), Beside(), "writer", 2, "bad", "wrong"),
        (*_stopped("account_rejected"), Beside(), "account", 2, "bad", "wrong"),
        (*_stopped("same_mailbox"), Beside(), "needs", 2, "bad", "wrong"),
        (*_stopped("same_mailbox", _FINISHED), Beside(), "needs", 2, "bad", "retry"),
        (
            _progress(_RUNNING, {_PARKED: 2}),
            [_group("source_tls", 1), _group("destination_over_quota", 1)],
            Beside(),
            *("needs", 2, "bad", "wrong"),
        ),
        (
            _at_work(),
            [],
            Beside(cutovers=[CutoverState.ANNOUNCED, CutoverState.CLOSED]),
            "cutover",
            1,
            "wait",
            "cutover",
        ),
        (_at_work(), [], Beside(cutovers=[CutoverState.STAGING]), "left", 1, "work", ""),
        # What goes on by itself.
        (_at_work("source_server"), [], Beside(), "away", 1, "wait", "wrong"),
        (_at_work("destination_server", "window"), [], Beside(), "away", 1, "wait", "wrong"),
        (_at_work("window"), [], Beside(), "hours", 1, "wait", ""),
        (_at_work("wave_hours"), [], Beside(), "hours", 1, "wait", ""),
        (_at_work("wave_paused"), [], Beside(), "wave_paused", 1, "wait", "waves"),
        (_at_work("wave_start"), [], Beside(), "wave_start", 1, "wait", ""),
        (_at_work("rate"), [], Beside(), "rate", 1, "wait", "limits"),
        (_at_work("destination_paused"), [], Beside(), "behind_paused", 1, "wait", "waits"),
        (_at_work("destination"), [], Beside(), "behind", 1, "wait", ""),
        (_at_work("settle"), [], Beside(), "settle", 1, "wait", ""),
        (_at_work("destination_host"), [], Beside(), "asked", 1, "wait", ""),
        (_at_work("source_account"), [], Beside(), "asked", 1, "wait", ""),
        # One of two that are left waits: the other goes on, and so does the import.
        (_progress(_RUNNING, {_QUEUED: 2}, Control.RUN, "rate"), [], Beside(), "left", 2, "work", ""),
        # The end.
        (_ended(), [], Beside(), "complete", 3, "good", "verify"),
        (_ended(), [], Beside(stands=True), "stands", 3, "good", "verify"),
        (_progress(_FINISHED, {_COMPLETE: 3}, refused=2), [], Beside(), "messages", 2, "bad", "retry"),
        (_ended(missing=1), [], Beside(), "missing", 1, "bad", "wrong"),
        (_ended(altered=4), [], Beside(), "altered", 4, "bad", "wrong"),
        (_ended(withheld=5), [], Beside(), "withheld", 5, "bad", "wrong"),
        (_ended(unreadable=6), [], Beside(), "unreadable", 6, "bad", "wrong"),
    )
)
_TEMPLATES = Path(producer.web.__file__).parent / "templates"


@pytest.mark.parametrize(("progress", "groups", "beside", "wanted"), _CASES, ids=lambda one: getattr(one, "what", ""))
def test_each_state_has_its_sentence_and_its_next_step(
    progress: Progress, groups: list[ErrorGroup], beside: Beside, wanted: Headline
) -> None:
    assert headline(progress, groups, beside) == wanted


def test_every_sentence_is_drawn_and_every_step_has_a_button_that_leads_somewhere() -> None:
    said = set(re.findall(r'head\.what == "(\w+)"', (_TEMPLATES / "headline.html").read_text()))
    assert said == {wanted.what for *_, wanted in _CASES}, "each sentence has a case here, and each case a sentence"
    summary = (_TEMPLATES / "summary.html").read_text()
    leads = dict(re.findall(r'head\.step == "(\w+)"[^\n]*?<a class="button main"[^>]* href="([^"]+)"', summary))
    steps = {wanted.step: progress for progress, _, _, wanted in _CASES if wanted.step}
    assert {step for step, progress in steps.items() if step not in dict(acts(progress))} == set(leads)
    # A link leads to a place of the page, or to a page.
    drawn = "".join(path.read_text() for path in _TEMPLATES.glob("*.html"))
    paths = {
        re.sub(r"{\w+}", "{}", route.path)
        for page in (administering, mending, rehearsing)
        for route in page.routes.routes
    }
    for step, link in leads.items():
        if link.startswith("#"):
            assert f'id="{link[1:]}"' in drawn, step
        else:
            assert re.sub("{{ [^}]* }}", "{}", link) in paths, step


def test_acts_fit_the_state() -> None:
    assert [name for name, _ in acts(_progress(ImportState.OPENING, {_QUEUED: 1}))] == ["start", "cancel"]
    assert [name for name, _ in acts(_progress(_RUNNING, {_QUEUED: 1}))] == ["pause", "cancel"]
    assert acts(_progress(_RUNNING, {_QUEUED: 1}, Control.CANCEL)) == [("resume", "Go on")]
    assert acts(_progress(_RUNNING, {_QUEUED: 1}, Control.PAUSE))[0] == ("resume", "Resume")
