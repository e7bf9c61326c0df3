"""Tests repeated losses of the ledger.

Messages that the destination rewrote are recognised, and mere look-alikes are copied.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from shared.model import Options
from tests.conftest import DovecotPair
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires
from tests.mail import Mail, populate
from tests.servers.faulty import FaultyServer
from worker.copying import recognise
from worker.decisions import likeness

WHEN = datetime(2015, 1, 1, tzinfo=UTC)
DATE = b" 1-Jan-2015 00:00:00 +0000"
HEAD = b"From: x@example.org\r\nMessage-ID: <%d@k.example>\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n"
KOI8 = "Привет".encode("koi8-r")

#: Messages that Dovecot or Cyrus stores in another form, or in another one than POP3 gives.
ODD = [
    HEAD % 1 + b"Subject: " + KOI8 + b" 1\r\n\r\ntext\r\n",
    HEAD % 2 + b"Subject: s\r\nTo: " + KOI8 + b" <b@e>\r\n\r\ntext\r\n",
    b"Received: from a by b\rX-Mac: 1\r\rtext\r",
    b"From: a@b\r\nSubject: nul\r\n\r\na\0b\r\n",
    HEAD % 3 + b"Subject: s\r\n\r\nno final line end",
    b"Subject: bare\n\none\ntwo\n",
    b"X-No: header of ours\r\n\r\nabc\r\n",
    b"no header at all\n",
    HEAD % 4 + b"Subject: cr cr lf\r\n\r\none\r\r\ntwo\r\r\n",
    HEAD % 5 + b"Subject: large\r\n\r\n" + b"0123456789\r\n" * 20_000,
    HEAD % 6 + b"Subject: " + KOI8 + b" large\r\n\r\n" + b"0123456789\r\n" * 20_000,
]


def munge8bit(body: bytes) -> bytes:
    """Returns the message as Cyrus stores it by default."""
    header, blank, text = body.partition(b"\r\n\r\n")
    return bytes(byte if byte < 128 else ord("X") for byte in header) + blank + text


def strip_lone_crs(body: bytes) -> bytes:
    """Returns the message as Courier stores it."""
    return re.sub(rb"\r(?!\n)", b"", body)


#: What servers make of a message, and the words of the report about it.
REWRITING = [
    (munge8bit, "8-bit bytes of the header are stored as other characters"),
    (strip_lone_crs, "CRs without LF are not stored"),
]


@pytest.fixture
def wires() -> Iterator[Wires]:
    with FaultyServer() as source, FaultyServer() as destination:
        made = Wires(source, destination)
        for body in ODD:
            made.old.folder(b"INBOX").add(body, internaldate=DATE)
        yield made


def copied(in_process: InProcessImport) -> dict[str, int]:
    in_process.to_the_end()
    return in_process.outcomes()


@pytest.mark.parametrize(("alter", "words"), REWRITING, ids=["Cyrus", "Courier"])
def test_after_each_loss_what_was_rewritten_is_recognised(
    wires: Wires, alter: Callable[[bytes], bytes], words: str
) -> None:
    wires.destination.behaviour.append.alter_body = alter
    first = InProcessImport(wires.source, wires.destination)
    assert copied(first) == {"copied": len(ODD)}
    held = wires.bodies()
    for _ in range(3):
        again = InProcessImport(wires.source, wires.destination)
        assert copied(again) == {"already_present": len(ODD)}
        assert wires.bodies() == held
        # An altered message is reported each time, not only the first.
        assert again.noted("altered").keys() == first.noted("altered").keys() != set()
        assert words in first.noted("altered").values()


@pytest.mark.parametrize(("alter", "number"), [(munge8bit, 3), (strip_lone_crs, 1)])
def test_without_the_forms_it_comes_again(
    wires: Wires, monkeypatch: pytest.MonkeyPatch, alter: Callable[[bytes], bytes], number: int
) -> None:
    """The negative control: without the known forms the messages come again."""
    wires.destination.behaviour.append.alter_body = alter
    copied(InProcessImport(wires.source, wires.destination))
    monkeypatch.setattr(likeness, "_LADDER", likeness._LADDER[:3])
    assert copied(InProcessImport(wires.source, wires.destination))["copied"] == number


def test_after_each_loss_what_dovecot_stores_otherwise_is_recognised(dovecot_pair: DovecotPair, wires: Wires) -> None:
    login, destination = dovecot_pair.account(), dovecot_pair.destination
    wires.source.add_account(login, PASSWORD)
    wires.source.behaviour.accounts[login] = wires.source.behaviour.accounts[LOGIN]
    assert copied(InProcessImport(wires.source, destination, logins=(login,))) == {"copied": len(ODD)}
    held = None
    for _ in range(3):
        again = InProcessImport(wires.source, destination, logins=(login,))
        assert copied(again) == {"already_present": len(ODD)}
        assert held in (None, again.held("destination"))
        held = again.held("destination")
        assert held.total() == len(ODD)


@pytest.mark.parametrize("side", ["source", "destination"])
def test_another_uidvalidity_brings_nothing_again(dovecot_pair: DovecotPair, side: str) -> None:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    bodies = [Mail(body, (), WHEN) for body in ODD] * 2
    populate(source.host, source.port, login, dovecot_pair.password, {"INBOX": bodies})
    in_process = InProcessImport(source, dovecot_pair.destination, logins=(login,))
    assert copied(in_process) == {"copied": len(bodies)}
    held = in_process.held("destination")
    (dovecot_pair.source if side == "source" else dovecot_pair.destination).wipe_uidlist(login)
    assert copied(in_process) == {"already_present": len(bodies)}
    assert in_process.held("destination") == held


#: Pairs at source and destination that are equal in From, Subject, Date, size and internal date, and differ as
#: messages.
LOOK_ALIKES = {
    "without Message-ID": (
        b"From: bank@example.org\r\nTo: b@example.org\r\nSubject: Your code\r\n\r\nCode: 1234\r\n",
        b"From: bank@example.org\r\nTo: b@example.org\r\nSubject: Your code\r\n\r\nCode: 9876\r\n",
    ),
    "with the same Message-ID": (HEAD % 1 + b"\r\nCode: 1234\r\n", HEAD % 1 + b"\r\nCode: 9876\r\n"),
    "to somebody else": (HEAD % 1 + b"To: a@example.org\r\n\r\nhi\r\n", HEAD % 1 + b"To: b@example.org\r\n\r\nhi\r\n"),
    "delivered": (
        b"Received: from a by b; Thu, 01 Jan 2015 00:00:00 +0000\r\n" + HEAD % 1 + b"\r\n" + b"a" * 9000,
        b"Received: from a by b; Thu, 01 Jan 2015 00:00:00 +0000\r\n" + HEAD % 1 + b"\r\n" + b"b" * 9000,
    ),
    "an edited draft": (HEAD % 1 + b"\r\n" + b"a" * 9000 + b"1", HEAD % 1 + b"\r\n" + b"a" * 9000 + b"2"),
    "large": (HEAD % 1 + b"\r\n" + b"a" * 200_000, HEAD % 1 + b"\r\n" + b"b" * 200_000),
    "large, without Message-ID": (
        b"Subject: s\r\n\r\n" + b"a" * 200_000 + b"1",
        b"Subject: s\r\n\r\n" + b"a" * 200_000 + b"2",
    ),
    "without any header": (b"X: 1\r\n\r\nabc\r\n", b"X: 1\r\n\r\nxyz\r\n"),
}


@pytest.mark.parametrize("name", LOOK_ALIKES)
@pytest.mark.parametrize("twins", [1, 2])
def test_what_only_looks_alike_is_copied(dovecot_pair: DovecotPair, name: str, twins: int) -> None:
    login = dovecot_pair.account()
    mine, other = LOOK_ALIKES[name]
    for server, body in ((dovecot_pair.source, mine), (dovecot_pair.destination, other)):
        populate(server.host, server.port, login, PASSWORD, {"INBOX": [Mail(body, (), WHEN)] * twins})
    in_process = InProcessImport(dovecot_pair.source, dovecot_pair.destination, logins=(login,))
    before = in_process.held("destination")
    assert copied(in_process) == {"copied": twins}
    assert in_process.held("destination") == in_process.held("source") + before


def test_without_the_bytes_it_is_left_out(dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: equal headers, size and date count as proof."""
    login = dovecot_pair.account()
    monkeypatch.setattr(
        likeness, "_LADDER", [(lambda s: (s.fingerprint, s.size_bytes), lambda s: (s.fingerprint, s.size_bytes))]
    )
    for server, body in zip(
        (dovecot_pair.source, dovecot_pair.destination), LOOK_ALIKES["without Message-ID"], strict=True
    ):
        populate(server.host, server.port, login, PASSWORD, {"INBOX": [Mail(body, (), WHEN)]})
    assert copied(InProcessImport(dovecot_pair.source, dovecot_pair.destination, logins=(login,))) == {
        "already_present": 1
    }


def test_wrong_dates_of_what_is_adopted_are_told_each_time(dovecot_pair: DovecotPair) -> None:
    login, destination = dovecot_pair.account(), dovecot_pair.destination
    bodies = [HEAD % n + b"\r\ntext\r\n" for n in range(4)]
    with FaultyServer() as source:
        inbox = source.add_account(login, PASSWORD).folder(b"INBOX")
        for body, date in zip(
            bodies, (b" 1-Jan-2099 00:00:00 +0000", b" 1-Jan-1969 00:00:00 +0000", DATE, None), strict=True
        ):
            inbox.add(body, internaldate=date)
        in_process = InProcessImport(source, destination, logins=(login,))
        assert copied(in_process) == {"copied": 4}
        told = (
            in_process.noted("date_clamped").keys(),
            in_process.noted("date_unusable").keys(),
            in_process.noted("normalised").keys(),
        )
        assert told == ({1, 2}, {4}, {1})  # Dovecot stores no future date
        for _ in range(2):
            again = InProcessImport(source, destination, logins=(login,))
            assert copied(again) == {"already_present": 4}
            assert (
                again.noted("date_clamped").keys(),
                again.noted("date_unusable").keys(),
                again.noted("normalised").keys(),
            ) == told


def test_a_copy_with_another_date_is_adopted_and_told(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    body = HEAD % 1 + b"\r\ntext\r\n"
    for server, when in ((dovecot_pair.source, WHEN), (dovecot_pair.destination, WHEN + timedelta(days=1))):
        populate(server.host, server.port, login, PASSWORD, {"INBOX": [Mail(body, (), when)]})
    in_process = InProcessImport(dovecot_pair.source, dovecot_pair.destination, logins=(login,))
    assert copied(in_process) == {"already_present": 1}
    assert "internal date" in in_process.noted("normalised")[1]


@pytest.mark.parametrize("told_apart", [True, False])
def test_twins_with_other_flags_each_find_their_own_copy(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, *, told_apart: bool
) -> None:
    """Copies messages newest first, so that the copies of twins stand the other way round, and loses the ledger.

    Each copy of a pair would get the flags of both.
    """
    if not told_apart:
        monkeypatch.setattr(recognise, "twins", lambda *_: ((), ()))
    source, destination, login = dovecot_pair.source, dovecot_pair.destination, dovecot_pair.account()
    sent = [
        Mail(HEAD % (at // 2) + b"\r\ntext\r\n", ("\\Seen", "a") if at % 2 else ("\\Flagged",), WHEN)
        for at in range(20)
    ]
    populate(source.host, source.port, login, PASSWORD, {"INBOX": sent})
    for outcome in ("copied", "already_present"):
        in_process = InProcessImport(
            source, destination, logins=[login], batch_messages=1, options=Options(newest_first=True)
        )
        assert copied(in_process) == {outcome: 20}
    assert (in_process.held("destination") == in_process.held("source")) is told_apart
