"""Folds repeated lines of a log: an attacker, or a fault in a loop, writes the same line a thousand times a second.

The first few of equal lines in a minute are written. The others are counted, and one more is written with their number.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TextIO

#: The number of equal lines that are written in one period.
WRITTEN: Final = 5
#: The length of one period, seconds.
PERIOD_SECONDS: Final = 60.0
#: The number of different lines that are remembered.
_REMEMBERED: Final = 256


@dataclass(kw_only=True, slots=True)
class _Line:
    #: The moment at which the line's period began.
    began_at: float
    #: The number of equal lines in the period.
    number: int
    #: The last record that was not written; None for none.
    folded: logging.LogRecord | None = None


class FoldingHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream, and folds equal lines.

    The number of folded lines is written together with the next line after the period, and at the end.
    """

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        #: The lines by their text, the oldest period first.
        self._lines: OrderedDict[tuple[Any, ...], _Line] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes the record, or counts it. Called under the handler's lock."""
        now = self._clock()
        while self._lines and self._ends(next(iter(self._lines.values())), now):
            self._tell(self._lines.popitem(last=False)[1])
        line = self._lines.setdefault(_said(record), _Line(began_at=now, number=0))
        line.number += 1
        if line.number > WRITTEN:
            # Without its traceback, which stands in the first lines, and would keep what its frames hold.
            line.folded = logging.makeLogRecord({**vars(record), "exc_info": None, "exc_text": None})
        else:
            super().emit(record)

    def close(self) -> None:
        """Writes the numbers of the lines that are still folded."""
        self.acquire()
        try:
            while self._lines:
                self._tell(self._lines.popitem(last=False)[1])
        finally:
            self.release()
        super().close()

    def _ends(self, line: _Line, now: float) -> bool:
        return now - line.began_at >= PERIOD_SECONDS or len(self._lines) > _REMEMBERED

    def _tell(self, line: _Line) -> None:
        if line.folded:
            line.folded.repeated = line.number - WRITTEN
            super().emit(line.folded)


def add_repeated(_logger: Any, _method: str, event: Any) -> Any:
    """Adds to an event how often its line was folded, as `repeated`. A structlog processor."""
    if number := getattr(event.get("_record"), "repeated", 0):
        event["repeated"] = number
    return event


def _said(record: logging.LogRecord) -> tuple[Any, ...]:
    """Returns the key by which two lines are equal: everything but the time."""
    if isinstance(record.msg, dict):
        said = repr([(key, value) for key, value in record.msg.items() if key not in ("timestamp", "_record")])
    else:
        said = record.getMessage()
    return record.name, record.levelno, said, record.exc_info[0] if record.exc_info else None
