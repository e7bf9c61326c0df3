"""Tests `--newest-first` over several mailboxes between two Dovecots: in which order their mail arrives."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.model import Lease, Options, UnitKind
from shared.model.lifecycle import MailboxState
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.mail import Mail, populate
from tests.servers.faults import reply

#: When the clock of the store stands still (`InProcessImport.time`).
NOW = datetime.fromtimestamp(1_700_000_000, UTC)
#: The ages of the messages of each folder, days. The archive was filed late: its UIDs tell nothing of its age.
AGES = {"INBOX": [5, 900, 100, 1, 800, 20], "Archive": [700, 3, 600]}


def order_of(
    pair: DovecotPair, *, newest_first: bool, mailboxes: int = 4
) -> tuple[InProcessImport, list[tuple[str, int]]]:
    """Imports the mailboxes with one lane and returns (login, age in days) of each batch's first message, as copied."""
    logins = [pair.account() for _ in range(mailboxes)]
    for login in logins:
        letters = {
            name: [Mail(plain(n), (), NOW - timedelta(days=age)) for n, age in enumerate(ages)]
            for name, ages in AGES.items()
        }
        populate(pair.source.host, pair.source.port, login, pair.password, letters)
    in_process = InProcessImport(
        pair.source,
        pair.destination,
        logins=logins,
        password=pair.password,
        batch_messages=1,
        options=Options(newest_first=newest_first),
    )
    copied: list[tuple[str, int]] = []
    finish = in_process.store.finish

    def noting(lease: Lease, *given: Any, **more: Any) -> None:
        if lease.unit.kind is UnitKind.COPY and lease.folder is not None:
            age = AGES[lease.folder.display][lease.unit.uids.low - 1]
            copied.append((lease.mailbox.source.login, age))
        finish(lease, *given, **more)

    in_process.store.finish = noting  # type: ignore[method-assign]
    in_process.to_the_end()
    return in_process, copied


def test_the_last_month_of_everybody_arrives_before_the_last_year_and_that_before_the_rest(
    dovecot_pair: DovecotPair,
) -> None:
    in_process, copied = order_of(dovecot_pair, newest_first=True)
    bands = [0 if age < 30 else 1 if age < 365 else 2 for _, age in copied]
    assert bands == [0] * 16 + [1] * 4 + [2] * 16
    assert {login for login, _ in copied[:16]} == set(in_process.logins)
    assert in_process.outcomes() == {"copied": 36}
    assert {in_process.mailbox(login).state for login in in_process.logins} == {MailboxState.COMPLETE}
    assert in_process.held("source") == in_process.held("destination")


def test_without_the_option_a_mailbox_arrives_in_the_order_of_its_uids(dovecot_pair: DovecotPair) -> None:
    """Shows, as the negative control, that the order is the option's."""
    _, copied = order_of(dovecot_pair, newest_first=False, mailboxes=2)
    first = [age for login, age in copied if login == copied[0][0]]
    assert first[:6] == AGES["INBOX"] or first[-6:] == AGES["INBOX"]


@pytest.mark.parametrize("answer", [b"BAD what is a search?", b"NO I do not search"])
def test_a_server_that_refuses_to_search_has_one_band_and_loses_nothing(wires: Wires, answer: bytes) -> None:
    wires.source.faults.add(reply(rb"^UID SEARCH", answer, times=None))
    wires.fill(30)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(newest_first=True))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 30}
    assert wires.bodies() == wires.sent()
