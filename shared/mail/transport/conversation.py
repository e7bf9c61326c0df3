"""Commands and their answers over one `Wire`: many commands in flight, answers matched by tag (RFC 9051 §5.5)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple, Protocol

from shared.mail.answers.bounds import ANSWERS_BYTES, LARGEST_BYTES, NAME_BYTES
from shared.mail.answers.divided import DividedText
from shared.mail.answers.extensions import PIPELINING, Broken, used_in
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.hints import hint_of, slows_down
from shared.mail.answers.refusals import Asked, about_the_form, failure
from shared.mail.answers.responses import vanished_uids
from shared.mail.answers.tokens import LITERAL, head_of
from shared.mail.transport.wire import LINE_LIMIT, LITERAL_LIMIT, Wire
from shared.model.errors import MailError, ProtocolViolation, Throttled
from shared.model.sides import Side
from shared.wording.often_said import SENT_ANSWERS_WITHOUT_END, SENT_NO_ANSWER
from shared.wording.phrases import Phrase

ASKED_TO_BE_ASKED_LESS: Final = Phrase("asked_to_be_asked_less", "asked to be asked less")
SENT_ANSWER_WITHOUT_END: Final = Phrase("sent_answer_without_end", "sent an answer without end")

#: Most commands in flight, where each is short: their answers must fit into the buffers between the two ends.
FLIGHT: Final = 200

_ANSWER_LITERALS: Final = 64  # in one answer that is not FETCH

#: Most untagged answers to one command; a server that sends more will never end.
ANSWER_LIMIT: Final = 1_000_000


class Tagged(NamedTuple):
    """The end of a command."""

    #: "OK", "NO" or "BAD"; a BAD never gets further than `Conversation`.
    status: str
    #: The text after the status, response code included.
    text: bytes


class Compression(Protocol):
    """The compression of one connection, as its conversation sees it."""

    @property
    def due(self) -> bool:
        """Tells whether the connection shall be compressed as soon as nothing is in flight."""

    def consider(self) -> None:
        """Compresses the connection where that is due. Nothing is in flight."""


#: The time for which a server may be silent before it was seen to take several commands in one flight, seconds: some throw the
#: others away.
SILENCE_SECONDS: Final = 30.0

#: Called with the end of a command that nobody waits for.
Then = Callable[[Tagged], object]


def _ignored(ended: Tagged) -> None:
    """Does nothing with the end of a command."""


class Conversation:
    """Sends commands and reads answers.

    After any BAD or BYE the connection is shut before the error is raised, unless the BAD was expected (`forgive`,
    `lenient`).
    """

    def __init__(self, side: Side, wire: Wire, *, secrets: Iterable[str] = (), broken: Broken | None = None) -> None:
        self.side = side
        #: The extensions that the server announces and does not do.
        self.broken = broken or Broken()
        self.wire = wire
        self.secrets = tuple(secrets)
        #: The subject of a BAD or NO where the command does not say it.
        self.asked: Asked = "command"
        #: A request to slow down that came beside an OK; the caller that heeds it clears it.
        self.slowed: Throttled | None = None
        #: Number of messages in the open folder, as untagged EXISTS and EXPUNGE tell; and number of EXPUNGE answers.
        self.exists = self.expunged = 0
        self._count = 0
        self._pending: dict[bytes, Tagged | None] = {}
        #: Tags for which a BAD is no more than a NO.
        self._forgiven: set[bytes] = set()
        #: Whether a BAD is no more than a NO to any command that holds no literal.
        self.lenient = False
        #: Tags of commands with a literal: after a BAD it may have been read as a command.
        self._literals: set[bytes] = set()
        #: Whether the connection was shut because such a command got a BAD.
        self.cut_at_literal = False
        #: The extensions that the server has enabled (RFC 5161), upper case.
        self.enabled: set[str] = set()
        #: Whether the caller shut the connection.
        self.abandoned = False
        #: Whether commands were sent before others were answered, since this was last reset.
        self.flew = False
        #: Whether commands are sent one by one, to find out whether the server takes no others.
        self.serial_on_trial = False
        #: Tags of commands sent before others were answered, while it is not known whether the server takes that.
        self._flown: set[bytes] = set()
        #: The commands by tag until they are answered, to see which extensions they use.
        self._texts: dict[bytes, bytes] = {}
        #: Commands to send in front of the next command, with the extension that each is for.
        self._leading: list[tuple[str, bytes, Then]] = []
        #: The same commands once they are sent: nobody waits for their answers.
        self._unawaited: dict[bytes, tuple[str, Then]] = {}
        #: The trial of compression; None where the session is not compressed.
        self.compressing: Compression | None = None
        #: The ends of such commands, which count once it is known that the server takes several commands.
        self._unsure: list[tuple[Then, Tagged]] = []
        #: The text of the last refusal, which may go on in the next line.
        self._divided = DividedText()

    @property
    def serial(self) -> bool:
        """Tells whether the server takes one command at a time."""
        return self.serial_on_trial or self.broken.lacks(PIPELINING)

    @property
    def several(self) -> bool:
        """Tells whether a command is unanswered that was sent before another was answered.

        The command counts only while this server was not yet seen to take that.
        """
        open_ones = [tag for tag, ended in self._pending.items() if ended is None]
        return len(open_ones) > 1 or not self._flown.isdisjoint(open_ones)

    @property
    def unanswered(self) -> list[str]:
        """The extensions used by the first unanswered command that uses any."""
        for tag in [tag for tag, ended in self._pending.items() if ended is None]:
            if tag in self._unawaited:
                return list(filter(None, [self._unawaited[tag][0]]))
            if names := used_in(self._texts.get(tag, b"")):
                return names
        return []

    def precede(self, name: str, text: bytes, then: Then, *, first: bool = False) -> None:
        """Sends `text` in one flight with the next command, and in front of it; `name` is the extension that it is for.

        `first`: in front of all others.

        `then` gets the end of the command, where that says something of the extension. A NO or BAD does no harm; after
        a BAD to a literal the connection is shut.
        """
        self._leading.insert(0 if first else len(self._leading), (name, text, then))

    @property
    def commands(self) -> int:
        """The number of commands that were sent."""
        return self._count

    def new_tag(self) -> bytes:
        """Returns a tag not used before; the answer to it is waited for.

        Where the server takes one command at a time, all earlier commands are answered now.
        """
        if self.serial:
            self._catch_up()
        self._count += 1
        tag = b"m%d" % self._count
        if not self.broken.kept(PIPELINING) and any(ended is None for ended in self._pending.values()):
            self._flown.add(tag)
            self.flew = True
        self._pending[tag] = None
        return tag

    def _catch_up(self) -> None:
        while any(ended is None for ended in self._pending.values()):
            self.next_answer()

    def _lead(self) -> bytes:
        """Returns the commands that go in front of the next one."""
        parts: list[bytes] = []
        while self._leading:
            name, text, then = self._leading.pop(0)
            tag = self.new_tag()
            self._unawaited[tag] = (name, then)
            self.forgive([tag])
            parts.append(self._line(tag, text))
            if self.serial:
                self.wire.send(parts)
                parts.clear()
                self._catch_up()
        return b"".join(parts)

    def _line(self, tag: bytes, text: bytes) -> bytes:
        self._texts[tag] = text
        if b"\r\n" in text:
            self._literals.add(tag)
        return b"%b %b\r\n" % (tag, text)

    @property
    def compress_due(self) -> bool:
        """Tells whether the connection shall be compressed, for which every command has to be answered first."""
        return self.compressing is not None and self.compressing.due

    def consider_compressing(self) -> None:
        """Compresses the connection where that is due and every command is answered."""
        if self.compressing is not None and all(ended is not None for ended in self._pending.values()):
            self.compressing.consider()

    def send(self, text: bytes) -> bytes:
        """Sends one command without waiting, and returns its tag."""
        return self.send_all([text])[0]

    def send_all(self, texts: Sequence[bytes]) -> list[bytes]:
        """Sends several commands in one flight, and returns their tags.

        Where the server takes one at a time, the others are answered before the last one is sent: to be used for
        commands without untagged answers, or for one command.
        """
        if not texts:
            return []
        self.consider_compressing()
        self.wire.begin()
        lead = self._lead()
        tags: list[bytes] = []
        parts = [lead]
        for text in texts:
            tags.append(self.new_tag())
            parts.append(self._line(tags[-1], text))
            if self.serial:
                self.wire.send([b"".join(parts)])
                parts.clear()
        if parts:
            self.wire.send([b"".join(parts)])
        return tags

    def send_along(self, texts: Sequence[bytes]) -> None:
        """Sends commands of which nothing but the effect is of interest: nobody waits for their answers, or reads them.

        Only a server that was seen to take several commands in one flight gets them so; another one answers each now.
        """
        if self.serial or not self.broken.kept(PIPELINING) or len(texts) > FLIGHT // 2 or b"\r\n" in b"".join(texts):
            self.run(texts)
            return
        tags = self.send_all(texts)
        self.forgive(tags)
        self._unawaited.update((tag, ("", _ignored)) for tag in tags)

    def await_sent_along(self) -> None:
        """Reads until the server has answered what was sent along: a connection that is closed before may undo it."""
        while any(not name for name, _ in self._unawaited.values()):
            self.next_answer()

    def forgive(self, tags: Iterable[bytes]) -> None:
        """Allows a BAD to these commands without shutting the connection: nothing but the command itself was sent."""
        self._forgiven.update(tags)

    def insist(self, tag: bytes) -> None:
        """Takes `forgive` back for this tag; raises the error of a BAD that has come already."""
        self._forgiven.discard(tag)
        ended = self._pending[tag]
        if ended is not None and ended.status == "BAD" and not self.lenient:
            raise self._bad(ended.text)

    def finish(
        self, tag: bytes, take: Callable[[list[bytes]], object] | None = None, *, line_limit: int = LINE_LIMIT
    ) -> Tagged:
        """Reads until `tag` is answered; gives every untagged answer on the way to `take`."""
        self.wire.begin(SILENCE_SECONDS if self._flown else math.inf)
        left, most = ANSWER_LIMIT, self.wire.moved + ANSWERS_BYTES
        while (ended := self._pending[tag]) is None:
            pieces = self.next_answer(line_limit)
            if pieces is not None and take is not None:
                take(pieces)
            left -= 1
            if not left or self.wire.moved > most:
                raise self.violation(SENT_ANSWERS_WITHOUT_END.says())
        del self._pending[tag]
        self._forgiven.discard(tag)
        self._literals.discard(tag)
        return ended

    def expect(
        self,
        tag: bytes,
        take: Callable[[list[bytes]], object] | None = None,
        *,
        asked: Asked | None = None,
        what: str = "",
        line_limit: int = LINE_LIMIT,
    ) -> bytes:
        """Reads until `tag` is answered, as `finish` does, and returns the text of the OK.

        Raises the error that a NO means.
        """
        ended = self.finish(tag, take, line_limit=line_limit)
        if ended.status != "OK":
            raise self.refusal(ended, asked=asked, what=what)
        return ended.text

    def refusal(self, ended: Tagged, *, asked: Asked | None = None, what: str = "") -> MailError:
        """Returns the error that a NO means, or a BAD that was expected."""
        error = failure(self.side, ended.status, ended.text, asked=asked or self.asked, what=what, secrets=self.secrets)
        error.form = about_the_form(error, ended.status, ended.text)
        return error

    def proceed(self, tag: bytes) -> bool:
        """Waits for `+` after a synchronising literal.

        Returns False when `tag` was answered instead (then `finish` it).
        """
        return self.challenge(tag) is not None

    def challenge(self, tag: bytes) -> bytes | None:
        """Waits for `+` and returns the text behind it.

        Returns None when `tag` was answered instead (then `finish` it).
        """
        self.wire.begin()
        while self._pending[tag] is None:
            line = self.wire.readline()
            if line.startswith(b"+"):
                return line[1:].strip()
            self.take_line(line)
        return None

    def awaits(self, line: bytes) -> bool:
        """Tells whether the line is the end of a command that was sent."""
        return line.partition(b" ")[0] in self._pending

    def refused(self, tag: bytes) -> bool:
        """Tells whether `tag` has got a BAD already."""
        ended = self._pending[tag]
        return ended is not None and ended.status == "BAD"

    def accepted(self, tag: bytes) -> bool:
        """Tells whether `tag` has got an OK that nobody has taken yet."""
        ended = self._pending.get(tag)
        return ended is not None and ended.status == "OK"

    def answered(self, tag: bytes) -> bool:
        """Tells whether `tag` has been answered already."""
        return self._pending[tag] is not None

    def run(
        self,
        texts: Sequence[bytes],
        take: Callable[[int, list[bytes]], object] | None = None,
        *,
        behind: Sequence[bytes] = (),
        sent: Callable[[Sequence[bytes], Sequence[bytes]], object] = lambda texts, tags: None,
    ) -> list[Tagged]:
        """Runs all commands, `FLIGHT` of them in flight at any time, and returns their ends in order.

        `take` gets the command's place too. The commands `behind` go out in the same flight, where all fit into one and the
        server takes flights; then `sent` gets them and their tags, and the answers are left to it.
        """
        ends: list[Tagged] = []
        if self.serial or len(texts) + len(behind) > FLIGHT:
            behind = ()
        tags = self.send_all([*texts[: 1 if self.serial else FLIGHT], *behind])
        if behind:
            sent(behind, tags[len(texts) :])
            del tags[len(texts) :]
        for place in range(len(texts)):
            if place == len(tags):
                tags += self.send_all(texts[place : place + 1])
            elif place and not place % (FLIGHT // 2) and not self.serial:
                tags += self.send_all(texts[len(tags) : len(tags) + FLIGHT // 2])
            ends.append(self.finish(tags[place], partial(take, place) if take else None))
        if self.flew and not self.broken.kept(PIPELINING):
            self._one_by_one(texts, ends, take)
        return ends

    def _one_by_one(
        self, texts: Sequence[bytes], ends: list[Tagged], take: Callable[[int, list[bytes]], object] | None
    ) -> None:
        """Sends those commands again, alone, that were refused in a flight with others.

        It does so if the server was not yet seen to take flights.
        """
        for place, ended in enumerate(ends):
            if ended.status != "OK" and self.refusal(ended).form:
                self._catch_up()  # with what was sent behind them
                ends[place] = self.finish(self.send(texts[place]), partial(take, place) if take else None)
                if ends[place].status == "OK":
                    self.broken.leave_out(PIPELINING, self.refusal(ended).detail)
        self.flew = False

    def next_answer(self, line_limit: int = LINE_LIMIT) -> list[bytes] | None:
        """Reads the next answer.

        Returns an untagged one with its literals, and None for a tagged one, which is kept for its command.
        """
        return self.take_line(self.wire.readline(line_limit))

    def take_line(self, line: bytes) -> list[bytes] | None:
        """Takes a line already read, as `next_answer` does."""
        untagged = line[:2] in (b"* ", b"*\t")
        if self._divided.goes_on(line, known=untagged or self.awaits(line)):
            return None
        if not untagged:
            self._take_tagged(line)
            return None
        word, number, at = head_of(line)
        if word == b"BYE":
            self.wire.abort()
            raise failure(self.side, "BYE", line[at:].strip(), secrets=self.secrets)
        if word == b"OK" and slows_down(line):
            self._slow(line[at:])
        if word == b"ENABLED":
            self.enabled |= set(line[at:].upper().decode("latin-1").split())
        if word == b"BAD" and not self._unawaited:
            # The server does not say which command the BAD means: nothing after it could be trusted. One that comes while a
            # command in front is unanswered is about that command, whose own answer follows (hoodiecrow).
            raise self._bad(line[at:])
        if word == b"EXISTS" and number.isdigit():
            self.exists = int(number)
        elif word == b"EXPUNGE":
            self.exists, self.expunged = max(0, self.exists - 1), self.expunged + 1
        elif word == b"VANISHED" and (gone := vanished_uids(line)) and not gone[1]:
            self.exists, self.expunged = max(0, self.exists - len(gone[0])), self.expunged + len(gone[0])
        pieces = [line]
        # A FETCH that comes here was asked for ahead, and is not needed after all: its bodies are read and dropped.
        most = LARGEST_BYTES if word == b"FETCH" else LITERAL_LIMIT
        while found := LITERAL.search(pieces[-1]):
            if len(pieces) > 2 * _ANSWER_LITERALS:
                raise self.violation(SENT_ANSWER_WITHOUT_END.says())
            # No word of an answer that is not FETCH is longer than a folder's name; a longer one is of no use anyway.
            pieces.append(self.wire.read_head(int(found[1]), NAME_BYTES + 1, most))
            pieces.append(self.wire.readline())
        return pieces

    def _take_tagged(self, line: bytes) -> None:
        tag, word, text, *_ = [*line.rstrip(b"\r\n").split(None, 2), b"", b"", b""]
        if not tag:  # some servers send an empty line after a literal
            return
        status = word.upper().decode("latin-1")
        if tag not in self._pending or status not in ("OK", "NO", "BAD"):
            raise self.violation(SENT_NO_ANSWER.says(), line)
        self.wire.progress()
        flown = tag in self._flown
        if flown:
            self._flown.discard(tag)
            if status == "OK":
                self.broken.keeps(PIPELINING)
                self._flown.clear()
                for then, ended in self._unsure:
                    then(ended)
                self._unsure.clear()
        if status == "BAD" and (tag in self._literals or (tag not in self._forgiven and not self.lenient)):
            self.cut_at_literal = tag in self._literals
            error = self._bad(text)
            if tag in self._unawaited:
                self.broken.leave_out(self._unawaited[tag][0], error.detail)
            elif flown and not self.broken.kept(PIPELINING):
                self.broken.leave_out(PIPELINING, error.detail)
            raise error
        if status == "OK" and slows_down(text):
            self._slow(text)
        asked = self._texts.pop(tag, b"")
        if status != "OK":
            self._divided.refused(asked, line)
        if status == "OK" and self.lenient:
            for name in used_in(asked):
                self.broken.keeps(name)
        if (unawaited := self._unawaited.pop(tag, None)) is not None:
            del self._pending[tag]
            self._forgiven.discard(tag)
            self._literals.discard(tag)
            if status == "OK" or not flown or self.broken.kept(PIPELINING):
                unawaited[1](Tagged(status, text))
            else:  # a server that takes one command at a time may have refused it for coming too early
                self._unsure.append((unawaited[1], Tagged(status, text)))
        else:
            self._pending[tag] = Tagged(status, text)

    def _slow(self, text: bytes) -> None:
        detail = clean_text(text, secrets=self.secrets)
        hint = hint_of("THROTTLED", text)
        self.slowed = Throttled(self.side, ASKED_TO_BE_ASKED_LESS.says(), detail, hint.seconds, hint.scope)

    def _bad(self, text: bytes) -> MailError:
        # The rest of the command may be taken for commands: not a byte more goes out.
        self.wire.abort(reset=True)
        return self.refusal(Tagged("BAD", text))

    def violation(self, what: str, line: bytes = b"") -> ProtocolViolation:
        """Shuts the connection, and returns the error to raise."""
        self.wire.abort()
        return ProtocolViolation(self.side, what, clean_text(line, secrets=self.secrets))
