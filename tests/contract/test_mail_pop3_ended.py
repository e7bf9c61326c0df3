"""Tests POP3 servers that end the connection at one message: it is told, and all others come."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from shared.mail.pop3 import pop3_renewed
from shared.mail.pop3.pop3_source import INBOX, Pop3Source
from shared.model.errors import ConnectionLost, ServerRefused
from shared.model.uids import UidSet
from tests.contract.pop3_kit import EVERY, sign_in, whole
from tests.servers.pop3_server import Pop3Server

CAPABILITIES = pytest.mark.parametrize(
    "capabilities", [(b"TOP", b"UIDL", b"USER", b"PIPELINING"), (b"TOP", b"UIDL", b"USER")], ids=["pipelined", "serial"]
)


def message(number: int) -> bytes:
    return b"Message-ID: <%d@pop.example>\r\nSubject: %d\r\n\r\ntext %d\r\n" % (number, number, number)


def server(*ends: tuple[bytes, int], **more: object) -> Pop3Server:
    messages = [message(number) for number in range(1, 13)]
    more = {"unique_ids": lambda session, number: b"abcdefghijkl"[number - 1 : number] * 4, **more}
    return Pop3Server(messages, ends_at=lambda word, number: (word, number) in ends, counted=12, **more)  # type: ignore[arg-type]


def fetched(source: Pop3Source) -> tuple[dict[int, bytes], ServerRefused | None]:
    found: dict[int, bytes] = {}
    try:
        for each in source.fetch(EVERY):
            found[each.uid] = whole(each)
    except ServerRefused as refused:
        return found, refused
    return found, None


def but(*numbers: int) -> dict[int, bytes]:
    return {number: message(number) for number in range(1, 13) if number not in numbers}


@CAPABILITIES
@pytest.mark.parametrize("bad", [(3,), (2, 3), (12,), (4, 9)])
def test_a_message_that_ends_the_connection_costs_itself_only(
    capabilities: Sequence[bytes], bad: Sequence[int]
) -> None:
    ends = [(word, number) for word in (b"TOP", b"RETR") for number in bad]
    with server(*ends, capabilities=capabilities) as there:
        source = sign_in(there.port)
        assert source.open(INBOX).messages == 12
        found, refused = fetched(source)
        assert found == but(*bad)
        assert refused is not None
        assert refused.uids == UidSet.of(bad)
        assert "ends the connection whenever this message is asked for" in str(refused)
        source.close()


@CAPABILITIES
def test_heads_that_end_the_connection_do_not_keep_the_maildrop_from_being_numbered(
    capabilities: Sequence[bytes],
) -> None:
    with server((b"TOP", 5), unique_ids=None, capabilities=capabilities) as there:
        source = sign_in(there.port)
        status = source.open(INBOX)
        assert (status.messages, status.uidnext) == (12, 13)
        source.close()


@CAPABILITIES
@pytest.mark.parametrize("word", [b"LIST", b"UIDL"])
def test_a_listing_that_ends_the_connection_is_asked_for_message_by_message(
    capabilities: Sequence[bytes], word: bytes
) -> None:
    with server((word, 5), capabilities=capabilities) as there:
        source = sign_in(there.port)
        assert source.open(INBOX).messages == 12
        found, refused = fetched(source)
        assert refused is None
        listed = but(5) if word == b"LIST" else but()
        assert sorted(found.values()) == sorted(listed.values())
        assert source.look_again(source.existing()) == ([], 1 if word == b"LIST" else 0), (
            "what is not listed is withheld"
        )
        source.close()


def test_a_server_that_ends_it_at_every_message_is_not_signed_in_to_without_end() -> None:
    with server(*((b"TOP", number) for number in range(2, 13))) as there:
        source = sign_in(there.port)
        source.open(INBOX)
        with pytest.raises(ConnectionLost):
            fetched(source)
        assert there.sessions == 1 + pop3_renewed.MOST_REOPENED
        source.abort()


def test_another_maildrop_is_left_to_the_next_attempt() -> None:
    with server((b"TOP", 5)) as there:
        source = sign_in(there.port)
        source.open(INBOX)
        del there.messages[0]
        with pytest.raises(ConnectionLost):
            fetched(source)
        source.abort()


def test_without_opening_it_anew_the_others_are_lost_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_renewed, "MOST_REOPENED", 0)
    with server((b"TOP", 2)) as there:
        source = sign_in(there.port)
        source.open(INBOX)
        with pytest.raises(ConnectionLost):
            fetched(source)
        source.abort()
