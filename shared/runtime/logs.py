"""Logging: the only module that imports structlog, and not before the first line: a verb that only looks logs nothing.

Every log line, mailhaul's or a library's, goes through the same processors: values that may be secret are masked, mail
addresses are hashed or left out, and control characters in a server's text are escaped before a terminal sees them. Job
arguments are never logged; a job appears as its actor and id.
"""

from __future__ import annotations

import hashlib
import logging
import re
import sys
from collections.abc import Callable, Iterator, Mapping, MutableMapping
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, Any, TextIO, cast

if TYPE_CHECKING:
    from structlog.stdlib import BoundLogger

_SECRET_KEY = re.compile(r"passw|secret|token|credential|authorization|cookie|api_?key|private_?key", re.IGNORECASE)
#: Both read a long word once: a text from outside may be one.
_URL_PASSWORD = re.compile(r"(?<=://)(?=[^/@\s]*+@)[^/@\s]*:[^/@\s]*")
_ADDRESS = re.compile(r"(?<![^\s@<>()\[\]\"',;:=*/])[^\s@<>()\[\]\"',;:=*/]++@[^\s@<>()\[\]\"',;:=/]+")
_ADDRESS_KEYS = frozenset({"login", "source_login", "destination_login", "address"})
#: C0, DEL, C1, and characters that turn or break a line, or that nobody sees: a terminal or a log reader might act on any of
#: these, and a reader take one text for another. Joiners stay (U+200C, U+200D): words and pictures are written with them.
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f]"
)
#: Keys whose text is laid out in lines here.
_MANY_LINES = frozenset({"exception", "stack"})

_Event = MutableMapping[str, Any]


def configure_logging(
    *, level: str = "info", log_format: str = "auto", addresses: str = "hash", stream: TextIO | None = None
) -> None:
    """Sets up logging of this process, once; `stream` defaults to standard error.

    The values are those of `Settings`.
    """
    import structlog

    from shared.runtime.log_folding import FoldingHandler, add_repeated

    stream = stream or sys.stderr
    as_text = log_format == "console" or (log_format == "auto" and stream.isatty())
    renderer: Any = (
        structlog.dev.ConsoleRenderer(colors=stream.isatty())
        if as_text
        else structlog.processors.JSONRenderer(default=lambda value: clean(repr(value)))
    )
    before: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        structlog.processors.format_exc_info,
        redactor(addresses),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *before,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    handler = FoldingHandler(stream)
    handler.addFilter(_without_job_arguments)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=before,
            processors=[add_repeated, structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.captureWarnings(True)
    for chatty in ("dramatiq", "imapclient", "asyncio", "urllib3"):
        logging.getLogger(chatty).setLevel(logging.WARNING)


class _LateLogger:
    """A logger that loads structlog with its first line."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, method: str) -> Any:
        import structlog

        return getattr(structlog.stdlib.get_logger(self._name), method)


def get_logger(name: str) -> BoundLogger:
    """Returns a logger that takes keywords: `log.info("batch_finished", batch_id=…, copied=12)`."""
    return cast("BoundLogger", _LateLogger(name))


@contextmanager
def bind_job(**context: object) -> Iterator[None]:
    """Puts `context` on every line logged inside, and nothing of an earlier job; clears it at the end."""
    import structlog

    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(**context)
    try:
        yield
    finally:
        structlog.contextvars.clear_contextvars()


def clean(text: str) -> str:
    """Makes text from outside safe to print: control characters escaped, a password in a URL masked."""
    if "://" in text:
        text = _URL_PASSWORD.sub("***", text)
    # Most texts are plain, and each expression costs more than to see that it has nothing to find.
    return text if text.isprintable() else _CONTROL.sub(_escaped, text)


@lru_cache(maxsize=1024)
def _may_be_secret(key: str) -> bool:
    """Tells whether the values of a key are masked."""
    return _SECRET_KEY.search(key) is not None


def redactor(addresses: str) -> Callable[[Any, str, _Event], _Event]:
    """Returns the processor that masks; `addresses` is "plain", "hash" or "off"."""
    from shared.runtime.secret import Secret

    def address(text: str) -> str:
        if addresses == "plain":
            return text
        if addresses == "off":
            return "***"
        return f"#{hashlib.blake2b(text.casefold().encode(errors='replace'), digest_size=5).hexdigest()}"

    def masked_text(text: str) -> str:
        text = clean(text)
        return text if addresses == "plain" or "@" not in text else _ADDRESS.sub(lambda found: address(found[0]), text)

    def masked(key: str, value: Any) -> Any:
        if isinstance(value, Secret) or (_may_be_secret(key) and not isinstance(value, bool | int | None)):
            return "***"
        if isinstance(value, str):
            if key in _ADDRESS_KEYS:
                return clean(address(value))
            if key in _MANY_LINES:
                # Indented, so that no line of a server's text looks like a log line.
                return "\n".join(f"  {masked_text(line)}" for line in value.split("\n"))
            return masked_text(value)
        if isinstance(value, Mapping):
            return {masked_text(str(name)): masked(str(name), inner) for name, inner in value.items()}
        if isinstance(value, list | tuple | set | frozenset):
            return [masked(key, inner) for inner in value]
        if isinstance(value, bool | int | float | None):
            return value
        return masked_text(value.decode(errors="backslashreplace") if isinstance(value, bytes) else str(value))

    def processor(_logger: Any, _method: str, event: _Event) -> _Event:
        # Keys that begin with an underscore are structlog's own, and are taken out before the line is written.
        return {
            key if key.startswith("_") else clean(key): value if key.startswith("_") else masked(key, value)
            for key, value in event.items()
        }

    return processor


def _escaped(found: re.Match[str]) -> str:
    number = ord(found[0])
    return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}.get(found[0]) or (
        f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}"
    )


def _without_job_arguments(record: logging.LogRecord) -> bool:
    # Dramatiq logs the message itself, whose text holds the arguments.
    if isinstance(record.args, tuple):
        record.args = tuple(
            f"{job.actor_name}[{job.message_id}]" if hasattr(job, "actor_name") and hasattr(job, "message_id") else job
            for job in record.args
        )
    return True
