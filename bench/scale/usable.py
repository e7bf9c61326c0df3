"""Measures how soon after its start a big mailbox is usable: when the last 30 days of its INBOX are at the destination."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

from bench.scale.page import Section
from shared.model import Options
from shared.model.lifecycle import MailboxState, Outcome
from tests.integration.process_cluster import ProcessCluster
from tests.mail import Mail
from tests.servers.dovecot import Dovecot

#: Messages of each INBOX that are at most 30 days old: an office day of seven, for thirty days, as about one of hundred.
RECENT = 200
#: Number of lanes of the one worker.
LANES = 4


def run(mailboxes: int, messages: int) -> Section:
    """Copies so many mailboxes, which all have one INBOX of so many messages, with `--newest-first`."""
    began: dict[str, float] = {}
    usable: dict[str, float] = {}
    with (
        Dovecot() as source,
        Dovecot() as destination,
        ProcessCluster(source, destination, MAILHAUL_WORKER_THREADS=str(LANES)) as office,
    ):
        for name in ("MAILHAUL_GROUP_MESSAGES", "MAILHAUL_BATCH_MESSAGES", "MAILHAUL_CONNECT_TIMEOUT_SECONDS"):
            del office.variables[name]
        for number in range(mailboxes):
            office.person({"INBOX": _inbox(number, messages)})
        office.start_coordinator()
        worker = office.start_worker()
        office.until(lambda: bool(worker.said(event="worker_started")), "the worker")
        whole = office.submit("usable", Options(newest_first=True))

        def all_usable() -> bool:
            now = time.monotonic()
            for mailbox, tally in office.store.mailboxes(whole.import_id):
                if mailbox.state is not MailboxState.QUEUED:
                    began.setdefault(mailbox.mailbox_id, now)
                if tally[Outcome.COPIED] >= RECENT:
                    usable.setdefault(mailbox.mailbox_id, now)
            return len(usable) == mailboxes

        office.until(all_usable, "every INBOX's last 30 days", 600)
        copied = office.done(whole)
    waits = sorted(usable[one] - began[one] for one in usable)
    middle, longest = waits[len(waits) // 2], waits[-1]
    return Section(
        name="usable",
        title="How soon a mailbox is usable",
        lines=(
            f"{mailboxes} mailboxes, each an INBOX of {messages:,} messages of which {RECENT} are of the last 30 days, with",
            f"`--newest-first`, between two Dovecots on this machine; one worker of {LANES} lanes. *Usable*: from the moment at",
            "which a lane begins to plan the mailbox to that at which its last 30 days are in the ledger.",
            "",
            "| | |",
            "|---|---|",
            f"| usable after, median and longest | {middle:.1f} s, {longest:.1f} s |",
            f"| copied by then, of all messages | {copied:,} of {mailboxes * messages:,} |",
        ),
        facts={"usable_seconds": round(longest, 3)},
    )


def _inbox(seed: int, messages: int) -> list[Mail]:
    """Returns the messages, the newest last, as a server that was delivered to has them."""
    now = datetime.now(UTC)
    dates = [now - timedelta(days=400 - 300 * n / messages) for n in range(messages - RECENT)]
    dates += [now - timedelta(days=29 - 28 * n / RECENT) for n in range(RECENT)]
    text = "It is about what everybody knows already.\r\n" * 20
    return [
        Mail(f"Message-ID: <{seed}.{n}@example.net>\r\nSubject: message {n}\r\n\r\n{text}".encode(), ("\\Seen",), date)
        for n, date in enumerate(dates)
    ]
