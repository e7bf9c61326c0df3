"""Checks that later passes merge the flags that people change on both sides.

The user at the destination keeps what he did, and what changed at the source comes where he left it alone.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from shared.model.uids import UidSet
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, plain
from tests.integration.test_delta import WITHOUT_CONDSTORE
from tests.mail import Mail, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
FIRST = ("\\Answered", "$Old")
#: Flags after the first pass: at the source, at the destination, and at the destination after the next pass.
CASES = (
    (FIRST, FIRST, FIRST),
    (("\\Seen", *FIRST), FIRST, ("\\Seen", *FIRST)),
    (("\\Seen", *FIRST), ("\\Flagged", *FIRST), ("\\Seen", "\\Flagged", *FIRST)),
    (("\\Flagged", *FIRST), (*FIRST, "Work"), ("\\Flagged", *FIRST, "Work")),
    (("\\Answered",), (*FIRST, "Work"), ("\\Answered", "Work")),
    (("$Old",), ("\\Answered", "\\Seen"), ("\\Seen",)),
    ((), (*FIRST, "\\Draft"), ("\\Draft",)),
    (FIRST, (), ()),
    (("$New",), ("$New", "\\Flagged"), ("$New", "\\Flagged")),
    (("\\Seen", "$New"), (), ("\\Seen", "$New")),
)


class Account:
    """An account with a message for each case, copied once."""

    def __init__(self, source: Dovecot, pair: DovecotPair) -> None:
        self.source, self.destination, self.login, self.password = (
            source,
            pair.destination,
            pair.account(),
            pair.password,
        )
        if source is not pair.source:
            source.add_user(self.login, self.password)
        self.deliver(*range(len(CASES)))
        self.in_process = InProcessImport(source, self.destination, logins=(self.login,), password=self.password)
        self.in_process.to_the_end()

    def deliver(self, *numbers: int) -> None:
        """Adds messages at the source."""
        mail = {"INBOX": [Mail(plain(number), FIRST, WHEN) for number in numbers]}
        populate(self.source.host, self.source.port, self.login, self.password, mail)

    def change(self, server: Dovecot, flags: dict[int, tuple[str, ...]]) -> None:
        """Replaces the flags of these messages, counted from 0."""
        with Wire(server.host, server.port, self.login, self.password) as wire:
            wire.command(b"SELECT INBOX")
            for number, text in flags.items():
                wire.command(b"STORE %d FLAGS.SILENT (%b)" % (number + 1, " ".join(text).encode()))

    def again(self) -> None:
        """Runs another pass, and records its commands separately."""
        self.in_process.told.sessions.clear()
        self.in_process.later(3600)
        self.in_process.to_the_end()

    def flags(self) -> list[set[str]]:
        """Returns the flags at the destination, message by message."""
        held = {kept.sha256: set(kept.flags) for kept in self.in_process.held("destination")}
        return [held[hashlib.sha256(plain(number)).hexdigest()] for number in range(len(CASES))]


@pytest.fixture(params=["CONDSTORE", "compared"])
def account(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair) -> Account:
    if request.param == "CONDSTORE":
        return Account(dovecot_pair.source, dovecot_pair)
    return Account(dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}"), dovecot_pair)


def test_flags_changed_on_both_sides_are_merged(account: Account) -> None:
    account.change(account.source, {n: there for n, (there, _, _) in enumerate(CASES)})
    account.change(account.destination, {n: here for n, (_, here, _) in enumerate(CASES)})
    account.again()
    merged = [{flag.lower() for flag in flags} for _, _, flags in CASES]
    assert account.flags() == merged
    account.again()
    assert account.flags() == merged, "a change comes once"
    assert account.in_process.told.count(b"BODY.PEEK[]") == 0


def test_flags_of_mail_that_a_later_pass_brought_are_merged_too(account: Account) -> None:
    more = len(CASES)
    account.deliver(more, more + 1)
    account.again()
    account.change(account.source, {1: ("\\Seen", *FIRST), more: ("$Old",), more + 1: FIRST})
    account.change(account.destination, {1: (*FIRST, "Work"), more: (*FIRST, "Work"), more + 1: ()})
    account.again()
    held = {kept.sha256: set(kept.flags) for kept in account.in_process.held("destination")}
    assert [held[hashlib.sha256(plain(number)).hexdigest()] for number in (1, more, more + 1)] == [
        {"\\seen", "\\answered", "$old", "work"},
        {"$old", "work"},
        set(),
    ]


def test_without_what_was_seen_last_flags_are_only_set(account: Account, monkeypatch: pytest.MonkeyPatch) -> None:
    """An import that an older version began keeps no flags of a source with CONDSTORE."""
    monkeypatch.setattr(type(account.in_process.store), "flags", lambda *_: dict[str, UidSet]())
    account.change(account.source, {0: ("\\Seen",)})
    account.change(account.destination, {0: (*FIRST, "Work")})
    account.again()
    compared = not account.in_process.told.count(b"CHANGEDSINCE")
    assert account.flags()[0] == {"\\answered", "$old", "work"} | (set() if compared else {"\\seen"})
