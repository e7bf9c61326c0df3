"""Tests folders between servers that name them differently, and folders with faults."""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.model import Options
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.mail import Mail, populate
from tests.servers.dovecot import Dovecot
from tests.servers.faults import close, reply
from tests.servers.faulty import Command
from tests.servers.wire import Wire
from worker.copying.batch_folders import BatchFolders
from worker.copying.copy import CopyRules

WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
MAKES = Callable[..., Dovecot]


def filled(server: Any, names: list[str], *, login: str = "") -> None:
    """Fills an account with one message in each folder; makes a new account unless `login` names one."""
    if not login:
        server.add_user(login := LOGIN, PASSWORD)
    folders = {name: [Mail(plain(n), (), WHEN)] for n, name in enumerate(names)}
    populate(server.host, server.port, login, PASSWORD, folders)


def names_at(server: Any, login: str = LOGIN) -> set[str]:
    with Wire(server.host, server.port, login, PASSWORD) as wire:
        return {name.decode("latin-1") for name in wire.folders()}


def mapping(in_process: InProcessImport) -> dict[bytes, bytes]:
    """Runs the import and returns the destination name of each source name.

    The one message in each folder proves that the ledger is right.
    """
    in_process.to_the_end()
    places = {folder.source_name: folder.destination_name for folder in in_process.every_folder()}
    assert len(set(places.values())) == len(places), "two folders in one"
    theirs = {kept._replace(folder=places[kept.folder]) for kept in in_process.held("source")}
    assert theirs == set(in_process.held("destination"))
    return places


STYLES = {
    "slash": {},
    "courier": {"separator": ".", "prefix": "INBOX."},
    "dot": {"separator": "."},
    "fs": {"layout": "fs"},
}
NAMES = [
    "INBOX",
    "{}Sent",
    "{}Work",
    "{}Work{s}2020",
    "{}Work{s}2020{s}Q1",
    "{}R&AOk-sum&AOk-",
    "{}with space",
    '{}quo"te',
    "{}per%c",
]


@pytest.mark.parametrize("there", STYLES)
@pytest.mark.parametrize("here", STYLES)
def test_separators_and_prefixes_of_both_sides(dovecot: MAKES, there: str, here: str) -> None:
    source, destination = dovecot(**STYLES[there]), dovecot(**STYLES[here])
    destination.add_user(LOGIN, PASSWORD)

    def names(style: str) -> list[str]:
        fields = STYLES[style]
        return [name.format(fields.get("prefix", ""), s=fields.get("separator", "/")) for name in NAMES]

    filled(source, names(there))
    places = mapping(InProcessImport(source, destination))
    assert places == {a.encode(): b.encode() for a, b in zip(names(there), names(here), strict=True)}
    assert names_at(destination) >= set(names(here))


def test_a_second_pass_finds_the_same_places(dovecot: MAKES) -> None:
    source, destination = dovecot(layout="fs"), dovecot()
    filled(source, ["INBOX", "v1.2", "v1=2E2", "v1_2", "a.b/c.d"])
    destination.add_user(LOGIN, PASSWORD)
    in_process = InProcessImport(source, destination)
    first = mapping(in_process)
    held, names = in_process.held("destination"), names_at(destination)
    in_process.later(100)
    assert mapping(in_process) == first
    assert mapping(InProcessImport(source, destination)) == first, "with an empty store"
    assert in_process.held("destination") == held
    assert names_at(destination) == names
    note = in_process.folders()["v1.2"].note
    assert note.startswith("the destination refused v1.2 (the server said: "), "the first pass's reason, still"
    assert f"called {first[b'v1.2'].decode()} there" in note
    assert first[b"v1=2E2"] == b"v1=2E2"
    assert first[b"v1_2"] == b"v1_2"
    assert first[b"a.b/c.d"] == b"a_b/c_d"


def test_special_folders_meet_by_their_use_whatever_they_are_called(wires: Wires) -> None:
    for number, (name, use) in enumerate(
        [("Gesendet", b"\\Sent"), ("Entw&APw-rfe", b"\\Drafts"), ("Corbeille", b"\\Trash")]
    ):
        wires.old.folder(name, attributes=(use,)).add(plain(number))
    for name, use in [("Sent Items", b"\\Sent"), ("Drafts", b"\\Drafts"), ("Deleted", b"\\Trash"), ("Junk", b"\\Junk")]:
        wires.new.folder(name, attributes=(use,))
    in_process = InProcessImport(wires.source, wires.destination)
    assert mapping(in_process) == {
        b"INBOX": b"INBOX",
        b"Gesendet": b"Sent Items",
        b"Entw&APw-rfe": b"Drafts",
        b"Corbeille": b"Deleted",
    }
    assert "sent mail" in in_process.folders()["Gesendet"].note


def test_inbox_in_any_case_is_one(wires: Wires) -> None:
    wires.fill(3)
    wires.old.folders[b"Inbox"] = wires.old.folders.pop(b"INBOX")
    wires.old.folders[b"Inbox"].name = b"Inbox"
    wires.old.key = lambda raw: b"Inbox" if raw.upper() == b"INBOX" else raw  # type: ignore[method-assign]
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX"}
    assert len(wires.new.folder(b"INBOX").messages) == 3


def test_what_cannot_be_selected_is_left_and_its_children_are_copied(wires: Wires) -> None:
    wires.old.folder(b"Parent", attributes=(b"\\Noselect",))
    wires.old.folder(b"Parent/child").add(plain(1))
    wires.old.folder(b"Empty")
    wires.old.folder(b"Empty/er", subscribed=True)
    wires.source.behaviour.capabilities.discard("LIST-EXTENDED")
    wires.old.folder(b"Phantom", attributes=(b"\\NonExistent",), selectable=False)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"Parent/child", b"Empty", b"Empty/er"}
    assert wires.new.folder(b"Empty/er").subscribed
    assert not wires.new.folder(b"Empty").subscribed
    assert not wires.source.matching(rb"^(EXAMINE|STATUS) .*(Parent\"|Phantom)")


def test_a_folder_that_cannot_be_opened_costs_nobody_else_anything(wires: Wires) -> None:
    for name in (b"A", b"Locked", b"Z"):
        wires.fill(5, name)
    wires.old.folder(b"Locked").selectable = False
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 10}
    assert in_process.folders()["Locked"].unreadable
    assert "not selectable" in in_process.folders()["Locked"].note
    wires.old.folder(b"Locked").selectable = True
    in_process.later(100)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 15}
    assert not in_process.folders()["Locked"].unreadable


def test_a_folder_whose_opening_ends_the_connection_costs_nobody_else_anything(wires: Wires) -> None:
    for name in (b"A", b"Trailing ", b"Z"):
        wires.fill(5, name)
    wires.source.faults.add(close(rb'^(EXAMINE|STATUS) "Trailing "', times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes().get("copied") == 10
    assert in_process.folders()["Trailing "].unreadable


def test_a_folder_that_the_destination_will_not_make(wires: Wires) -> None:
    for name in (b"A", b"Files", b"Z"):
        wires.fill(5, name)
    # The substitute names are refused too.
    wires.destination.faults.add(
        reply(rb'^CREATE "?(Files|folder)', b"NO [CANNOT] Folder name is reserved", times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"copied": 10, "failed": 5}
    assert len(in_process.noted("failed")) == 5
    assert in_process.mailbox().state == "complete"
    said = {note.reason for note in in_process.notes() if note.what == "failed"}
    assert any("Files" in reason for reason in said)
    assert all("Folder name is reserved" in reason for reason in said), "what CREATE was told, not what SELECT was"


def test_a_reserved_name_gets_another_and_the_mail_arrives(wires: Wires) -> None:
    wires.fill(5, b"Files")
    wires.fill(2, b"Files/x")
    wires.destination.faults.add(reply(rb'^CREATE "?Files"?\s*$', b"NO [CANNOT] Folder name is reserved", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 7}
    assert set(wires.new.folders) == {b"INBOX", b"Files_", b"Files/x"}, "nothing empty"
    assert in_process.folders()["Files"].note == (
        "the destination refused Files (the server said: [CANNOT] Folder name is reserved); called Files_ there"
    )


class TestAFolderThatTakesNoneBelowIt:
    """Tests a Dovecot with mbox, where a folder is a file."""

    FOLDERS = ("INBOX", "Work", "Work/Sub", "Work/Sub/Deep", "Projects/A", "Work/a.b*")

    def test_names_stand_beside_it_and_stay(self, dovecot: MAKES) -> None:
        source, destination = dovecot(layout="fs"), dovecot(mail_format="mbox")
        filled(source, list(self.FOLDERS))
        destination.add_user(LOGIN, PASSWORD)
        in_process = InProcessImport(source, destination)
        first = mapping(in_process)
        assert {a.decode(): b.decode() for a, b in first.items()} == {
            "INBOX": "INBOX",
            "Work": "Work",
            "Work/Sub": "Work_Sub",
            "Work/Sub/Deep": "Work_Sub_Deep",
            "Projects/A": "Projects/A",
            "Work/a.b*": "Work_a.b*",
        }
        assert "Work takes no folders below it there" in in_process.folders()["Work/Sub"].note
        held, names = in_process.held("destination"), names_at(destination)
        assert names == {name.decode() for name in first.values()}, "nothing empty"
        in_process.later(100)
        assert mapping(in_process) == first
        assert mapping(InProcessImport(source, destination)) == first, "with an empty store"
        assert in_process.held("destination") == held
        assert names_at(destination) == names

    def test_a_directory_of_its_own_gets_another_name(self, dovecot: MAKES) -> None:
        source, destination = dovecot(layout="fs"), dovecot(mail_format="mbox")
        filled(source, ["INBOX", "Work"])
        destination.add_user(LOGIN, PASSWORD)
        populate(destination.host, destination.port, LOGIN, PASSWORD, {"Work/There": [Mail(plain(50), (), WHEN)]})
        in_process = InProcessImport(source, destination)
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 2}
        assert in_process.folders()["Work"].destination_name == b"Work_"


class TestAFolderThatIsRemovedMeanwhile:
    def test_it_is_made_again_and_filled_in_the_same_pass(self, wires: Wires) -> None:
        wires.fill(8, b"Work")
        wires.fill(2)
        self.remove_when(wires, rb"^APPEND ", times=1, after=2)
        in_process = InProcessImport(
            wires.source, wires.destination, batch_messages=4, copy_rules=CopyRules(group_messages=2, outstanding=1)
        )
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 10}
        assert len(wires.new.folder(b"Work").messages) == 8
        assert len(wires.destination.matching(rb'^CREATE "?Work"?')) == 2

    def test_a_real_one(self, dovecot: MAKES) -> None:
        source, destination = dovecot(), dovecot()
        filled(source, ["INBOX", "Work", "Z"])
        destination.add_user(LOGIN, PASSWORD)
        in_process = InProcessImport(source, destination)
        removed: list[str] = []

        def removing(session: Any) -> Any:
            opening = session.open

            def opened(name: bytes, **more: Any) -> Any:
                if name == b"Work" and not removed:
                    removed.append("Work")
                    with Wire(destination.host, destination.port, LOGIN, PASSWORD) as wire:
                        wire.command(b"DELETE Work")
                return opening(name, **more)

            session.open = opened
            return session

        in_process.spoil = removing
        mapping(in_process)
        assert removed
        assert in_process.outcomes() == {"copied": 3}

    def test_one_that_is_removed_again_and_again_ends(self, wires: Wires) -> None:
        wires.fill(4, b"Work")
        wires.fill(2)
        self.remove_when(wires, rb"^APPEND ", times=1000)
        in_process = InProcessImport(wires.source, wires.destination)
        in_process.to_the_end(limit=60)
        assert in_process.outcomes() == {"copied": 2, "failed": 4}
        assert len(wires.destination.matching(rb'^CREATE "?Work"?')) < 20

    def test_one_that_goes_after_it_was_filled_is_filled_again(self, wires: Wires) -> None:
        wires.fill(4, b"Work")
        wires.fill(2)
        in_process = InProcessImport(wires.source, wires.destination)
        removed: list[bytes] = []

        def removing(session: Any) -> Any:
            asking = session.statuses

            def asked(names: Any, **how: Any) -> Any:
                if in_process.outcomes().get("copied") == 6 and not removed:
                    removed.append(b"Work")
                    wires.new.folders.pop(b"Work")
                return asking(names, **how)

            session.statuses = asked
            return session

        in_process.spoil = removing
        in_process.to_the_end()
        assert removed
        assert in_process.outcomes() == {"copied": 6}
        assert in_process.mailbox().state == "complete"
        assert len(wires.new.folder(b"Work").messages) == 4

    @pytest.mark.parametrize("multiappend", [True, False])
    @pytest.mark.parametrize("protected", [True, False])
    def test_while_it_is_filled_it_is_planned_anew_at_once(
        self, wires: Wires, monkeypatch: pytest.MonkeyPatch, *, multiappend: bool, protected: bool
    ) -> None:
        """Costs no attempt: the last one would fail the messages, or park the mailbox."""
        if not protected:
            monkeypatch.setattr(BatchFolders, "refused", lambda self, error: error)
        if not multiappend:
            wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
        wires.fill(60, b"Work")
        self.remove_when(wires, rb"^APPEND ", times=1)
        in_process = InProcessImport(wires.source, wires.destination)
        in_process.to_the_end(limit=60)
        assert in_process.outcomes() == {"copied": 60}
        assert wires.bodies(b"Work") == wires.sent(b"Work")
        refused = [one for one in in_process.failures() if one.code == "destination_folder_refused"]
        assert bool(refused) is not protected

    @staticmethod
    def remove_when(wires: Wires, command: bytes, *, times: int, after: int = 0) -> None:
        """Removes the folder when the command has come `after` times: NO [TRYCREATE], as RFC 9051 §6.3.12 says."""
        seen = [0]

        def due(found: Command) -> bool:
            if not re.match(command + rb'"?Work"?', found.text):
                return False
            seen[0] += 1
            if not after < seen[0] <= after + times:
                return False
            wires.new.folders.pop(b"Work", None)
            return True

        wires.destination.faults.add(reply(due, b"NO [TRYCREATE] there is no such folder", times=None))


def test_a_folder_closed_at_the_destination_while_it_is_filled(wires: Wires) -> None:
    for name in (b"A", b"B", b"Z"):
        wires.fill(5, name)
    wires.destination.faults.add(reply(rb'^SELECT "?B"?', b"NO [NOPERM] not yours any more", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end(limit=60)
    assert in_process.outcomes() == {"copied": 10, "failed": 5}
    assert all("not yours any more" in reason for reason in in_process.noted("failed").values())


def test_names_that_are_no_names(wires: Wires) -> None:
    names = [
        "Entwürfe".encode(),
        "Entwürfe/Alt".encode(),
        b"Entw&APw-rfe",
        b"&bad",
        b"&AGE-",
        b"a*b",
        b"a%b",
        b'a"b',
        b"a\\b",
        b" lead",
        b"trail ",
        b"dou  ble",
        b"{7}",
        b"()",
        b"x" * 150,
        b"\xff\xfe",
        b"case",
        b"CASE",
        b"NIL",
    ]
    for number, name in enumerate(names):
        wires.old.folder(name).add(plain(number))
    places = mapping(InProcessImport(wires.source, wires.destination))
    assert set(places) == {b"INBOX", *names}
    assert all(name.isascii() for name in places.values()), "8-bit names are for those who asked for them"
    for name in (b"a*b", b'a"b', b"a\\b", b" lead", b"NIL", b"Entw&APw-rfe", b"case", b"CASE"):
        assert places[name] == name


@pytest.mark.parametrize("name", ["nl\nx", "crlf\r\nx", "bye\r\n* BYE"])
def test_a_name_that_holds_a_line_break_costs_no_other_folder(dovecot: MAKES, name: str) -> None:
    """Has Dovecot list a folder that it cannot open, and whose name it repeats with the line break."""
    source, destination = dovecot(), dovecot()
    filled(source, ["INBOX", "a", "z"])
    destination.add_user(LOGIN, PASSWORD)
    good = source.mail_folder(LOGIN, "a")
    broken = source.mail_folder(LOGIN, name)
    shutil.copytree(good, broken)
    for place in (broken, *broken.rglob("*")):
        os.chown(place, good.stat().st_uid, good.stat().st_gid)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert len([one for one in in_process.every_folder() if one.unreadable]) == 1


def test_names_longer_than_the_destination_takes(dovecot: MAKES, wires: Wires) -> None:
    destination = dovecot()
    destination.add_user(LOGIN, PASSWORD)
    long = [b"y" * 250, b"y" * 249 + b"z", b"/".join([b"deep"] * 70), b"/".join([b"deep"] * 70 + [b"er"])]
    for number, name in enumerate(long):
        wires.old.folder(name).add(plain(number))
    in_process = InProcessImport(wires.source, destination)
    places = mapping(in_process)
    assert all(len(places[name]) <= 200 for name in long)
    assert all("shortened" in in_process.folders()[name.decode()].note for name in long[:2])


def test_only_some_folders(wires: Wires) -> None:
    for name in (b"Work", b"Work/2020", b"Private", b"Spam", b"Work/Spam"):
        wires.fill(2, name)
    in_process = InProcessImport(
        wires.source, wires.destination, options=Options(include=("Work", "inbox"), exclude=("*/Spam",))
    )
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"Work", b"Work/2020"}
    assert in_process.outcomes() == {"copied": 4}


def test_what_is_only_said_in_lsub(wires: Wires) -> None:
    for server in (wires.source, wires.destination):
        server.behaviour.capabilities -= {"LIST-EXTENDED", "SPECIAL-USE", "NAMESPACE", "LIST-STATUS"}
    wires.fill(2, b"Old news")
    wires.old.folder(b"Old news").subscribed = True
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert wires.new.folder(b"Old news").subscribed
    assert in_process.outcomes() == {"copied": 2}


def test_a_flat_server_and_one_with_levels(wires: Wires) -> None:
    wires.new.separator = b""
    for name in (b"Work", b"Work/2020"):
        wires.fill(2, name)
    places = mapping_of(wires)
    assert places[b"Work/2020"] == b"Work/2020"
    assert len(set(places.values())) == 3


def mapping_of(wires: Wires) -> dict[bytes, bytes]:
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    return {folder.source_name: folder.destination_name for folder in in_process.folders().values()}


def test_ten_thousand_folders(wires: Wires) -> None:
    for number in range(10_000):
        wires.old.folder(b"F%d/%d" % (number % 100, number))
    wires.old.folder(b"F7/7").add(plain(1))
    in_process = InProcessImport(wires.source, wires.destination)
    began = time.process_time()
    in_process.to_the_end()
    assert time.process_time() - began < 60, "of both servers and ours together"
    assert in_process.outcomes() == {"copied": 1}
    assert set(wires.old.folders) <= set(wires.new.folders)
