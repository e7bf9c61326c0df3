"""The answers of the API on cutovers and rehearsals, as its OpenAPI document describes them."""

from __future__ import annotations

from typing import Literal

from producer.intake.checked import CheckedSide
from producer.intake.dry_run import FolderLine, Totals
from producer.web.api.answers import Answer, Moment


class NamedValueAnswer(Answer):
    """A value, and whose it is."""

    name: str
    value: str | float | int | None


class GuardAnswer(Answer):
    """A guard of a cutover, with what was measured."""

    guard: str
    met: bool
    value: str
    number: float | None
    waits_for: str
    who: list[NamedValueAnswer]
    forcible: bool


class OverruledAnswer(Answer):
    """A guard that a person overruled."""

    guard: str
    event: str
    reason: str
    who: str
    at: Moment


class BackAnswer(Answer):
    """The mail on its way back, after a rollback."""

    mailboxes: int
    whole: int
    messages: int
    pending: int
    failed: int
    stopped: list[NamedValueAnswer]


class CutoverStepAnswer(Answer):
    """A step of a cutover."""

    state: str
    at: Moment
    who: str


class CutoverMailboxAnswer(Answer):
    """A mailbox of a cutover, and where its people are."""

    login: str
    to: str
    answer: str
    words: str
    at: Moment
    brought_back: bool | int | str
    synced_at: Moment
    mail_at: Moment


class CutoverOptionsAnswer(Answer):
    """The options of a cutover."""

    switch: str
    synced_minutes: float
    ttl: int
    quiet_hours: float
    domains: list[str]


class CutoverAnswer(Answer):
    """A cutover with its guards."""

    import_id: str
    wave: str
    state: str
    since: Moment
    meaning: str
    next: str
    options: CutoverOptionsAnswer
    guards: list[GuardAnswer]
    overruled: list[OverruledAnswer]
    back: BackAnswer | None
    steps: list[CutoverStepAnswer]
    mailboxes: list[CutoverMailboxAnswer]


class CutoversAnswer(Answer):
    """The cutovers of an import."""

    cutovers: list[CutoverAnswer]


class CutoverPlanAnswer(CutoverAnswer):
    """The findings of a cutover that is only planned."""

    taken_along: dict[str, int]
    no_way_back: list[str]
    renamed: list[tuple[str, str]]


class CheckedAnswer(Answer):
    """A row of a check."""

    row: int
    login: str
    destination_login: str
    server: str
    source: CheckedSide
    destination: CheckedSide
    ok: bool
    warning: str


class CheckAnswer(Answer):
    """The findings of a check."""

    mailboxes: list[CheckedAnswer]
    ok: int
    broken: int
    swapped: bool
    messages: int
    bytes: int


class PlannedAnswer(Answer):
    """A mailbox of a plan."""

    row: int
    login: str
    destination_login: str
    server: str
    folders: list[FolderLine]
    problem: str
    would_create: bool
    backwards: bool
    left_out: str
    totals: Totals


class SecondsAnswer(Answer):
    """A range of seconds."""

    low: int
    high: int


class PlanAnswer(Answer):
    """The findings of a plan."""

    source: str
    destination: str
    mailboxes: list[PlannedAnswer]
    warnings: list[str]
    connections: int
    swapped: bool
    binds: list[str]
    totals: Totals
    expected_seconds: SecondsAnswer


class RehearsalAnswer(Answer):
    """A check or a plan; `result` is there once `state` is done, `error` where it failed or was lost."""

    id: str
    import_id: str
    kind: Literal["check", "plan"]
    state: Literal["running", "done", "failed", "lost"]
    wave: str = ""
    done: int
    total: int
    result: CheckAnswer | PlanAnswer | None = None
    error: str = ""


class KeptRehearsalAnswer(Answer):
    """A check or a plan that is still kept."""

    id: str
    kind: Literal["check", "plan"]
    wave: str = ""
    at: Moment
    broken: int | None = None


class RehearsalsAnswer(Answer):
    """The checks and plans of an import that are still kept, newest first."""

    rehearsals: list[KeptRehearsalAnswer]
