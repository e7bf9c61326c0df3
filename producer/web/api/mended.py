"""Rows that an operator has to correct, as manifests without passwords. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from producer.show.report import safe_cell
from shared.model import Mailbox
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side


def failed_rows(mailboxes: Iterable[Mailbox]) -> str:
    """Returns a CSV with a row for each parked mailbox: an empty password to fill in, and the reason."""
    return wrong_rows(
        (
            mailbox.source.login,
            mailbox.destination.login,
            mailbox.source.endpoint.url,
            ": ".join(filter(None, (mailbox.failure.sentence, mailbox.failure.detail))),
        )
        for mailbox in mailboxes
        if mailbox.state is MailboxState.PARKED and mailbox.failure
    )


def wrong_rows(rows: Iterable[tuple[str, str, str, str]], waves: Sequence[str] = ()) -> str:
    """Returns a CSV with a row for each (login, new login, server, reason), and an empty password to fill in.

    `waves`: the wave of each row, so that it stays in it once it is corrected; none where no row names one.
    """
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    named = any(waves)
    writer.writerow(("login", "password", "new_login", "server", *["wave"] * named, "reason"))
    for at, (login, owner, server, why) in enumerate(rows):
        wave = [waves[at]] if named else []
        writer.writerow([safe_cell(cell) for cell in (login, "", owner, server, *wave, why)])
    return text.getvalue()


def checked_rows(mailboxes: Iterable[Mapping[str, Any]]) -> str:
    """Returns a CSV of what a check found: a row for each mailbox, those with trouble first."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("login", "new_login", "ok", "source", "destination", "folders", "messages", "bytes"))
    for one in sorted(mailboxes, key=lambda one: bool(one["ok"])):
        said = [": ".join(filter(None, (one[side]["failure"], one[side]["detail"]))) for side in Side]
        source = one["source"]
        numbers = (source["folders"], source["messages"], source["size_bytes"] or 0)
        cells = (one["login"], one["destination_login"], "yes" if one["ok"] else "no", *said)
        writer.writerow([*map(safe_cell, cells), *numbers])
    return text.getvalue()
