"""Keeps refused messages in a folder: files that only their owner may read, and an index of them.

Each file is written whole or not at all. One process writes at a time.
"""

from __future__ import annotations

import contextlib
import csv
import fcntl
import hashlib
import os
import threading
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Final, Self, TextIO

from producer.show.report import safe_cell
from shared.wording.phrases import Phrase

OF_ANOTHER: Final = Phrase("spool_of_another", "{path} holds messages of another import: choose another folder")
WRITTEN_TO: Final = Phrase("spool_written_to", "another mailhaul writes to {path}: wait for its end")
UNWRITABLE: Final = Phrase(
    "spool_unwritable",
    "{path} cannot be written ({cause}): choose another folder, or make room",
)
DAMAGED: Final = Phrase("spool_damaged", "{path} is damaged: choose another folder, or move it away")
NOT_OURS: Final = Phrase("spool_not_ours", "{path} is not mailhaul's: choose another folder")

INDEX: Final = "index.csv"
#: Columns of the index. `file` begins with ./ and is empty for a message that could not be fetched; `problem` tells
#: why.
COLUMNS: Final = (
    "import",
    "login",
    "folder",
    "uidvalidity",
    "uid",
    "message_id",
    "size_bytes",
    "sha256",
    "what",
    "reason",
    "file",
    "problem",
)


class SpoolFolder:
    """The folder; used with `with`. Thread-safe.

    Opening raises `UsageError` for a folder that cannot be used; later calls raise OSError.
    """

    def __init__(self, folder: Path, field: str) -> None:
        """Takes the field by which the operator named the folder, for messages."""
        self.folder, self._field = folder.expanduser().absolute(), field
        self._rows: dict[str, dict[str, str]] = {}
        self._missed: list[dict[str, str]] = []
        self._guard = threading.Lock()
        self._descriptor = -1

    def __enter__(self) -> Self:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
            try:
                fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                # A disk without room for this has no room for mail.
                trial = self.folder / f".trial-{os.getpid()}"
                _written(trial, [b"\0" * 4096])
                trial.unlink()
                self._read()
            except BaseException:
                os.close(self._descriptor)
                raise
        except BlockingIOError:
            raise WRITTEN_TO.error(self._field, path=str(self.folder)) from None
        except OSError as error:
            raise UNWRITABLE.error(self._field, path=str(self.folder), cause=str(error.strerror)) from None
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def _read(self) -> None:
        path = self.folder / INDEX
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows = csv.DictReader(file)
                if tuple(rows.fieldnames or ()) != COLUMNS:
                    raise NOT_OURS.error(self._field, path=str(path))
                for row in rows:
                    if row["file"] and None not in row.values():
                        self._rows[row["file"].removeprefix("./")] = row
        except FileNotFoundError:
            pass
        except (UnicodeDecodeError, csv.Error):
            raise DAMAGED.error(self._field, path=str(path)) from None

    def belongs_to(self, import_id: str) -> None:
        """Raises `UsageError` when the folder holds messages of another import, which would be taken for this one's."""
        if any(row["import"] != import_id for row in self._rows.values()):
            raise OF_ANOTHER.error(self._field, path=str(self.folder))

    def place(self, login: str, folder: str, uidvalidity: int, uid: int) -> str:
        """Returns a message's place, by the file names of its login and folder.

        A folder that was made again at the source numbers its messages from 1 again; earlier files keep their names.
        """
        usual = str(PurePosixPath(login, folder, f"{uid}.eml"))
        known = self._rows.get(usual)
        if known is None or known["uidvalidity"] == str(uidvalidity):
            return usual
        return str(PurePosixPath(login, folder, f"{uid}-{uidvalidity}.eml"))

    def holds(self, place: str) -> bool:
        """Tells whether the message's file exists in its full size."""
        known = self._rows.get(place)
        with contextlib.suppress(OSError):
            return known is not None and str((self.folder / place).lstat().st_size) == known["size_bytes"]
        return False

    def keep(self, place: str, chunks: Iterable[bytes], about: dict[str, str]) -> None:
        """Writes a message; `about` holds the index's other columns."""
        path = self.folder / place
        path.parent.parent.mkdir(mode=0o700, exist_ok=True)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        draft = path.with_suffix(".new")
        digest = hashlib.sha256()
        try:
            size = _written(draft, _seen(chunks, digest))
            draft.replace(path)
        except BaseException:
            draft.unlink(missing_ok=True)
            raise
        with self._guard:
            self._rows[place] = {**about, "file": f"./{place}", "size_bytes": str(size), "sha256": digest.hexdigest()}

    def miss(self, about: dict[str, str]) -> None:
        """Notes a message that could not be fetched; `about` tells why."""
        with self._guard:
            self._missed.append(about)

    def write_index(self) -> None:
        """Replaces the index in one step."""
        with self._guard:
            rows = [*(self._rows[place] for place in sorted(self._rows)), *self._missed]
            draft = self.folder / f"{INDEX}.new"
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                write_rows(file, rows)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self.folder / INDEX)


def write_rows(file: TextIO, rows: Iterable[Mapping[str, str]]) -> None:
    """Writes the rows of the index."""
    writer = csv.writer(file)
    writer.writerow(COLUMNS)
    writer.writerows([safe_cell(row.get(column, "")) for column in COLUMNS] for row in rows)


def _written(path: Path, chunks: Iterable[bytes]) -> int:
    """Writes the chunks and syncs them to disk. Returns the number of bytes."""
    size = 0
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        for chunk in chunks:
            size += file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return size


def _seen(chunks: Iterable[bytes], digest: hashlib._Hash) -> Iterator[bytes]:
    for chunk in chunks:
        digest.update(chunk)
        yield chunk
