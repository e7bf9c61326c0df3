"""A session on its connection: what it can do, its answers to FETCH read as a stream, and its end (RFC 3501, RFC 9051)."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Iterator
from typing import Final

from shared.mail.answers.bounds import LARGEST_BYTES, UNREADABLE_ANSWERS
from shared.mail.answers.fetch_answer import FETCH, UNFINISHED, FetchAnswer, uid_of
from shared.mail.answers.fetch_parts import FetchTold
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.tokens import LITERAL, Unreadable, Value
from shared.mail.imap.flights import FlyingSession
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import ANSWER_LIMIT
from shared.mail.transport.wire import LINE_LIMIT
from shared.model.errors import AnswerUnreadable, MailError, Throttled
from shared.model.uids import UidSet
from shared.wording.often_said import ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE, SENT_ANSWERS_WITHOUT_END
from shared.wording.phrases import Phrase

FETCH_MAKES_NO_SENSE: Final = Phrase("fetch_makes_no_sense", "answered FETCH with something that makes no sense")

_BLANK_LINES: Final = 8  # within one answer


class ReadingSession(FlyingSession):
    """A signed-in connection whose answers to FETCH are read as they come."""

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: Most bytes of a body that is not refused.
        self._most_body = LARGEST_BYTES

    @property
    def capabilities(self) -> frozenset[str]:
        """The capabilities in upper case, without those that the server turned out not to do."""
        return self.offer.capabilities

    def _has(self, *names: str) -> bool:
        return self.offer.has(*names)

    def slowed(self) -> Throttled | None:
        """Returns the request to slow down for the whole connection, and clears it."""
        found, self._talk.slowed = self._talk.slowed, None
        return found

    # -- answers

    def _lines_until(self, tag: bytes) -> Iterator[bytes]:
        """Yields lines as they come, until `tag` is answered; the caller then has to `finish` it."""
        wire, talk = self._wire, self._talk
        ending = tag + b" "
        readline = wire.readline
        wire.begin()
        most = wire.lines + ANSWER_LIMIT  # with those that the caller reads between two of these
        while not talk.answered(tag):
            line = readline()
            if line.startswith(ending):
                talk.take_line(line)
            elif wire.lines > most:
                raise talk.violation(SENT_ANSWERS_WITHOUT_END.says())
            else:
                yield line

    def _small_items(
        self, line: bytes, refused: list[MailError], told: FetchTold | None = None, wanted: Collection[bytes] = ()
    ) -> dict[bytes, Value] | None:
        """Returns the items of one FETCH answer whose literals are all small; None for any other line.

        Any other line is dealt with. An answer that makes no sense is added to `refused`. With `told`, an answer that has not all
        of the `wanted` items is kept there until they are told.
        """
        if not FETCH.match(line):
            self._talk.take_line(line)
            return None
        answer = FetchAnswer()
        try:
            for size in self._literals(answer, line):
                answer.literal(self._wire.read(size, LINE_LIMIT))
        except AnswerUnreadable as error:
            self._hold(error, refused)
            return None
        self._wire.progress()
        items = answer.items()
        if told is None:
            return items
        return told.joined(line, items, self._talk.expunged, lambda known: all(one in known for one in wanted))

    def _literals(self, answer: FetchAnswer, line: bytes, *, goes_on: bool = False) -> Iterator[int]:
        """Yields the sizes of the literals in the answer that begins with `line` (`goes_on`: that goes on with it).

        Each is to be read, and given to `answer`, before the next is asked for.

        Raises `AnswerUnreadable` for an answer that makes no sense. What the server meant as the answer has been read
        then: its literals, and the next line that begins an answer, show where it ends.
        """
        size = self._feed(answer, line, goes_on=goes_on)
        while size is not None:
            yield size
            size = self._feed(answer, self._wire.readline(), goes_on=True)

    def _feed(self, answer: FetchAnswer, text: bytes, *, goes_on: bool) -> int | None:
        head = None if goes_on else FETCH.match(text)
        try:
            for _ in range(_BLANK_LINES):
                if goes_on and self._begins(text):
                    self._wire.unread(text)
                    text = b""
                    break
                found = answer.feed(text[head.end() :] if head else text)
                if found != UNFINISHED:
                    return found
                head, goes_on, text = None, True, self._wire.readline()
            raise Unreadable("unfinished")
        except Unreadable:
            self._skip(text)
            what = FETCH_MAKES_NO_SENSE.says()
            unreadable = AnswerUnreadable(self.side, what, clean_text(answer.beginning, secrets=self._talk.secrets))
            uid = uid_of(answer.items())
            unreadable.uids = UidSet.span(uid, uid) if uid else UidSet()
            raise unreadable from None

    def _begins(self, line: bytes) -> bool:
        """Tells whether the line is the beginning of an answer and not the next part of one."""
        return line[:2] in (b"* ", b"*\t") or self._talk.awaits(line)

    def _skip(self, text: bytes) -> None:
        """Reads the literals of an answer that makes no sense; `text` was read last."""
        while announced := LITERAL.search(text):
            self._pass_over(int(announced[1]))
            text = self._wire.readline()
            if self._begins(text):
                self._wire.unread(text)
                return

    def _pass_over(self, size: int) -> None:
        if size > self._most_body:
            raise self._talk.violation(ANNOUNCED_TOO_MANY_BYTES_OF_MESSAGE.says(size=size, most=self._most_body))
        for _ in self._wire.read_chunks(size):
            pass

    def _hold(self, error: AnswerUnreadable, refused: list[MailError]) -> None:
        """Keeps the error in `refused`, to be raised when all else has been read."""
        refused.append(error.kept())
        if len(refused) > UNREADABLE_ANSWERS:
            raise self._talk.violation(error.what, error.detail.encode())

    def _understood(
        self, take: Callable[[int, list[bytes]], object], what: str
    ) -> Callable[[int, list[bytes]], object]:
        """Returns `take` in a form in which an answer that makes no sense breaks the command off.

        What the answer would have told is known from nowhere else.
        """

        def taken(place: int, pieces: list[bytes]) -> None:
            try:
                take(place, pieces)
            except Unreadable:
                raise self._talk.violation(what, b"".join(pieces)) from None

        return taken

    # -- the end

    def noop(self) -> None:
        """Makes a round trip, behind all that was sent ahead."""
        self._ahead.settle()
        self._talk.expect(self._talk.send(b"NOOP"))

    def close(self) -> None:
        """Sends LOGOUT without reading the answer, which is of no use. Never raises."""
        self._talk.compressing = None  # not worth it any more, and a slow answer would count against the server
        with contextlib.suppress(Exception):
            self._wire.timeout_seconds = min(1.0, self._wire.timeout_seconds)
            self._wire.begin()
            self._talk.await_sent_along()
            self._talk.send(b"LOGOUT")
        self._wire.close()

    def abort(self) -> None:
        """Shuts the socket at once, from any thread. Never raises."""
        self._talk.abandoned = True
        self._wire.abort()
