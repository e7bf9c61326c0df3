"""Checks whether a manifest's rows and a request's options fit the servers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from shared.model import BY_ROW, Endpoint, Options
from shared.model.errors import UsageError

if TYPE_CHECKING:  # the command line's help imports this module, and must not load the manifest's
    from producer.intake.manifest import Row

_NAMED: Final = 10


def place_rows(rows: Sequence[Row], source: Endpoint) -> None:
    """Checks that every row has a source server. Raises `UsageError` when neither the request nor the row names one."""
    if source == BY_ROW and (nowhere := [row.line for row in rows if row.server is None]):
        named = ", ".join(map(str, nowhere[:_NAMED])) + (" …" if nowhere[_NAMED:] else "")
        raise UsageError(
            f"--source: these rows name no server: {named}; give it for them, or write theirs into the column server"
        )


def fit_options(options: Options, sources: Iterable[Endpoint]) -> None:
    """Checks that the source servers can do what the options ask. Raises `UsageError`, a line for each fault."""
    if faults := unfit(sources, unseen=options.unseen, flagged=options.flagged):
        raise UsageError("\n".join(faults))


def unfit(sources: Iterable[Endpoint], *, unseen: bool, flagged: bool) -> list[str]:
    """Returns a sentence for each option that a source server does not support."""
    if all(source.protocol != "pop3" for source in sources):
        return []
    given = [name for name, asked in (("unseen", unseen), ("flagged", flagged)) if asked]
    return [f"--{name}: POP3 knows no flags; take the messages by --since or --before, or use IMAP" for name in given]
