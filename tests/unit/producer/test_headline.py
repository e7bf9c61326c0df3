"""Tests the sentence on top of an import's page: each state has one, and a person's turn comes first."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

import producer.web
from producer.coordinator.tally import Progress
from producer.operations.trouble import ErrorGroup, FailedMailbox
from producer.web.pages import administering, mending, rehearsing
from producer.web.pages.glance import still_true
from producer.web.pages.headline import Headline, ImportFacts, acts, headline
from shared.model import Endpoint, Import, Tally, Wait, WaitKind
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
        import_=import_,
        tally=tally,
        mailboxes=boxes,
        waits=tuple(Wait(what=WaitKind(what), mailboxes=1) for what in waits),
    )


def _group(code: str, mailboxes: int) -> ErrorGroup:
    return ErrorGroup(
        code=code,
        sentence="no",
        advice="",
        parked=True,
        sufferers=(FailedMailbox(row=2, login="anna"),),
        more=mailboxes - 1,
    )


def _at_work(*waits: str) -> Progress:
    return _progress(_RUNNING, {_QUEUED: 1}, Control.RUN, *waits)


def _away(server: str) -> Progress:
    waits = (Wait(what=WaitKind.SOURCE_SERVER, key=server, mailboxes=1),)
    return replace(_progress(_RUNNING, {_QUEUED: 3}), waits=waits)


def _ended(**counts: int) -> Progress:
    progress = _progress(_FINISHED, {_COMPLETE: 3})
    return replace(progress, tally=replace(progress.tally, **counts))


def _stopped(code: str, state: ImportState = _RUNNING) -> tuple[Progress, list[ErrorGroup]]:
    return _progress(state, {_QUEUED: 3, _PARKED: 2}), [_group(code, 2)]


_CASES: tuple[tuple[Progress, list[ErrorGroup], ImportFacts, Headline], ...] = tuple(
    (progress, groups, facts, Headline(what=what, num=num, tone=tone, step=step))
    for progress, groups, facts, what, num, tone, step in (
        (_progress(ImportState.OPENING, {_QUEUED: 3}), [], ImportFacts(), "ready", 3, "wait", "start"),
        (_progress(ImportState.OPENING, {_QUEUED: 3}), [], ImportFacts(found=2), "found", 2, "bad", "found"),
        *(
            (
                _progress(state, boxes),
                groups,
                ImportFacts(found=2, running=kind, looked_at=7),
                what,
                7,
                "work",
                "rehearsal",
            )
            for state, boxes, groups in (
                (ImportState.OPENING, {_QUEUED: 3}, []),
                (_FINISHED, {_COMPLETE: 3}, []),
                (_FINISHED, {_COMPLETE: 2, _PARKED: 1}, [_group("source_auth_refused", 1)]),
            )
            for kind, what in (("check", "check_runs"), ("plan", "plan_runs"))
        ),
        (_progress(_RUNNING, {_QUEUED: 3, _COMPLETE: 2}), [], ImportFacts(), "left", 3, "work", ""),
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 1}, Control.PAUSE),
            [],
            ImportFacts(),
            "paused",
            3,
            "wait",
            "resume",
        ),
        (
            _progress(_FINISHED, {_COMPLETE: 1, _CANCELLED: 2}, Control.CANCEL),
            [],
            ImportFacts(),
            "cancelled",
            2,
            "wait",
            "resume",
        ),
        # Cancelled before its start: it is not ready.
        (
            _progress(ImportState.OPENING, {_CANCELLED: 3}, Control.CANCEL),
            [],
            ImportFacts(),
            "cancelled",
            3,
            "wait",
            "resume",
        ),
        # What nothing moves by.
        (_at_work("workers"), [], ImportFacts(), "workers", 1, "bad", "waits"),
        (_at_work("store", "workers"), [], ImportFacts(), "store", 0, "bad", "doctor"),
        # What waits for a person.
        (
            _progress(_RUNNING, {_QUEUED: 3, _PARKED: 4}),
            [_group("source_auth_refused", 3), _group("account_rejected", 1)],
            ImportFacts(cutovers=[CutoverState.SYNCED]),
            *("password", 3, "bad", "credentials"),
        ),
        (*_stopped("source_tls"), ImportFacts(), "certificate", 2, "bad", "wrong"),
        (*_stopped("destination_over_quota"), ImportFacts(), "full", 2, "bad", "wrong"),
        (*_stopped("destination_takes_nothing"), ImportFacts(), "full", 2, "bad", "wrong"),
        (*_stopped("destination_foreign_writer"), ImportFacts(), "writer", 2, "bad", "wrong"),
        (*_stopped("account_rejected"), ImportFacts(), "account", 2, "bad", "wrong"),
        (*_stopped("same_mailbox"), ImportFacts(), "needs", 2, "bad", "wrong"),
        (*_stopped("same_mailbox", _FINISHED), ImportFacts(), "needs", 2, "bad", "retry"),
        (
            _progress(_RUNNING, {_PARKED: 2}),
            [_group("source_tls", 1), _group("destination_over_quota", 1)],
            ImportFacts(),
            *("needs", 2, "bad", "wrong"),
        ),
        (
            _at_work(),
            [],
            ImportFacts(cutovers=[CutoverState.ANNOUNCED, CutoverState.CLOSED]),
            "cutover",
            1,
            "wait",
            "cutover",
        ),
        (_at_work(), [], ImportFacts(cutovers=[CutoverState.STAGING]), "left", 1, "work", ""),
        # What goes on by itself.
        (_at_work("source_server"), [], ImportFacts(), "away", 1, "wait", "wrong"),
        (_at_work("destination_server", "window"), [], ImportFacts(), "away", 1, "wait", "wrong"),
        (_at_work("window"), [], ImportFacts(), "hours", 1, "wait", ""),
        (_at_work("wave_hours"), [], ImportFacts(), "hours", 1, "wait", ""),
        (_at_work("wave_paused"), [], ImportFacts(), "wave_paused", 1, "wait", "waves"),
        (_at_work("wave_start"), [], ImportFacts(), "wave_start", 1, "wait", ""),
        (_at_work("rate"), [], ImportFacts(), "rate", 1, "wait", "limits"),
        (_at_work("destination_paused"), [], ImportFacts(), "behind_paused", 1, "wait", "waits"),
        (_at_work("destination"), [], ImportFacts(), "behind", 1, "wait", ""),
        (_at_work("settle"), [], ImportFacts(), "settle", 1, "wait", ""),
        (_at_work("destination_host"), [], ImportFacts(), "asked", 1, "wait", ""),
        (_at_work("source_account"), [], ImportFacts(), "asked", 1, "wait", ""),
        # One of two that are left waits: the other goes on, and so does the import.
        (_progress(_RUNNING, {_QUEUED: 2}, Control.RUN, "rate"), [], ImportFacts(), "left", 2, "work", ""),
        # A server of one row does not answer: nobody else waits for it; the import's own server is everybody's.
        (_away("row.example:993"), [], ImportFacts(), "left", 3, "work", ""),
        (_away("old.example:993"), [], ImportFacts(), "away", 3, "wait", "wrong"),
        # The end.
        (_ended(), [], ImportFacts(), "complete", 3, "good", "verify"),
        (_ended(), [], ImportFacts(stands=True), "stands", 3, "good", "verify"),
        (
            _progress(_FINISHED, {_COMPLETE: 3}, Control.PAUSE),
            [],
            ImportFacts(stands=True),
            *("paused_at_rest", 0, "wait", "resume"),
        ),
        (_progress(_FINISHED, {_COMPLETE: 3}, Control.PAUSE), [], ImportFacts(), "complete", 3, "good", "verify"),
        (_progress(_FINISHED, {_COMPLETE: 3}, refused=2), [], ImportFacts(), "messages", 2, "bad", "retry"),
        (_ended(missing=1), [], ImportFacts(), "missing", 1, "bad", "wrong"),
        (_ended(altered=4), [], ImportFacts(), "altered", 4, "bad", "wrong"),
        (_ended(withheld=5), [], ImportFacts(), "withheld", 5, "bad", "wrong"),
        (_ended(unreadable=6), [], ImportFacts(), "unreadable", 6, "bad", "wrong"),
    )
)
_TEMPLATES = Path(producer.web.__file__).parent / "templates"


@pytest.mark.parametrize(("progress", "groups", "facts", "wanted"), _CASES, ids=lambda one: getattr(one, "what", ""))
def test_each_state_has_its_sentence_and_its_next_step(
    progress: Progress, groups: list[ErrorGroup], facts: ImportFacts, wanted: Headline
) -> None:
    assert headline(progress, groups, facts) == wanted


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


def test_what_a_check_found_is_said_while_it_is_true() -> None:
    whole = {"id": "whole", "kind": "check", "at": 10.0, "broken": 5}
    wave = {"id": "wave", "kind": "check", "at": 20.0, "broken": 0, "wave": "pilot"}
    plan = {"id": "plan", "kind": "plan", "at": 30.0, "broken": 0}
    runs = {"id": "runs", "kind": "check", "at": 40.0}
    assert still_true([runs, plan, wave, whole], []) is whole
    assert still_true([runs, plan, wave], []) is plan
    assert still_true([runs], []) is None
    looked = [{"what": "hours set", "at": 50.0}]
    assert still_true([whole], looked) is whole
    for what in ("credentials replaced", "import edited"):
        assert still_true([whole], [*looked, {"what": what, "at": 15.0}]) is None
    again = {**whole, "id": "again", "at": 16.0, "broken": 0}
    assert still_true([again, whole], [{"what": "credentials replaced", "at": 15.0}]) is again
