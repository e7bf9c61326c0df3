"""Checks whether a manifest's rows and a request's options fit the servers. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Final

from shared.model import BY_ROW, Endpoint, Options
from shared.model.protocols import protocol_of
from shared.wording.phrases import Fault, FaultsFound, FieldName, Phrase

if TYPE_CHECKING:  # the command line's help imports this module, and must not load the manifest's
    from producer.intake.manifest_row import Row

_NAMED: Final = 10
NOWHERE: Final = Phrase(
    "row_without_server",
    "these rows name no server: {rows}; give it for them, or write theirs into the column server",
)
NO_FLAGS: Final = Phrase(
    "pop3_without_flags", "POP3 knows no flags; take the messages by {since} or {before}, or use IMAP"
)


def place_rows(rows: Sequence[Row], source: Endpoint) -> None:
    """Checks that every row has a source server. Raises `UsageError` when neither the request nor the row names one."""
    if source == BY_ROW and (nowhere := [row.line for row in rows if row.server is None]):
        raise NOWHERE.error("source.server", rows=named_rows(nowhere))


def named_rows(lines: Sequence[int]) -> str:
    """Lists the numbers of the first rows: "3, 7 …"."""
    return ", ".join(map(str, lines[:_NAMED])) + (" …" if lines[_NAMED:] else "")


def fit_options(options: Options, sources: Iterable[Endpoint]) -> None:
    """Checks that the source servers can do what the options ask. Raises `UsageError`, every fault."""
    if faults := unfit(sources, unseen=options.unseen, flagged=options.flagged):
        raise FaultsFound(faults)


def unfit(sources: Iterable[Endpoint], *, unseen: bool, flagged: bool) -> list[Fault]:
    """Returns a fault for each option that a source server does not support."""
    if all(protocol_of(source).has_flags for source in sources):
        return []
    given = [name for name, asked in (("unseen", unseen), ("flagged", flagged)) if asked]
    return [NO_FLAGS.at(name, since=FieldName("since"), before=FieldName("before")) for name in given]
