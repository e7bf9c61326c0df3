"""Whether the rows of a manifest fit the request that they are for. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from shared.errors import UsageError
from shared.model import BY_ROW, Endpoint, Options

if TYPE_CHECKING:  # the command line's help needs this module, and not what manifests load
    from producer.intake.manifest import Row

_NAMED: Final = 10


def place_rows(rows: Sequence[Row], source: Endpoint) -> None:
    """Raises `UsageError` when mail comes from nowhere: no server was given, and rows name none."""
    if source == BY_ROW and (nowhere := [row.line for row in rows if row.server is None]):
        named = ", ".join(map(str, nowhere[:_NAMED])) + (" …" if nowhere[_NAMED:] else "")
        raise UsageError(
            f"--source: these rows name no server: {named}; give it for them, or write theirs into the column server"
        )


def fit_options(options: Options, sources: Iterable[Endpoint]) -> None:
    """Raises `UsageError` when servers cannot do what is asked of them, a line each."""
    if faults := unfit(sources, unseen=options.unseen, flagged=options.flagged):
        raise UsageError("\n".join(faults))


def unfit(sources: Iterable[Endpoint], *, unseen: bool, flagged: bool) -> list[str]:
    """What is asked of servers that know nothing of it."""
    if all(source.protocol != "pop3" for source in sources):
        return []
    given = [name for name, asked in (("unseen", unseen), ("flagged", flagged)) if asked]
    return [f"--{name}: POP3 knows no flags; take the messages by --since or --before, or use IMAP" for name in given]
