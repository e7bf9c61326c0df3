"""The notes that `--verbose` takes from the logs of this command's workers: extensions that they left out."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from shared.content.json_text import read_json
from shared.runtime.logs import clean


class Overheard:
    """A reader of what is appended to the workers' logs from now on. Make it before the workers start."""

    def __init__(self, log_dir: Path) -> None:
        self._dir = log_dir
        #: Log → bytes that were read, or that were there before.
        self._read = {path: path.stat().st_size for path in self._logs()}
        self._told: set[tuple[str, str]] = set()

    def _logs(self) -> list[Path]:
        return sorted(self._dir.glob("worker-*.log"))

    def lines(self) -> Iterator[str]:
        """Yields a line for each extension of each server, once, however many workers leave it out."""
        for path in self._logs():
            for entry in self._entries(path):
                key = (str(entry.get("server")), str(entry.get("extension")))
                if entry.get("event") == "extension_left_out" and key not in self._told:
                    self._told.add(key)
                    said = f" (it said: {clean(str(entry['said']))})" if entry.get("said") else ""
                    yield clean(f"{key[0]} announces {key[1]} and refuses it: {entry.get('without')}") + said

    def _entries(self, path: Path) -> Iterator[dict[str, object]]:
        try:
            with path.open("rb") as file:
                at = self._read.get(path, 0)
                file.seek(at if at <= path.stat().st_size else 0)  # a large log is rotated, and a new one begins
                new = file.read()
                whole = new.rfind(b"\n") + 1  # an incomplete line is read next time
                self._read[path] = file.tell() - len(new) + whole
        except OSError:
            return
        for line in new[:whole].splitlines():
            try:
                entry = read_json(line)
            except ValueError:
                continue
            if isinstance(entry, dict):
                yield entry
