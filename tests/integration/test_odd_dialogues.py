"""Servers whose answers are odd in ways that nobody announced: what they hold arrives whole all the same."""

from __future__ import annotations

import itertools
import re
from collections import Counter

import pytest

from shared.mail.imap.flights import FlyingSession
from shared.mail.imap.imap_mailbox import ImapSession
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import Action, Fault, reply, rewrite
from tests.servers.faulty import Command
from worker.decisions.mailbox_folders import MailboxFolders


def whole(wires: Wires, *folders: bytes) -> bool:
    return all(wires.bodies(folder) == wires.sent(folder) for folder in (b"INBOX", *folders))


def work_folder(wires: Wires, messages: int = 3) -> None:
    for number in range(100, 100 + messages):
        wires.old.folder(b"Work").add(plain(number))


# -- LIST


def without_inbox(answer: bytes) -> bytes:
    return re.sub(rb'\* L(?:IST|SUB) \([^)]*\) "?[^ ]+ "?INBOX"?[^\r]*\r\n', b"", answer)


def nothing(answer: bytes) -> bytes:
    return re.sub(rb"\* L(?:IST|SUB) [^\r]*\r\n", b"", answer)


@pytest.mark.parametrize("shown", [without_inbox, nothing])
@pytest.mark.parametrize("status", [True, False])
def test_an_inbox_that_list_does_not_show_is_copied(wires: Wires, shown: object, status: bool) -> None:
    wires.fill(5)
    work_folder(wires)
    wires.source.faults.add(rewrite(rb"^(LIST|LSUB)", shown))
    if not status:
        wires.source.faults.add(reply(rb"^STATUS", b"NO not here", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    listed = shown is without_inbox
    assert in_process.outcomes() == {"copied": 8 if listed else 5}
    assert whole(wires, *([b"Work"] if listed else []))


def test_without_the_question_it_would_be_left_behind(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(ImapSession, "_opens", lambda self, name: False)
    wires.fill(5)
    wires.source.faults.add(rewrite(rb"^(LIST|LSUB)", nothing))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {}
    assert in_process.mailbox().state == "complete"


def test_an_account_without_an_inbox_has_none(wires: Wires) -> None:
    work_folder(wires)
    wires.source.faults.add(rewrite(rb"^(LIST|LSUB)", without_inbox))
    wires.source.faults.add(reply(rb"^(STATUS|EXAMINE) \"?INBOX", b"NO [NONEXISTENT] no such folder", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 3}
    assert in_process.folders().keys() == {"Work"}


def test_an_inbox_that_is_listed_is_not_asked_for(wires: Wires) -> None:
    wires.fill(1)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    asked = [command.text for command in wires.source.commands if re.match(rb'STATUS "?INBOX', command.text)]
    assert len(asked) == 1, "that of planning"


# -- FETCH that is too much in one command, said in other ways than by MESSAGELIMIT


def uids_of(command: Command) -> bytes:
    found = re.match(rb"UID FETCH (\S+) ", command.text)
    return found[1] if found else b""


def too_many(most: int, existing: int) -> object:
    """Tells whether a command asks for more messages than that."""

    def matches(command: Command) -> bool:
        number = 0
        for part in filter(None, uids_of(command).split(b",")):
            low, _, high = part.partition(b":")
            number += min(existing, int(high or low)) - int(low) + 1
        return number > most

    return matches


def no_set(command: Command) -> bool:
    return b"," in uids_of(command)


def too_long(command: Command) -> bool:
    return len(uids_of(command)) > 12


@pytest.mark.parametrize("words", [b"NO [LIMIT] too many messages", b"NO [MESSAGELIMIT 3] x", b"BAD too much"])
@pytest.mark.parametrize("announced", [True, False])
def test_a_fetch_that_is_too_much_is_asked_for_in_smaller_ones(wires: Wires, words: bytes, announced: bool) -> None:
    wires.fill(17)
    if announced:
        wires.source.behaviour.capabilities.add("MESSAGELIMIT=1000")
    wires.source.faults.add(reply(too_many(3, 17), words, times=None))  # type: ignore[arg-type]
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 17}
    assert whole(wires)
    assert not in_process.failures()


@pytest.mark.parametrize("refused", [no_set, too_long])
@pytest.mark.parametrize("status", [b"BAD", b"NO [LIMIT]"])
def test_a_set_that_is_no_single_range_or_too_long_is_cut_up(wires: Wires, refused: object, status: bytes) -> None:
    inbox = wires.old.folder(b"INBOX")
    for number in range(1, 30):
        inbox.add(plain(number), uid=1000 + 3 * number)
    wires.source.faults.add(reply(refused, status + b" invalid sequence set", times=None))  # type: ignore[arg-type]
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 29}
    assert whole(wires)
    assert not in_process.failures()


def test_without_forgiving_such_a_bad_the_folder_is_not_copied(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(FlyingSession, "_forgive", lambda self, tags: None)
    wires.fill(17)
    wires.source.faults.add(reply(too_many(3, 17), b"BAD too much", times=None))  # type: ignore[arg-type]
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {}
    assert [folder.unreadable for folder in in_process.every_folder()] == [True]


def test_limit_with_words_of_haste_is_waited_for(wires: Wires) -> None:
    wires.fill(9)
    fault = wires.source.faults.add(reply(rb"^UID FETCH", b"NO [LIMIT] rate exceeded, try again in 30 seconds"))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.submit()
    in_process.work()
    assert fault.struck
    assert not in_process.finished, "it waits"
    in_process.to_the_end(submit=False)
    assert in_process.outcomes() == {"copied": 9}
    assert max(len(uids_of(command)) for command in wires.source.matching(b"BODY")) > 1, "no smaller commands"


# -- LSUB, APPENDUID, bodies


def test_a_folder_that_lsub_alone_shows_is_copied(wires: Wires) -> None:
    wires.fill(2)
    work_folder(wires)
    capabilities = wires.source.behaviour.capabilities
    capabilities -= {"LIST-EXTENDED", "LIST-STATUS"}
    hidden = re.compile(rb'\* LIST \([^)]*\) "?[^ ]+ "?Work"?[^\r]*\r\n')
    wires.source.faults.add(rewrite(rb"^LIST", lambda answer: hidden.sub(b"", answer)))
    gone = b'* LSUB () "/" Gone\r\n* LSUB () "/" Work\r\n'  # users never tidy up
    wires.source.faults.add(rewrite(rb"^LSUB", lambda answer: gone + answer))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.folders().keys() == {"INBOX", "Work"}
    assert in_process.outcomes() == {"copied": 5}
    assert whole(wires, b"Work")


@pytest.mark.parametrize("uid", [b"0", b"1", b"0:3", b"4294967296"])
@pytest.mark.parametrize("multiappend", [True, False])
def test_an_appenduid_that_cannot_be_right_is_not_believed(wires: Wires, uid: bytes, multiappend: bool) -> None:
    """Answers without a number, or with the same number for every message."""
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    named = re.compile(rb"\[APPENDUID (\d+) [0-9:,]+\]")
    wrong = rewrite(rb"^APPEND", lambda answer: named.sub(rb"[APPENDUID \1 " + uid + b"]", answer))
    wires.destination.faults.add(wrong)
    wires.fill(25)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 25}
    assert whole(wires)
    assert not in_process.failures()
    assert len(in_process.pairs()) == 25


@pytest.mark.parametrize("told", [True, False])
def test_a_body_of_no_bytes_is_believed_where_the_size_says_so(wires: Wires, told: bool) -> None:
    wires.fill(4)
    wires.old.folder(b"INBOX").add(b"" if told else plain(9))
    body = re.compile(rb"BODY\[\] \{\d+\}\r\n[^)]*Subject: 9\r\n[^)]*\)", re.DOTALL)
    if not told:
        wires.source.faults.add(rewrite(rb"BODY\.PEEK\[\]", lambda answer: body.sub(b'BODY[] "")', answer)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    # The scripted destination refuses an empty message, as Dovecot does.
    assert in_process.outcomes() == {"copied": 4, "refused" if told else "failed": 1}
    if not told:
        assert "gives none" in in_process.noted("failed")[5]


# -- SEARCH


def test_an_esearch_for_another_command_is_not_ours(wires: Wires) -> None:
    inbox = wires.old.folder(b"INBOX")
    for number in range(1, 13):
        inbox.add(plain(number), uid=20_000 * number)  # sparse: SEARCH tells which there are
    foreign = b'* ESEARCH (TAG "zz99") UID ALL 7,30000\r\n'
    wires.source.faults.add(rewrite(rb"^UID SEARCH", lambda answer: foreign + answer))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 12}
    assert whole(wires)


def test_an_esearch_that_names_another_tag_alone_is_taken(wires: Wires) -> None:
    inbox = wires.old.folder(b"INBOX")
    for number in range(1, 13):
        inbox.add(plain(number), uid=20_000 * number)
    wrong = re.compile(rb'\(TAG "[^"]+"\)')
    wires.source.faults.add(rewrite(rb"^UID SEARCH", lambda answer: wrong.sub(b'(TAG "A1")', answer)))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 12}


# -- sparse UIDs


@pytest.mark.parametrize("condstore", [True, False])
def test_uids_up_to_the_end_of_32_bit_cost_no_more_than_others(wires: Wires, condstore: bool) -> None:
    if not condstore:
        wires.source.behaviour.capabilities.discard("CONDSTORE")
    inbox = wires.old.folder(b"INBOX")
    for number, uid in enumerate((1, 7, 4_294_967_290), start=1):
        inbox.add(plain(number), uid=uid)
    in_process = InProcessImport(wires.source, wires.destination)
    for _ in range(2):
        in_process.to_the_end()
        assert in_process.outcomes() == {"copied": 3}
    assert whole(wires)
    assert len(wires.source.commands) < 60


# -- BYE at EXAMINE


@pytest.mark.parametrize(("folders", "times"), [(1, 1), (2, 1), (2, 2), (2, 3), (2, 4), (3, 2), (3, 4)])
def test_connections_that_end_at_examine_for_a_while_leave_no_folder_behind(
    wires: Wires, folders: int, times: int
) -> None:
    wires.fill(4)
    names = [b"Work", b"Old"][: folders - 1]
    for place, name in enumerate(names):
        wires.old.folder(name).add(plain(100 + place))
    count = itertools.count()
    wires.source.faults.add(
        Fault(lambda command: command.text.startswith(b"EXAMINE") and next(count) < times, Action.CLOSE, times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4 + len(names)}
    assert whole(wires, *names)
    assert not any(folder.unreadable for folder in in_process.every_folder())


def test_two_folders_that_end_the_connection_keep_their_own_words_and_cost_the_others_nothing(wires: Wires) -> None:
    wires.fill(4)
    for place, name in enumerate((b"Bad1", b"Bad2", b"Work")):
        wires.old.folder(name).add(plain(100 + place))
    wires.source.faults.add(reply(rb"^EXAMINE \"?Bad", b"* BYE internal error", times=None))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 5}
    assert whole(wires, b"Work")
    unreadable = {folder.display: folder.note for folder in in_process.every_folder() if folder.unreadable}
    assert unreadable.keys() == {"Bad1", "Bad2"}
    assert all("internal error" in note for note in unreadable.values())
    assert in_process.mailbox().state == "complete"


@pytest.mark.parametrize("answer", [b"* SEARCH 0 1 x\r\n", b"* BYE internal error\r\n"])
def test_a_folder_that_cannot_be_listed_costs_the_others_nothing(wires: Wires, answer: bytes) -> None:
    wires.fill(4)
    for place, name in enumerate((b"A", b"Bad", b"Work")):
        wires.old.folder(name).add(plain(100 + place))

    def bad(command: Command) -> bool:
        return command.text.startswith((b"UID FETCH", b"UID SEARCH")) and wires.opened(command) == b"Bad"

    wires.source.faults.add(rewrite(bad, lambda whole: answer + whole[whole.rindex(b"\r\n", 0, -2) + 2 :]))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 6}
    assert whole(wires, b"A", b"Work")
    assert [folder.display for folder in in_process.every_folder() if folder.unreadable] == ["Bad"]
    assert in_process.mailbox().state == "complete"
    wires.source.faults.clear()
    in_process.later(3600)
    in_process.to_the_end()
    assert whole(wires, b"A", b"Bad", b"Work"), "and the next pass brings it"


def test_without_another_attempt_the_folder_behind_is_blamed(wires: Wires, monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: after the third BYE the other folder is not looked at any more."""
    monkeypatch.setattr("worker.planning.folder_turns.UNIT_ATTEMPTS", 0)
    monkeypatch.setattr(MailboxFolders, "in_turn", lambda self, mapped, attempts: list(mapped))
    wires.fill(4)
    wires.old.folder(b"Work").add(plain(100))
    count = itertools.count()
    wires.source.faults.add(
        Fault(lambda command: command.text.startswith(b"EXAMINE") and next(count) < 3, Action.CLOSE, times=None)
    )
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {}
    assert Counter(folder.unreadable for folder in in_process.every_folder()) == {True: 2}
