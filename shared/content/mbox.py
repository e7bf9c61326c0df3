"""The lines that servers put into messages because they keep mail in mbox files (RFC 4155). Pure.

Such a server notes the UID, the flags and the length of a message in header fields, which it changes whenever it likes
and takes away again: Dovecot and GNU Mailutils do (measured). It also takes a first line that begins with `From ` for
the line between two messages. None of these lines is the sender's, so a message is the same without them.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Final

#: The beginning of a line that is such a field. A line end stands in front, as in `shared.content.fingerprint`.
_MARK: Final = re.compile(
    rb"\n(?:x-imap(?:base)?|x-uidl?|x-status|x-keywords|status|content-length)[ \t]*:[^\n]*(?:\n[ \t][^\n]*)*",
    re.IGNORECASE,
)
#: The line between two messages of an mbox file, where a message begins with one.
_POSTMARK: Final = re.compile(rb"\A>?From [^\r\n]{0,200}\r\n")
#: Bytes of the header within which it has to end; the lines of a longer one stay.
_HEADER_BYTES: Final = 65_536


def without_marks(header: bytes) -> bytes:
    """Returns the header, lines that each end with CRLF, without the lines that mbox servers put there."""
    return _MARK.sub(b"", b"\n" + _POSTMARK.sub(b"", header))[1:]


class Unmarked:
    """The SHA-256 of a message without those lines; it is fed like a hash, in chunks of any size.

    The chunks hold canonical bytes (`shared.content.fingerprint.Canonical`) and end with no line end.
    """

    def __init__(self) -> None:
        #: The header so far; None once it has ended, or is too long.
        self._header: bytes | None = b""
        #: The hash; None while no such line was seen.
        self._hash: Any = None

    def update(self, data: bytes) -> None:
        """Adds bytes."""
        if self._header is None:
            if self._hash is not None:
                self._hash.update(data)
            return
        text = self._header = self._header + data
        end = text.find(b"\r\n\r\n", 0, _HEADER_BYTES)
        if text.startswith(b"\r\n") or (end < 0 and len(text) >= _HEADER_BYTES):
            self._header = None
        elif end >= 0:
            self._header = None
            kept = without_marks(text[: end + 2])
            if len(kept) < end + 2:
                self._hash = hashlib.sha256(kept + text[end + 2 :])

    def ended(self) -> Any:
        """Returns a hash of the message so far, which is the caller's; None where there is no such line."""
        if self._header is None:
            return None if self._hash is None else self._hash.copy()
        kept = without_marks(self._header + b"\r\n")
        return hashlib.sha256(kept[:-2]) if len(kept) < len(self._header) + 2 else None
