"""Commands and their answers over one `Wire`: many commands in flight, answers told apart by tag (RFC 9051 §5.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Final, NamedTuple

from shared.errors import MailError, ProtocolViolation, Throttled
from shared.mail.grammar import clean_text
from shared.mail.hints import hint_of, slows_down
from shared.mail.refusals import Asked, failure
from shared.mail.responses import LITERAL
from shared.mail.wire import LINE_LIMIT, LITERAL_LIMIT, Wire

#: Commands in flight at most, where each is short: their answers must fit into the buffers between the two ends.
FLIGHT: Final = 200

_ANSWER_LITERALS: Final = 64  # in one answer that is not FETCH

#: Untagged answers to one command at most; a server that sends more will never end.
ANSWER_LIMIT: Final = 1_000_000


class Tagged(NamedTuple):
    """The end of a command."""

    #: "OK", "NO" or "BAD"; a BAD never gets further than `Conversation`.
    status: str
    #: What follows it, response code included.
    text: bytes


class Conversation:
    """Sends commands and reads answers. After any BAD or BYE the connection is shut before the error is raised."""

    def __init__(self, side: str, wire: Wire, *, secrets: Iterable[str] = ()) -> None:
        self.side = side
        self.wire = wire
        self.secrets = tuple(secrets)
        #: What a BAD or NO is about where the command does not say it.
        self.asked: Asked = "command"
        #: What was asked for beside an OK: to be asked less. Whoever minds it takes it away.
        self.slowed: Throttled | None = None
        self._count = 0
        self._pending: dict[bytes, Tagged | None] = {}
        #: Tags to which a BAD is no more than a NO.
        self._forgiven: set[bytes] = set()

    def new_tag(self) -> bytes:
        """A tag not used before; the answer to it is waited for."""
        self._count += 1
        tag = b"m%d" % self._count
        self._pending[tag] = None
        return tag

    def send(self, text: bytes) -> bytes:
        """One command, without waiting; its tag."""
        tag = self.new_tag()
        self.wire.begin()
        self.wire.send([b"%b %b\r\n" % (tag, text)])
        return tag

    def send_all(self, texts: Sequence[bytes]) -> list[bytes]:
        """Several commands in one flight; their tags."""
        tags = [self.new_tag() for _ in texts]
        if tags:
            self.wire.begin()
            self.wire.send([b"".join(b"%b %b\r\n" % pair for pair in zip(tags, texts, strict=True))])
        return tags

    def forgive(self, tags: Iterable[bytes]) -> None:
        """A BAD to these commands does not shut the connection: nothing but the command itself was sent."""
        self._forgiven.update(tags)

    def insist(self, tag: bytes) -> None:
        """The opposite; raises what a BAD means that has come already."""
        self._forgiven.discard(tag)
        ended = self._pending[tag]
        if ended is not None and ended.status == "BAD":
            raise self._bad(ended.text)

    def finish(
        self, tag: bytes, take: Callable[[list[bytes]], object] | None = None, *, line_limit: int = LINE_LIMIT
    ) -> Tagged:
        """Reads until `tag` is answered; every untagged answer on the way is given to `take`."""
        self.wire.begin()
        left = ANSWER_LIMIT
        while (ended := self._pending[tag]) is None:
            pieces = self.next_answer(line_limit)
            if pieces is not None and take is not None:
                take(pieces)
            left -= 1
            if not left:
                raise self.violation("sent answers without end")
        del self._pending[tag]
        self._forgiven.discard(tag)
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
        """As `finish`; the text of the OK. Raises the error that a NO means."""
        ended = self.finish(tag, take, line_limit=line_limit)
        if ended.status != "OK":
            raise self.refusal(ended, asked=asked, what=what)
        return ended.text

    def refusal(self, ended: Tagged, *, asked: Asked | None = None, what: str = "") -> MailError:
        """The error that a NO means."""
        return failure(self.side, ended.status, ended.text, asked=asked or self.asked, what=what, secrets=self.secrets)

    def proceed(self, tag: bytes) -> bool:
        """Waits for `+` after a synchronising literal; False when `tag` was answered instead (then `finish` it)."""
        return self.challenge(tag) is not None

    def challenge(self, tag: bytes) -> bytes | None:
        """Waits for `+`; what stands behind it. None when `tag` was answered instead (then `finish` it)."""
        self.wire.begin()
        while self._pending[tag] is None:
            line = self.wire.readline()
            if line.startswith(b"+"):
                return line[1:].strip()
            self.take_line(line)
        return None

    def answered(self, tag: bytes) -> bool:
        """Whether `tag` has been answered already."""
        return self._pending[tag] is not None

    def run(self, texts: Sequence[bytes], take: Callable[[int, list[bytes]], object] | None = None) -> list[Tagged]:
        """All commands, `FLIGHT` of them in flight at any time; their ends in order. `take` gets the command's
        place too."""
        ends: list[Tagged] = []
        tags = self.send_all(texts[:FLIGHT])
        for place in range(len(texts)):
            if place and not place % (FLIGHT // 2):
                tags += self.send_all(texts[len(tags) : len(tags) + FLIGHT // 2])
            ends.append(self.finish(tags[place], partial(take, place) if take else None))
        return ends

    def next_answer(self, line_limit: int = LINE_LIMIT) -> list[bytes] | None:
        """The next untagged answer with its literals; None for a tagged one, which is kept for its command."""
        return self.take_line(self.wire.readline(line_limit))

    def take_line(self, line: bytes) -> list[bytes] | None:
        """As `next_answer`, of a line already read."""
        if line[:2] != b"* ":
            self._take_tagged(line)
            return None
        word = line[2:6].upper()
        if word in (b"BYE ", b"BYE\r"):
            self.wire.abort()
            raise failure(self.side, "BYE", line[6:].strip(), secrets=self.secrets)
        if word[:3] == b"OK " and slows_down(line):
            self._slow(line[5:])
        if word == b"BAD ":  # not told which command it means: nothing after it could be trusted
            raise self._bad(line[6:])
        pieces = [line]
        while found := LITERAL.search(pieces[-1]):
            if len(pieces) > 2 * _ANSWER_LITERALS:
                raise self.violation("sent an answer without end")
            pieces.append(self.wire.read(int(found[1]), LITERAL_LIMIT))
            pieces.append(self.wire.readline())
        return pieces

    def _take_tagged(self, line: bytes) -> None:
        if line in (b"\r\n", b"\n"):  # some servers send an empty line after a literal
            return
        tag, _, rest = line.rstrip(b"\r\n").partition(b" ")
        word, _, text = rest.partition(b" ")
        status = word.upper().decode("latin-1")
        if tag not in self._pending or status not in ("OK", "NO", "BAD"):
            raise self.violation("sent something that is no answer", line)
        self.wire.progress()
        if status == "BAD" and tag not in self._forgiven:
            raise self._bad(text)
        if status == "OK" and slows_down(text):
            self._slow(text)
        self._pending[tag] = Tagged(status, text)

    def _slow(self, text: bytes) -> None:
        detail = clean_text(text, secrets=self.secrets)
        hint = hint_of("THROTTLED", text)
        self.slowed = Throttled(self.side, "asked to be asked less", detail, hint.seconds, hint.scope)

    def _bad(self, text: bytes) -> MailError:
        # what is left of the command may be taken for commands: not a byte more goes out
        self.wire.abort(reset=True)
        return failure(self.side, "BAD", text, asked=self.asked, secrets=self.secrets)

    def violation(self, what: str, line: bytes = b"") -> ProtocolViolation:
        """Shuts the connection; the error to raise."""
        self.wire.abort()
        return ProtocolViolation(self.side, what, clean_text(line, secrets=self.secrets))
