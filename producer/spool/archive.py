"""What `producer.spool.shelf` is as a folder, as a ZIP that is sent while it is written: no message waits on this machine but the
one that is being fetched."""

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

from producer.spool.shelf import INDEX, write_rows

#: Of a message, before it goes to a file of its own for as long as it is fetched.
_IN_MEMORY: Final = 4 * 1024**2
_PIECE: Final = 64 * 1024


class _Sink(io.RawIOBase):
    """Writes somewhere, and cannot go back there."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._put = put
        self._broken = False

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        piece = bytes(data)  # type: ignore[call-overload]
        if piece and not self._broken:  # else a ZIP that is given up writes its end into the void
            try:
                self._put(piece)
            except BaseException:
                self._broken = True
                raise
        return len(piece)


class Archive:
    """Thread-safe, one message after the other. `put` gets its bytes in their order; what it raises comes out of `keep`."""

    def __init__(self, put: Callable[[bytes], None]) -> None:
        self._zip = zipfile.ZipFile(_Sink(put), "w", zipfile.ZIP_DEFLATED, compresslevel=1)
        self._rows: list[dict[str, str]] = []
        self._missed: list[dict[str, str]] = []
        self._guard = threading.Lock()

    def place(self, login: str, folder: str, uidvalidity: int, uid: int) -> str:
        """Where a message belongs, by the file names of its login and folder."""
        return f"{login}/{folder}/{uid}.eml"

    def holds(self, place: str) -> bool:
        """Nothing is there from before."""
        return False

    def keep(self, place: str, chunks: Iterable[bytes], about: dict[str, str]) -> None:
        """Adds a message, whole or, where the source breaks off, not at all. `about` are the index's other columns."""
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
        """What could not be had; `about` says why."""
        with self._guard:
            self._missed.append(about)

    def write_index(self) -> None:
        """The last of it; nothing may be added afterwards."""
        text = io.StringIO(newline="")
        with self._guard:
            write_rows(text, [*sorted(self._rows, key=lambda row: row["file"]), *self._missed])
            content = text.getvalue().encode("utf-8", "backslashreplace")
            with self._zip.open(_named(INDEX, len(content)), "w") as member:
                member.write(content)
            self._zip.close()


def _named(name: str, size: int) -> zipfile.ZipInfo:
    found = zipfile.ZipInfo(name, time.localtime()[:6])
    found.file_size = size  # so that it is written as large as it needs
    found.compress_type = zipfile.ZIP_DEFLATED
    found.external_attr = 0o600 << 16
    return found
