"""The way every verb ends, its exit codes, and the options that several verbs have."""

from __future__ import annotations

import contextlib
import errno
import functools
import logging
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Final, Literal, ParamSpec

import typer

from shared.runtime.interrupts import INTERRUPTED as ENDED_BY_INTERRUPT
from shared.runtime.interrupts import SAID, interrupts_raised
from shared.wording.phrases import Phrase

QUIET_AND_VERBOSE: Final = Phrase("quiet_and_verbose", "--quiet and --verbose exclude each other; give one of them")

#: Everything was done as asked for.
COMPLETE: Final = 0
#: An internal error, or the store does not answer.
FAULT: Final = 1
#: Bad usage or manifest; nothing was started.
USAGE: Final = 2
#: Finished, but something is parked, refused or failed.
INCOMPLETE: Final = 3
#: An import, or what follows one, was interrupted; the same command goes on.
INTERRUPTED: Final = 4

_P = ParamSpec("_P")

ImportArgument = Annotated[
    str, typer.Argument(metavar="IMPORT", help="Name of the import or beginning of its id; without it the newest.")
]
ManifestArgument = Annotated[
    Path, typer.Argument(metavar="ACCOUNTS.csv", help="The manifest, a row a mailbox; - for standard input.")
]
MailboxOption = Annotated[str, typer.Option("--mailbox", metavar="LOGIN", help="Only this mailbox.")]
WaveOption = Annotated[str, typer.Option("--wave", metavar="NAME", help="Only the mailboxes of this wave.")]
JsonOption = Annotated[bool, typer.Option("--json", help="One JSON document on standard output at the end.")]
QuietOption = Annotated[bool, typer.Option("--quiet", "-q", help="Print nothing but errors and the last line.")]
VerboseOption = Annotated[
    bool,
    typer.Option("--verbose", "-v", help="Say when each mailbox starts and ends, with notes on it and on the servers."),
]
StateOption = Annotated[
    Path | None, typer.Option("--state-dir", metavar="DIR", help="State folder (MAILHAUL_STATE_DIR, else XDG).")
]
WaveRuleOption = Annotated[
    list[str] | None,
    typer.Option(
        "--wave-rule",
        metavar="WAVE=WHO",
        help="The wave of rows that name none: by login (sales=*@sales.example), by group (board=group:board), or the "
        "first of the rest (pilot=first:20). Repeatable; the first that fits decides.",
    ),
]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help='Only these folders ("/" between levels). Repeatable.'),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Leave these folders out. Repeatable.")
]
SeparatorOption = Annotated[
    str, typer.Option("--separator", help="Of the manifest: comma, semicolon or tab; detected if omitted.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, max=10_000, help="Batches that one worker copies at the same time.")
]


YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="Only queue it, for workers that run elsewhere or later; do not work on it here."),
]

#: The beginning of a line that goes on with the row above.
_BELOW: Final = "      "


def say(sentence: str) -> None:
    """Prints to standard error. Control characters in quoted text cannot steer the terminal."""
    from shared.runtime.logs import clean

    # One write with the line end, since several threads may print at once.
    print("\n".join(map(clean, sentence.split("\n"))) + "\n", end="", file=sys.stderr, flush=True)


def show(row: str) -> None:
    """Prints a row of a table, whose cells stand two spaces apart, to standard output.

    At a terminal that is too narrow the cells that do not fit come below, each whole, since what is cut cannot be copied.
    """
    if not sys.stdout.isatty():
        print(row)
        return
    width = shutil.get_terminal_size().columns
    print("\n".join(line for one in row.split("\n") for line in fitted(one, width)))


def fitted(row: str, width: int) -> Iterator[str]:
    """Yields the lines of a row in so many columns: broken between cells, and within one only where it has spaces itself."""
    if len(row) <= width:
        yield row
        return
    line = row[: len(row) - len(row.lstrip())]
    for cell in row.split("  "):
        if not cell:
            continue
        if len(line) + len(cell) + 2 <= width or not line.strip():
            line += f"  {cell}" if line.strip() else cell
        else:
            yield from textwrap.wrap(
                line, width, subsequent_indent=_BELOW, break_long_words=False, break_on_hyphens=False
            )
            line = _BELOW + cell
    yield from textwrap.wrap(line, width, subsequent_indent=_BELOW, break_long_words=False, break_on_hyphens=False)


_voice: ContextVar[Literal["", "quiet", "verbose"]] = ContextVar("voice", default="")


@contextlib.contextmanager
def speaking(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Makes the command say less or more within the `with` block. Raises `UsageError` for both at once."""
    if quiet and verbose:
        raise QUIET_AND_VERBOSE.error()
    before = _voice.set("quiet" if quiet else "verbose" if verbose else "")
    try:
        yield
    finally:
        _voice.reset(before)


def is_quiet() -> bool:
    """Tells whether the operator asked for nothing but errors and the last line."""
    return _voice.get() == "quiet"


def is_verbose() -> bool:
    """Tells whether the operator asked to be told of each mailbox."""
    return _voice.get() == "verbose"


def note(sentence: str) -> None:
    """Says something useful that is no trouble, unless the operator asked for quiet."""
    if not is_quiet():
        say(sentence)


def verb(function: Callable[_P, int | None]) -> Callable[_P, None]:
    """Makes a verb of a function that returns its exit code. No error is shown as a traceback."""

    @functools.wraps(function)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        # The code of a verb prints what matters itself. Messages of libraries belong in the log files.
        logging.getLogger("mailhaul").setLevel(logging.WARNING)
        raise typer.Exit(_ended(functools.partial(function, *args, **kwargs)))

    return run


def _ended(call: Callable[[], int | None]) -> int:
    from shared.model.errors import MailhaulError, StoreError, UsageError  # no help needs it
    from shared.runtime.unsure_acts import PERHAPS_NOT_ON_DISK, told_to

    try:
        with interrupts_raised(), told_to(lambda: say(f"mailhaul: {PERHAPS_NOT_ON_DISK.says()}")):
            return call() or COMPLETE
    except UsageError as error:
        say(f"mailhaul: {error}")
        return USAGE
    except StoreError as error:
        say(f"mailhaul: {error}. Is Redis running and reachable? `mailhaul doctor` looks.")
        return FAULT
    except MailhaulError as error:
        say(f"mailhaul: {error}")
        return FAULT
    except KeyboardInterrupt:
        say(SAID.rstrip())
        return ENDED_BY_INTERRUPT
    except BrokenPipeError:
        # The reader of our output has closed the pipe, so nothing more can be written there.
        _write_no_more()
        return COMPLETE
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            return _fault(error)
        _write_no_more()
        where = error.filename or "what this command prints"
        say(f"mailhaul: {where} cannot be written ({error.strerror}): make room there, then run the same command again")
        return FAULT
    except Exception as error:
        return _fault(error)


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _fault(error: Exception) -> int:
    """Reports an internal error: a sentence, and the traceback through the log, which masks secrets."""
    from shared.runtime.logs import configure_logging, get_logger

    configure_logging(log_format="console")
    get_logger("mailhaul.cli").error("fault", exc_info=error)
    say(f"mailhaul: internal error ({type(error).__name__}); please report it with the lines above")
    return FAULT
