"""Tests sources that count more mail than they show.

It arrives whole, or the report says how much, with exit code 3.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from producer.coordinator import tally as tallying
from producer.operations.trouble import trouble
from producer.show import document
from shared.mail.imap.imap_source import ImapSource
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.mail import make_mailbox
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer, Folder
from tests.servers.faulty_incomplete import DOUBLES, HIDDEN, MESSAGES, Double, fetching, rewrite, searching, uid
from worker.planning import opened_source as planning

SHOWN = re.compile(r"(?:shows|source shows) (\d+) of (\d+) messages")


def make_inbox(server: FaultyServer, messages: int = MESSAGES) -> Folder:
    inbox = server.add_account(LOGIN, PASSWORD).folder("INBOX")
    for message in make_mailbox(5, {"INBOX": messages}, size=300)["INBOX"]:
        inbox.add(message.body)
    return inbox


@pytest.fixture
def source() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        yield server


@pytest.fixture
def destination() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.add_account(LOGIN, PASSWORD)
        yield server


def arrived(destination: FaultyServer) -> list[bytes]:
    return sorted(message.body for message in destination.behaviour.accounts[LOGIN].folder("INBOX").messages)


def exit_code(in_process: InProcessImport) -> int:
    import_ = in_process.store.import_(in_process.import_id)
    assert import_ is not None
    return tallying.exit_code(tallying.progress(import_, *in_process.store.import_tally(in_process.import_id)))


def told(in_process: InProcessImport) -> int:
    """Returns how many messages are reported as not copied."""
    tally = in_process.tally()
    return tally.withheld + sum(tally.outcomes.get(name, 0) for name in tally.outcomes if name in ("failed", "refused"))


@pytest.mark.parametrize("double", DOUBLES, ids=lambda double: double.what)
def test_nothing_is_lost_in_silence(double: Double, source: FaultyServer, destination: FaultyServer) -> None:
    inbox = make_inbox(source)
    double.spoil(source, inbox)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    came = arrived(destination)
    assert len(set(came)) == len(came), "nothing twice"
    lost = MESSAGES - len(came)
    if not double.kept:
        assert not lost
        assert exit_code(in_process) == 0
        assert in_process.mailbox().state == "complete"
        return
    assert exit_code(in_process) == 3
    if in_process.mailbox().state == "complete":
        assert told(in_process) >= lost
        assert told(in_process) == double.kept
    else:
        assert in_process.failures()[0].detail, "parked, with what the server said"


def test_without_the_identity_mail_is_lost_in_silence(
    source: FaultyServer, destination: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control: without the comparison of counts mail is lost silently."""
    monkeypatch.setattr(ImapSource, "look_again", lambda self, listed: ([], 0))
    monkeypatch.setattr(planning, "stated_more", lambda source, name, opened, stated: (opened, 0))
    double = next(one for one in DOUBLES if one.what == "a gap in the middle")
    double.spoil(source, make_inbox(source))
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert len(arrived(destination)) == MESSAGES - double.kept
    assert exit_code(in_process) == 0


def test_a_folder_says_how_much_is_shown_and_a_later_pass_clears_it(
    source: FaultyServer, destination: FaultyServer
) -> None:
    double = next(one for one in DOUBLES if one.what == "a gap in the middle")
    inbox = make_inbox(source)
    double.spoil(source, inbox)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    import_ = in_process.store.import_(in_process.import_id)
    assert import_ is not None
    rows = list(in_process.store.mailboxes(in_process.import_id))
    group = next(group for group in trouble(in_process.store, import_, rows) if group.code == "withheld")
    assert (group.sufferers[0].folder, group.sufferers[0].messages) == ("INBOX", 5)
    assert group.sufferers[0].detail == "shows 7 of 12 messages"
    fields = document.mailbox_fields(in_process.store, *rows[0])
    assert fields["state"] == "incomplete"
    assert fields["withheld"] == fields["folders"][0]["withheld"] == 5
    assert fields["folders"][0]["shown"] == "shows 7 of 12 messages"
    assert fields["messages"] == 12
    assert fields["pending"] == 0

    # A pass that sees no more reports the same: nothing is counted twice.
    in_process.to_the_end()
    assert (in_process.tally().messages, in_process.tally().withheld) == (12, 5)
    assert exit_code(in_process) == 3

    # A pass that sees three more of the messages copies them.
    source.faults.clear()
    inbox.add(b"Subject: new\r\n\r\n")
    for gone in (4, 5):
        inbox.remove(gone)
    in_process.to_the_end()
    assert in_process.tally().withheld == 0
    assert in_process.outcomes() == {"copied": 11}
    assert exit_code(in_process) == 0
    assert in_process.folders()["INBOX"].hidden == in_process.folders()["INBOX"].hidden.parse("")
    assert arrived(destination) == sorted(message.body for message in inbox.messages)


def test_what_is_withheld_of_new_mail_is_told(source: FaultyServer, destination: FaultyServer) -> None:
    """Hides mail that was copied: it does not count as withheld."""
    inbox = make_inbox(source)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    for message in make_mailbox(6, {"INBOX": 4}, size=300)["INBOX"]:
        inbox.add(message.body)
    hidden = Double(what="", spoil=DOUBLES[0].spoil, kept=0)
    hidden.spoil(source, inbox)  # hides 8 to 12; 13 to 16 are shown
    in_process.to_the_end()
    assert in_process.outcomes()["copied"] == 16
    assert in_process.tally().withheld == 0
    assert exit_code(in_process) == 0


@pytest.mark.parametrize("announced", [True, False])
def test_a_destination_with_a_limit_is_read_back_whole(
    announced: bool, source: FaultyServer, destination: FaultyServer
) -> None:
    """Tests adoption, reading back and verification with servers that answer for five messages at a time."""
    inbox = make_inbox(source, 60)
    there = destination.behaviour.accounts[LOGIN].folder("INBOX")
    for message in inbox.messages[::2]:
        there.add(message.body)
    which = "MESSAGELIMIT, announced, in OK" if announced else "FETCH and SEARCH tell the newest alone, without a word"
    limited = next(double for double in DOUBLES if double.what == which)
    for server, folder in ((source, inbox), (destination, there)):
        limited.spoil(server, folder)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"already_present": 30, "copied": 30}
    assert arrived(destination) == sorted(message.body for message in inbox.messages)
    assert exit_code(in_process) == 0


class Replicas:
    """A source whose replicas disagree: planned on one that has all, copied from one that lags."""

    def __init__(self, source: FaultyServer, destination: FaultyServer) -> None:
        self.inbox, self.lags, self.lacks, self.source = make_inbox(source), False, set(HIDDEN), source
        fetching(source, self._bodies, rb"^UID FETCH [\d:,]+ .*BODY\.PEEK\[\]")
        fetching(source, self._shown)
        searching(source, lambda uids: [one for one in uids if not self.lags or one not in self.lacks])
        rewrite(source, rb"^(EXAMINE|SELECT|NOOP)", self._counted)
        self.in_process = InProcessImport(source, destination)
        self.in_process.to_the_end()

    def _counted(self, answer: bytes) -> bytes:
        number = len(self.inbox.messages) - len(self.lacks)
        return re.sub(rb"\* \d+ EXISTS", b"* %d EXISTS" % number, answer) if self.lags else answer

    def _shown(self, ones: list[bytes], tagged: bytes) -> bytes:
        return b"".join(one for one in ones if not self.lags or uid(one) not in self.lacks) + tagged

    def _bodies(self, ones: list[bytes], tagged: bytes) -> bytes:
        self.lags = True
        return self._shown(ones, tagged)

    def agree(self) -> None:
        """Shows everything from now on."""
        self.lags = False
        self.source.faults.clear()


def test_two_replicas_that_disagree_bring_each_message_once(source: FaultyServer, destination: FaultyServer) -> None:
    """Names what the one that lags lacks; the next pass brings it."""
    replicas = Replicas(source, destination)
    in_process = replicas.in_process
    assert in_process.outcomes().get("copied") == MESSAGES - len(HIDDEN)
    named = {*in_process.noted("vanished"), *in_process.noted("failed")}
    assert named == HIDDEN
    size = in_process.tally().size_bytes
    replicas.agree()
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert in_process.tally().size_bytes == size
    assert arrived(destination) == sorted(message.body for message in replicas.inbox.messages)


def test_what_a_lagging_replica_does_not_show_is_not_deleted(source: FaultyServer, destination: FaultyServer) -> None:
    """STATUS states all; the look for what vanished must not use that up."""
    replicas = Replicas(source, destination)
    replicas.lacks |= {2, 3}
    replicas.inbox.add(b"Subject: new\r\n\r\nnew\r\n")
    replicas.in_process.to_the_end()
    ((folder, _),) = replicas.in_process.store.folders(replicas.in_process.mailbox().mailbox_id)
    assert not folder.deleted


def test_a_source_that_refuses_what_vanished_is_planned_all_the_same(
    source: FaultyServer, destination: FaultyServer
) -> None:
    replicas = Replicas(source, destination)
    vanished = replicas.in_process.outcomes()["vanished"]
    replicas.agree()
    source.faults.add(
        reply(rb"^UID FETCH [\d:,]+ (?!.*BODY).*RFC822\.SIZE", b"NO some of the messages are gone", times=None)
    )
    replicas.inbox.add(b"Subject: new\r\n\r\nnew\r\n")
    replicas.in_process.to_the_end()
    outcomes = replicas.in_process.outcomes()
    assert (outcomes["copied"], outcomes["vanished"]) == (MESSAGES - len(HIDDEN) + 1, vanished)
