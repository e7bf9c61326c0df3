"""Tests a folder that is opened before its turn, and that everything said meanwhile is about the folder that is meant."""

from __future__ import annotations

import pytest

from shared.mail import FlagChange
from shared.model.errors import ConnectionLost, FolderChanged, FolderRefused
from shared.model.uids import UidSet
from tests.contract.mail_kit import Scripted, mail, message
from tests.servers.process import await_ready

_SEEN = b'RFC822.SIZE 3 INTERNALDATE " 1-Jan-2024 00:00:00 +0000" BODY[HEADER.FIELDS (DATE)] {2}\r\n\r\n'


class _Server:
    """Answers as a server that keeps one folder open, and notes which one was open at each command about messages."""

    def __init__(self) -> None:
        self.open = ""
        #: UIDVALIDITY of every folder.
        self.uidvalidity = 7
        #: (folder that is open, command).
        self.said: list[tuple[str, str]] = []
        #: Names of the folders that were opened.
        self.opened: list[str] = []
        #: Answers to UID FETCH: the most messages that are given to one, and whether one was cut short.
        self.most, self.cut = 0, False

    def reply(self, tag: bytes, text: bytes) -> bytes | None:
        word, _, rest = text.decode("latin-1").partition(" ")
        if word in ("LOGIN", "CAPABILITY", "LOGOUT"):
            return None
        if word in ("SELECT", "EXAMINE"):
            self.open = rest.split(" ")[0].strip('"')
            numbers = b"* 900 EXISTS\r\n* OK [UIDVALIDITY %d]\r\n* OK [UIDNEXT 2000]\r\n" % self.uidvalidity
            self.opened.append(self.open)
            return numbers + tag + b" OK done\r\n"
        if word == "UID":
            self.said.append((self.open, rest))
        if rest.startswith("FETCH"):
            return self._fetched(tag, UidSet.parse(rest.split(" ")[1]))
        return tag + b" OK done\r\n"

    def _fetched(self, tag: bytes, uids: UidSet) -> bytes:
        asked = [int(uid) for uid in uids] if self.open == "A" else []
        given, ending = asked, b" OK done\r\n"
        if self.most and len(asked) > self.most and not self.cut:
            self.cut = True
            given, ending = asked[: self.most], b" OK [MESSAGELIMIT 400 %d] done\r\n" % (asked[0] + self.most)
        return b"".join(b"* %d FETCH (UID %d %b)\r\n" % (uid, uid, _SEEN) for uid in given) + tag + ending


@pytest.fixture
def server() -> _Server:
    return _Server()


_ONE = UidSet.parse("1")


@pytest.mark.parametrize("then", [b"B", b"A", None])
@pytest.mark.parametrize("known", [True, False], ids=["known to take several", "not yet"])
def test_a_folder_that_is_opened_anew_is_read_in_the_flight_that_opens_the_next_one(
    server: _Server, then: bytes | None, *, known: bool
) -> None:
    held: list[tuple[bytes, bytes]] = []
    waits = False

    def reply(tag: bytes, text: bytes) -> bytes | None:
        """Answers nothing to SELECT until all that belongs to the flight is there."""
        if waits and text.startswith((b"SELECT", b"UID")):
            held.append((tag, text))
            if len(held) < (2 if then is None else 3):
                return b""
            return b"".join(server.reply(*one) or b"" for one in held)
        return server.reply(tag, text)

    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        if known:
            destination.statuses([b"A", b"A"])
        waits = True
        assert destination.marks(_ONE, then=then, anew=True)[0] == 1
        waits = False
        if then is not None:
            with pytest.raises(FolderRefused):
                destination.send([message(mail(1))], [()], "token")
            destination.open(then, announced=True)
        assert server.opened == ["A", "A", *([then.decode()] if then is not None else [])]
        destination.send([message(mail(1))], [()], "token")


def test_after_an_anew_that_is_cut_short_the_rest_is_of_the_folder_that_is_meant(server: _Server) -> None:
    server.most = 400
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        assert destination.marks(UidSet.parse("1:480"), then=b"B", anew=True)[0] == 480
        assert {open_ for open_, _ in server.said} == {"A"}


@pytest.mark.parametrize("change", ["remove", "flags", "move", "copy"])
def test_a_change_behind_a_folder_that_was_opened_for_nothing_concerns_the_folder_that_is_meant(
    server: _Server, change: str
) -> None:
    with Scripted(capabilities="IMAP4rev1 UIDPLUS MOVE", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        assert destination.marks(_ONE, then=b"B")[0] == 1
        if change == "remove":
            destination.remove(_ONE)
        elif change == "flags":
            destination.store_flags([FlagChange(uids=_ONE, add=("\\Seen",))])
        elif change == "move":
            destination.move(_ONE, b"C")
        else:
            destination.copy(_ONE, b"C")
    assert server.opened == ["A", "B", "A"]
    assert {folder for folder, _ in server.said} == {"A"}


def test_a_folder_that_is_another_one_when_it_is_opened_again_is_not_changed(server: _Server) -> None:
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        destination.marks(_ONE, then=b"B")
        await_ready(lambda: "B" in server.opened, 180, "the folder that is opened ahead")
        server.uidvalidity = 8
        with pytest.raises(FolderChanged):
            destination.remove(_ONE)
    assert not [said for _, said in server.said if not said.startswith("FETCH")]


def test_nothing_is_appended_behind_a_folder_that_was_opened_ahead(server: _Server) -> None:
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        destination.marks(_ONE, then=b"B")
        with pytest.raises(FolderRefused):
            destination.send([message(mail(1))], [()], "token")
        destination.open(b"B", announced=True)
        assert server.opened == ["A", "B"]


@pytest.mark.parametrize("announced", [True, False], ids=["control: announced", "anew"])
def test_a_folder_is_opened_anew_by_whoever_needs_its_present_numbers(server: _Server, announced: bool) -> None:
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        destination.marks(_ONE, then=b"B")
        server.uidvalidity = 8
        assert destination.open(b"B", announced=announced).uidvalidity == (7 if announced else 8)
    assert server.opened == ["A", "B", *([] if announced else ["B"])]


@pytest.mark.parametrize("most", [100, 450])
def test_messages_that_a_command_left_out_are_all_marked(server: _Server, most: int) -> None:
    server.most = most
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        assert destination.marks(UidSet.parse("1:900"), then=b"B")[0] == 900
        server.cut = False
        assert destination.marks(UidSet.parse("1:480"), then=b"B")[0] == 480


def test_the_next_folder_is_opened_behind_the_last_of_several_commands(server: _Server) -> None:
    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=server.reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        assert destination.marks(UidSet.parse("1:1900"), then=b"B")[0] == 1900
        destination.open(b"B", announced=True)
    assert server.opened == ["A", "B"]
    assert [opened for opened, _ in server.said] == ["A"] * 4


def test_a_folder_that_ends_the_connection_is_not_opened_behind_the_last_one_twice(server: _Server) -> None:
    """A caller that announces no folder reads what stands in the one that is open."""

    def reply(tag: bytes, text: bytes) -> bytes | None:
        return b"* BYE crashed\r\n" if text == b'SELECT "B"' else server.reply(tag, text)

    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=reply) as scripted:
        for then in (b"B", None):
            destination = scripted.destination()
            destination.open(b"A")
            number = destination.marks(_ONE, then=then)[0]
            assert number == 1
            if then:
                with pytest.raises(ConnectionLost):
                    destination.open(then, announced=True)


def test_a_folder_that_was_refused_for_coming_too_early_is_opened_in_its_turn(server: _Server) -> None:
    refused = [b'SELECT "B"']

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text in refused:
            refused.remove(text)
            return tag + b" BAD not now\r\n"
        return server.reply(tag, text)

    with Scripted(capabilities="IMAP4rev1 UIDPLUS", reply=reply) as scripted:
        destination = scripted.destination()
        destination.open(b"A")
        destination.marks(_ONE, then=b"B")
        assert destination.open(b"B", announced=True).messages == 900
    assert server.opened == ["A", "B"]
