"""Tests three losses of the ledger in a row over real and odd mail, on servers that store it in different ways."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Server
from tests.mail import Mail, corpus_messages, make_message, render_date, uids_and_flags
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from worker.copying.copy import CopyRules

FOLDERS = ["INBOX", "Sent", "Work/2020"]
KOI8 = "Привет, мир".encode("koi8-r")


def mailbox() -> dict[str, list[Mail]]:
    """Returns every message of the corpus and odd ones of our own, each fifth twice.

    Well-formed messages, raw 8-bit headers and line ends of all kinds are among them.
    """
    rnd = random.Random(12)
    bodies = [body for _, body in corpus_messages() if body]
    for seed in range(60):
        head, _, text = make_message(seed, rnd.choice([900, 9_000])).partition(b"\r\n\r\n")
        if seed % 3 == 0:
            head += b"\r\nX-Was: " + KOI8
        if seed % 5 == 0:
            head = head.replace(b"Subject: ", b"Subject: " + KOI8)
        bodies.append(head + b"\r\n\r\n" + text.rstrip(b"\r\n") + rnd.choice([b"", b"\r\n", b"\r\n\r\n"]))
    folders: dict[str, list[Mail]] = {name: [] for name in FOLDERS}
    for number, body in enumerate(bodies):
        when = datetime(2001, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(700_000_000))
        # Bulk deliveries: many messages in one second, twins among them.
        mail = Mail(body, (), when.replace(second=0, minute=0, hour=0, day=1))
        folders[FOLDERS[number % len(FOLDERS)]] += [mail] * (2 if number % 5 == 0 else 1)
    return folders


@pytest.fixture
def raw_source() -> Iterator[FaultyServer]:
    """Starts a server that shows every byte unchanged."""
    with FaultyServer() as server:
        account = server.add_account(LOGIN, PASSWORD)
        for name, messages in mailbox().items():
            for mail in messages:
                assert mail.internaldate is not None
                account.folder(name.encode()).add(mail.body, (), render_date(mail.internaldate))
        yield server


def lost_three_times(source: FaultyServer, destination: Server, login: str) -> Counter[str]:
    """Imports three times with an empty store and compares what the destination holds. Returns how each run ended."""
    source.behaviour.accounts[login] = source.behaviour.accounts[LOGIN]

    def run() -> InProcessImport:
        in_process = InProcessImport(source, destination, logins=(login,), copy_rules=CopyRules(), batch_messages=500)
        in_process.to_the_end(limit=60)
        return in_process

    first = run()
    outcomes = first.outcomes()
    held = uids_and_flags(destination.host, destination.port, login, PASSWORD)
    assert sum(len(uids) for _, uids in held.values()) == outcomes["copied"]
    for _ in range(3):
        again = run()
        found = Counter(again.outcomes())
        assert found["already_present"] == outcomes["copied"]
        assert found - Counter(already_present=found["already_present"]) == Counter(outcomes) - Counter(
            copied=outcomes["copied"]
        )
        assert uids_and_flags(destination.host, destination.port, login, PASSWORD) == held
    return Counter(outcomes)


def test_on_dovecot(raw_source: FaultyServer, dovecot: type[Dovecot]) -> None:
    server = dovecot()
    server.add_user("anna", PASSWORD)
    outcomes = lost_three_times(raw_source, server, "anna")
    assert set(outcomes) == {"copied"}


def test_on_cyrus(raw_source: FaultyServer, cyrus: Cyrus) -> None:
    cyrus.add_user("anna", PASSWORD)
    outcomes = lost_three_times(raw_source, cyrus, "anna")
    assert set(outcomes) == {"copied", "refused"}, "it takes no bare LF, no NUL and no message without a header"
