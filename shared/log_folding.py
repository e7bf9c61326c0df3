"""Repeated lines of a log, folded: an attacker, or a fault in a loop, writes the same line a thousand times a second.

The first few of equal lines in a minute are written. The others are counted, and one more is written with their number.
"""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TextIO

#: Equal lines that are written in one period.
WRITTEN: Final = 5
#: Seconds of one period.
PERIOD_SECONDS: Final = 60.0
#: Different lines that are remembered.
_REMEMBERED: Final = 256


@dataclass(kw_only=True, slots=True)
class _Line:
    #: When its period began.
    began_at: float
    #: How many there were in it.
    number: int
    #: The last one that was not written; None for none.
    folded: logging.LogRecord | None = None


class FoldingHandler(logging.StreamHandler[TextIO]):
    """Writes to a stream, and folds. What was folded is told as soon as something is written after the period, and at the end."""

    def __init__(self, stream: TextIO, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(stream)
        self._clock = clock
        #: By what they say, the oldest period first.
        self._lines: OrderedDict[tuple[Any, ...], _Line] = OrderedDict()

    def emit(self, record: logging.LogRecord) -> None:
        """Writes, or counts. Called under the handler's lock."""
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
        """Tells what is left."""
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
    """A structlog processor: how often a line was folded, as `repeated`."""
    if number := getattr(event.get("_record"), "repeated", 0):
        event["repeated"] = number
    return event


def _said(record: logging.LogRecord) -> tuple[Any, ...]:
    """What makes two lines equal: all but the time."""
    if isinstance(record.msg, dict):
        said = repr([(key, value) for key, value in record.msg.items() if key not in ("timestamp", "_record")])
    else:
        said = record.getMessage()
    return record.name, record.levelno, said, record.exc_info[0] if record.exc_info else None
