"""Tests `--deletions follow`: copies go with messages that were deleted at the source, and nothing else ever goes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest

import worker.following.deletions_followed
from producer.show.notes import DELETED_AT_SOURCE, notes_of
from shared.model import Options
from shared.model.uids import UidSet
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.integration.test_delta import BODY, WITHOUT_CONDSTORE, Both
from tests.integration.test_missing import exit_code
from tests.servers.dovecot import Dovecot
from tests.servers.faults import reply, reset
from tests.servers.imap_syntax import Command

DELETE = (b"SELECT INBOX", b"STORE 1:10 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")


@pytest.fixture(params=["CONDSTORE", "compared"])
def both(request: pytest.FixtureRequest, dovecot: Callable[..., Dovecot], dovecot_pair: DovecotPair) -> Both:
    """Returns servers after a first pass, of which the source has CONDSTORE and QRESYNC, or neither; deletions are followed."""
    source, login = dovecot_pair.source, dovecot_pair.account()
    if request.param == "compared":
        source = dovecot(extra=f"imap_capability = {WITHOUT_CONDSTORE}")
        source.add_user(login, dovecot_pair.password)
    both = Both(source, dovecot_pair.destination, login, dovecot_pair.password)
    both.in_process.options = replace(both.in_process.options, deletions="follow")
    return both


def told(in_process: InProcessImport) -> Counter[str]:
    """Returns how many messages were deleted at the source, by what became of the copy."""
    notes = [
        n
        for folder in in_process.every_folder()
        for n in notes_of(in_process.store, folder)
        if n.what == DELETED_AT_SOURCE
    ]
    assert in_process.tally().deleted_at_source == len(notes)
    return Counter(note.reason.partition("; ")[2] for note in notes)


def assert_quiet(both: Both) -> None:
    """Asserts that the import is complete, counts nobody's wish as a fault, and that further passes change nothing."""
    held = both.in_process.held("destination")
    for options in (both.in_process.options, replace(both.in_process.options, verify="full")):
        both.in_process.options = options
        both.again()
        assert exit_code(both.in_process) == 0
        assert both.in_process.told.count(BODY) == 0 or options.verify == "full"
        tally = both.in_process.tally()
        assert (tally.missing, tally.moved, tally.removed, tally.doubled, tally.altered) == (0, 0, 0, 0, 0)
        assert both.in_process.held("destination") == held


def test_the_copies_go_too(both: Both) -> None:
    both.at(both.source, *DELETE)
    both.again()
    assert both.in_process.held("destination") == both.in_process.held("source")
    assert told(both.in_process) == {"its copy was removed too": 10}
    assert both.in_process.told.count(BODY) == 0
    assert_quiet(both)


def test_without_the_option_they_stay(both: Both) -> None:
    """Shows, as the negative control, that it is the option that removes them."""
    both.in_process.options = replace(both.in_process.options, deletions="tell")
    held = both.in_process.held("destination")
    both.at(both.source, *DELETE)
    both.again()
    assert both.in_process.held("destination") == held
    assert told(both.in_process) == {"the copy stays": 10}


def test_without_the_key_they_stay(both: Both) -> None:
    """Whoever may write to Redis could set the option; the permission that belongs to it is sealed."""
    both.in_process.may_remove = lambda import_id, options: False
    held = both.in_process.held("destination")
    both.at(both.source, *DELETE)
    both.again()
    assert both.in_process.held("destination") == held
    assert told(both.in_process) == {"the copy stays": 10}


def test_what_was_told_before_is_followed_when_the_operator_asks_for_it(both: Both) -> None:
    """The preview: a pass that tells names each message, and the next one may remove the copies."""
    both.in_process.options = replace(both.in_process.options, deletions="tell")
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == {"the copy stays": 10}
    both.in_process.options = replace(both.in_process.options, deletions="follow")
    both.again()
    assert told(both.in_process) == {"its copy was removed too": 10}
    assert both.in_process.held("destination") == both.in_process.held("source")


@pytest.mark.parametrize("flag", [b"\\Flagged", b"kept"])
def test_a_copy_that_its_user_touched_stays(both: Both, flag: bytes) -> None:
    both.at(both.destination, b"SELECT INBOX", b"STORE 3 +FLAGS (%b)" % flag)
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == {"its copy was removed too": 9, "the copy stays": 1}
    assert sum((both.in_process.held("destination") - both.in_process.held("source")).values()) == 1
    assert_quiet(both)


def test_without_that_comparison_it_would_go(both: Both, monkeypatch: pytest.MonkeyPatch) -> None:
    """Shows, as the negative control, that the comparison of flags keeps it."""
    monkeypatch.setattr(worker.following.deletions_followed, "_set", lambda _: frozenset())
    both.at(both.destination, b"SELECT INBOX", b"STORE 3 +FLAGS (\\Flagged)")
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == {"its copy was removed too": 10}


def test_flags_that_changed_at_the_source_before_are_no_reason_to_keep_it(both: Both) -> None:
    both.at(both.source, b"SELECT INBOX", b"STORE 1:5 +FLAGS (\\Flagged)", b"STORE 6 -FLAGS (\\Seen)")
    both.again()
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == {"its copy was removed too": 10}


def test_a_copy_that_its_user_moved_stays(both: Both) -> None:
    both.at(both.destination, b"CREATE Mine", b"SELECT INBOX", b"MOVE 3 Mine")
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == {"its copy was removed too": 9, "the copy stays": 1}
    surplus = both.in_process.held("destination") - both.in_process.held("source")
    assert sum(surplus.values()) == 1


def test_what_was_there_before_the_import_stays(dovecot_pair: DovecotPair) -> None:
    pair = dovecot_pair
    both = Both(pair.source, pair.destination, pair.account(), pair.password)
    # Another import of the same accounts finds all of it at the destination: nothing there is its own.
    other = InProcessImport(
        pair.source, pair.destination, logins=(both.login,), password=pair.password, options=Options(deletions="follow")
    )
    other.to_the_end()
    assert other.outcomes() == {"already_present": 110}
    held = other.held("destination")
    both.at(both.source, *DELETE)
    other.later(3600)
    other.to_the_end()
    assert told(other) == {"the copy stays": 10}
    assert other.held("destination") == held


@pytest.mark.parametrize(("cap", "removed"), [(9, 0), (10, 10)])
def test_with_more_than_the_cap_none_goes(both: Both, cap: int, removed: int) -> None:
    both.in_process.options = replace(both.in_process.options, deletions_cap=cap)
    both.at(both.source, *DELETE)
    both.again()
    assert told(both.in_process) == ({"its copy was removed too": 10} if removed else {"the copy stays": 10})
    assert_quiet(both)


def test_the_cap_counts_the_whole_mailbox(both: Both) -> None:
    both.in_process.options = replace(both.in_process.options, deletions_cap=15)
    both.at(both.source, *DELETE, b"SELECT Work", b"STORE 1:10 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert told(both.in_process) == {"the copy stays": 20}


def test_an_emptied_mailbox_is_not_followed(both: Both) -> None:
    both.in_process.options = replace(both.in_process.options, deletions_cap=1_000_000)
    held = both.in_process.held("destination")
    names = [folder.source_name for folder in both.in_process.every_folder()]
    for name in names:
        both.at(both.source, b'SELECT "%b"' % name, b"STORE 1:* +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
    both.again()
    assert both.in_process.tally().deleted_at_source == 110
    assert both.in_process.held("destination") == held


def test_a_moved_message_is_moved_and_not_removed(both: Both) -> None:
    both.at(both.source, b"CREATE Bin", b"SELECT INBOX", b"MOVE 1:3 Bin")
    both.again()
    assert both.in_process.tally().moved_at_source == 3
    assert told(both.in_process) == {}
    assert both.in_process.held("destination") == both.in_process.held("source")


# -- with a scripted server


def _deleted(wires: Wires, *numbers: int) -> InProcessImport:
    """Copies twelve messages, deletes those at these places at the source, and returns the stage before its next pass."""
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(deletions="follow"))
    in_process.to_the_end()
    inbox = wires.old.folder(b"INBOX")
    for uid in [inbox.messages[n].uid for n in numbers]:
        inbox.remove(uid)
    in_process.later(3600)
    return in_process


def test_a_server_that_cannot_expunge_by_uid_keeps_all(wires: Wires) -> None:
    wires.destination.behaviour.capabilities.discard("UIDPLUS")
    in_process = _deleted(wires, 3)
    in_process.to_the_end()
    assert told(in_process) == {"the copy stays": 1}
    assert len(wires.new.folder(b"INBOX").messages) == 12


@pytest.mark.parametrize("command", [rb"^UID EXPUNGE", rb"^UID STORE .*Deleted"])
def test_a_folder_in_which_nothing_may_be_deleted_parks_nobody(wires: Wires, command: bytes) -> None:
    in_process = _deleted(wires, 3, 7)
    wires.destination.faults.add(reply(command, b"NO [NOPERM] you may not", times=1))
    in_process.to_the_end()
    assert told(in_process) == {"the copy stays": 2}
    assert exit_code(in_process) == 0
    assert not [m for m in wires.new.folder(b"INBOX").messages if b"\\Deleted" in m.flags], "not left half done"
    in_process.later(3600)
    in_process.to_the_end()
    assert told(in_process) == {"its copy was removed too": 2}


def test_a_copy_that_was_marked_by_a_holder_that_died_goes(wires: Wires) -> None:
    in_process = _deleted(wires, 3, 7)
    wires.destination.faults.add(reset(rb"^UID EXPUNGE"))
    in_process.to_the_end()
    assert told(in_process) == {"its copy was removed too": 2}
    assert len(wires.new.folder(b"INBOX").messages) == 10
    assert in_process.tally().removed == in_process.tally().missing == 0


def test_while_a_message_has_no_copy_none_goes(wires: Wires) -> None:
    """The deleted message may be the one that was moved into another folder, and is refused there."""
    in_process = _deleted(wires, 3)
    wires.old.folder(b"Work").add(plain(500))
    wires.destination.behaviour.append.refuse = lambda one: b"no" if one.body == plain(500) else None
    in_process.to_the_end()
    assert told(in_process) == {"the copy stays": 1}
    assert len(wires.new.folder(b"INBOX").messages) == 12


def test_a_message_that_comes_back_is_told_as_missing(wires: Wires) -> None:
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(deletions="follow"))
    in_process.to_the_end()
    inbox = wires.old.folder(b"INBOX")
    kept = inbox.messages[3]
    inbox.remove(kept.uid)
    in_process.later(3600)
    in_process.to_the_end()
    assert told(in_process) == {"its copy was removed too": 1}
    inbox.add(kept.body, uid=kept.uid)
    in_process.later(3600)
    in_process.to_the_end()
    assert in_process.tally().missing == 1
    assert exit_code(in_process) == 3


def test_what_another_program_brought_meanwhile_stays(wires: Wires) -> None:
    """Another program brings a message between plan and copy: the ledger has it under the batch, and it is not ours."""
    wires.fill(12)
    in_process = InProcessImport(wires.source, wires.destination, options=Options(deletions="follow"), batch_messages=6)
    brought = []

    def bring(command: Command) -> bool:
        if command.name == b"APPEND" and not brought:
            last = wires.old.folder(b"INBOX").messages[11]
            brought.append(wires.new.folder(b"INBOX").add(last.body, last.flags, last.internaldate).uid)
        return False

    wires.destination.faults.add(reply(bring, b"OK"))
    for _ in range(2):  # it stops for the other writer first
        in_process.to_the_end()
        in_process.later(3600)
    assert in_process.outcomes() == {"copied": 11, "already_present": 1}
    inbox = wires.old.folder(b"INBOX")
    for uid in (inbox.messages[2].uid, inbox.messages[11].uid):
        inbox.remove(uid)
    in_process.later(3600)
    in_process.to_the_end()
    assert told(in_process) == {"the copy stays": 2}
    assert brought[0] in {message.uid for message in wires.new.folder(b"INBOX").messages}


def test_a_folder_that_is_numbered_anew_is_not_taken_for_deleted(both: Both) -> None:
    held = both.in_process.held("destination")
    both.source.wipe_uidlist(both.login)
    both.again()
    assert both.in_process.held("destination") == held
    assert all(folder.deleted_too == UidSet() for folder in both.in_process.every_folder())
