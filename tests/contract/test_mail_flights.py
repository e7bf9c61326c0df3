"""Tests what the destination is asked in few words or without waiting: the sum of marks, and subscriptions."""

from __future__ import annotations

from typing import cast

import pytest

from shared.content.fingerprint import MODULUS, mark
from shared.mail.answers.extensions import PIPELINING
from shared.mail.imap.imap_destination import ImapDestination
from shared.model.errors import FolderChanged, FolderRefused, MailError
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


@pytest.mark.parametrize("anew", [True, False])
def test_marks_tell_the_flags_of_each_message(here: Place, *, anew: bool) -> None:
    name, destination = here.folder(), here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    sent = [("\\Seen", "\\Flagged"), (), ("\\Answered",)]
    destination.send([message(mail(n)) for n in range(3)], sent, "token")
    list(destination.answers())
    every = UidSet.of(seen.uid for seen in destination.sightings(UidSet.parse("1:500")))
    told: dict[int, tuple[str, ...]] = {}
    plain = destination.marks(every)
    assert destination.marks(every, anew=anew, told=told.__setitem__) == plain
    assert [set(told[uid]) for uid in every] == [set(flags) for flags in sent]
    assert destination.marks(every) == plain


SHOWN = {
    "as asked for": b'UID 7 FLAGS (\\Seen \\Recent work) RFC822.SIZE 3 INTERNALDATE " 1-Jan-2024 00:00:00 +0000" ',
    "in another order": b'INTERNALDATE " 1-Jan-2024 00:00:00 +0000" FLAGS (\\SEEN work) RFC822.SIZE 3 UID 7 ',
    "with more": b'UID 7 MODSEQ (9) FLAGS (\\Seen "no flag" work) RFC822.SIZE 3 INTERNALDATE " 1-Jan-2024 00:00:00 +0000" ',
}


@pytest.mark.parametrize("form", SHOWN)
@pytest.mark.parametrize("refused", [b"", b"SELECT", b"FETCH"])
def test_flags_are_read_in_whatever_form_they_come_and_in_one_flight(form: str, refused: bytes) -> None:
    """SELECT and FETCH go together; where the folder cannot be opened again, nothing is said of its messages."""
    asked: list[bytes] = []
    answers: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"SELECT"):
            asked.append(text)
            if refused == b"SELECT" and len(asked) > 1:
                return tag + b" NO no room\r\n"
            answer = b"* 1 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 8]\r\n" + tag + b" OK done\r\n"
            if len(asked) == 1:
                return answer
            answers.append(answer)
            return b""  # not before FETCH came
        if text.startswith(b"UID FETCH"):
            asked.append(text)
            said = b"* 1 FETCH (%bBODY[HEADER.FIELDS (DATE)] {2}\r\n\r\n)\r\n" % SHOWN[form]
            said += said.replace(b"UID 7", b"UID 9")  # nobody asked for that one
            bad = refused != b"" and tag + b" BAD no folder\r\n"
            return b"".join(answers) + (bad or said + tag + b" OK done\r\n")
        return None

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.open(b"a")
        told: dict[int, tuple[str, ...]] = {}
        if refused:
            with pytest.raises(FolderRefused if refused == b"SELECT" else MailError):
                destination.marks(UidSet.parse("7"), anew=True, told=told.__setitem__)
            assert not told
            return
        assert destination.marks(UidSet.parse("7"), anew=True, told=told.__setitem__)[0] == 1
        assert told == {7: ("\\Seen", "work")}
        assert [text.split()[0] for text in asked] == [b"SELECT", b"SELECT", b"UID"]


def test_a_folder_that_is_another_one_by_now_is_told_before_its_flags() -> None:
    numbers = iter(range(7, 99))

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"SELECT"):
            status = b"* 1 EXISTS\r\n* OK [UIDVALIDITY %d]\r\n* OK [UIDNEXT 8]\r\n" % next(numbers)
            return status + tag + b" OK done\r\n"
        return None

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.open(b"a")
        with pytest.raises(FolderChanged):
            destination.marks(UidSet.parse("7"), anew=True)


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
