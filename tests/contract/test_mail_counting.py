"""Tests that numbers which are announced are asked for in the flight before, and are those of `statuses` all the same.

The tests run over memory, Dovecot in several variants and pymap, and against a server that answers nothing before all of a
flight is there.
"""

from __future__ import annotations

import pytest

from shared.mail import FolderStatus
from shared.model.uids import UidSet
from tests.contract.mail_kit import PLACES, Place, Scripted, mail, message, place


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def _messages(told: list[FolderStatus | Exception]) -> list[int | None]:
    return [one.messages if isinstance(one, FolderStatus) else None for one in told]


def test_folders_that_are_counted_once_they_are_made(here: Place) -> None:
    names = [here.folder() for _ in range(3)]
    destination = here.destination()
    assert destination.create(names[:2]) == [None, None]
    destination.listing(counting=names)
    destination.subscribe(names[:1])
    assert _messages(destination.statuses([names[1], names[0]])) == [0, 0]
    assert destination.create(names[2:]) == [None]
    destination.listing(counting=names)
    destination.open(names[2])
    destination.send([message(mail(1))], [()], "token")
    assert [not answer.refused for answer in destination.answers()] == [True]
    assert _messages(destination.statuses(names)) == [0, 0, 1]
    destination.close()


def test_folders_that_are_counted_as_they_are_listed(here: Place) -> None:
    name, gone = here.folder(), here.folder()
    destination = here.destination()
    assert destination.create([name]) == [None]
    for session in (destination, here.source()):
        listed = session.listing(counting=[gone, name, b"INBOX"])
        assert name in {folder.name for folder in listed.folders}
        assert _messages(session.statuses([b"INBOX", name]))[1] == 0
        assert _messages(session.statuses([gone])) == [None]
        session.close()


def test_a_folder_that_is_surveyed_is_opened_and_listed(here: Place) -> None:
    name, other = here.folder(), here.folder()
    destination = here.destination()
    assert destination.create([name, other]) == [None, None]
    destination.open(name)
    destination.send([message(mail(1)), message(mail(2))], [(), ()], "token")
    assert [not answer.refused for answer in destination.answers()] == [True]
    destination.close()
    source = here.source()
    for opening in ([name], [other], [other, name], []):
        assert _messages(source.survey([other, name], opening)) == [0, 2]
        assert len(list(source.sizes(source.open(name)))) == 2
    source.close()


def test_what_is_asked_ahead_is_what_is_fetched(here: Place) -> None:
    name = here.folder()
    destination = here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    destination.send([message(mail(n)) for n in range(6)], [()] * 6, "token")
    assert [not answer.refused for answer in destination.answers()] == [True]
    destination.close()
    source = here.source()
    source.open(name)
    uids = source.existing()
    head, rest = uids.take(2)
    for wanted in (rest, uids, head):
        source.ask_ahead(rest.take(2)[0])
        assert sorted(int(each.uid) for each in source.fetch(wanted)) == sorted(map(int, wanted))
    source.close()


class _Flight:
    """Holds all answers back until so many commands have come."""

    def __init__(self, *sizes: int) -> None:
        self.left, self.held = list(sizes), list[bytes]()

    def reply(self, tag: bytes, text: bytes) -> bytes | None:
        word = text.split(b" ")[0]
        if word in (b"LOGIN", b"CAPABILITY", b"LOGOUT"):
            return None
        answer = b""
        if word == b"STATUS":
            answer = b"* STATUS %b (MESSAGES 3 UIDNEXT 4 UIDVALIDITY 7)\r\n" % text.split(b" ")[1]
        elif text.startswith(b'LIST "" "*"'):
            answer = b'* LIST () "/" "a"\r\n* LIST () "/" "INBOX"\r\n'
        elif word == b"EXAMINE":
            answer = b"* 3 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4]\r\n"
        elif b"BODY.PEEK" in text:
            answer = b'* 2 FETCH (UID 2 FLAGS () INTERNALDATE " 1-Jan-2024 00:00:00 +0000" BODY[] {3}\r\na\r\n)\r\n'
        elif text.startswith(b"UID FETCH"):
            answer = b"* 1 FETCH (UID 1 FLAGS () RFC822.SIZE 5)\r\n"
        self.held.append(answer + tag + b" OK done\r\n")
        if len(self.held) < self.left[0]:
            return b""
        del self.left[0]
        answers, self.held = b"".join(self.held), []
        return answers


#: Long enough for any machine, and far too short for a test that waits for a command which does not come.
_SECONDS = 20.0


def test_folders_are_listed_and_counted_in_one_flight() -> None:
    flight = _Flight(5, 1)
    with Scripted(capabilities="IMAP4rev1", reply=flight.reply) as server:
        source = server.source(command_timeout_seconds=_SECONDS)
        assert len(source.listing(counting=[b"a", b"INBOX"]).folders) == 2
        assert _messages(source.statuses([b"INBOX", b"a"])) == [3, 3]
        source.noop()
    assert not flight.left


def test_folders_are_counted_and_the_first_is_listed_in_one_flight() -> None:
    flight = _Flight(4, 1)
    with Scripted(capabilities="IMAP4rev1", reply=flight.reply) as server:
        source = server.source(command_timeout_seconds=_SECONDS)
        assert _messages(source.survey([b"INBOX", b"a"], [b"INBOX"])) == [3, 3]
        status = source.open(b"INBOX")
        assert [int(uid) for uid, _ in source.sizes(status, told=lambda uid, flags: None)] == [1]
        source.noop()
    assert not flight.left


def test_what_was_asked_ahead_is_not_asked_for_again() -> None:
    flight = _Flight(1, 1, 1)
    with Scripted(capabilities="IMAP4rev1", reply=flight.reply) as server:
        source = server.source(command_timeout_seconds=_SECONDS)
        source.open(b"a")
        source.ask_ahead(UidSet.parse("2"))
        assert [int(each.uid) for each in source.fetch(UidSet.parse("2"))] == [2]
        source.noop()
    assert not flight.left


def _listed(tag: bytes, text: bytes) -> bytes | None:
    return b'* LIST () "/" "INBOX"\r\n%b OK\r\n' % tag if text.startswith(b'LIST "" "*"') else None


def test_a_server_that_refuses_to_count_what_it_is_just_making_is_asked_once_more() -> None:
    asked: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"STATUS"):
            return _listed(tag, text)
        asked.append(text)
        if len(asked) == 1:
            return tag + b" NO there is no such folder\r\n"
        return b'* STATUS "a" (MESSAGES 0 UIDNEXT 1 UIDVALIDITY 7)\r\n%b OK\r\n' % tag

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.listing(counting=[b"a"])
        assert _messages(destination.statuses([b"a"])) == [0]
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("refusal", "times"),
    [(b"[THROTTLED] slower", 1), (b"[UNAVAILABLE] try again later", 1), (b"there is no such folder", 2)],
    ids=["slower", "later", "control: no such folder"],
)
def test_a_server_that_asks_to_be_asked_less_is_not_asked_once_more(refusal: bytes, times: int) -> None:
    asked: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"STATUS"):
            return _listed(tag, text)
        asked.append(text)
        return tag + b" NO " + refusal + b"\r\n"

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.listing(counting=[b"a"])
        told = destination._statuses([b"a"], destination._items_of(destination._numbers()))
        assert _messages(told) == [None]
    assert len(asked) == times


@pytest.mark.parametrize("number", [100, 150, 250])
def test_no_folder_is_counted_twice(number: int) -> None:
    names = [b"f%d" % n for n in range(number)]
    asked: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b'LIST "" "*"'):
            return b"".join(b'* LIST () "/" "%b"\r\n' % name for name in (b"INBOX", *names)) + tag + b" OK\r\n"
        if not text.startswith(b"STATUS"):
            return None
        asked.append(text)
        return b"* STATUS %b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n%b OK\r\n" % (text.split(b" ")[1], tag)

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        assert len(destination.listing(counting=names).folders) == number + 1
        assert _messages(destination.statuses(names)) == [1] * number
        destination.create(names[:60])
        destination.listing(counting=names)
        assert _messages(destination.statuses(names)) == [1] * number
    assert len(asked) == 2 * number


def test_one_folder_that_is_refused_costs_the_others_nothing() -> None:
    asked: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"STATUS"):
            return _listed(tag, text)
        asked.append(text.split(b" ")[1])
        if asked[-1] == b'"b"':
            return tag + b" NO [NOPERM] it is closed\r\n"
        return b"* STATUS %b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 7)\r\n%b OK\r\n" % (asked[-1], tag)

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.listing(counting=[b"a", b"b", b"c"])
        assert _messages(destination.statuses([b"a", b"b", b"c"])) == [1, None, 1]
    assert asked == [b'"a"', b'"b"', b'"c"', b'"b"']


@pytest.mark.parametrize("waits", [True, False], ids=["after a round trip", "control: at once"])
def test_what_was_counted_ahead_is_forgotten_by_a_round_trip(waits: bool) -> None:
    told = [b"1", b"2"]

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"STATUS"):
            return _listed(tag, text)
        return b'* STATUS "a" (MESSAGES %b UIDNEXT 9 UIDVALIDITY 7)\r\n%b OK\r\n' % (told.pop(0), tag)

    with Scripted(capabilities="IMAP4rev1", reply=reply) as server:
        destination = server.destination()
        destination.listing(counting=[b"a"])
        if waits:
            destination.noop()
        assert _messages(destination.statuses([b"a"])) == [2 if waits else 1]
