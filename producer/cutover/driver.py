"""Moves each cutover on as far as no person has to decide. A turn may be repeated, also by two processes at once.

Each effect comes before the note of it, and each may be repeated: a switch that is asked again says "already". A note is written
only while the cutover is as it was read, so a process that was late changes nothing after a rollback.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Final, Protocol

from producer.cutover.acts import CutoverView, viewed
from producer.cutover.dns_records import joined
from producer.cutover.facts import decode_domains, domains_of, encode_domains
from producer.cutover.guards import DomainFacts, unmet
from producer.cutover.stood import noted, standing_for, stands_after
from producer.cutover.turning import (
    SIDES,
    answered,
    counted,
    nothing_left,
    switched,
    to_bring_back,
    to_rehearse,
    to_turn,
)
from producer.telling import cutover_reached
from shared.model import Import, Mailbox
from shared.model.cutover import (
    BEFORE_SWITCH,
    DNS,
    IN_SYNC,
    NO_SWITCH,
    OVER,
    RULES,
    STANDING,
    STOOD,
    TOLD,
    CopyBackState,
    Cutover,
    CutoverStep,
    MailboxCutover,
    TurnAnswer,
    TurnedTo,
)
from shared.model.errors import (
    ConnectionLost,
    MailhaulError,
    RateReached,
    StoreError,
    Throttled,
    Unreachable,
    UsageError,
)
from shared.model.lifecycle import CutoverState, advance
from shared.model.sides import Side
from shared.rules.standing import Standing
from shared.runtime.logs import get_logger
from shared.store import Store
from shared.store.records.cutovers import Cutovers, KeptCutover, decode_mailbox, encode_mailbox
from shared.switching import Switch, TurnLater, TurnOutcome, TurnRefused
from shared.wording.kept import packed
from shared.wording.phrases import Phrase, text_of

DESTINATION_COULD_NOT_BE_MARKED: Final = Phrase(
    "destination_could_not_be_marked", "the destination could not be marked: {cause}"
)

_log = get_logger("mailhaul.cutover")
#: Seconds between two questions to the DNS.
DNS_SECONDS: Final = 60.0
#: Seconds after which a turn leaves a cutover to the next turn, so that a slow switch does not hold up the other cutovers.
TURN_SECONDS: Final = 20.0
#: Faults of a mail server that pass by themselves, and seconds until the mark is tried again.
_PASSING: Final = (ConnectionLost, Unreachable, Throttled, RateReached)
_MARK_SECONDS: Final = 30.0
#: The number of domains that are asked for at once.
_DOMAINS: Final = 8
#: The number of times that a note is written again after another process changed it first.
_TRIES: Final = 20
#: The most notes that are written at once.
_SOME: Final = 200
#: States that no notice tells of: they pass by themselves within seconds, or are a step back.
_NOT_TOLD: Final = frozenset({CutoverState.DRAFTED, CutoverState.CHECKED, CutoverState.STAGING})
#: State → the event that the coordinator sends once its guards are met.
_BY_ITSELF: Final[Mapping[CutoverState, str]] = {
    CutoverState.DRAFTED: "check",
    CutoverState.CHECKED: "stage",
    CutoverState.STAGING: "sync",
    CutoverState.SWITCHED: "drain",
}


class CutoverEffects(Protocol):
    """The effects of the driver outside of a cutover's own rows."""

    def open_switch(self, name: str) -> Switch:
        """Opens a switch of the settings. Raises `UsageError`."""

    def ask(self, domain: str, at: float) -> DomainFacts:
        """Asks the DNS where the mail of a domain goes."""

    def keep_in_sync(self, import_: Import, cutover: Cutover, standing: Standing | None, *, on: bool) -> None:
        """Keeps the wave in sync, or ends that. With `on` no mail is brought back any more. Raises `UsageError`."""

    def prove(self, import_: Import, mailbox: Mailbox) -> None:
        """Raises `MailhaulError` unless logins and servers of the mailbox are those that a person gave."""

    def mark(self, import_: Import, mailbox: Mailbox) -> None:
        """Marks what the destination holds of the mailbox: what comes later would be brought back. Raises `MailhaulError`."""

    def bring_back(self, import_: Import, mailbox: Mailbox) -> None:
        """Begins to bring back what came to the destination since the mark. Raises `MailhaulError`."""


@dataclass
class CutoverDriver:
    """Moves all cutovers of the store on. Call `turn` every few seconds, from one thread."""

    #: The state store.
    store: Store
    #: Its cutovers.
    cutovers: Cutovers
    #: The effects.
    effects: CutoverEffects
    #: Tells whether this process may go on: it leads, and is not to stop.
    leads: Callable[[], bool] = lambda: True
    #: The time of day, seconds since the epoch.
    now: Callable[[], float] = time.time

    #: Whether the time of the last turn was up before the switch was asked for everybody.
    hurried: bool = field(init=False, default=False)

    _switches: dict[str, Switch] = field(init=False, default_factory=dict)
    #: Name of a switch → the moment until which it is left alone, for all mailboxes, seconds since the epoch.
    _waits: dict[str, float] = field(init=False, default_factory=dict)

    def turn(self) -> list[CutoverView]:
        """Does one turn over all cutovers, and returns them. Raises `StoreError`."""
        seen: list[CutoverView] = []
        self.hurried = False
        for import_ in self.store.imports():
            for kept in self.cutovers.all(import_.import_id).values():
                if not self.leads():
                    return seen
                if kept.cutover is not None:
                    seen += self._moved_on(import_, kept, kept.cutover)
        return seen

    def _moved_on(self, import_: Import, kept: KeptCutover, cutover: Cutover) -> list[CutoverView]:
        """Moves a cutover on. Returns it; nothing where that failed, so that those behind it have their turn."""
        try:
            return [self._move_on(import_, kept, cutover)]
        except StoreError:
            raise
        except Exception:
            _log.exception("cutover_turn_failed", import_id=cutover.import_id, wave=cutover.wave)
            return []

    def close(self) -> None:
        """Closes the switches."""
        for switch in self._switches.values():
            switch.close()
        self._switches.clear()

    def _move_on(self, import_: Import, kept: KeptCutover, cutover: Cutover) -> CutoverView:
        notes = self.cutovers.notes(import_.import_id, cutover.wave)
        if nothing_left(cutover, notes):
            return CutoverView(cutover=cutover, guards={}, next="")
        return _Step(self, import_, kept, cutover, notes).run()

    def switch_of(self, name: str) -> Switch:
        """Returns the switch of this name, opened. Raises `UsageError`."""
        if name not in self._switches:
            self._switches[name] = self.effects.open_switch(name)
        return self._switches[name]

    def heed(self, name: str, outcome: TurnOutcome, at: float) -> None:
        """Notes that a switch asked at the moment `at` to be left alone for a while, for all mailboxes."""
        if isinstance(outcome, TurnLater) and outcome.everyone:
            self._waits[name] = max(self._waits.get(name, 0.0), at + outcome.after_seconds)

    def waits(self, name: str, at: float) -> bool:
        """Tells whether the switch is to be left alone, for all mailboxes, at the moment `at`."""
        return self._waits.get(name, 0.0) > at


class _Step:
    """A turn over one cutover."""

    def __init__(
        self, driver: CutoverDriver, import_: Import, kept: KeptCutover, cutover: Cutover, notes: dict[str, str]
    ) -> None:
        self._driver, self._effects, self._request = driver, driver.effects, import_
        self._kept, self._cutover, self._notes = kept, cutover, notes
        self._until = driver.now() + TURN_SECONDS
        self._view = self._viewed()

    def run(self) -> CutoverView:
        """Does what the state asks for, then sends the event that its guards allow."""
        state = self._cutover.state
        self._tell()
        self._stand()
        if state not in OVER:
            self._count_looks()
        if state in BEFORE_SWITCH:
            self._turn_all(Side.SOURCE)
            self._rehearse()
        elif state in (CutoverState.SWITCHED, CutoverState.DRAINING):
            self._turn_all(Side.DESTINATION)
        elif state is CutoverState.CLOSED:
            self._turn_all(Side.SOURCE)
        elif state is CutoverState.ROLLED_BACK and self._notes.get(STANDING) == "off":
            # Only once the wave is no longer kept in sync: a look would copy once more what is brought back.
            self._turn_all(Side.SOURCE)
            self._bring_back()
        if state not in OVER:
            self._ask_dns()  # last: the DNS of many domains may be slow, and no mailbox waits for it
        self._view = self._viewed()
        self._advance()
        return self._view

    def _viewed(self) -> CutoverView:
        return viewed(self._driver.store, self._cutover, self._notes, self._driver.now())

    # -- the state

    def _advance(self) -> None:
        """Sends the one event of the coordinator that this state has, once its guards are met."""
        state = self._cutover.state
        if state is CutoverState.SYNCED:
            if unmet(self._view.guards, RULES["sync"].guards):
                self._send("lag")
            return
        event = _BY_ITSELF.get(state)
        if event and not unmet(self._view.guards, RULES[event].guards):
            self._send(event)

    def _send(self, event: str) -> None:
        at, before, cutovers = self._driver.now(), self._cutover, self._driver.cutovers
        state = CutoverState(advance("cutover", before.state, event))
        steps = before.steps
        if event in ("sync", "lag"):
            # A cutover may change between these two states for days: only the last step to each is kept.
            steps = tuple(step for step in steps if step.state is not state)
        after = replace(
            before, state=state, since=at, serial=before.serial + 1, steps=(*steps, CutoverStep(state=state, at=at))
        )
        if cutovers.put(self._kept, after):
            about = {"import_id": before.import_id, "wave": before.wave, "before": str(before.state)}
            _log.info("cutover_moved_on", state=str(state), **about)
            self._cutover = after
            self._view = self._viewed()

    # -- effects

    def _tell(self) -> None:
        """Notes that people are to be told of the state, once in a cutover: it may change between staging and synced for days."""
        state, told = self._cutover.state, self._notes.get(TOLD, "").split()
        if state in _NOT_TOLD or state in told:
            return
        wave, since = self._cutover.wave, self._cutover.since
        cutover_reached(self._driver.store, self._request, wave, str(state), since, {"said_next": self._view.next})
        self._note({TOLD: " ".join([*told, state])})

    def _stand(self) -> None:
        """Keeps the wave in sync, or ends that, as the state demands."""
        state = self._cutover.state
        wanted = "on" if state in IN_SYNC else "off" if state in OVER else ""
        # A person may have ended it meanwhile, by a cancel or for the whole import: without looks nothing ever gets quiet.
        lost = wanted == "on" and not self._standing()
        if not wanted or (self._notes.get(STANDING, "") == wanted and not lost):
            return
        if wanted == "on" and (lost or STOOD not in self._notes):
            # Before the effect, which replaces the earlier setting. A person who ended it meanwhile wants no earlier setting back.
            before = noted(self._standing()) if STOOD not in self._notes else noted(None)
            if not self._note({STOOD: before}):
                return
        said = self._keep_in_sync(self._cutover, on=wanted == "on")
        if self._note({STANDING: said or wanted}):
            return
        # Another process changed the cutover meanwhile: what was just set may not be what its state wants now.
        fresh = self._driver.cutovers.one(self._cutover.import_id, self._cutover.wave).cutover
        if fresh is not None:
            self._keep_in_sync(fresh, on=fresh.state in IN_SYNC)

    def _keep_in_sync(self, cutover: Cutover, *, on: bool) -> str:
        """Returns why it could not be done; "" when it is done."""
        now, note = self._standing(), self._notes.get(STOOD, "")
        wanted = standing_for(cutover.options.synced_seconds) if on else stands_after(cutover, note, now)
        if not on and wanted == now:
            return ""
        try:
            self._effects.keep_in_sync(self._request, cutover, wanted, on=on)
        except UsageError as error:
            return text_of(error)
        return ""

    def _standing(self) -> Standing | None:
        """Returns how the wave stands now: its own word goes before that of its import."""
        stands = self._driver.store.standings(self._request.import_id)
        return stands.get(self._cutover.wave, stands.get(""))

    def _count_looks(self) -> None:
        """Counts the looks since the switch that found nothing new."""
        self._note_some(
            {
                mailbox.mailbox_id: encode_mailbox(now)
                for mailbox, known in self._view.mailboxes
                if (now := counted(mailbox, known)) != known
            }
        )

    def _ask_dns(self) -> None:
        """Asks the DNS once a minute: some domains at once, beginning with those that were not asked for the longest time."""
        at, options = self._driver.now(), self._cutover.options
        domains = domains_of(options, (mailbox for mailbox, _ in self._view.mailboxes))
        before = decode_domains(self._notes.get(DNS, ""))
        known = {one: before[one] for one in domains if one in before}
        when = {one: known[one].at if one in known else float("-inf") for one in domains}
        due = sorted((one for one in domains if when[one] + DNS_SECONDS <= at), key=lambda one: when[one])
        until = at + TURN_SECONDS
        with ThreadPoolExecutor(_DOMAINS) as pool:
            for first in range(0, len(due), _DOMAINS):
                if not self._driver.leads() or self._driver.now() > until:
                    return
                some, asked_at = due[first : first + _DOMAINS], self._driver.now()
                for one, now in zip(some, pool.map(partial(self._effects.ask, at=asked_at), some), strict=True):
                    known[one] = joined(known.get(one), now, options.ttl_seconds)
                if not self._note({DNS: encode_domains(known)}):
                    return

    def _rehearse(self) -> None:
        """Asks the switch whether it would turn each mailbox."""
        switch, changed = self._opened(), {}
        for mailbox, known in self._view.mailboxes:
            at = self._driver.now()
            if to_rehearse(known, at):
                if switch is None or not self._goes_on(at):
                    break
                outcome = switch.rehearse(switched(self._cutover, mailbox, Side.DESTINATION), Side.DESTINATION)
                changed[mailbox.mailbox_id] = encode_mailbox(answered(known, outcome, at))
                self._driver.heed(self._cutover.options.switch, outcome, at)
        self._note_some(changed)

    def _opened(self) -> Switch | None:
        """Returns the switch of the cutover; None where the settings of this process name none, which is noted."""
        switch, fault = None, ""
        try:
            switch = self._driver.switch_of(self._cutover.options.switch)
        except UsageError as error:
            fault = packed(text_of(error))
        if self._notes.get(NO_SWITCH, "") != fault:
            self._note({NO_SWITCH: fault})
        return switch

    def _goes_on(self, at: float) -> bool:
        """Tells whether the switch may be asked for the next mailbox at the moment `at`."""
        return self._in_time(at) and not self._driver.waits(self._cutover.options.switch, at)

    def _in_time(self, at: float) -> bool:
        if at > self._until:
            self._driver.hurried = True
        return at <= self._until and self._driver.leads()

    def _turn_all(self, to: Side) -> None:
        """Turns each mailbox that is not turned yet, one after the other, and notes each answer at once."""
        switch = self._opened()
        for mailbox, known in self._known():
            at = self._driver.now()
            if to_turn(self._cutover, mailbox, known, to, at):
                if switch is None or not self._goes_on(at):
                    return
                outcome = self._turn(switch, mailbox, known, to)
                if outcome is None:
                    return
                self._driver.heed(self._cutover.options.switch, outcome, at)

    def _turn(self, switch: Switch, mailbox: Mailbox, known: MailboxCutover, to: Side) -> TurnOutcome | None:
        """Turns one mailbox. Returns its answer; None when the cutover was changed meanwhile: then nothing more is done."""
        side, at = SIDES[to], self._driver.now()
        unready = self._unready(mailbox, known, to)
        if unready is not None:
            said = answered(replace(known, to=side), unready, at)
            return unready if self._note_one(mailbox, said) else None
        asked = replace(
            known,
            to=side,
            answer=TurnAnswer.ASKED,
            words="",
            at=at,
            marked=known.marked or side is TurnedTo.NEW,
            back=CopyBackState.NONE,
            empty=0,
            mail_at=mailbox.mail_at,
        )
        if not self._note_one(mailbox, asked):
            return None
        outcome = switch.turn(switched(self._cutover, mailbox, to, known.again), to)
        said = answered(asked, outcome, self._driver.now())
        about = {"import_id": mailbox.import_id, "mailbox_id": mailbox.mailbox_id}
        _log.info("mailbox_turned", to=side, answer=said.answer, **about)
        if self._note_one(mailbox, said):
            return outcome
        self._doubt(mailbox, side)
        return None

    def _unready(self, mailbox: Mailbox, known: MailboxCutover, to: Side) -> TurnOutcome | None:
        """Proves the mailbox, and marks its destination before the first turn. Returns why it is not to be turned now."""
        if words := self._why_not(self._effects.prove, mailbox):
            return TurnRefused(words=words)
        if to is Side.SOURCE or known.marked:
            return None
        try:
            self._effects.mark(self._request, mailbox)
        except StoreError:
            raise
        except _PASSING as error:
            wait = getattr(error, "wait_seconds", None) or _MARK_SECONDS
            return TurnLater(after_seconds=wait, words=DESTINATION_COULD_NOT_BE_MARKED.says(cause=text_of(error)))
        except MailhaulError as error:
            return TurnRefused(words=DESTINATION_COULD_NOT_BE_MARKED.says(cause=text_of(error)))
        return None

    def _doubt(self, mailbox: Mailbox, side: TurnedTo) -> None:
        """Marks a mailbox to be turned once more, since another process turned it elsewhere while this one waited for the switch.

        It is not known which of the two turns came last.
        """
        cutovers, import_id, wave = self._driver.cutovers, self._cutover.import_id, self._cutover.wave
        for _ in range(_TRIES):
            kept = cutovers.one(import_id, wave)
            note = cutovers.notes(import_id, wave).get(mailbox.mailbox_id, "")
            known = decode_mailbox(note)
            if kept.cutover is None or (known.to or TurnedTo.OLD) == side:
                return
            doubtful = replace(
                known,
                to=known.to or TurnedTo.OLD,
                answer=TurnAnswer.ASKED,
                words="",
                at=self._driver.now(),
                back=CopyBackState.NONE,
                again=known.again + 1,
            )
            if cutovers.put_notes(kept, {mailbox.mailbox_id: (note, encode_mailbox(doubtful))}):
                _log.warning("mailbox_turned_late", import_id=import_id, mailbox_id=mailbox.mailbox_id, to=side)
                return

    def _bring_back(self) -> None:
        """Begins to bring back the mail of each mailbox that is turned back."""
        for mailbox, known in self._known():
            if to_bring_back(self._cutover, known):
                if not self._in_time(self._driver.now()):
                    return
                why = self._why_not(self._effects.bring_back, mailbox)
                said = (
                    replace(known, back=CopyBackState.REFUSED, words=why, at=self._driver.now())
                    if why
                    else replace(known, back=CopyBackState.BEGUN)
                )
                if not self._note_one(mailbox, said):
                    return

    def _why_not(self, effect: Callable[[Import, Mailbox], None], mailbox: Mailbox) -> str:
        """Does the effect, and returns the reason of a refusal, "" for none. Raises `StoreError`."""
        try:
            effect(self._request, mailbox)
        except StoreError:
            raise
        except MailhaulError as error:
            return text_of(error) or type(error).__name__
        return ""

    # -- notes

    def _known(self) -> list[tuple[Mailbox, MailboxCutover]]:
        """Returns the mailboxes with their notes as they are by now."""
        return [(one, decode_mailbox(self._notes.get(one.mailbox_id, ""))) for one, _ in self._view.mailboxes]

    def _note_one(self, mailbox: Mailbox, known: MailboxCutover) -> bool:
        return self._note({mailbox.mailbox_id: encode_mailbox(known)})

    def _note_some(self, changed: Mapping[str, str]) -> None:
        names = list(changed)
        for at in range(0, len(names), _SOME):
            if not self._note({name: changed[name] for name in names[at : at + _SOME]}):
                return

    def _note(self, notes: Mapping[str, str]) -> bool:
        """Writes notes while the cutover is as it was read. Returns whether it did."""
        pairs = {name: (self._notes.get(name, ""), text) for name, text in notes.items()}
        done = self._driver.cutovers.put_notes(self._kept, pairs)
        if done:
            self._notes.update(notes)
        return done
