"""Looks, as a message passes by, for bytes that servers are known to change without changing the message's size. Pure.

Dovecot stores NUL as 0x80, Cyrus 8-bit bytes of the header as X, and go-imap shows more line ends than its RFC822.SIZE
counts at the end of a message whose lines end with CR alone (measured). Nothing of this shows in what a folder tells of
its messages, so messages that have such bytes are read back whole. A change of the size shows without that.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from shared.content.fingerprint import header_of
from shared.wording.phrases import Phrase

NUL_BYTES_AND_8_BIT: Final = Phrase("nul_bytes_and_8_bit", "NUL bytes and 8-bit bytes in the header")
NUL_BYTES_AND_LINES_ENDING_IN_CR: Final = Phrase(
    "nul_bytes_and_lines_ending_in_cr", "NUL bytes and lines that end with CR alone"
)
EIGHT_BIT_BYTES_IN_HEADER: Final = Phrase(
    "eight_bit_bytes_in_header", "8-bit bytes in the header and lines that end with CR alone"
)
NUL_BYTES_AND_8_BIT_BYTES: Final = Phrase(
    "nul_bytes_and_8_bit_bytes", "NUL bytes and 8-bit bytes in the header and lines that end with CR alone"
)

NUL: Final = Phrase("nul_bytes", "NUL bytes").says()
HEADER_8BIT: Final = Phrase("header_8bit", "8-bit bytes in the header").says()
CR_ONLY: Final = Phrase("cr_only", "lines that end with CR alone").says()
#: Which of the three are there → the words, which are translated as a whole.
_SENTENCES: Final = {
    (False, False, False): "",
    (True, False, False): NUL,
    (False, True, False): HEADER_8BIT,
    (False, False, True): CR_ONLY,
    (True, True, False): NUL_BYTES_AND_8_BIT.says(),
    (True, False, True): NUL_BYTES_AND_LINES_ENDING_IN_CR.says(),
    (False, True, True): EIGHT_BIT_BYTES_IN_HEADER.says(),
    (True, True, True): NUL_BYTES_AND_8_BIT_BYTES.says(),
}


def seen_in(body: bytes) -> str:
    """Returns why the message is to be read back, in words; "" for nearly every message."""
    # Most messages are ASCII throughout, which is found out at once.
    return _words(
        b"\0" in body, not body.isascii() and not header_of(body).isascii(), b"\n" not in body and b"\r" in body
    )


class WatchedChunks:
    """A message that passes by in chunks, unchanged."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks, self._nul, self._header, self._cr, self._lf = chunks, False, False, False, False
        self._first = True

    def __iter__(self) -> Iterator[bytes]:
        for chunk in self._chunks:
            self._nul = self._nul or b"\0" in chunk
            self._lf = self._lf or b"\n" in chunk
            self._cr = self._cr or b"\r" in chunk
            if self._first:  # sources give no chunk until the header is whole
                self._header, self._first = not header_of(chunk).isascii(), False
            yield chunk

    @property
    def seen(self) -> str:
        """The answer of `seen_in` for the chunks so far."""
        return _words(self._nul, self._header, self._cr and not self._lf)


def _words(nul: bool, header: bool, cr_only: bool) -> str:
    return _SENTENCES[nul, header, cr_only]
