"""The way every verb ends, its exit codes, and the options that several verbs have."""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Annotated, Final, Literal, ParamSpec

import typer

from shared.model.errors import MailhaulError, StoreError, UsageError

#: Everything was done as asked for.
COMPLETE: Final = 0
#: An internal error, or the store does not answer.
FAULT: Final = 1
#: Bad usage or manifest; nothing was started.
USAGE: Final = 2
#: Finished, but something is parked, refused or failed.
INCOMPLETE: Final = 3
#: Interrupted; the same command goes on.
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
SourceOption = Annotated[
    str,
    typer.Option(
        "--source",
        metavar="URL|PROVIDER",
        help="Where mail comes from: imaps://imap.example.org, gmail, yandex … Not needed where each row names its server.",
    ),
]
DestinationOption = Annotated[str, typer.Option("--destination", metavar="URL|PROVIDER", help="Where mail goes to.")]
IncludeOption = Annotated[
    list[str] | None,
    typer.Option("--include", metavar="GLOB", help='Only these folders ("/" between levels). Repeatable.'),
]
ExcludeOption = Annotated[
    list[str] | None, typer.Option("--exclude", metavar="GLOB", help="Leave these folders out. Repeatable.")
]
PlaintextOption = Annotated[
    bool, typer.Option("--allow-plaintext", help="Let imap:// go to other machines than this one.")
]
SourceCaOption = Annotated[
    str, typer.Option("--source-ca", metavar="FILE", help="CA file to trust for the source instead of the system's.")
]
DestinationCaOption = Annotated[
    str, typer.Option("--destination-ca", metavar="FILE", help="CA file to trust for the destination.")
]
SourcePinOption = Annotated[
    str,
    typer.Option(
        "--source-fingerprint", metavar="SHA256", help="SHA-256 of the source's certificate, accepted as it is."
    ),
]
DestinationPinOption = Annotated[
    str,
    typer.Option("--destination-fingerprint", metavar="SHA256", help="SHA-256 of the destination's certificate."),
]
AccountsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--accounts",
        metavar="[DOMAIN=]URL",
        help="What makes accounts at the destination: scim+https://…, hook:/path, passwd-file:/path … (docs/accounts.md).",
    ),
]
AccountsSecretOption = Annotated[
    list[str] | None,
    typer.Option("--accounts-secret-file", metavar="[DOMAIN=]FILE", help="The token, key or password for --accounts."),
]
GeneratePasswordsOption = Annotated[
    bool, typer.Option("--generate-passwords", help="Make a password for each new account whose row gives none.")
]
SourceAuthOption = Annotated[
    str,
    typer.Option(
        "--source-auth",
        metavar="WAY",
        help="How to sign in: password, master, authzid, proxyauth, token, google … (docs/signing-in.md).",
    ),
]
SourceAdminOption = Annotated[
    str,
    typer.Option("--source-admin", metavar="LOGIN", help="Sign in as this administrator for rows without a password."),
]
SourcePasswordOption = Annotated[
    str,
    typer.Option(
        "--source-password-file",
        metavar="FILE",
        help="The administrator's password, the token or the key; asked for without it.",
    ),
]
DestinationAuthOption = Annotated[
    str,
    typer.Option(
        "--destination-auth",
        metavar="WAY",
        help="How to sign in at the destination, as for --source-auth.",
    ),
]
DestinationAdminOption = Annotated[
    str,
    typer.Option(
        "--destination-admin",
        metavar="LOGIN",
        help="Sign in there as this administrator for rows without a password of their own.",
    ),
]
DestinationPasswordOption = Annotated[
    str,
    typer.Option(
        "--destination-password-file", metavar="FILE", help="The administrator's password, the token or the key."
    ),
]
EncodingOption = Annotated[
    str, typer.Option("--encoding", help="Of the manifest: utf-8, utf-16, cp1251, cp1252; detected if omitted.")
]
SeparatorOption = Annotated[
    str, typer.Option("--separator", help="Of the manifest: comma, semicolon or tab; detected if omitted.")
]
IgnoreColumnOption = Annotated[
    list[str] | None,
    typer.Option("--ignore-column", metavar="HEADING", help="Leave this column of the manifest out; may be repeated."),
]
NoHeaderOption = Annotated[
    bool, typer.Option("--no-header", help="The manifest's first row is a mailbox, whatever it looks like.")
]
ThreadsOption = Annotated[
    int | None, typer.Option("--threads", min=1, max=10_000, help="Batches that one worker copies at the same time.")
]


YesOption = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask first.")]
DetachOption = Annotated[
    bool,
    typer.Option("--detach", help="Only queue it, for workers that run elsewhere or later; do not work on it here."),
]


def say(sentence: str) -> None:
    """Prints to standard error. Control characters in quoted text cannot steer the terminal."""
    from shared.runtime.logs import clean

    # One write with the line end, since several threads may print at once.
    print("\n".join(map(clean, sentence.split("\n"))) + "\n", end="", file=sys.stderr, flush=True)


_voice: ContextVar[Literal["", "quiet", "verbose"]] = ContextVar("voice", default="")


@contextlib.contextmanager
def speaking(*, quiet: bool = False, verbose: bool = False) -> Iterator[None]:
    """Makes the command say less or more within the `with` block. Raises `UsageError` for both at once."""
    if quiet and verbose:
        raise UsageError("--quiet and --verbose exclude each other; give one of them")
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
    try:
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
        say("interrupted; run the same command to go on")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has closed the pipe, so nothing more can be written there.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return COMPLETE
    except Exception as error:
        return _fault(error)


def _fault(error: Exception) -> int:
    """Reports an internal error: a sentence, and the traceback through the log, which masks secrets."""
    from shared.runtime.logs import configure_logging, get_logger

    configure_logging(log_format="console")
    get_logger("mailhaul.cli").error("fault", exc_info=error)
    say(f"mailhaul: internal error ({type(error).__name__}); please report it with the lines above")
    return FAULT
