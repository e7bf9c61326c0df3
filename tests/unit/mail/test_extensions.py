"""The memory of a server that announces extensions and refuses them."""

from __future__ import annotations

import pytest

from shared.mail.answers.extensions import PIPELINING, TABLE, Broken, Servers, named_in, offered, sentence, used_in


def test_what_comes_with_a_capability() -> None:
    assert {"ESEARCH", "LITERAL-", "UIDPLUS", "SASL-IR", "CHILDREN"} <= offered({"IMAP4REV2"})
    assert {"CONDSTORE", "HIGHESTMODSEQ", "CHANGEDSINCE"} <= offered({"QRESYNC"})
    assert "QUOTA" in offered({"QUOTA=RES-STORAGE"})
    assert offered({"IMAP4REV1"}) == {"IMAP4REV1"}


@pytest.mark.parametrize(
    ("command", "names"),
    [
        (b'EXAMINE "INBOX" (CONDSTORE)', ["CONDSTORE"]),
        (b'EXAMINE "CONDSTORE"', []),
        (b'EXAMINE "INBOX" (QRESYNC (7 9))', ["QRESYNC"]),
        (b'LIST "" "*" RETURN (SUBSCRIBED CHILDREN SPECIAL-USE)', ["SPECIAL-USE", "CHILDREN", "LIST-EXTENDED"]),
        (b'LIST "" "*"', []),
        (b'STATUS "INBOX" (MESSAGES UIDNEXT UIDVALIDITY HIGHESTMODSEQ SIZE)', ["HIGHESTMODSEQ", "STATUS=SIZE"]),
        (b"UID SEARCH RETURN (ALL) ALL", ["ESEARCH"]),
        (b"UID FETCH 1:9 (UID FLAGS) (CHANGEDSINCE 7)", ["CHANGEDSINCE"]),
        (b"UID FETCH 1:9 (UID X-GM-MSGID X-GM-LABELS)", ["X-GM-EXT-1"]),
        (b'ID ("name" "mailhaul")', ["ID"]),
        (b"NAMESPACE", ["NAMESPACE"]),
    ],
)
def test_what_a_command_uses(command: bytes, names: list[str]) -> None:
    assert used_in(command) == names


def test_a_refusal_that_names_an_extension() -> None:
    assert named_in('unknown LIST return option "CHILDREN"', "CHILDREN")
    assert named_in("Unrecognised option condstore on Examine", "CONDSTORE")
    assert not named_in("no such folder", "CONDSTORE")


def test_it_is_told_once_and_by_name() -> None:
    told: list[tuple[str, int, str, str]] = []
    servers = Servers(lambda *what: told.append(what))
    for _ in range(3):
        servers.of("a.example", 993).leave_out("CONDSTORE", "unknown option")
    assert told == [("a.example", 993, "CONDSTORE", "unknown option")]
    assert servers.of("a.example", 993).lacks("CONDSTORE")
    assert not servers.of("b.example", 993).lacks("CONDSTORE")
    assert sentence("CONDSTORE") == "announces CONDSTORE and refuses it: a later pass compares all flags"


def test_one_lost_connection_makes_a_suspect_and_the_next_session_a_cause() -> None:
    told: list[str] = []
    broken = Broken(lambda name, words: told.append(name))
    broken.lost(["CONDSTORE"], "closed the connection", several=False)
    assert broken.lacks("CONDSTORE")
    assert told == []
    broken.done_without(["CONDSTORE"])
    assert told == ["CONDSTORE"]
    assert broken.left_out == {"CONDSTORE": "closed the connection"}


def test_a_suspect_is_cleared_where_the_connection_is_lost_without_it_too() -> None:
    broken = Broken()
    broken.lost(["CONDSTORE"], "closed", several=False)
    broken.lost(["CONDSTORE"], "closed", several=False)
    assert not broken.lacks("CONDSTORE")
    broken.lost(["CONDSTORE"], "closed", several=False)
    assert not broken.lacks("CONDSTORE"), "what was cleared is not suspected again"


def test_what_was_seen_to_work_is_never_suspected() -> None:
    broken = Broken()
    broken.keeps("CONDSTORE")
    broken.keeps(PIPELINING)
    for _ in range(5):
        broken.lost(["CONDSTORE"], "closed", several=True)
    assert not broken.lacks("CONDSTORE")
    assert not broken.lacks(PIPELINING)


@pytest.mark.parametrize("name", [PIPELINING, "MULTIAPPEND", "LITERAL+"])
def test_what_makes_copying_fast_is_left_out_after_two_losses(name: str) -> None:
    broken = Broken()
    broken.lost([] if name == PIPELINING else [name], "closed", several=name == PIPELINING)
    assert not broken.lacks(name)
    broken.lost([] if name == PIPELINING else [name], "closed", several=name == PIPELINING)
    assert broken.lacks(name)
    broken.keeps(name)
    assert not broken.lacks(name)


def test_every_row_says_what_is_done_instead() -> None:
    assert all(row.without and all(word == word.lower() for word in row.words) for row in TABLE.values())
