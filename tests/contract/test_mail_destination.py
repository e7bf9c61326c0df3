"""Tests the destination port (`shared.mail.MailDestination`) over memory, Dovecot in several variants and pymap.

A scripted server checks what must never go over the wire.
"""

from __future__ import annotations

import hashlib
import tracemalloc
from collections.abc import Iterator

import pytest

from shared.mail import FlagChange, Message
from shared.model.errors import (
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    ServerRefused,
)
from shared.model.uids import UidSet
from tests.contract.mail_kit import PLACES, Place, mail, message, opened, place, send, streamed


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def stored(here: Place, name: bytes) -> list[Message]:
    """Returns all messages that a source sees there, with streams read."""
    source = here.source()
    status = source.open(name)
    found = []
    for each in source.fetch(UidSet.span(1, status.uidnext - 1)):
        if each.stream is not None:
            body = b"".join(each.stream)
            each = message(body, uid=each.uid, flags=each.flags, internaldate=each.internaldate)
        found.append(each)
    source.close()
    return sorted(found, key=lambda each: each.uid)


def test_a_mod_sequence_is_told_where_it_is_asked_for(here: Place) -> None:
    destination, name = opened(here)
    send(destination, message(mail(1)))
    told = [destination.statuses([name], changes=changes)[0] for changes in (False, True)]
    assert not any(isinstance(one, Exception) for one in told)
    modseqs = [one.highestmodseq for one in told if not isinstance(one, Exception)]
    assert modseqs[0] is None
    assert bool(modseqs[1]) is ("CONDSTORE" in destination.capabilities)


# -- over every server


def test_bytes_flags_and_dates_arrive_as_they_were_sent(here: Place) -> None:
    destination, name = opened(here)
    bodies = [mail(1), mail(2, text=b"no newline at the end"), mail(3, text=b"\xff\xfe 8-bit \x80\r\n"), mail(4) * 50]
    flags = [("\\Seen",), (), ("\\Flagged", "\\Answered"), ("\\Draft", "\\Deleted")]
    dates = [837_570_265, 86_400, 2_000_000_000, 1_000_000_000]
    zones = [-420, 0, 330, 840]
    group = [
        message(body, uid=10 + at, flags=flags[at], internaldate=min(dates[at], 1_700_000_000), zone_minutes=zones[at])
        for at, body in enumerate(bodies)
    ]
    answer = send(destination, *group)
    assert answer.stored == (0, 1, 2, 3)
    assert not answer.refused
    found = stored(here, name)
    assert [each.body for each in found] == bodies
    assert [set(each.flags) for each in found] == [set(each) for each in flags]
    assert [each.internaldate for each in found] == [each.internaldate for each in group]
    if answer.uids is not None:
        assert list(answer.uids) == [each.uid for each in found]
    destination.close()


def test_uids_come_with_uidplus_only(here: Place) -> None:
    destination, _ = opened(here)
    answer = send(destination, message(mail(1)), message(mail(2)))
    if "UIDPLUS" in destination.capabilities:
        assert answer.uids is not None
        assert len(answer.uids) == 2
        assert answer.uidvalidity
    elif here.name.startswith("memory"):
        assert answer.uids is None


def test_copies_are_what_was_copied_and_where_is_told(here: Place) -> None:
    destination, name = opened(here)
    other = here.folder()
    assert destination.create([other]) == [None]
    answer = send(destination, *(message(mail(n), flags=("\\Seen",), internaldate=1_000_000_000 + n) for n in range(4)))
    destination.open(other)
    send(destination, message(mail(9)))
    status = destination.open(name)
    if answer.uids is None:
        assert destination.copy(UidSet.span(1, 2), other)[1] == {}
        return
    wanted = UidSet.of([answer.uids[3], answer.uids[1], status.uidnext + 7])
    uidvalidity, copies = destination.copy(wanted, other)
    assert uidvalidity == destination.open(other).uidvalidity
    assert copies.keys() == {answer.uids[1], answer.uids[3]}
    found = {each.uid: each for each in stored(here, other)}
    for at in (1, 3):
        copy = found[copies[answer.uids[at]]]  # type: ignore[index]
        assert (copy.body, copy.flags, copy.internaldate) == (mail(at), ("\\Seen",), 1_000_000_000 + at)
    destination.open(name)
    assert destination.copy(UidSet.of([status.uidnext + 7]), other)[1] == {}
    with pytest.raises((FolderRefused, MessagesRefused)):
        destination.copy(UidSet.of([answer.uids[0]]), here.folder())
    assert destination.copy(UidSet.of([answer.uids[0]]), other)[1], "the session goes on"


def test_what_is_moved_is_gone_from_here_and_where_is_told(here: Place) -> None:
    destination, name = opened(here)
    other = here.folder() + b"-moved"
    assert destination.create([other]) == [None]
    if not destination.moves:
        return
    answer = send(destination, *(message(mail(n), flags=("\\Seen",), internaldate=1_000_000_000 + n) for n in range(4)))
    assert answer.uids is not None
    status = destination.open(name)
    moved = destination.move(UidSet.of([answer.uids[3], answer.uids[1], status.uidnext + 7]), other)
    assert moved.keys() == {answer.uids[1], answer.uids[3]}
    found = {each.uid: each for each in stored(here, other)}
    for at in (1, 3):
        one = found[moved[answer.uids[at]]]  # type: ignore[index]
        assert (one.body, one.flags, one.internaldate) == (mail(at), ("\\Seen",), 1_000_000_000 + at)
    assert {each.body for each in stored(here, name)} == {mail(0), mail(2)}
    destination.open(name)
    assert destination.move(UidSet.of([answer.uids[1]]), other) == {}
    with pytest.raises((FolderRefused, MessagesRefused, ServerRefused)):
        destination.move(UidSet.of([answer.uids[0]]), here.folder())
    assert destination.move(UidSet.of([answer.uids[0]]), other), "the session goes on"


def test_twins_are_both_kept(here: Place) -> None:
    destination, name = opened(here)
    send(destination, message(mail(1)), message(mail(1)))
    send(destination, message(mail(1)))
    assert [each.body for each in stored(here, name)] == [mail(1)] * 3


def test_groups_are_answered_in_the_order_sent(here: Place) -> None:
    destination, name = opened(here)
    answers = []
    for number in range(12):
        destination.send([message(mail(number)), message(mail(100 + number))], [(), ()], number)
        answers += destination.answers(outstanding=3)
        assert len(answers) == max(0, number + 1 - 3)
    answers += destination.answers()
    assert [answer.token for answer in answers] == list(range(12))
    assert [each.body for each in stored(here, name)] == [mail(n) for k in range(12) for n in (k, 100 + k)]


def test_a_keyword_never_seen_arrives(here: Place) -> None:
    if not here.keywords:
        pytest.skip("keeps no keywords")
    destination, name = opened(here)
    send(destination, message(mail(1)))
    answer = send(destination, message(mail(2), flags=("$Brandnew", "\\Seen")), message(mail(3), flags=("Another",)))
    assert answer.stored == (0, 1)
    assert [set(each.flags) for each in stored(here, name)] == [set(), {"$Brandnew", "\\Seen"}, {"Another"}]


def test_a_refused_message_costs_only_its_group(here: Place) -> None:
    destination, name = opened(here)
    destination.send([message(mail(1)), message(mail(2))], [(), ()], "before")
    destination.send([message(b"", uid=3)], [()], "empty")
    destination.send([message(mail(4))], [()], "after")
    before, empty, after = destination.answers()
    assert before.stored == (0, 1)
    assert isinstance(empty.refused[0], MessagesRefused)
    assert empty.stored == ()
    assert after.stored == (0,)
    assert [each.body for each in stored(here, name)] == [mail(1), mail(2), mail(4)]


def test_a_bad_neighbour_refuses_all_with_multiappend_and_itself_without(here: Place) -> None:
    if here.name == "pymap":
        pytest.skip("answers BAD to an empty message among others")
    destination, name = opened(here)
    several = "MULTIAPPEND" in destination.capabilities
    answer = send(destination, message(mail(1)), message(b""), message(mail(3)))
    if several:
        assert set(answer.refused) == {0, 1, 2}
        assert answer.stored == ()
        assert stored(here, name) == []
    else:
        assert set(answer.refused) == {1}
        assert answer.stored == (0, 2)
        assert answer.uids is None or len(answer.uids) == 2
        assert [each.body for each in stored(here, name)] == [mail(1), mail(3)]


def test_ten_megabytes_stream_through_flat_memory(here: Place) -> None:
    destination, name = opened(here)
    start = mail(1)
    chunk = b"0123456789abcdef" * 4095 + b"\r\n"
    size = len(start) + 160 * len(chunk)
    digest = hashlib.sha256(start)
    for _ in range(160):
        digest.update(chunk)

    def chunks() -> Iterator[bytes]:
        yield start
        for _ in range(160):
            yield chunk

    real = not here.name.startswith("memory")
    tracemalloc.start()
    destination.send([streamed(size, chunks())], [()], "big")
    (answer,) = destination.answers()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert answer.stored == (0,)
    assert peak < 3_000_000 or not real

    source = here.source()
    status = source.open(name)
    tracemalloc.start()
    got = hashlib.sha256()
    for each in source.fetch(UidSet.span(status.uidnext - 1, status.uidnext - 1)):
        assert each.size_bytes == size
        assert each.stream is not None
        for piece in each.stream:
            got.update(piece)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert got.digest() == digest.digest()
    assert peak < 3_000_000 or not real


def test_a_source_that_breaks_off_leaves_nothing_and_kills_the_session(here: Place) -> None:
    destination, name = opened(here)

    def chunks() -> Iterator[bytes]:
        yield mail(1)
        raise ConnectionLost("source", "gone")

    with pytest.raises(ConnectionLost, match="source: gone"):
        destination.send([streamed(100_000, chunks())], [()], "x")
    with pytest.raises(MailError):
        destination.noop()
    assert stored(here, name) == []


def test_create_is_fine_with_what_exists(here: Place) -> None:
    destination, name = opened(here)
    assert destination.create([name, b"INBOX", name + b"2"]) == [None, None, None]
    names = {folder.name for folder in destination.listing().folders}
    assert {name, name + b"2"} <= names


def test_a_renamed_folder_keeps_its_messages_and_what_is_below_it(here: Place) -> None:
    destination, name = opened(here)
    send(destination, message(mail(1)))
    numbers = destination.open(name)
    separator = (destination.listing().separator or "/").encode()
    below, new = name + separator + b"below", name + b"x"
    assert destination.create([below]) == [None]
    destination.open(name)
    assert destination.rename(name, new) is None
    names = {folder.name for folder in destination.listing().folders}
    assert {new, new + separator + b"below"} <= names
    assert names.isdisjoint({name, below})
    assert destination.open(new).same_uids(numbers.uidvalidity or 0)
    assert len(stored(here, new)) == 1
    send(destination, message(mail(2)))
    assert len(stored(here, new)) == 2


def test_a_rename_that_is_refused_changes_nothing(here: Place) -> None:
    destination, name = opened(here)
    assert destination.create([name + b"x"]) == [None]
    assert isinstance(destination.rename(name, name + b"x"), FolderRefused)
    assert isinstance(destination.rename(name + b"none", name + b"y"), FolderRefused)
    assert {name, name + b"x"} <= {folder.name for folder in destination.listing().folders}
    destination.noop()


def test_subscriptions_end(here: Place) -> None:
    destination, name = opened(here)
    destination.subscribe([name])
    destination.unsubscribe([name, name + b"none"])
    assert not next(folder for folder in destination.listing().folders if folder.name == name).subscribed


def test_subscriptions_are_listed(here: Place) -> None:
    destination, name = opened(here)
    destination.subscribe([name])
    assert {folder.name: folder.subscribed for folder in destination.listing().folders}[name]


def test_flags_can_be_changed_and_messages_removed(here: Place) -> None:
    destination, name = opened(here)
    send(destination, message(mail(1)), message(mail(2)), message(mail(3)))
    first, second, third = (each.uid for each in stored(here, name))
    destination.noop()
    every = UidSet.span(first, third + 5)
    destination.store_flags(
        [
            FlagChange(uids=UidSet.of([first]), add=("\\Seen", "\\Draft")),
            FlagChange(uids=UidSet.of([second, third]), add=("\\Flagged",)),
        ]
    )
    destination.store_flags([FlagChange(uids=every, add=("\\Answered",), remove=("\\Draft", "\\Flagged"))])
    assert {uid: set(flags) for uid, flags in destination.flags(every)} == {
        first: {"\\Seen", "\\Answered"},
        second: {"\\Answered"},
        third: {"\\Answered"},
    }
    if destination.remove(UidSet.of([second])):
        assert [each.body for each in stored(here, name)] == [mail(1), mail(3)]
    else:
        assert "UIDPLUS" not in destination.capabilities
        assert len(stored(here, name)) == 3


def test_a_folder_that_is_not_there_is_refused_and_the_session_lives(here: Place) -> None:
    destination = here.destination()
    with pytest.raises(FolderRefused):
        destination.open(b"no such folder")
    destination.noop()
