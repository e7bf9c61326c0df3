"""Logs hold nothing secret, no address, no terminal escape and no job argument, in either format."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog
from dramatiq import Message

from shared.runtime import log_folding
from shared.runtime.credentials import Credentials
from shared.runtime.log_folding import FoldingHandler
from shared.runtime.logs import bind_job, clean, configure_logging, get_logger
from shared.runtime.secret import Secret


@pytest.fixture(autouse=True)
def _restore() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    logging.getLogger("mailhaul").setLevel(logging.NOTSET)  # the command line's tests leave it quieter
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    structlog.contextvars.clear_contextvars()


@pytest.fixture(params=["json", "console"])
def log_format(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def _written(log_format: str, addresses: str = "hash") -> io.StringIO:
    stream = io.StringIO()
    configure_logging(level="debug", log_format=log_format, addresses=addresses, stream=stream)
    return stream


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_secrets_are_masked_wherever_they_stand(log_format: str) -> None:
    stream, log = _written(log_format), get_logger("t")
    secret = Secret("hunter2")
    log.info("a", password="hunter2", new_password="hunter2", api_key="hunter2", auth_token="hunter2")
    log.info("b", row={"Password": "hunter2", "deep": [{"secret": b"hunter2"}]}, value=secret, values=[secret])
    log.info("c", credentials=Credentials(login="x", password=secret), url="redis://me:hunter2@host/0")
    logging.getLogger("lib").warning("connecting to %s as %s", "rediss://:hunter2@host", secret)
    try:
        raise ValueError("cannot reach redis://me:hunter2@host")
    except ValueError:
        log.exception("d")
    assert "hunter2" not in stream.getvalue()
    assert "ValueError" in stream.getvalue()
    assert "host" in stream.getvalue()


def test_control_characters_do_not_reach_the_terminal(log_format: str) -> None:
    stream, log = _written(log_format), get_logger("t")
    hostile = "NO \x1b[2J\r\nforged line\x9b\u202e\x00\ud800"
    log.warning(hostile, said=hostile, raw=hostile.encode(errors="replace"), **{"key\x1b": "x"})
    logging.getLogger("lib").warning("said %s", hostile)
    try:
        raise ValueError(hostile)
    except ValueError:
        log.exception("failed")
    text = stream.getvalue()
    assert not set("\x1b\r\x9b\u202e\x00\ud800") & set(text)
    if log_format == "json":
        assert len(_lines(stream)) == 3
    else:
        assert not [line for line in text.splitlines() if line.startswith("forged line")]


def test_what_turns_a_line_or_is_not_seen_is_shown_as_its_number() -> None:
    """A right-to-left mark turns what stands beside it; tags are a text that nobody sees."""
    for char in "\xad\u061c\u200b\u200e\u200f\u202d\u2060\u2066\u2069\ufeff\ufffb\U000e0041":
        assert char not in clean(f"anna{char}@example.org")
        assert f"{ord(char):x}" in clean(f"anna{char}@example.org")
    written = "مى\u200cخواهم 👩\u200d💻 שלום naïve"
    assert clean(written) == written, "the control: what people write stays"


def test_numbers_and_words_stay_as_they_are() -> None:
    stream = _written("json")
    get_logger("mailhaul.copy").info("batch_finished", copied=12, rate=1.5, tokens=3, none=None, done=True)
    line = _lines(stream)[0]
    assert {"event": "batch_finished", "copied": 12, "rate": 1.5, "tokens": 3, "none": None, "done": True}.items() <= (
        line.items()
    )
    assert (line["level"], line["logger"]) == ("info", "mailhaul.copy")


@pytest.mark.parametrize(("addresses", "shown"), [("plain", True), ("hash", False), ("off", False)])
def test_addresses_are_shown_only_when_asked_for(addresses: str, shown: bool) -> None:
    stream = _written("json", addresses)
    get_logger("t").info(
        "to ann@example.org", login="ann@example.org", said="<ann@example.org>: over quota", other="bob"
    )
    assert ("ann@example.org" in stream.getvalue()) == shown
    line = _lines(stream)[0]
    assert "over quota" in line["said"]
    if addresses == "hash":
        assert line["event"] == f"to {line['login']}"


def test_a_login_that_is_no_address_is_hashed_too() -> None:
    stream = _written("json")
    get_logger("t").info("in", login="ann")
    assert _lines(stream)[0]["login"].startswith("#")


def test_dramatiq_does_not_log_arguments(log_format: str) -> None:
    stream = _written(log_format)
    job: Message[None] = Message(
        queue_name="copy", actor_name="copy_batch", args=("hunter2",), kwargs={"x": "hunter2"}, options={}
    )
    logging.getLogger("dramatiq.worker.WorkerThread").error("Failed to process message %s.", job)
    logging.getLogger("dramatiq.worker").info("Received %s", job)
    assert "hunter2" not in stream.getvalue()
    assert f"copy_batch[{job.message_id}]" in stream.getvalue()
    assert "Received" not in stream.getvalue()


def test_a_job_has_its_context_and_nothing_of_an_earlier_one() -> None:
    stream, log = _written("json"), get_logger("t")
    structlog.contextvars.bind_contextvars(left_over=1)

    def job() -> None:
        with bind_job(batch_id="b1"):
            log.info("inside")
            logging.getLogger("lib").warning("inside too")
            raise ValueError("x")

    with pytest.raises(ValueError, match="x"):
        job()
    log.info("outside")
    inside, too, outside = _lines(stream)
    assert inside["batch_id"] == too["batch_id"] == "b1"
    assert "left_over" not in inside
    assert "batch_id" not in outside


def test_a_level_leaves_out_what_is_below() -> None:
    stream = io.StringIO()
    configure_logging(level="warning", log_format="json", stream=stream)
    get_logger("t").info("no")
    get_logger("t").warning("yes")
    assert [line["event"] for line in _lines(stream)] == ["yes"]


def test_a_stream_that_is_no_terminal_gets_json() -> None:
    stream = io.StringIO()
    configure_logging(stream=stream)
    get_logger("t").info("x %s", "y")
    assert _lines(stream)[0]["event"] == "x y"


def test_clean_keeps_what_people_write() -> None:
    assert clean("Привет, 你好 😀 — ok") == "Привет, 你好 😀 — ok"


# -- folding


class Clock:
    """A clock whose seconds the test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def folding() -> tuple[io.StringIO, Clock, FoldingHandler]:
    """Returns a log in JSON whose clock the test moves."""
    stream, clock = _written("json"), Clock()
    (handler,) = logging.getLogger().handlers
    assert isinstance(handler, FoldingHandler)
    handler._clock = clock
    return stream, clock, handler


def _flood(times: int) -> None:
    for _ in range(times):
        logging.getLogger("asyncio").error("accept: out of %s", "files")


def test_a_repeated_line_is_written_a_few_times_and_then_counted(
    folding: tuple[io.StringIO, Clock, FoldingHandler],
) -> None:
    stream, clock, _ = folding
    _flood(1000)
    assert len(_lines(stream)) == log_folding.WRITTEN
    clock.now = log_folding.PERIOD_SECONDS
    get_logger("t").info("other")
    *_, told, other = _lines(stream)
    assert (told["event"], told["repeated"]) == ("accept: out of files", 1000 - log_folding.WRITTEN)
    assert (other["event"], "repeated" in other) == ("other", False)
    _flood(1)
    assert "repeated" not in _lines(stream)[-1], "a new period"


def test_what_was_folded_is_told_at_the_end(folding: tuple[io.StringIO, Clock, FoldingHandler]) -> None:
    stream, _, handler = folding
    for _ in range(10):
        get_logger("t").warning("connection_refused", reason="full")
    handler.close()
    assert [line.get("repeated", 0) for line in _lines(stream)] == [0, 0, 0, 0, 0, 5]


def test_lines_that_differ_are_all_written(folding: tuple[io.StringIO, Clock, FoldingHandler]) -> None:
    stream, _, handler = folding
    for number in range(1000):
        get_logger("t").info("batch_finished", copied=number)
        logging.getLogger("lib").warning("number %d", number)
    handler.close()
    assert len(_lines(stream)) == 2000
    assert len(handler._lines) == 0


def test_a_folded_line_keeps_no_traceback(folding: tuple[io.StringIO, Clock, FoldingHandler]) -> None:
    stream, _, handler = folding
    for _ in range(10):
        try:
            raise OSError("out of files")
        except OSError:
            logging.getLogger("asyncio").exception("accept")
    assert all(line.folded and line.folded.exc_info is None for line in handler._lines.values())
    handler.close()
    lines = _lines(stream)
    assert ["exception" in line for line in lines] == [True] * log_folding.WRITTEN + [False]
    assert lines[-1]["repeated"] == 10 - log_folding.WRITTEN
