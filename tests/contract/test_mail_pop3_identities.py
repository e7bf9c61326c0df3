"""Tests how the messages of a maildrop are told apart, whatever its server says of unique ids (RFC 1939)."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from shared.content.fingerprint import Canonical
from shared.content.maildrop import SessionIdentities
from shared.mail.pop3 import pop3_source
from shared.mail.pop3.pop3_source import INBOX
from shared.model.uids import UidSet
from tests.contract.mail_kit import mail as small
from tests.contract.pop3_kit import bodies, end, sign_in
from tests.servers.pop3_server import Pop3Server


def test_without_unique_ids_content_tells_messages_apart() -> None:
    twins = [small(1), small(1), small(2), small(2, text=b"other\r\n")]
    with Pop3Server(list(twins), unique_ids=None) as server:
        identities = SessionIdentities()
        source = sign_in(server.port, identities)
        assert sorted(bodies(source).values()) == sorted(twins)
        assert source.open(INBOX).uidvalidity == 1
        first = bodies(sign_in(server.port, identities))
        server.messages.append(small(9))
        second = bodies(sign_in(server.port, identities))
        assert {uid: body for uid, body in second.items() if uid < 5} == first
        assert second[5] == small(9)
        # One message goes and one comes; it does not matter which of the twins went.
        server.messages[0] = small(10)
        third = bodies(sign_in(server.port, identities))
        assert third[6] == small(10)
        assert len(third) == 5
        assert all(third[uid] == second[uid] for uid in third if uid < 6)


def test_equal_heads_with_other_bodies_are_never_mixed_up() -> None:
    one, two = end(b"aaaa\r\n"), end(b"bbbb\r\n")
    with Pop3Server([one], unique_ids=None) as server:
        identities = SessionIdentities()
        assert bodies(sign_in(server.port, identities)) == {1: one}
        server.messages.insert(0, two)
        # The head no longer identifies the message: now the bodies do.
        assert bodies(sign_in(server.port, identities)) == {1: one, 2: two}


def test_where_nothing_was_read_of_what_is_missing_a_generation_ends() -> None:
    with Pop3Server([end(b"aaaa\r\n")], unique_ids=None) as server:
        identities = SessionIdentities()
        assert sign_in(server.port, identities).open(INBOX).uidvalidity == 1
        server.messages.insert(0, end(b"bbbb\r\n"))
        assert sign_in(server.port, identities).open(INBOX).uidvalidity == 2


def test_a_unique_id_that_stands_twice_loses_nothing() -> None:
    with Pop3Server([small(n) for n in range(4)], unique_ids=lambda session, n: b"same" if n < 4 else b"own") as server:
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        assert sorted(found.values()) == sorted(small(n) for n in range(4))
        assert bodies(sign_in(server.port, identities)) == found


def ids(*names: bytes) -> Callable[[int, int], bytes]:
    return lambda session, place: names[place - 1]


def test_unique_ids_that_change_each_time_begin_a_new_generation_unless_the_messages_were_read() -> None:
    changing = [ids(b"a", b"b", b"c"), ids(b"d", b"e", b"f"), ids(b"g", b"h", b"i")]
    with Pop3Server([small(n) for n in range(3)], unique_ids=changing[0]) as server:
        identities = SessionIdentities()
        assert sign_in(server.port, identities).open(INBOX).uidvalidity == 1
        server.unique_ids = changing[1]
        source = sign_in(server.port, identities)
        assert source.open(INBOX).uidvalidity == 2
        found = bodies(source)
        server.unique_ids = changing[2]
        again = sign_in(server.port, identities)
        assert again.open(INBOX).uidvalidity == 2
        assert bodies(again) == found


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "control: marks count"])
def test_marks_that_a_server_of_mbox_files_adds_make_no_other_message(
    monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """A server like GNU Mailutils adds `Status: RO` to what was read, and makes the unique-id of the whole message."""
    if not mended:
        monkeypatch.setattr(Canonical, "unmarked", Canonical.digest)
    sent = [small(n) for n in range(3)]
    with Pop3Server(list(sent)) as server:
        server.unique_ids = lambda session, place: hashlib.md5(server.messages[place - 1]).hexdigest().encode()
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        server.messages[:] = [one.replace(b"\r\n\r\n", b"\r\nStatus: RO\r\nX-UID: 7\r\n\r\n", 1) for one in sent]
        again = sign_in(server.port, identities)
        status = again.open(INBOX)
        assert (status.uidvalidity, again.existing() == UidSet.of(found)) == (1, mended)


def test_unique_ids_that_change_in_part_bring_nothing_a_second_time() -> None:
    with Pop3Server([small(n) for n in range(3)], unique_ids=ids(b"a", b"b", b"c")) as server:
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        server.unique_ids = ids(b"a", b"B", b"C", b"d")
        server.messages.append(small(9))
        assert bodies(sign_in(server.port, identities)) == found | {4: small(9)}


@pytest.mark.parametrize("form", [b"%d", b"msg-%05d@host7"])
def test_unique_ids_that_are_only_places_lose_nothing(form: bytes) -> None:
    with Pop3Server([small(n) for n in range(3)], unique_ids=lambda session, place: form % place) as server:
        identities = SessionIdentities()
        bodies(sign_in(server.port, identities))
        # The first message is deleted and another arrives: again there are three, with the same ids.
        server.messages[:] = [small(1), small(2), small(9)]
        assert bodies(sign_in(server.port, identities)) == {2: small(1), 3: small(2), 4: small(9)}


def test_taken_for_identities_places_would_lose_a_message(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_source, "positional", lambda *_: False)
    with Pop3Server([small(n) for n in range(3)], unique_ids=lambda session, place: b"%d" % place) as server:
        identities = SessionIdentities()
        bodies(sign_in(server.port, identities))
        server.messages[:] = [small(1), small(2), small(9)]
        assert 4 not in bodies(sign_in(server.port, identities))


def test_a_unique_id_that_is_given_again_is_another_message_by_its_size() -> None:
    with Pop3Server([small(n) for n in range(3)], unique_ids=ids(b"a", b"b", b"c")) as server:
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        server.messages[1] = small(9, text=b"longer than the one before\r\n")
        assert bodies(sign_in(server.port, identities)) == {1: found[1], 3: found[3], 4: server.messages[1]}


def test_sizes_that_are_told_otherwise_bring_nothing_a_second_time() -> None:
    with Pop3Server([small(n) for n in range(3)], unique_ids=ids(b"a", b"b", b"c")) as server:
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        server.more = 7
        assert bodies(sign_in(server.port, identities)) == found


def test_odd_unique_ids_are_taken_as_they_are() -> None:
    odd = [b"a b", b"x" * 300, b"\xff\x80"]
    with Pop3Server([small(n) for n in range(3)], unique_ids=lambda session, n: odd[n - 1]) as server:
        identities = SessionIdentities()
        found = bodies(sign_in(server.port, identities))
        assert bodies(sign_in(server.port, identities)) == found
