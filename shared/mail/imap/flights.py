"""Runs several UID FETCH commands at once, each no larger than the server takes, and asks again for what it left out.

A server may answer a FETCH for a part of the messages only: it says so by [MESSAGELIMIT] in an OK or a NO (RFC 9738),
or it says nothing at all. Missing messages are asked for again, in smaller commands, until nothing new comes.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from itertools import islice
from typing import Final, NamedTuple

from shared.mail.answers.extensions import PIPELINING
from shared.mail.answers.message_limit import announced, cut_short
from shared.mail.imap.ahead import Ahead
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import Conversation, Tagged
from shared.model.errors import MailError, Throttled
from shared.model.uids import UidSet
from shared.wording.often_said import INTERNAL_ERROR, NOT_ALL_MESSAGES_GIVEN
from shared.wording.phrases import Phrase

FOLDER_OPEN_NO_LONGER: Final = Phrase("folder_open_no_longer", "a command for a folder that is open no longer")

#: Number of FETCH commands in flight.
DEPTH: Final = 3
#: Number of messages in one FETCH that brings bytes.
PIECE: Final = 500

#: The sequence set of a FETCH as text, and the UIDs of it that are expected.
Asked = tuple[bytes, UidSet]


class _Left(NamedTuple):
    """The UIDs that a command was to bring and did not."""

    #: UIDs that did not come.
    uids: UidSet
    #: Number of messages that did come.
    brought: int


class FlyingSession:
    """The part of a session that has FETCH commands in flight."""

    def __init__(self, session: Session) -> None:
        self.side = session.side
        self.session = session
        self.offer = session.offer
        self._talk: Conversation = session.talk
        self._wire = session.wire
        self._ahead = Ahead(session.talk)
        #: Number of messages that the server deals with in one command; None: any number.
        self._most = announced(session.offer.capabilities)
        #: Number of messages that commands brought so far.
        self._brought = 0

    def _flights(
        self,
        sets: Iterable[Asked],
        items: bytes,
        missing: set[int],
        refused: list[MailError],
        *,
        all_exist: bool = False,
        behind: Callable[[], object] = lambda: None,
    ) -> Iterator[tuple[bytes, UidSet]]:
        """Sends UID FETCH of each set, `DEPTH` of them in flight, and yields each tag, in order.

        The caller reads up to each tag. What is on its way already is not sent again. `all_exist`: every UID of the
        sets was listed, so one that does not come is asked for once more, after all others. Where the server says that
        it stopped, the rest follows at once. `behind` is called when the last set is the only one in flight and
        nothing was left out before, to send what comes next.

        `missing` holds the UIDs that are in flight and have not been seen yet. The caller takes out what it gets,
        whichever command is being read, since servers run pipelined FETCHes side by side (Dovecot does: RFC 9051 §5.5).
        A NO is added to `refused` with its unseen UIDs as `uids`; after a Throttled nothing more is asked for. Left
        before its end, it shuts the connection: what is still to come would be taken for answers to something else.
        """
        cut: list[_Left] = []
        silent: list[_Left] = []
        with closing(self._fly(sets, items, missing, refused, cut, silent, behind)) as flights:
            for one in flights:
                # The rest of the previous command comes before the next one, so that callers see UIDs in order.
                yield from self._continued(cut, items, missing, refused)
                yield one
        yield from self._continued(cut, items, missing, refused)
        if all_exist and any(left.brought for left in silent):
            yield from self._continued(silent, items, missing, refused, doubted=True)

    def _fly(
        self,
        sets: Iterable[Asked],
        items: bytes,
        missing: set[int],
        refused: list[MailError],
        cut: list[_Left],
        silent: list[_Left],
        behind: Callable[[], object] = lambda: None,
    ) -> Generator[tuple[bytes, UidSet]]:
        """Sends the sets once, without asking again.

        The UIDs that the server says it left out go into `cut`; UIDs that did not come with others that did go into
        `silent`.
        """
        ahead, last = self._fitting(sets), False
        depth = 1 if self._talk.serial else DEPTH
        flying: deque[tuple[bytes, UidSet]] = deque()
        try:
            while True:
                if len(flying) < depth:
                    batch = list(islice(ahead, depth - len(flying)))
                    last = len(batch) < depth - len(flying)
                    for _, piece in batch:
                        missing.update(piece)
                    tags = self._asked([fetch(text, items) for text, _ in batch])
                    if self._talk.serial or self._talk.broken.kept(PIPELINING):
                        # A line that is too long, or a set that is no single range, may be no command to it.
                        self._forgive([tag for tag, (_, piece) in zip(tags, batch, strict=True) if len(piece) > 1])
                    flying.extend((tag, piece) for tag, (_, piece) in zip(tags, batch, strict=True))
                if not flying:
                    return
                if last and len(flying) == 1 and not (cut or silent):
                    behind()
                tag, piece = flying[0]
                yield tag, piece
                ended = self._talk.finish(tag)
                flying.popleft()
                unseen = UidSet.of(missing.intersection(piece))
                missing.difference_update(unseen)
                came = len(piece) - len(unseen)
                self._brought += came
                if self._stopped(ended, piece, unseen):
                    cut.append(_Left(unseen, came))
                elif ended.status != "OK":
                    error = self._talk.refusal(ended, asked="fetch", what=NOT_ALL_MESSAGES_GIVEN.says())
                    if isinstance(error, Throttled) or ended.status == "BAD":  # asking on would only make it worse
                        unseen = UidSet.of(uid for rest in (unseen, *(piece for _, piece in ahead)) for uid in rest)
                    error.uids = unseen
                    refused.append(error)
                elif unseen:
                    silent.append(_Left(unseen, came))
        finally:
            if flying:
                self._wire.abort()

    def _forgive(self, tags: Iterable[bytes]) -> None:
        """A BAD to these is no more than a NO, if none has come yet."""
        self._talk.forgive(tag for tag in tags if not self._talk.answered(tag))

    def _stopped(self, ended: Tagged, piece: UidSet, unseen: UidSet) -> bool:
        """Tells whether the server says that it left `unseen` out for being too much.

        Then the rest is to be asked for in smaller commands. One message alone is not too much: there a NO means the
        message.
        """
        limit = cut_short(ended.text)
        if limit is None and ended.status == "BAD" and not self._talk.lenient:
            limit = None if isinstance(self._talk.refusal(ended, asked="fetch"), Throttled) else 0
        if limit is None or not unseen:
            return False
        if ended.status == "OK":
            self._take_at_most(limit)
            return True
        self._take_at_most(limit if 0 < limit < len(piece) else len(piece) // 2)
        return len(piece) > 1

    def _take_at_most(self, messages: int) -> None:
        if messages > 0:
            self._most = min(self._most or messages, messages)

    def _continued(
        self, left: list[_Left], items: bytes, missing: set[int], refused: list[MailError], *, doubted: bool = False
    ) -> Iterator[tuple[bytes, UidSet]]:
        """Asks for what shortened commands left, until a round brings nothing and the server names no smaller limit.

        `doubted`: the server did not say that it shortened them; when more comes, it did, and later commands are
        smaller.
        """
        while left and not any(isinstance(error, Throttled) for error in refused):
            rest, most, before = UidSet(), self._most, self._brought
            fits = min((part.brought for part in left if part.brought), default=0)
            for part in left:
                rest |= part.uids
            left.clear()
            again: list[_Left] = []
            self._stay()
            yield from self._fly(written(rest.pieces(PIECE)), items, missing, refused, again, again)
            came = self._brought > before
            if doubted and came:
                self._take_at_most(fits)
            if came or self._most != most:
                left += again

    def _fitting(self, sets: Iterable[Asked]) -> Iterator[Asked]:
        """Yields the sets, split to what the server takes in one command."""
        for text, piece in sets:
            if self._most is None or len(piece) <= self._most:
                yield text, piece
            else:
                yield from written(piece.pieces(self._most))

    def _asked(self, commands: Sequence[bytes]) -> list[bytes]:
        """Returns the tags of these commands, in order; the first ones may have been sent ahead."""
        tags: list[bytes] = []
        for command in commands:
            if (tag := self._ahead.take(command)) is None:
                break
            tags.append(tag)
        rest = commands[len(tags) :]
        if rest and self._ahead:
            raise self._talk.violation(INTERNAL_ERROR.says(what=FOLDER_OPEN_NO_LONGER.says()))
        if rest and self._ahead.strayed:  # one that was refused, and what was behind it has been read
            self._reopen()
        return tags + self._talk.send_all(rest)

    def _stay(self, command: bytes = b"") -> None:
        """Makes sure that the right folder is open; call it before `command`, or any, is sent about the open folder.

        Where another folder was opened ahead of its turn, this one is opened again.
        """
        if self._ahead and not self._ahead.leads_to(command):
            self._ahead.settle()
        if self._ahead.strayed:
            self._reopen()

    def _reopen(self) -> None:
        """Opens again the folder that was open. Raises `FolderChanged` when it is another by now."""
        raise NotImplementedError


def fetch(asked: bytes, items: bytes) -> bytes:
    """Returns UID FETCH of the sequence set `asked`."""
    return b"UID FETCH %b %b" % (asked, items)


def written(sets: Iterable[UidSet]) -> Iterator[Asked]:
    """Yields each set as `FlyingSession._flights` takes it: all of it asked for, all of it expected."""
    for uids in sets:
        yield str(uids).encode("ascii"), uids


def raise_first(refused: list[MailError]) -> None:
    """Raises the first of these errors, with the unseen UIDs of all."""
    if refused:
        unseen = UidSet()
        for error in refused:
            unseen |= error.uids
        refused[0].uids = unseen
        raise refused[0]
