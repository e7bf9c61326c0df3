"""Switches one connection to DEFLATE (RFC 4978), where `shared.mail.answers.compression` says that it may pay."""

from __future__ import annotations

from time import monotonic

from shared.mail.answers.compression import COMPRESS, WORTH_BYTES, Pace
from shared.mail.transport.conversation import Conversation
from shared.model.errors import MailError


class ConnectionCompression:
    """The compression of one connection. Only the thread of its `Conversation` uses it."""

    def __init__(self, talk: Conversation) -> None:
        self._talk = talk
        self._server = talk.broken.compression
        #: Whether the server was asked to.
        self._asked = False
        #: The pace from which on it is measured: when the connection began to carry mail, then when it was compressed.
        self._from: Pace | None = None

    @property
    def due(self) -> bool:
        """Tells whether the connection shall be compressed as soon as nothing is in flight."""
        talk = self._talk
        if self._asked or talk.wire.compressed or talk.broken.lacks(COMPRESS):
            return False
        pace = talk.wire.pace
        if self._from is None:
            if pace.moved >= WORTH_BYTES:
                self._from = pace
            return False
        return self._server.due(self, pace.since(self._from), monotonic())

    def consider(self) -> None:
        """Compresses the connection where that is due; tells what it brought where it is done. Nothing is in flight."""
        if self._talk.wire.compressed:
            if self._from is not None:
                self._server.tell(self, self._talk.wire.pace.since(self._from), monotonic())
        elif self.due:
            self._compress()

    def _compress(self) -> None:
        talk = self._talk
        self._asked = True
        tag = talk.send(b"COMPRESS DEFLATE")
        talk.forgive([tag])
        try:
            ended = talk.finish(tag)
        except MailError as lost:
            if not talk.abandoned:
                self._without(lost.detail or lost.what)
            raise
        if ended.status != "OK":
            self._without(talk.refusal(ended).detail)
            return
        talk.broken.keeps(COMPRESS)
        talk.wire.compress(self._without)
        self._from = talk.wire.pace

    def _without(self, words: str) -> None:
        self._server.give_up(monotonic())
        self._talk.broken.leave_out(COMPRESS, words)
