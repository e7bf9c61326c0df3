"""Rows that an operator has to correct, as a manifest without passwords. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable

from producer.show.report import safe_cell
from shared.lifecycle import MailboxState
from shared.model import Mailbox


def failed_rows(mailboxes: Iterable[Mailbox]) -> str:
    """Returns a CSV with a row for each parked mailbox: an empty password to fill in, and the reason."""
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(("login", "password", "new_login", "server", "reason"))
    for mailbox in mailboxes:
        if mailbox.state is MailboxState.PARKED and mailbox.failure:
            reason = ": ".join(filter(None, (mailbox.failure.sentence, mailbox.failure.detail)))
            cells = (mailbox.source.login, "", mailbox.destination.login, mailbox.source.endpoint.url, reason)
            writer.writerow([safe_cell(cell) for cell in cells])
    return text.getvalue()
