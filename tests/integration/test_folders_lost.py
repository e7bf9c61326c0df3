"""Tests folders that were renamed, removed or lost between two passes, as real servers do not do it, and kills.

What real servers do is in test_folders_followed.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

import worker.decisions.whereabouts
import worker.planning.folder_search
import worker.verifying.verify
from shared.model import Options
from shared.model.lifecycle import Outcome
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.integration.test_folders_followed import counted
from tests.integration.test_missing import exit_code
from tests.integration.test_uidvalidity import numbered_anew
from tests.servers.faults import Action, Fault


@pytest.fixture
def in_process(wires: Wires) -> InProcessImport:
    """Returns a stage on which three folders were copied."""
    wires.fill(4)
    for number, name in enumerate((b"Work", b"Other"), start=1):
        wires.fill(5, name, first=100 * number)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    return in_process


def rename(account: Any, name: bytes, other: bytes) -> None:
    folder = account.folders.pop(name)
    folder.name = other
    account.folders[other] = folder


def test_a_restored_backup_is_a_loss_and_its_folder_is_filled_again(in_process: InProcessImport, wires: Wires) -> None:
    """The backup is older than the copies: UIDNEXT of INBOX goes back."""
    wires.new.folders.pop(b"Work")
    inbox = wires.new.folder(b"INBOX")
    inbox.remove(inbox.uids[-1])
    inbox.announced_uidnext = inbox.uidnext - 1
    in_process.to_the_end()
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert in_process.tally().removed == 0
    assert exit_code(in_process) == 3, "what INBOX lost is missing"


def test_an_account_made_anew_is_filled_again(in_process: InProcessImport, wires: Wires) -> None:
    wires.new.folders.clear()
    wires.new.folder(b"INBOX", uidvalidity=77_000)
    in_process.to_the_end()
    for name in (b"INBOX", b"Work", b"Other"):
        assert wires.bodies(name) == wires.sent(name)
    assert in_process.tally().removed == 0


def test_a_folder_that_no_verification_saw_is_lost_not_removed(wires: Wires) -> None:
    wires.fill(4)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    wires.fill(5, b"Work", first=100)
    in_process.submit()
    in_process.stopping = lambda: in_process.tally()[Outcome.COPIED] == 9
    in_process.work()
    in_process.stopping = lambda: False
    assert in_process.mailbox().state == "verifying"
    wires.new.folders.pop(b"Work")
    in_process.to_the_end(submit=False)
    assert wires.bodies(b"Work") == wires.sent(b"Work")
    assert in_process.tally().removed == 0


def test_all_folders_gone_at_once_are_a_loss(wires: Wires) -> None:
    wires.fill(4)
    names = (b"One", b"Two", b"Three")
    for number, name in enumerate(names, start=1):
        wires.fill(5, name, first=100 * number)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    for name in names:
        wires.new.folders.pop(name)
    in_process.to_the_end()
    assert all(wires.bodies(name) == wires.sent(name) for name in names)
    assert in_process.tally().removed == 0


def test_without_a_witness_a_folder_is_lost(wires: Wires) -> None:
    wires.fill(5, b"Work", first=100)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(include=("Work",)))
    in_process.to_the_end()
    wires.new.folders.pop(b"Work")
    in_process.to_the_end()
    assert wires.bodies(b"Work") == wires.sent(b"Work")


def test_control_without_witnesses_a_loss_would_count_as_removed(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.decisions.whereabouts, "counts_on", lambda *_: True)
    with pytest.raises(AssertionError):
        test_a_restored_backup_is_a_loss_and_its_folder_is_filled_again(in_process, wires)


def test_what_is_lost_and_gone_at_the_source_too_is_missing(in_process: InProcessImport, wires: Wires) -> None:
    wires.old.folders.pop(b"Work")
    in_process.to_the_end()
    wires.new.folders.clear()
    wires.new.folder(b"INBOX", uidvalidity=77_000)
    for _ in range(2):
        in_process.to_the_end()
        assert counted(in_process)[1:] == (5, 0, 0)
        assert exit_code(in_process) == 3
    assert wires.bodies(b"Other") == wires.sent(b"Other")


def test_removed_between_the_plan_and_the_verification(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    verify = worker.verifying.verify.MailboxVerification.run

    def removing(*args: Any) -> Any:
        wires.new.folders.pop(b"Work", None)
        return verify(*args)

    monkeypatch.setattr(worker.verifying.verify.MailboxVerification, "run", removing)
    wires.fill(1, b"Work", first=900)
    in_process.to_the_end()
    assert b"Work" not in wires.new.folders
    assert counted(in_process) == (15, 0, 0, 6)
    assert exit_code(in_process) == 0


def test_an_empty_folder_with_another_uidvalidity_each_time(in_process: InProcessImport, wires: Wires) -> None:
    """Empties a folder on a server that numbers an empty one anew each second, as GNU Mailutils does."""
    numbered_anew(wires, rb"(?:STATUS|SELECT|EXAMINE)", lambda messages: not messages)
    for expected in (5, 7):
        folder = wires.new.folder(b"Work")
        for uid in list(folder.uids):
            folder.remove(uid)
        for _ in range(3):
            in_process.to_the_end()
            assert not wires.bodies(b"Work")
            assert counted(in_process)[1:] == (0, 0, expected)
        if expected == 5:
            wires.fill(2, b"Work", first=900)
            in_process.to_the_end()
            assert wires.bodies(b"Work").total() == 2
            assert in_process.failures() == []


def test_one_uidvalidity_for_all_folders_tells_nothing(wires: Wires) -> None:
    """Tells folders apart by what they hold alone, as go-imap makes it necessary."""
    for account in (wires.old, wires.new):
        for name in (b"INBOX", b"Work", b"Other", b"Third"):
            account.folder(name).uidvalidity = 1
    wires.fill(4)
    for number, name in enumerate((b"Work", b"Other"), start=1):
        wires.fill(5, name, first=100 * number)
    wires.fill(7, b"Third", first=300)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    # Work goes, and another folder comes that has as many messages and more.
    wires.old.folders.pop(b"Work")
    wires.old.folder(b"New").uidvalidity = 1
    wires.fill(6, b"New", first=500)
    rename(wires.old, b"Other", b"Second")
    rename(wires.new, b"Third", b"Mine")
    in_process.to_the_end()
    assert wires.bodies(b"New") == wires.sent(b"New")
    assert wires.bodies(b"Second") == wires.sent(b"Second")
    assert wires.bodies(b"Mine") == wires.sent(b"Third")
    assert set(wires.new.folders) == {b"INBOX", b"Work", b"New", b"Second", b"Mine"}
    assert wires.bodies(b"Work").total() == 5, "what was deleted at the source stays"


def test_control_without_looking_at_messages_a_folder_would_be_taken_for_another(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker.planning.folder_search.FolderSearch, "_alike", lambda *_: True)
    with pytest.raises(AssertionError):
        test_one_uidvalidity_for_all_folders_tells_nothing(wires)


@pytest.mark.parametrize("words", [b"NO [CANNOT] folders are not renamed here", b"NO [ALREADYEXISTS] it is there"])
def test_a_rename_that_the_destination_refuses(in_process: InProcessImport, wires: Wires, words: bytes) -> None:
    wires.destination.faults.add(Fault(rb"RENAME", Action.REPLY, text=words, times=None))
    rename(wires.old, b"Work", b"Job")
    wires.fill(2, b"Job", first=900)
    for _ in range(3):
        in_process.to_the_end()
    assert len(wires.destination.matching(rb"RENAME")) == 1, "it is tried once"
    assert wires.bodies(b"Work") == wires.sent(b"Job"), "its mail goes where it went before"
    assert b"Job" not in wires.new.folders
    note = in_process.folders()["Job"].note
    assert note.startswith("renamed at the source, and keeps its name at the destination (the server said:")
    assert note.endswith("called Work there")
    assert exit_code(in_process) == 0


def test_a_name_that_is_taken_is_not_tried(in_process: InProcessImport, wires: Wires) -> None:
    wires.new.folder(b"Job").add(plain(999))
    rename(wires.old, b"Work", b"Job")
    in_process.to_the_end()
    assert not wires.destination.matching(rb"RENAME")
    assert wires.bodies(b"Job").total() == 1
    assert wires.bodies(b"Work") == wires.sent(b"Job")
    assert "there is another folder of that name" in in_process.folders()["Job"].note


def test_renamed_back_and_forth(in_process: InProcessImport, wires: Wires) -> None:
    for old, new in ((b"Work", b"Job"), (b"Job", b"Work"), (b"Work", b"Third")):
        rename(wires.old, old, new)
        in_process.to_the_end()
        assert wires.bodies(new) == wires.sent(new)
        assert old not in wires.new.folders
        assert in_process.outcomes() == {"copied": 14}


def test_a_folder_left_out_now_keeps_where_it_is(in_process: InProcessImport, wires: Wires) -> None:
    in_process.options = replace(in_process.options, exclude=("Work",))
    wires.new.folders.pop(b"Work")
    in_process.to_the_end()
    assert b"Work" not in wires.new.folders
    assert in_process.tally().removed == 5


def test_nothing_changed_costs_no_round_trip_more(in_process: InProcessImport, wires: Wires) -> None:
    counts = []
    for _ in range(2):
        before = [len(server.commands) for server in (wires.source, wires.destination)]
        in_process.to_the_end()
        new = [
            [c.name for c in server.commands[at:]]
            for server, at in zip((wires.source, wires.destination), before, strict=True)
        ]
        counts.append(
            [[name for name in names if name in (b"LIST", b"STATUS", b"SELECT", b"EXAMINE")] for names in new]
        )
    assert counts[0] == counts[1]
    source, destination = counts[0]
    assert source.count(b"STATUS") == 3
    assert source.count(b"EXAMINE") == 0
    assert destination.count(b"STATUS") == 3, (
        "once: the verification follows at once, and goes by what the plan counted"
    )


# -- interrupted


class Killed(BaseException):
    """Stands for a kill of the worker."""


@pytest.mark.parametrize("effect", ["rename", "subscribe", "unsubscribe", "plan_folders"])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_a_rename_is_followed(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch, effect: str, after: bool
) -> None:
    wires.destination.behaviour.capabilities.discard("LIST-EXTENDED")
    wires.new.folder(b"Work").subscribed = True
    rename(wires.old, b"Work", b"Job")
    wires.fill(1, b"Job", first=900)
    kill_at(in_process, monkeypatch, effect, after=after)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"Job", b"Other"}
    assert wires.bodies(b"Job") == wires.sent(b"Job")
    assert in_process.outcomes() == {"copied": 15}
    assert len(in_process.every_folder()) == 3


@pytest.mark.parametrize("effect", ["create", "plan_folders", "send"])
@pytest.mark.parametrize("after", [False, True])
def test_interrupted_while_a_removed_folder_is_made_anew(
    in_process: InProcessImport, wires: Wires, monkeypatch: pytest.MonkeyPatch, effect: str, after: bool
) -> None:
    wires.new.folders.pop(b"Work")
    wires.fill(1, b"Work", first=900)
    kill_at(in_process, monkeypatch, effect, after=after)
    in_process.to_the_end()
    assert wires.bodies(b"Work").total() == 1
    assert counted(in_process) == (15, 0, 0, 5)
    assert exit_code(in_process) == 0


def kill_at(in_process: InProcessImport, monkeypatch: pytest.MonkeyPatch, effect: str, *, after: bool) -> None:
    """Kills the worker once, before or after this effect; the lease expires."""
    killed: list[bool] = []

    def killing(call: Any) -> Any:
        def once(*args: Any, **kwargs: Any) -> Any:
            if killed:
                return call(*args, **kwargs)
            if after:
                call(*args, **kwargs)
            killed.append(True)
            raise Killed

        return once

    if effect == "plan_folders":
        monkeypatch.setattr(in_process.store, effect, killing(in_process.store.plan_folders))
    else:

        def spoil(session: Any) -> Any:
            setattr(session, effect, killing(getattr(session, effect)))
            return session

        in_process.spoil = spoil
    in_process.submit()
    with pytest.raises(Killed):
        in_process.work()
    in_process.spoil = lambda session: session
    in_process.later(3600)
