"""A POP3 conversation over one `Wire`, once it is signed in: listing and reading (RFC 1939, 2449).

poplib knows no pipelining, holds whole messages in memory and gives up on lines over 2,048 bytes. So poplib reads the
greeting, asks for capabilities and signs in (`shared.mail.pop3.pop3_signing_in`); listing and reading go over the same
buffer without it. Nothing here ever sends DELE.
"""

from __future__ import annotations

import contextlib
import re
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Final

from shared.mail.answers.bounds import (
    LISTED_SLACK_BYTES,
    MAILDROP_BYTES,
    MAILDROP_LINE,
    MAILDROP_MESSAGES,
    most_body,
)
from shared.mail.answers.grammar import clean_text
from shared.mail.transport.wire import Wire
from shared.model.errors import MailError, NoRoomHere, ProtocolViolation, ServerRefused
from shared.wording.often_said import SENT_NO_ANSWER
from shared.wording.phrases import Phrase

REFUSED_NOOP: Final = Phrase("refused_noop", "refused NOOP")
REFUSED_QUIT: Final = Phrase("refused_quit", "refused QUIT")

LISTED_MESSAGES_WITHOUT_END: Final = Phrase("listed_messages_without_end", "listed messages without end")
NO_ROOM_IN_TMPDIR_OF_WORKER: Final = Phrase(
    "no_room_in_tmpdir_of_worker", "no room in TMPDIR ({folder}) of the worker for a message of {size} bytes: {cause}"
)
GIVE_TMPDIR_MORE_ROOM: Final = Phrase(
    "give_tmpdir_more_room",
    "give {folder} of the worker more room, or name another folder in TMPDIR; then: mailhaul retry {word}",
)
WOULD_NOT_LIST_ITS_MESSAGES: Final = Phrase("would_not_list_its_messages", "would not list its messages")
LISTED_NO_MESSAGE: Final = Phrase("listed_no_message", "listed something that is no message")
MESSAGES_ARE_NOT_COUNTED: Final = Phrase("messages_are_not_counted", "does not count its messages")
HAS_NO_UIDL: Final = Phrase("has_no_uidl", "has no UIDL")
WOULD_NOT_GIVE_MESSAGE: Final = Phrase("would_not_give_message", "would not give a message")
SENT_MORE_THAN_LISTED: Final = Phrase(
    "sent_more_than_listed", "sent more than {num} bytes of a message that LIST gives {listed_num}"
)

#: Number of commands on their way at once, where the server says PIPELINING (RFC 2449 §6.6). Together they are 9 kB, which
#: the buffers between the two ends hold while the server sends; with 50 a server 50 ms away waited most of the time.
DEPTH: Final = 400
#: Largest message that is read in one piece; a larger one goes by way of a file, since POP3 does not tell how long it
#: is.
WHOLE_BYTES: Final = 512 * 1024
_PIECE: Final = 64 * 1024
#: Seconds to wait for QUIT: a server that closes a large maildrop may take a while.
_QUIT_SECONDS: Final = 5.0
_NUMBER: Final = re.compile(rb"\d{1,18}")
_END: Final = b"\r\n.\r\n"


class EndlessMessage(ProtocolViolation):
    """Raised when a message brings far more than LIST says; the connection is closed."""

    #: The number of the message in this session.
    number: int = 0


class Pop3Session:
    """A signed-in connection, used by one thread; `abort` may be called from others."""

    def __init__(self, wire: Wire, capabilities: frozenset[str], secrets: Sequence[str] = ()) -> None:
        """Takes `secrets`: the credentials that were sent, which the server's words must not repeat."""
        self.side = wire.side
        self._secrets = tuple(secrets)
        self.wire = wire
        #: The capabilities that CAPA told after signing in, upper case.
        self.capabilities = capabilities
        self._depth = DEPTH if "PIPELINING" in capabilities else 1
        #: Whether LIST left out messages, as it does with those that are marked as deleted (RFC 1939 §5).
        self._marked = False

    # -- listings

    def counted(self) -> int | None:
        """Messages of STAT (RFC 1939 §5); None where the server does not tell. Some list fewer than they count."""
        self._send([b"STAT"])
        try:
            words = self._status(MESSAGES_ARE_NOT_COUNTED.says()).split()
        except ServerRefused:
            return None
        return int(words[1]) if len(words) > 1 and _NUMBER.fullmatch(words[1]) else None

    def listing(self) -> tuple[list[tuple[int, int]], dict[int, bytes]]:
        """Returns (message number, size in bytes) of LIST, and number → unique-id of UIDL, empty where there is none."""
        asked = [b"LIST", b"UIDL"]
        if self._depth > 1:
            self._send(asked)
        else:
            self._send(asked[:1])
        try:
            sizes = self._read_sizes()
        except ServerRefused:
            if self._depth > 1:  # the answer to UIDL is on its way, and belongs to no other command
                with contextlib.suppress(ServerRefused):
                    for _ in self._lines(HAS_NO_UIDL.says()):
                        pass
            raise
        if self._depth == 1:
            self._send(asked[1:])
        return sizes, self._read_ids()

    def sizes(self) -> list[tuple[int, int]]:
        """Returns (message number, size in bytes) of LIST."""
        self._send([b"LIST"])
        return self._read_sizes()

    def ids(self) -> dict[int, bytes]:
        """Returns number → unique-id of UIDL, empty where there is none."""
        self._send([b"UIDL"])
        return self._read_ids()

    def told_of(self, word: bytes, number: int) -> bytes:
        """Returns what LIST or UIDL tell of this message; b"" where it is refused."""
        self._send([b"%b %d" % (word, number)])
        try:
            told = self._status(WOULD_NOT_LIST_ITS_MESSAGES.says()).split()
        except ServerRefused:
            return b""
        return told[2] if len(told) > 2 and told[1] == b"%d" % number else b""

    def _read_sizes(self) -> list[tuple[int, int]]:
        sizes = []
        for line in self._lines(WOULD_NOT_LIST_ITS_MESSAGES.says()):
            number, _, size = line.partition(b" ")
            size = size.split(b" ")[0]
            if not (_NUMBER.fullmatch(number) and _NUMBER.fullmatch(size)):
                raise self._violation(LISTED_NO_MESSAGE.says(), line)
            sizes.append((int(number), int(size)))
        self._marked = self._marked or len(sizes) < max((one for one, _ in sizes), default=0)
        return sizes

    def _read_ids(self) -> dict[int, bytes]:
        try:
            # Tried whether it is announced or not: some servers have UIDL and do not say so.
            ids = [line.partition(b" ") for line in self._lines(HAS_NO_UIDL.says())]
        except ServerRefused:
            return {}
        return {int(number): one.strip() for number, _, one in ids if _NUMBER.fullmatch(number) and one.strip()}

    def _lines(self, what: str) -> Iterator[bytes]:
        self._status(what)
        left = MAILDROP_BYTES
        for _ in range(MAILDROP_MESSAGES + 1):
            line = self.wire.readline(MAILDROP_LINE)
            if line in (b".\r\n", b".\n"):
                return
            left -= len(line)
            if left < 0:
                break
            self.wire.progress()
            yield line.rstrip(b"\r\n").removeprefix(b".") if line.startswith(b"..") else line.rstrip(b"\r\n")
        raise self._violation(LISTED_MESSAGES_WITHOUT_END.says())

    # -- messages

    def messages(
        self, commands: Sequence[bytes], refused: dict[int, MailError], listed: Sequence[int]
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        """Yields the answers to RETR or TOP commands, in order: (place in `commands`, the message).

        A large message is a file, at its beginning, which is gone when the next message is asked for. Refusals are put
        into `refused`. Left before its end, it shuts the connection. `listed` holds the bytes of each message, as LIST
        says; a message that brings far more raises `EndlessMessage`, so that no server fills the worker's disk. A
        message that the disk has no room for is refused (`NoRoomHere`).
        """
        waiting = iter(commands)
        flying = self._send(list(islice(waiting, self._depth)))
        try:
            for place in range(len(commands)):
                self.wire.begin()
                try:
                    self._status(WOULD_NOT_GIVE_MESSAGE.says())
                except ServerRefused as error:
                    refused[place] = error.kept()
                else:
                    try:
                        body = self._body(listed[place])
                    except NoRoomHere as error:
                        refused[place] = error.kept()
                    except EndlessMessage as error:
                        error.number = int(commands[place].split()[1])
                        raise
                    else:
                        self.wire.progress()
                        yield place, body
                        if not isinstance(body, bytes):
                            body.close()
                flying -= 1
                if flying <= self._depth // 2:
                    flying += self._send(list(islice(waiting, self._depth - flying)))
        finally:
            if flying:
                self.wire.abort()

    def _body(self, listed: int) -> bytes | IO[bytes]:
        """Returns the message up to the dot that stands alone in its line.

        The first dot of other lines is removed (RFC 1939 §3). A line ends with CRLF: text behind a bare LF was never
        stuffed.
        """
        if self.wire.comes(b".\r\n"):
            self.wire.read(3)
            return b""
        whole = self.wire.read_through(_END, WHOLE_BYTES)
        if whole is None:
            with self.wire.one_message(max(1, listed)):
                return self._filed(most_body(max(1, listed), LISTED_SLACK_BYTES), listed)
        body = whole[:-3].replace(b"\r\n.", b"\r\n")
        return body[1:] if body.startswith(b".") else body

    def _filed(self, most: int, listed: int) -> IO[bytes]:
        """Returns the message as a file.

        Raises `EndlessMessage`, and `NoRoomHere` after the message was read to its end.
        """
        full: OSError | None = None
        file: IO[bytes] | None = None
        size = 0
        try:
            for piece in self._unstuffed():
                size += len(piece)
                if size > most:
                    self.wire.abort()
                    raise EndlessMessage(
                        self.side, SENT_MORE_THAN_LISTED.says(num=f"{most:,}", listed_num=f"{listed:,}")
                    )
                if full:
                    continue
                try:
                    file = file or tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for the message closes it
                    file.write(piece)
                except OSError as error:
                    full = error
                    _close(file)
            if file and not full:
                try:
                    file.seek(0)
                except OSError as error:
                    full = error
            if full or not file:
                raise self._no_room(full or OSError(), size)
        except BaseException:
            _close(file)
            raise
        return file

    def _unstuffed(self) -> Iterator[bytes]:
        """Yields pieces of the message up to the dot that ends it."""
        begins, last = True, b""
        while True:
            piece = self.wire.read_piece(_PIECE)
            if begins and piece.startswith(b"."):
                if piece == b".\r\n":
                    return
                piece = piece[1:]
            yield piece
            begins = (last + piece[-2:])[-2:] == b"\r\n"
            last = piece[-1:] or last

    def _no_room(self, error: OSError, size: int) -> NoRoomHere:
        folder = tempfile.gettempdir()
        return NoRoomHere(
            self.side,
            NO_ROOM_IN_TMPDIR_OF_WORKER.says(folder=folder, size=f"{size:,}", cause=str(error.strerror)),
            advice=GIVE_TMPDIR_MORE_ROOM.says(folder=folder, word="IMPORT"),
        )

    # -- the end

    def noop(self) -> None:
        """Makes a round trip."""
        self._send([b"NOOP"])
        self._status(REFUSED_NOOP.says())

    def close(self) -> None:
        """Sends QUIT and waits for its answer: until then the maildrop is locked, and the next session finds it in use.

        QUIT removes what is marked as deleted. No session of ours marks anything, but a server may take over the marks of
        IMAP (GNU Mailutils): then the connection is closed without it, and nothing is removed (RFC 1939 §6). Never raises.
        """
        if self._marked:
            return self.wire.close()
        try:
            self.wire.timeout_seconds = min(_QUIT_SECONDS, self.wire.timeout_seconds)
            self._send([b"QUIT"])
            self._status(REFUSED_QUIT.says())
        except Exception:  # noqa: S110 - the session is over either way
            pass
        self.wire.close()

    def _send(self, commands: Sequence[bytes]) -> int:
        if commands:
            self.wire.begin()
            self.wire.send([b"".join(command + b"\r\n" for command in commands)])
        return len(commands)

    def _status(self, what: str) -> bytes:
        line = self.wire.readline()
        if line.startswith(b"+OK"):
            return line
        if line.startswith(b"-ERR"):
            raise ServerRefused(self.side, what, clean_text(line[4:].strip(), secrets=self._secrets))
        raise self._violation(SENT_NO_ANSWER.says(), line)

    def _violation(self, what: str, line: bytes = b"") -> ProtocolViolation:
        self.wire.abort()
        return ProtocolViolation(self.side, what, clean_text(line, secrets=self._secrets))


def _close(file: IO[bytes] | None) -> None:
    with contextlib.suppress(OSError):  # buffered data that could not be written is flushed here, and fails again
        if file:
            file.close()
