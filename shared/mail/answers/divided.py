"""Answers whose text goes on in the next line, since it repeats a folder's name with the line breaks that the name holds. Pure.

Modified UTF-7 can hold line breaks. Dovecot 2.3 lists such folders, refuses to open them, and writes their names as they are
(measured): what stands behind the break could be read as any answer, and without this as one that nobody waits for.
"""

from __future__ import annotations

import re

from shared.folders.names import text_of

_QUOTED = re.compile(rb'"((?:\\.|[^"\\])*)"')
_BREAK = re.compile(rb"\r?\n")


class DividedText:
    """The rest of the last refusal, as far as it is still to come."""

    def __init__(self) -> None:
        #: The parts of the name that begin the next lines.
        self._parts: list[bytes] = []
        #: Whether the last line ended with a bare LF, so that the next may be the rest of its text.
        self._torn = False

    def refused(self, command: bytes, line: bytes) -> None:
        """Takes down the line that refuses a command."""
        self._torn = not line.endswith(b"\r\n")
        name = _QUOTED.search(command) if b"&" in command else None
        parts = _BREAK.split(_text(name[1])) if name else []
        self._parts = parts[1:] if parts and line.rstrip(b"\r\n").endswith(parts[0]) else []

    def goes_on(self, line: bytes, *, known: bool) -> bool:
        """Tells whether the next line belongs to the refusal; `known`: it can be read as an answer."""
        torn, self._torn = self._torn, False
        if not self._parts:
            return torn and not known
        part, *self._parts = self._parts
        whole = _BREAK.sub(b"", line) == part
        last = line.startswith(part) and (part != b"" or not known)
        expected = whole if self._parts else last
        if not expected:
            self._parts = []
        return expected


def _text(name: bytes) -> bytes:
    return text_of(re.sub(rb"\\(.)", rb"\1", name)).encode("utf-8", "surrogatepass")
