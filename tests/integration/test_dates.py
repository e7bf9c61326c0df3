"""Tests internal dates that not every server can store.

A message keeps its own date if the destination can store it, else it gets the nearest possible one. That is reported in
this pass, and in each that follows a loss of the ledger.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.content.dates import clamp
from shared.mail.imap.imap_destination import ImapDestination
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.faults import Action, Fault, lost_ok, reply, reply_to_line
from tests.servers.faulty import Command, FaultyServer, Incoming
from worker.copying.dating import Dating

EARLY, EPOCH, LATE = b" 1-Jan-1969 00:00:00 +0000", b" 1-Jan-1970 00:00:00 +0000", b" 1-Jan-2099 00:00:00 +0000"
FAR, USUAL = b"01-Jan-2110 00:00:00 +0000", b"17-Jul-2016 02:44:25 +0200"


def seconds(text: bytes | None) -> int:
    """Returns the seconds since the epoch."""
    assert text is not None
    when = datetime.strptime(text.decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    return int((when - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds())


def filled(source: FaultyServer, *dates: bytes, login: str = LOGIN, text: str = "text") -> list[bytes]:
    """Adds one message for each date. Returns their bodies."""
    inbox = source.add_account(login, PASSWORD).folder(b"INBOX")
    bodies = [plain(number, text=text) for number in range(1, len(dates) + 1)]
    for body, date in zip(bodies, dates, strict=True):
        inbox.add(body, internaldate=date)
    return bodies


def kept(wires: Wires) -> dict[int, int]:
    """Returns message number → its date at the destination; asserts that every message is there once."""
    found = {}
    for message in wires.new.folder(b"INBOX").messages:
        number = re.search(rb"Subject: \D*(\d+)", message.body)
        assert number is not None
        assert int(number[1]) not in found, "twice"
        found[int(number[1])] = seconds(message.internaldate)
    return found


def done(wires: Wires, *dates: bytes, **options: Any) -> InProcessImport:
    """Imports one message for each date. Returns the finished stage."""
    filled(wires.source, *dates)
    in_process = InProcessImport(wires.source, wires.destination, **options)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": len(dates)}
    return in_process


def unsigned(text: bytes | None) -> bytes | None:
    """Returns the date as a server with an unsigned clock of 32 bits stores it, which wraps."""
    assert text is not None
    return datetime.fromtimestamp(seconds(text) % 2**32, UTC).strftime("%d-%b-%Y %H:%M:%S +0000").encode()


def test_what_the_destination_keeps_is_not_changed(wires: Wires) -> None:
    in_process = done(wires, EARLY, EPOCH, LATE, FAR, USUAL)
    assert kept(wires) == {n: seconds(date) for n, date in enumerate((EARLY, EPOCH, LATE, FAR, USUAL), start=1)}
    assert not in_process.noted("date_clamped")
    assert in_process.tally().dates_changed == 0


def test_without_the_trial_every_odd_date_is_another_one(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: uses the limits that every server keeps, whatever the destination."""
    monkeypatch.setattr(Dating, "date", lambda self, message: clamp(message.internaldate))
    in_process = done(wires, EARLY, LATE)
    assert in_process.noted("date_clamped").keys() == {1, 2}
    assert kept(wires) == {1: clamp(seconds(EARLY)), 2: clamp(seconds(LATE))}


def no(message: Incoming) -> bytes | None:
    return b"date out of range" if message.internaldate and not 0 <= seconds(message.internaldate) < 2**32 else None


def bad(command: Command) -> bool:
    date = re.search(rb'APPEND .*"(..-...-\d{4} \d\d:\d\d:\d\d [+-]\d{4})"', command.text)
    return date is not None and not 0 <= seconds(date[1]) < 2**32


def refuses(server: FaultyServer, how: str) -> None:
    """Makes the server reject dates outside of an unsigned clock of 32 bits, in the way `how`."""
    match how:
        case "NO":
            server.behaviour.append.refuse = no
        case "BAD before the literal":
            server.faults.add(reply_to_line(bad, b"BAD Invalid date-time in Append command", times=None))
        case "BAD after the literal":
            server.faults.add(reply(bad, b"BAD invalid date", times=None))
        case "another date":
            server.behaviour.append.alter_date = unsigned
        case "closes":
            server.faults.add(Fault(bad, Action.CLOSE, times=None))
        case _:
            raise AssertionError(how)


HOW = ["NO", "BAD before the literal", "BAD after the literal", "another date", "closes"]


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize("multiappend", [True, False])
def test_the_nearest_date_that_the_destination_keeps_is_set_and_told(wires: Wires, how: str, multiappend: bool) -> None:
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    refuses(wires.destination, how)
    in_process = done(wires, USUAL, EARLY, USUAL, LATE, FAR, EARLY, USUAL)
    usual = seconds(USUAL)
    assert kept(wires) == {
        1: usual,
        2: 0,
        3: usual,
        4: seconds(LATE),
        5: 2**32 - 1,
        6: 0,
        7: usual,
    }
    assert in_process.noted("date_clamped").keys() == {2, 5, 6}
    assert (in_process.tally().dates_changed, in_process.tally().altered, in_process.tally().normalised) == (3, 0, 0)


@pytest.mark.parametrize("how", HOW)
def test_a_large_message_is_read_again_for_its_date(wires: Wires, how: str) -> None:
    refuses(wires.destination, how)
    bodies = filled(wires.source, EARLY, FAR, text="x" * 70 + "\r\n" + ("y" * 70 + "\r\n") * 9000)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 2}
    assert kept(wires) == {1: 0, 2: 2**32 - 1}
    assert sorted(m.body for m in wires.new.folder(b"INBOX").messages) == sorted(bodies)


@pytest.mark.parametrize("how", HOW)
def test_it_is_told_again_when_the_ledger_is_gone(wires: Wires, how: str) -> None:
    refuses(wires.destination, how)
    done(wires, EARLY, USUAL, LATE, FAR)
    for verify in ("default", "full"):
        again = InProcessImport(wires.source, wires.destination)
        again.options = type(again.options)(same_mailbox=True, verify=verify)
        again.to_the_end()
        assert again.outcomes() == {"already_present": 4}
        assert again.noted("date_clamped").keys() == {1, 4}
        assert (again.tally().dates_changed, again.tally().altered, again.tally().normalised) == (2, 0, 0)


def test_the_server_is_asked_once_for_all_messages_of_a_kind(wires: Wires) -> None:
    """Expects neither a fetch nor a removal for messages whose kind of date is known from another message."""
    refuses(wires.destination, "another date")
    done(wires, *[EARLY, LATE] * 30)
    asked = [command.text for command in wires.destination.commands]
    appends = [text for text in asked if text.startswith(b"APPEND")]
    assert sum(b"EXPUNGE" in text for text in asked) == 1, "only the first copy with another date was removed"
    assert len(appends) < 30, "messages with a known date go in groups"


def test_dates_that_every_server_keeps_cost_nothing(wires: Wires) -> None:
    done(wires, *[USUAL] * 12, copy_rules=None)
    texts = [command.text for command in wires.destination.commands]
    appends = sum(text.startswith(b"APPEND") for text in texts)
    fetches = sum(b"FETCH" in text for text in texts)
    assert (appends, fetches) == (2, 1), "two groups of ten, one look at the end"
    assert not any(b"STORE" in text or b"EXPUNGE" in text for text in texts)


def test_without_uidplus_nothing_is_tried(wires: Wires) -> None:
    wires.destination.behaviour.capabilities.discard("UIDPLUS")
    wires.destination.behaviour.append.alter_date = unsigned
    in_process = done(wires, EARLY, FAR)
    assert kept(wires) == {1: clamp(seconds(EARLY)), 2: clamp(seconds(FAR))}
    assert in_process.noted("date_clamped").keys() == {1, 2}


def test_a_copy_that_cannot_be_removed_stays_the_only_one(wires: Wires) -> None:
    refuses(wires.destination, "another date")
    wires.destination.faults.add(reply(rb"^UID STORE", b"NO [NOPERM] not allowed here", times=None))
    in_process = done(wires, EARLY, EARLY, USUAL)
    got = kept(wires)
    assert (got[1], got[2], got[3]) == (seconds(EARLY) % 2**32, 0, seconds(USUAL))
    assert "internal date" in in_process.noted("normalised")[1]
    assert in_process.noted("date_clamped").keys() == {2}


def test_a_message_refused_for_itself_is_refused_with_any_date(wires: Wires) -> None:
    filled(wires.source, EARLY, USUAL, EARLY)
    wires.destination.behaviour.append.refuse = lambda one: b"[CANNOT] spam" if b"Subject: 1\r" in one.body else None
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 2, "refused": 1}
    assert "spam" in in_process.noted("refused")[1]
    assert not in_process.noted("date_clamped"), "the date of the third is not blamed"
    assert kept(wires)[3] == seconds(EARLY)


def test_a_refused_keyword_does_not_cost_the_date(wires: Wires) -> None:
    inbox = wires.old.folder(b"INBOX")
    inbox.add(plain(1), flags=(b"$odd",), internaldate=EARLY)
    wires.destination.behaviour.append.refuse = lambda one: b"[CANNOT] no keywords" if b"$odd" in one.flags else None
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 1}
    assert kept(wires) == {1: seconds(EARLY)}
    assert in_process.noted("keywords_lost").keys() == {1}
    assert not in_process.noted("date_clamped")


def test_a_number_that_is_not_of_ours_is_not_removed(wires: Wires) -> None:
    """Lets the server name UIDs that it did not assign: no message that was there may be removed."""
    refuses(wires.destination, "another date")
    there = wires.new.folder(b"INBOX").add(plain(99), internaldate=USUAL)
    wires.destination.behaviour.append.wrong_appenduid = -1
    filled(wires.source, EARLY)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    in_process.work()
    assert there in wires.new.folder(b"INBOX").messages


def test_when_the_answer_is_lost_its_copy_is_found_and_its_date_told(wires: Wires) -> None:
    refuses(wires.destination, "NO")
    wires.destination.faults.add(lost_ok(rb'APPEND .*"01-Jan-1970', skip=0))
    in_process = done(wires, EARLY, USUAL)
    assert kept(wires) == {1: 0, 2: seconds(USUAL)}
    assert in_process.noted("date_clamped").keys() == {1}


def test_when_the_connection_breaks_before_the_copy_is_removed_it_stays_and_is_told(wires: Wires) -> None:
    refuses(wires.destination, "another date")
    wires.destination.faults.add(Fault(rb"^UID STORE", Action.RESET))
    in_process = done(wires, EARLY, USUAL)
    assert kept(wires) == {1: seconds(EARLY) % 2**32, 2: seconds(USUAL)}
    assert "internal date" in in_process.noted("normalised")[1]


def test_when_the_connection_breaks_after_the_copy_is_removed_it_comes_again(wires: Wires) -> None:
    refuses(wires.destination, "another date")
    wires.destination.faults.add(lost_ok(rb"^UID EXPUNGE"))
    in_process = done(wires, EARLY, USUAL)
    assert kept(wires) == {1: 0, 2: seconds(USUAL)}
    assert in_process.noted("date_clamped").keys() == {1}


def dates_at(server: Any, login: str) -> dict[bytes, datetime]:
    """Returns Message-ID → internal date, read in a session of its own."""
    in_process = InProcessImport(server, server, logins=(login,))
    session = ImapDestination(in_process.open("destination", login))
    try:
        status = session.open(b"INBOX")
        uids = session.existing()
        assert len(uids) == status.messages
        return {
            seen.message_id.encode(): datetime.fromtimestamp(seen.internaldate or 0, UTC)
            for seen in session.sightings(uids)
        }
    finally:
        session.close()


def test_dovecot_keeps_the_epoch_and_nothing_before_it(dovecot: Callable[..., Dovecot]) -> None:
    destination = dovecot()
    destination.add_user("anna", PASSWORD)
    with FaultyServer() as source:
        filled(source, EARLY, EPOCH, b"01-Jan-1900 00:00:00 +0000", USUAL, login="anna")
        in_process = InProcessImport(source, destination, logins=("anna",))
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 4}
        epoch = datetime(1970, 1, 1, tzinfo=UTC)
        assert list(dates_at(destination, "anna").values()).count(epoch) == 3
        assert in_process.noted("date_clamped").keys() == {1, 3}
        assert not in_process.noted("normalised")
        again = InProcessImport(source, destination, logins=("anna",))
        again.to_the_end()
        assert again.outcomes() == {"already_present": 4}
        assert again.noted("date_clamped").keys() == {1, 3}


def test_cyrus_refuses_what_is_before_the_epoch_and_keeps_what_is_after_2038(cyrus: Cyrus) -> None:
    destination = cyrus
    destination.add_user("anna", PASSWORD)
    with FaultyServer() as source:
        filled(source, EARLY, EPOCH, LATE, FAR, USUAL, login="anna")
        in_process = InProcessImport(source, destination, logins=("anna",))
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 5}
        got = dates_at(destination, "anna")
        assert sorted(got.values()) == [
            datetime(1970, 1, 2, tzinfo=UTC),
            datetime(1970, 1, 2, tzinfo=UTC),
            datetime(2016, 7, 17, 0, 44, 25, tzinfo=UTC),
            datetime(2099, 1, 1, tzinfo=UTC),
            datetime(2106, 2, 7, 6, 28, 15, tzinfo=UTC),
        ]
        assert in_process.noted("date_clamped").keys() == {1, 2, 4}
        again = InProcessImport(source, destination, logins=("anna",))
        again.to_the_end()
        assert again.outcomes() == {"already_present": 5}
        assert again.noted("date_clamped").keys() == {1, 2, 4}
        assert not again.noted("altered")
