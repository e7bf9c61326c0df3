"""The servers in memory misbehave as told, and forget nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.mail import Appended, MailDestination, Message
from shared.model.errors import ConnectionLost, MailError, MessagesRefused, OverQuota
from shared.model.uids import UidSet
from shared.testing.memory_mail import USUAL, At, DeliveredLate, MemoryServer, Stored
from tests.contract.mail_kit import mail, message

GROUP = [message(mail(1)), message(mail(2)), message(mail(3))]


def send(destination: MailDestination, group: list[Message]) -> list[Appended]:
    destination.send(group, [each.flags for each in group], "token")
    return list(destination.answers())


def opened(server: MemoryServer) -> MailDestination:
    destination = server.destination("me")
    destination.open(b"INBOX")
    return destination


def bodies(server: MemoryServer) -> list[bytes]:
    return [stored.body for stored in server.folder("me", b"INBOX").messages.values()]


def failing(operation: str, error: Exception, *, after: int = 0):  # type: ignore[no-untyped-def]
    calls = [0]

    def fault(name: str, at: At) -> None:
        if name == operation:
            calls[0] += 1
            if calls[0] == after + 1:
                raise error

    return fault


def test_a_lost_ok_is_a_stored_group() -> None:
    server = MemoryServer(fault=failing("appended", ConnectionLost("destination", "cut")))
    with pytest.raises(ConnectionLost):
        send(opened(server), GROUP)
    assert bodies(server) == [mail(1), mail(2), mail(3)]


def test_a_group_that_did_not_arrive_is_not_stored() -> None:
    server = MemoryServer(fault=failing("append", ConnectionLost("destination", "cut")))
    destination = opened(server)
    with pytest.raises(ConnectionLost):
        send(destination, GROUP)
    assert bodies(server) == []
    with pytest.raises(ConnectionLost, match="dead"):
        destination.noop()


def test_without_multiappend_the_beginning_of_a_group_is_stored() -> None:
    fault = failing("append", ConnectionLost("destination", "cut"), after=2)
    server = MemoryServer(capabilities=USUAL - {"MULTIAPPEND"}, fault=fault)
    with pytest.raises(ConnectionLost):
        send(opened(server), GROUP)
    assert bodies(server) == [mail(1), mail(2)]


def test_late_delivery() -> None:
    server = MemoryServer(fault=failing("append", DeliveredLate("destination", "cut")))
    with pytest.raises(ConnectionLost):
        send(opened(server), GROUP)
    assert bodies(server) == []
    assert server.deliver_late() == 3
    assert bodies(server) == [mail(1), mail(2), mail(3)]
    assert server.deliver_late() == 0


def test_refusals_go_where_they_belong() -> None:
    def refuse(stored: Stored) -> MailError | None:
        return OverQuota("destination", "full") if stored.body == mail(2) else None

    (answer,) = send(opened(MemoryServer(refuse=refuse)), GROUP)
    assert set(answer.refused) == {0, 1, 2}
    (answer,) = send(opened(MemoryServer(refuse=refuse, capabilities=USUAL - {"MULTIAPPEND"})), GROUP)
    assert set(answer.refused) == {1}
    assert answer.stored == (0, 2)
    assert answer.uids == (1, 2)
    (answer,) = send(opened(MemoryServer(append_limit_bytes=5)), GROUP)
    assert all(isinstance(error, MessagesRefused) for error in answer.refused.values())


def test_a_refusal_by_the_hook_leaves_the_session_alive() -> None:
    server = MemoryServer(fault=failing("append", MessagesRefused("destination", "no")))
    destination = opened(server)
    (answer,) = send(destination, GROUP)
    assert set(answer.refused) == {0, 1, 2}
    (answer,) = send(destination, GROUP)
    assert answer.stored == (0, 1, 2)


def test_a_server_may_alter_or_drop_what_it_takes() -> None:
    def alter(stored: Stored) -> Stored | None:
        return None if stored.body == mail(2) else replace(stored, body=stored.body + b"X-Added\r\n", internaldate=5)

    server = MemoryServer(alter=alter)
    (answer,) = send(opened(server), GROUP)
    assert answer.stored == (0, 1, 2)
    assert answer.uids is None
    assert bodies(server) == [mail(1) + b"X-Added\r\n", mail(3) + b"X-Added\r\n"]


def test_keywords_that_are_not_permanent_are_dropped_in_silence() -> None:
    server = MemoryServer()
    server.folder("me", b"INBOX").permanent_flags = frozenset({"\\Seen", "Known"})
    send(opened(server), [message(mail(1), flags=("\\Seen", "known", "Other"))])
    assert server.folder("me", b"INBOX").messages[1].flags == ("\\Seen", "known")


def test_a_fault_in_a_stream_ends_it() -> None:
    server = MemoryServer(fault=failing("chunk", ConnectionLost("source", "cut"), after=3))
    server.folder("me", b"INBOX").add(b"x" * 1_000_000)
    source = server.source("me")
    source.open(b"INBOX")
    (each,) = source.fetch(UidSet.parse("1"))
    with pytest.raises(ConnectionLost):
        list(each.stream or ())


def test_two_sessions_see_one_server() -> None:
    server = MemoryServer()
    source = server.source("me")
    send(opened(server), GROUP)
    assert source.open(b"INBOX").messages == 3
    assert server.calls["append"] == 1
