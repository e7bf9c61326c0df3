"""Tests what the destination is asked in few words or without waiting: the sum of marks, and subscriptions."""

from __future__ import annotations

from typing import cast

import pytest

from shared.content.fingerprint import MODULUS, mark
from shared.mail.answers.extensions import PIPELINING
from shared.mail.imap.imap_destination import ImapDestination
from shared.model.uids import UidSet
from tests.contract.mail_kit import PLACES, Place, Scripted, mail, message, place


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def test_marks_are_those_of_the_sightings(here: Place) -> None:
    name, destination = here.folder(), here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    sent = [message(mail(n), internaldate=1_000_000_000 + n) for n in range(3)]
    for group in (sent, [message(b"\r\nno header"), message(mail(8))]):
        destination.send(group, [()] * len(group), "token")
        (answer,) = destination.answers()
        assert not answer.refused
    every = UidSet.of(seen.uid for seen in destination.sightings(UidSet.parse("1:500")))
    assert len(every) == 5
    for uids in (every, UidSet.span(every.low, every.low + 2), UidSet.span(every.high - 1, every.high + 9)):
        seen = list(destination.sightings(uids))
        total = sum(mark(s.uid, s.size_bytes, s.internaldate, s.fingerprint) for s in seen)
        assert destination.marks(uids) == (len(seen), total % MODULUS)
    assert destination.marks(UidSet.span(every.high + 1, every.high + 9)) == (0, 0)


def test_a_subscription_costs_no_wait_and_lasts_although_the_session_is_closed_at_once() -> None:
    held: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"SUBSCRIBE"):
            held.append(tag + (b" NO no such folder\r\n" if b"gone" in text else b" OK done\r\n"))
            return b""
        if not text.startswith((b"STATUS", b"NOOP")):
            return None
        answers, held[:] = b"".join(held), []
        status = b'* STATUS "a" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 1)\r\n' if text.startswith(b"STATUS") else b""
        return answers + status + tag + b" OK done\r\n"

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.statuses([b"a", b"a"])  # from here on it is known that the server takes several commands
        destination.subscribe([b"a", b"gone", b"b"])
        (status,) = destination.statuses([b"a"])
        assert getattr(status, "messages", None) == 0
        destination.noop()
    dovecot = place("dovecot")
    name = dovecot.folder()
    destination = cast(ImapDestination, dovecot.destination())
    assert destination.create([name, name + b"2"]) == [None, None]
    destination.subscribe([name])
    destination.close()
    assert {one.name for one in dovecot.source().listing().folders if one.subscribed} >= {name}


def test_a_server_that_takes_one_command_at_a_time_is_waited_for_at_each_subscription() -> None:
    with Scripted(capabilities="IMAP4rev1") as server:
        destination = server.destination()
        destination.session.talk.broken.leave_out(PIPELINING, "")
        destination.subscribe([b"a", b"b"])
        assert [one.partition(b" ")[2] for one in server.commands[-2:]] == [b'SUBSCRIBE "a"', b'SUBSCRIBE "b"']
