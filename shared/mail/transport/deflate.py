"""A socket whose bytes are compressed by DEFLATE, in both directions (RFC 4978).

It behaves as a socket that does not block: it raises what the socket below raises, and the caller asks again. Nothing is
taken on trust: what expands without end comes out in the pieces that the caller has room for.
"""

from __future__ import annotations

import socket
import zlib
from collections.abc import Callable
from time import perf_counter
from typing import Final

from shared.wording.phrases import Phrase

SENT_BYTES_NOT_COMPRESSED: Final = Phrase("sent_bytes_not_compressed", "sent bytes that are not compressed, as agreed")
ENDED_COMPRESSED_STREAM: Final = Phrase("ended_compressed_stream", "ended the compressed stream")

_WINDOW: Final = -15  # raw: no header and no checksum
#: The level of zlib above which mail hardly gets smaller, and each byte takes longer.
_LEVEL: Final = 4
_PIECE: Final = 64 * 1024
#: Most compressed bytes that may expand to nothing: a header of a block has some hundred, an empty block five.
_MOST_EMPTY: Final = 64 * 1024


class CompressedStream:
    """The compressed side of one connection."""

    def __init__(self, sock: socket.socket, come: bytes, broken: Callable[[str], object]) -> None:
        """Compresses from now on.

        `come` are compressed bytes that were received already. `broken` is told of bytes that cannot be expanded.
        """
        self._sock, self._broken = sock, broken
        self._expander = zlib.decompressobj(_WINDOW)
        self._compressor = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW)
        #: Compressed bytes that were received, and whether the expander may hold more than it gave.
        self._come, self._more = come, bool(come)
        #: Compressed bytes that are still to be sent, and the number of bytes that they stand for.
        self._going, self._stand_for = memoryview(b""), 0
        #: Compressed bytes that came since any of them expanded to something.
        self._empty = 0
        #: Seconds spent on compressing and expanding.
        self.seconds = 0.0

    def recv_into(self, view: memoryview) -> int:
        """Fills `view` with expanded bytes, and returns their number; 0 where the other end has closed.

        Receives once. Raises `BlockingIOError` where what came expands to nothing yet, as a socket that has nothing: the
        caller holds a lock meanwhile, and an endless stream of empty blocks would keep it.
        """
        if self._more and (count := self._expanded(view)):
            return count
        if self._expander.eof:
            raise OSError(ENDED_COMPRESSED_STREAM.says())
        self._come = self._sock.recv(_PIECE)
        if not self._come:
            return 0
        self._empty += len(self._come)
        if count := self._expanded(view):
            self._empty = 0
            return count
        if self._empty > _MOST_EMPTY:
            self._broken(SENT_BYTES_NOT_COMPRESSED.says())
            raise OSError(SENT_BYTES_NOT_COMPRESSED.says())
        raise BlockingIOError

    def _expanded(self, view: memoryview) -> int:
        started = perf_counter()
        try:
            found = self._expander.decompress(self._come, len(view))
        except zlib.error as error:
            self._broken(SENT_BYTES_NOT_COMPRESSED.says())
            raise OSError(SENT_BYTES_NOT_COMPRESSED.says()) from error
        self._come = self._expander.unconsumed_tail
        self._more = len(found) == len(view) or bool(self._come)
        view[: len(found)] = found
        self.seconds += perf_counter() - started
        return len(found)

    def send(self, data: memoryview) -> int:
        """Sends the beginning of `data`, and returns the number of bytes that are sent, all of them to the last bit.

        Where the socket takes no more, it raises what the socket raises, and wants the same bytes again.
        """
        if not self._stand_for:
            started = perf_counter()
            piece = data[:_PIECE]
            self._going = memoryview(self._compressor.compress(piece) + self._compressor.flush(zlib.Z_SYNC_FLUSH))
            self._stand_for = len(piece)
            self.seconds += perf_counter() - started
        while self._going:
            self._going = self._going[self._sock.send(self._going) :]
        count, self._stand_for = self._stand_for, 0
        return count
