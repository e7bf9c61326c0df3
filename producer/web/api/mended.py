"""Rows that an operator has to correct, as manifests without passwords. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import Any, Final

from producer.show.report import safe_cell
from shared.model import Mailbox
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side

_HEADS: Final = ("login", "password", "new_login", "server", "reason")


def failed_rows(mailboxes: Iterable[Mailbox]) -> Iterator[str]:
    """Yields the lines of a CSV with a row for each parked mailbox: an empty password to fill in, and the reason."""
    return _lines(
        _HEADS,
        (
            (
                mailbox.source.login,
                "",
                mailbox.destination.login,
                mailbox.source.endpoint.url,
                ": ".join(filter(None, (mailbox.failure.sentence, mailbox.failure.detail))),
            )
            for mailbox in mailboxes
            if mailbox.state is MailboxState.PARKED and mailbox.failure
        ),
    )


def wrong_rows(rows: Iterable[tuple[str, str, str, str]], waves: Sequence[str] = ()) -> str:
    """Returns a CSV with a row for each (login, new login, server, reason), and an empty password to fill in.

    `waves`: the wave of each row, so that it stays in it once it is corrected; none where no row names one.
    """
    named = any(waves)
    heads = (*_HEADS[:-1], "wave", _HEADS[-1]) if named else _HEADS
    found = (
        (login, "", owner, server, *([waves[at]] if named else []), why)
        for at, (login, owner, server, why) in enumerate(rows)
    )
    return "".join(_lines(heads, found))


def checked_rows(mailboxes: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yields the lines of a CSV of what a check found: a row for each mailbox."""
    heads = ("login", "new_login", "ok", "source", "destination", "folders", "messages", "bytes")
    return _lines(heads, map(_checked, mailboxes))


def _checked(one: Mapping[str, Any]) -> tuple[object, ...]:
    said = [": ".join(filter(None, (one[side]["failure"], one[side]["detail"]))) for side in Side]
    source = one["source"]
    numbers = (source["folders"], source["messages"], source["size_bytes"] or 0)
    return (one["login"], one["destination_login"], "yes" if one["ok"] else "no", *said, *numbers)


def _lines(heads: Sequence[str], rows: Iterable[Iterable[object]]) -> Iterator[str]:
    for row in chain([heads], rows):
        text = io.StringIO(newline="")
        csv.writer(text).writerow([safe_cell(cell) for cell in row])
        yield text.getvalue()
