"""Keeps refused messages in a ZIP that is sent while it is written; it has the contents of `producer.spool.spool_folder`.

No message is stored on this machine except those being fetched.
"""

from __future__ import annotations

import hashlib
import io
import shutil
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Iterable
from typing import Final

from producer.spool.spool_folder import INDEX, write_rows

#: Bytes of a message that are kept in memory; a larger one goes to a temporary file while it is fetched.
_IN_MEMORY: Final = 4 * 1024**2
_PIECE: Final = 64 * 1024


class _Sink(io.RawIOBase):
    """A stream that passes bytes on and cannot seek."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._broken = False

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        if piece and not self._broken:  # after a failure, the ZIP's closing records are dropped
            try:
                self._put(piece)
            except BaseException:
                self._broken = True
                raise
        return len(piece)


class Archive:
    """A ZIP of messages. Thread-safe: it takes one message after the other.

    `put` receives the bytes in their order; what it raises comes out of `keep`.
    """

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._zip = zipfile.ZipFile(_Sink(put), "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._rows: list[dict[str, str]] = []
        self._missed: list[dict[str, str]] = []
        self._guard = threading.Lock()

    def place(self, login: str, folder: str, uidvalidity: int, uid: int) -> str:
        """Returns a message's place in the ZIP, by the file names of its login and folder."""
        return f"{login}/{folder}/{uid}.eml"

    def holds(self, place: str) -> bool:
        """Returns False: nothing is kept from an earlier run."""
        return False

    def keep(self, place: str, chunks: Iterable[bytes], about: dict[str, str]) -> None:
        """Adds a message whole, or not at all if the source breaks off. `about` holds the index's other columns."""
        digest = hashlib.sha256()
        with tempfile.SpooledTemporaryFile(max_size=_IN_MEMORY) as draft:
            for chunk in chunks:
                digest.update(chunk)
                draft.write(chunk)
            size = draft.tell()
            draft.seek(0)
            with self._guard:
                with self._zip.open(_named(place, size), "w") as member:
                    shutil.copyfileobj(draft, member, _PIECE)
                self._rows.append(
                    {**about, "file": f"./{place}", "size_bytes": str(size), "sha256": digest.hexdigest()}
                )

    def miss(self, about: dict[str, str]) -> None:
        """Notes a message that could not be fetched; `about` tells why."""
        with self._guard:
            self._missed.append(about)

    def write_index(self) -> None:
        """Writes the index and ends the ZIP; nothing may be added afterwards."""
        text = io.StringIO(newline="")
        with self._guard:
            write_rows(text, [*sorted(self._rows, key=lambda row: row["file"]), *self._missed])
            content = text.getvalue().encode("utf-8", "backslashreplace")
            with self._zip.open(_named(INDEX, len(content)), "w") as member:
                member.write(content)
            self._zip.close()


def _named(name: str, size: int) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, time.localtime()[:6])
    found.file_size = size  # lets zipfile choose the header that this size needs
    found.compress_type = zipfile.ZIP_DEFLATED
    found.external_attr = 0o600 << 16
    return found
