"""Turns the mailboxes of a cutover at its switch, one after the other, and begins to bring back their mail.

Each answer is noted at once, while the cutover is as it was read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from producer.cutover.acts import CutoverView, viewed
from producer.cutover.cutover_resources import CutoverResources
from producer.cutover.turning import SIDES, answered, switched, to_bring_back, to_rehearse, to_turn
from shared.model import Import, Mailbox
from shared.model.cutover import NO_SWITCH, CopyBackState, Cutover, MailboxCutover, TurnAnswer, TurnedTo
from shared.model.errors import (
    ConnectionLost,
    MailhaulError,
    RateReached,
    StoreError,
    Throttled,
    Unreachable,
    UsageError,
)
from shared.model.sides import Side
from shared.runtime.logs import get_logger
from shared.store.records.cutovers import KeptCutover, decode_mailbox, encode_mailbox
from shared.switching import Switch, TurnLater, TurnOutcome, TurnRefused
from shared.wording.kept import packed
from shared.wording.phrases import Phrase, faults_of, several, text_of

DESTINATION_COULD_NOT_BE_MARKED: Final = Phrase(
    "destination_could_not_be_marked", "the destination could not be marked: {cause}"
)

_log = get_logger("mailhaul.cutover")
#: Seconds after which a turn leaves a cutover to the next turn, so that a slow switch does not hold up the other cutovers.
TURN_SECONDS: Final = 20.0
#: Faults of a mail server that pass by themselves, and seconds until the mark is tried again.
_PASSING: Final = (ConnectionLost, Unreachable, Throttled, RateReached)
_MARK_SECONDS: Final = 30.0
#: The number of times that a note is written again after another process changed it first.
_TRIES: Final = 20
#: The most notes that are written at once.
_SOME: Final = 200


class MailboxTurns:
    """The mailboxes of a cutover in one turn over it."""

    def __init__(
        self, driver: CutoverResources, import_: Import, kept: KeptCutover, cutover: Cutover, notes: dict[str, str]
    ) -> None:
        self._driver, self._effects, self._import = driver, driver.effects, import_
        self._kept, self._cutover, self._notes = kept, cutover, notes
        self._until = driver.now() + TURN_SECONDS
        self._view = self._viewed()

    def _viewed(self) -> CutoverView:
        return viewed(self._driver.store, self._cutover, self._notes, self._driver.now())

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
            fault = packed(several(one.sentence for one in faults_of(error)))
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
            self._effects.mark(self._import, mailbox)
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
            effect(self._import, mailbox)
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
