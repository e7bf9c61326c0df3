"""Tests sources that list messages page by page or limit the messages of a command.

The extensions are PARTIAL (RFC 9394) and MESSAGELIMIT (RFC 9738). A folder with many more messages arrives whole, also
where the server refuses what it announces.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from shared.mail.imap.imap_listing import ListingSession
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.integration.test_incomplete import arrived, exit_code
from tests.mail import make_mailbox
from tests.servers.faults import Action, Fault
from tests.servers.faulty import FaultyServer
from tests.servers.faulty_incomplete import SOME, limited
from tests.servers.hollow import CLOSE
from tests.servers.imap_syntax import number_set

MANY = 60 * SOME
#: Distance of UIDs: windows of UIDs would be mostly empty, so SEARCH must tell which exist.
APART = 100
_PAGE = re.compile(rb"^UID SEARCH RETURN \(PARTIAL (\d+):(\d+)\) ALL$")


@pytest.fixture
def source() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        inbox = server.add_account(LOGIN, PASSWORD).folder("INBOX")
        for number, message in enumerate(make_mailbox(7, {"INBOX": MANY}, size=300)["INBOX"], start=1):
            inbox.add(message.body, uid=number * APART)
        server.behaviour.capabilities.add("PARTIAL")
        yield server


@pytest.fixture
def destination() -> Iterator[FaultyServer]:
    with FaultyServer() as server:
        server.add_account(LOGIN, PASSWORD)
        yield server


def bodies(source: FaultyServer) -> list[bytes]:
    return sorted(message.body for message in source.behaviour.accounts[LOGIN].folder("INBOX").messages)


def pages(source: FaultyServer) -> list[tuple[int, int]]:
    """Returns the pages that were requested."""
    found = (_PAGE.match(command.text) for command in source.commands)
    return [(int(page[1]), int(page[2])) for page in found if page]


def searches(source: FaultyServer) -> list[bytes]:
    return [command.text for command in source.commands if command.name == b"UID SEARCH"]


def largest_fetch(source: FaultyServer) -> int:
    """Returns the number of messages in the largest FETCH."""
    uids = source.behaviour.accounts[LOGIN].folder("INBOX").uids
    return max(len(number_set(c.text.split()[2], uids)) for c in source.commands if c.name == b"UID FETCH")


@pytest.mark.parametrize("word", [b"OK", b"NO"])
def test_a_source_that_gives_pages_arrives_whole(word: bytes, source: FaultyServer, destination: FaultyServer) -> None:
    limited(source, source.behaviour.accounts[LOGIN].folder("INBOX"), word=word, announced=True)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert arrived(destination) == bodies(source)
    assert in_process.outcomes() == {"copied": MANY}
    assert exit_code(in_process) == 0
    assert pages(source) == [(low, low + SOME - 1) for low in range(1, MANY, SOME)]
    assert len(searches(source)) == len(pages(source)), "nothing is searched for in another way"
    assert largest_fetch(source) == SOME
    assert not in_process.left_out


def test_new_mail_is_listed_by_pages_too(source: FaultyServer, destination: FaultyServer) -> None:
    inbox = source.behaviour.accounts[LOGIN].folder("INBOX")
    limited(source, inbox, word=b"OK", announced=True)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    for number, message in enumerate(make_mailbox(8, {"INBOX": 4 * SOME}, size=300)["INBOX"], start=MANY + 1):
        inbox.add(message.body, uid=number * APART)
    inbox.remove(3 * APART)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MANY + 4 * SOME}
    assert exit_code(in_process) == 0


@pytest.mark.parametrize(
    "answer", [b"BAD unknown result option", b"BAD", b"NO", b"NO [CANNOT] no pages here", b"NO PARTIAL is off", CLOSE]
)
def test_a_source_that_announces_pages_and_refuses_them_is_searched_in_the_other_way(
    answer: bytes, source: FaultyServer, destination: FaultyServer
) -> None:
    limited(source, source.behaviour.accounts[LOGIN].folder("INBOX"), word=b"OK", announced=True)
    source.behaviour.hollow["PARTIAL"] = answer
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert arrived(destination) == bodies(source)
    assert in_process.outcomes() == {"copied": MANY}
    assert exit_code(in_process) == 0
    assert pages(source) == [(1, SOME)], "asked for once, and remembered"
    assert [extension for _, _, extension, _ in in_process.left_out] == ["PARTIAL"]


@pytest.mark.parametrize("word", [b"OK", b"NO"])
def test_pages_that_the_server_cuts_short_are_made_up_for(
    word: bytes, source: FaultyServer, destination: FaultyServer
) -> None:
    """Announces a limit and applies a lower one."""
    limited(source, source.behaviour.accounts[LOGIN].folder("INBOX"), word=b"OK", announced=True)
    code = b" [MESSAGELIMIT 2] "

    def cut(answer: bytes) -> bytes:
        if word == b"NO":
            return answer[answer.rindex(b"\r\n", 0, -2) + 2 :].split(b" ")[0] + b" NO" + code + b"too many\r\n"
        answer = re.sub(rb"PARTIAL \((\d+:\d+) (\d+)[^)]*\)", rb"PARTIAL (\1 \2)", answer)
        return answer.replace(b" OK ", b" OK" + code, 1)

    source.faults.add(Fault(when=rb"^UID SEARCH RETURN \(PARTIAL", action=Action.REWRITE, times=None, spell=cut))
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert arrived(destination) == bodies(source)
    assert exit_code(in_process) == 0


def test_without_the_pages_it_is_searched_in_the_other_way(
    source: FaultyServer, destination: FaultyServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The negative control of the first test: that all mail arrives does not prove that pages are used."""
    monkeypatch.setattr(ListingSession, "_paged", ListingSession._existing)
    limited(source, source.behaviour.accounts[LOGIN].folder("INBOX"), word=b"OK", announced=True)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert arrived(destination) == bodies(source)
    assert not pages(source)
