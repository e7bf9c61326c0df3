"""Tests the same request again.

Known mail is not read again, new and changed mail is copied, and after a loss of the ledger mail is matched.
"""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, plain
from tests.mail import Mail, make_mailbox, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire, quote

BODY = b"BODY.PEEK[]"
COUNTS = {"INBOX": 60, "Work": 30, "Work/deep": 10, "&BBgENAQ1BDg-": 10}
WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
WITHOUT_CONDSTORE = (
    "IMAP4rev1 SASL-IR LITERAL+ ID ENABLE IDLE NAMESPACE UIDPLUS MULTIAPPEND ESEARCH CHILDREN LIST-EXTENDED SPECIAL-USE"
)


class Both:
    """A pair of servers after a first pass, with what a test can do to them."""

    def __init__(self, source: Dovecot, destination: Dovecot, login: str, password: str) -> None:
        self.source, self.destination, self.login, self.password = source, destination, login, password
        populate(source.host, source.port, login, password, make_mailbox(1, COUNTS))
        self.in_process = InProcessImport(source, destination, logins=(login,), password=password)
        self.in_process.to_the_end()
        assert self.in_process.outcomes() == {"copied": sum(COUNTS.values())}
        assert self.in_process.told.count(BODY) > 0

    def again(self) -> None:
        """Runs another pass, and records its commands separately."""
        self.in_process.told.sessions.clear()
        self.in_process.later(3600)
        self.in_process.to_the_end()

    def at(self, server: Dovecot, *commands: bytes) -> None:
        """Sends these commands to a server."""
        with Wire(server.host, server.port, self.login, self.password) as wire:
            for command in commands:
                wire.command(command)

    def assert_same(self) -> None:
        """Asserts that both sides hold the same."""
        there, here = self.in_process.held("source"), self.in_process.held("destination")
        assert there - here == Counter(), "lost"
        assert here - there == Counter(), "more than there was"


@pytest.fixture
def both(dovecot_pair: DovecotPair) -> Both:
    return Both(dovecot_pair.source, dovecot_pair.destination, dovecot_pair.account(), dovecot_pair.password)


def test_nothing_changed_reads_nothing(both: Both) -> None:
    before, here = both.in_process.marks(), both.in_process.marks("destination")
    both.again()
    assert both.in_process.told.count(BODY) == 0
    assert both.in_process.told.count(b"UID FETCH") == 0, "not even a listing"
    assert len(both.in_process.told.sessions) == 1
    assert both.in_process.marks() == before
    assert both.in_process.marks("destination") == here
    assert both.in_process.outcomes() == {"copied": 110}


def test_new_messages_and_a_new_folder_are_copied_and_nothing_else_is_read(both: Both) -> None:
    fresh = {
        "Work": [Mail(plain(n), ("\\Seen", "kw"), WHEN) for n in range(5)],
        "Brand/new": [Mail(plain(9), (), WHEN)],
    }
    populate(both.source.host, both.source.port, both.login, both.password, fresh)
    seen: list[int] = []

    def counting(session: Any) -> Any:
        send = session.send

        def counted(group: Any, flags: Any, token: Any) -> None:
            seen.extend(message.uid for message in group)
            send(group, flags, token)

        session.send = counted
        return session

    both.in_process.spoil = counting
    both.again()
    assert len(seen) == 6
    both.assert_same()
    assert both.in_process.outcomes() == {"copied": 116}


def test_what_was_expunged_at_the_source_stays_at_the_destination(both: Both) -> None:
    held = both.in_process.held("destination")
    both.at(both.source, b"SELECT INBOX", b"STORE 1:10 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert both.in_process.told.count(BODY) == 0
    assert both.in_process.held("destination") == held


def change_flags(both: Both) -> None:
    both.at(
        both.source,
        b"SELECT INBOX",
        b"STORE 3:5 FLAGS.SILENT (\\Flagged $Important)",
        b"STORE 7 FLAGS.SILENT ()",
        b"SELECT Work",
        b"STORE 1:* +FLAGS.SILENT (\\Answered)",
    )


def test_changed_flags_are_carried_over(both: Both) -> None:
    change_flags(both)
    both.again()
    both.assert_same()
    assert both.in_process.told.count(BODY) == 0
    assert both.in_process.told.count(b"CHANGEDSINCE") == 2
    both.again()
    assert both.in_process.told.count(b"UID FETCH") == 0, "carried over once"


def test_changed_flags_are_carried_over_without_condstore(
    dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair
) -> None:
    source = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
    login = dovecot_pair.account()
    source.add_user(login, dovecot_pair.password)
    both = Both(source, dovecot_pair.destination, login, dovecot_pair.password)
    change_flags(both)
    both.again()
    both.assert_same()
    assert both.in_process.told.count(BODY) == 0
    assert both.in_process.told.count(b"CHANGEDSINCE") == 0
    here = both.in_process.marks("destination")
    change_back = b"STORE 7 FLAGS.SILENT (\\Draft)"
    both.at(both.source, b"SELECT INBOX", change_back)
    both.again()
    both.assert_same()
    assert both.in_process.marks("destination") != here


def test_flags_changed_only_at_the_destination_stay(both: Both) -> None:
    both.at(both.destination, b"SELECT INBOX", b"STORE 1 FLAGS.SILENT (\\Seen mine)")
    held = both.in_process.held("destination")
    both.again()
    assert both.in_process.held("destination") == held


def test_new_uids_at_the_source_are_matched_and_nothing_comes_twice(both: Both) -> None:
    both.source.wipe_uidlist(both.login, "Work")
    validity = both.in_process.folders()["Work"].uidvalidity
    both.again()
    assert both.in_process.folders()["Work"].uidvalidity != validity
    both.assert_same()
    assert both.in_process.outcomes() == {"copied": 80, "already_present": 30}
    assert len(both.in_process.pairs("Work")) == 30


def test_new_uids_at_the_destination_are_matched_and_nothing_comes_twice(both: Both) -> None:
    both.destination.wipe_uidlist(both.login, "Work")
    both.again()
    both.assert_same()
    assert both.in_process.told.count(BODY) == 0
    assert both.in_process.outcomes() == {"copied": 80, "already_present": 30}


def test_a_folder_gone_at_the_source_stays_at_the_destination(both: Both) -> None:
    held = both.in_process.held("destination")
    both.at(both.source, b"DELETE " + quote(b"Work/deep"))
    both.again()
    assert both.in_process.held("destination") == held
    assert both.in_process.mailbox().state == "complete"


def test_what_the_user_moved_at_the_destination_is_not_copied_again(both: Both) -> None:
    both.at(both.destination, b"SELECT INBOX", b"STORE 1:5 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert both.in_process.told.count(BODY) == 0
    assert (both.in_process.held("source") - both.in_process.held("destination")).total() == 5
    assert (both.in_process.tally().missing, both.in_process.tally().removed) == (0, 5)


def test_new_uids_while_it_is_copied(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, make_mailbox(2, {"INBOX": 40}))
    in_process = InProcessImport(
        source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password, batch_messages=10
    )
    in_process.submit()
    wiped: list[bool] = []

    def wiping(session: Any) -> Any:
        send = session.send

        def once(*given: object) -> None:
            if not wiped:
                wiped.append(True)
                source.wipe_uidlist(login)
            send(*given)

        session.send = once
        return session

    in_process.spoil = wiping
    in_process.to_the_end(submit=False)
    assert in_process.held("source") == in_process.held("destination")
    assert in_process.outcomes().get("pending", 0) == 0
    assert len(in_process.pairs()) == 40


def test_redis_lost_and_the_same_request_again_copies_nothing(both: Both) -> None:
    in_process = InProcessImport(both.source, both.destination, logins=(both.login,), password=both.password)
    in_process.to_the_end()
    assert in_process.told.count(BODY) == 0
    assert in_process.outcomes() == {"already_present": 110}
    both.assert_same()


def test_an_account_emptied_at_the_source_costs_nothing(both: Both) -> None:
    held = both.in_process.held("destination")
    shutil.rmtree(both.source.mail_folder(both.login) / "cur")
    (both.source.mail_folder(both.login) / "cur").mkdir()
    shutil.chown(both.source.mail_folder(both.login) / "cur", *_owner(both))
    both.again()
    assert both.in_process.held("destination") == held


def _owner(both: Both) -> tuple[int, int]:
    stat = both.source.mail_folder(both.login).stat()
    return stat.st_uid, stat.st_gid
