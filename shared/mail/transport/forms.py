"""Asks in the form that the server announces, and once more without the extensions that it turns out to refuse.

The caller says which extensions the command would use, and writes it by what `Offer.has` says at that moment. A NO
without a reason, a BAD, and a connection that is closed on it may all be about an extension: where the same goes
through without it, mailhaul remembers that the server refuses it (`shared.mail.answers.extensions`); where it does not, the
first answer stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NoReturn, TypeVar

from shared.mail.answers.extensions import PIPELINING, named_in, offered
from shared.mail.transport.conversation import Conversation
from shared.model.errors import ConnectionLost, MailError, ProtocolViolation
from shared.model.uids import UidSet

_T = TypeVar("_T")
#: Extensions of the commands that a session sends in front of its first one.
_LED: Final = ("ID", "ENABLE", "LITERAL+", "LITERAL-")


class Offer:
    """The extensions that one session may use: those that its server announced, without those that it refuses."""

    def __init__(self, talk: Conversation, announced: Iterable[str]) -> None:
        self._talk = talk
        self.announced = offered(announced)
        #: Extensions that are left out on trial.
        self.without: frozenset[str] = frozenset()
        #: The extensions left out on trial and the broken ones for which `_left` was computed.
        self._subtracted: tuple[frozenset[str], frozenset[str]] = (frozenset(), frozenset())
        self._left = self.announced

    def has(self, *names: str) -> bool:
        """Tells whether one of these may be asked for."""
        return not self.capabilities.isdisjoint(names)

    @property
    def capabilities(self) -> frozenset[str]:
        """The extensions that may be asked for; asked for each message, so computed once for each change."""
        subtracted = self.without, self._talk.broken.lacking
        if subtracted != self._subtracted:
            self._left, self._subtracted = self.announced.difference(*subtracted), subtracted
        return self._left

    def ask(self, uses: Sequence[str], attempt: Callable[[], _T], *, needed: bool = True) -> _T:
        """Returns the result of `attempt`, which asks by what `has` says of the extensions that it `uses`.

        Where the answer is not `needed`, a BAD to every form leaves the connection open.
        """
        trial = _Trial(self, self._talk, uses, needed=needed)
        try:
            while True:
                trial.begin()
                try:
                    result = attempt()
                except MailError as error:
                    trial.failed(error)
                else:
                    trial.succeeded()
                    return result
        finally:
            trial.end()

    def stream(self, uses: Sequence[str], attempt: Callable[[UidSet], Iterator[_T]], uids: UidSet) -> Iterator[_T]:
        """Yields the results of `attempt` as `ask` does, message by message.

        What a refused form did not bring is asked for again.
        """
        trial = _Trial(self, self._talk, uses)
        left = uids
        try:
            while True:
                trial.begin()
                try:
                    yield from attempt(left)
                except MailError as error:
                    trial.failed(error)
                    if not (left := error.uids):
                        raise
                else:
                    trial.succeeded()
                    return
        finally:
            trial.end()


class _Trial:
    """The forms of one command, tried one after the other."""

    def __init__(self, offer: Offer, talk: Conversation, uses: Sequence[str], *, needed: bool = True) -> None:
        self._offer, self._talk, self._uses, self._needed = offer, talk, tuple(uses), needed
        self._before = offer.without
        #: The settings of the trial around this one, or without any trial.
        self._around = talk.lenient, talk.serial_on_trial
        self._first: MailError | None = None
        self._variants: Iterator[frozenset[str]] = iter(())

    def begin(self) -> None:
        """Begins an attempt: a BAD to it is no more than a NO."""
        self._talk.lenient, self._talk.flew = True, False

    def end(self) -> None:
        """Restores the settings from before the trial, whatever happened."""
        self._talk.lenient, self._talk.serial_on_trial = self._around
        self._offer.without = self._before

    def succeeded(self) -> None:
        """Notes that the extensions left out in this attempt are those that the server refuses."""
        broken = self._talk.broken
        words = _words(self._first) if self._first else ""
        for name in self._offer.without - self._before:
            if not broken.kept(name):
                broken.leave_out(name, words)
        broken.done_without((*self._uses, *_LED, PIPELINING) if self._talk.serial else (*self._uses, *_LED))

    def failed(self, error: MailError) -> None:
        """Prepares the next form. Raises where there is none, or where the form was not the cause."""
        if self._talk.abandoned:
            raise error
        if self._talk.wire.shut:
            self._lost(error)
        if not error.form:
            raise error
        if self._first is None:
            self._first = error
            self._variants = iter(self._others(error))
        variant = next(self._variants, None)
        if variant is None:
            if isinstance(self._first, ProtocolViolation) and self._needed:
                self._talk.wire.abort(reset=True)
            raise self._first
        self._talk.serial_on_trial = PIPELINING in variant
        self._offer.without = self._before | variant

    def _lost(self, error: MailError) -> NoReturn:
        talk = self._talk
        if isinstance(error, ConnectionLost) or error.form:
            names = ["LITERAL+", "LITERAL-"] if talk.cut_at_literal else talk.unanswered
            without = [name for name in self._uses if name in self._offer.announced and talk.broken.lacks(name)]
            talk.broken.lost([*names, *without], _words(error), several=talk.several)
        raise error

    def _others(self, error: MailError) -> list[frozenset[str]]:
        """Returns what to leave out, in order.

        First come the extensions that the server's words name, then each by itself, then all together.
        """
        used = [name for name in self._uses if self._offer.has(name)]
        said = [name for name in used if named_in(error.detail, name)]
        singles = [frozenset({name}) for name in (*said, *(name for name in used if name not in said))]
        named = len(said)
        together = [frozenset().union(*singles)] if len(singles) > 1 else []
        if not self._talk.flew or self._talk.broken.kept(PIPELINING) or self._talk.serial:
            return [*singles, *together]
        alone = [frozenset({PIPELINING})]
        rest = [*singles[named:], *together]
        bad = isinstance(error, ProtocolViolation)
        return [*singles[:named], *(alone + rest if bad else rest + alone), frozenset({PIPELINING}).union(*singles)]


def _words(error: MailError) -> str:
    return error.detail or error.what
