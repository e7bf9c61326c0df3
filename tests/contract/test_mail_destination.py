"""Tests the destination port (`shared.mail.MailDestination`) over memory, Dovecot in several variants and pymap.

A scripted server checks what must never go over the wire.
"""

from __future__ import annotations

import hashlib
import re
import tracemalloc
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.mail import Appended, FlagChange, MailDestination, Message
from shared.mail.imap.imap_destination import ImapDestination
from shared.model.errors import (
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    OverQuota,
    ProtocolViolation,
    ServerRefused,
    Throttled,
)
from shared.model.uids import UidSet
from tests.contract.mail_kit import DOVECOTS, PLACES, Place, Scripted, mail, message, place, streamed


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def opened(here: Place) -> tuple[MailDestination, bytes]:
    name = here.folder()
    destination = here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    return destination, name


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


def send(destination: MailDestination, *messages: Message) -> Appended:
    destination.send(list(messages), [each.flags for each in messages], "token")
    (answer,) = destination.answers()
    assert answer.token == "token"
    return answer


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


@pytest.mark.parametrize("name", list(DOVECOTS))
def test_a_body_that_looks_like_commands_never_runs(name: str) -> None:
    here = place(name)
    destination, folder = opened(here)
    hostile = b"Subject: x\r\n\r\n" + b"x1 CREATE pwned\r\nx2 DELETE INBOX\r\n" * 20
    send(destination, message(mail(1)))
    # Flags that Dovecot would answer with BAD never reach the wire.
    for flag in ("\\Bogus", "a b", 'a"b', "a)b", "x\r\nx3 CREATE pwned", "{3+}", "k\x00", "ä"):
        with pytest.raises(ValueError, match="not a flag"):
            destination.send([message(hostile)], [(flag,)], "bad")
        destination.abort()
        destination = here.destination()
        destination.open(folder)
        send(destination, message(mail(2)))
    # The server accepts this keyword as an atom and still refuses it: NO, with the literal unsent.
    answer = send(destination, message(hostile, flags=("k" * 200,)))
    assert isinstance(answer.refused[0], MessagesRefused)
    assert send(destination, message(hostile)).stored == (0,)
    destination.noop()
    assert b"pwned" not in {folder.name for folder in destination.listing().folders}


def test_without_the_rule_it_would_run() -> None:
    """The control of the test above: the same body behind an unchecked flag is run as a command."""
    destination = place("dovecot").destination()
    assert isinstance(destination, ImapDestination)
    hostile = b"x1 CREATE pwned\r\n"
    destination._wire.send([b'y1 APPEND INBOX (\\Bogus) {%d+}\r\n%b\r\ny2 LIST "" *\r\n' % (len(hostile), hostile)])
    lines = []
    while not lines or not lines[-1].startswith(b"y2 "):
        lines.append(destination._wire.readline())
    assert any(line.startswith(b"y1 BAD") for line in lines)
    assert any(b"LIST" in line and b"pwned" in line for line in lines)


def test_the_destination_is_full() -> None:
    with Scripted(reply=lambda tag, text: tag + b" NO [OVERQUOTA] full\r\n" if b"APPEND" in text else None) as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(mail(1)))
        assert isinstance(answer.refused[0], OverQuota)
        destination.noop()


# -- THE RULE, byte for byte


def test_the_first_literal_of_a_connection_waits_and_the_next_do_not() -> None:
    with Scripted() as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"one"), message(b"three"))
        send(destination, message(b"seven"))
        # The first second message of an APPEND waits too: a server that accepts it knows MULTIAPPEND.
        assert server.waited == [3, 5]
        # An empty literal went first: a server that accepts it knows LITERAL+.
        assert server.hurried == [0, 5]
        assert server.commands[-2:] == [
            b'm4 APPEND "f" () "17-Jul-1996 02:24:25 +0000" {3}\r\none () "17-Jul-1996 02:24:25 +0000" {5}\r\nthree',
            b'm5 APPEND "f" () "17-Jul-1996 02:24:25 +0000" {5+}\r\nseven',
        ]
        send(destination, message(b"two"), message(b"eleven"))
        assert server.waited == [3, 5]
        second = server.destination()
        second.open(b"f")
        send(second, message(b"nine!"))
        assert server.waited == [3, 5, 5]


def test_an_unproved_keyword_waits_until_it_has_been_let_through() -> None:
    with Scripted() as server:
        server.selected = server.selected.replace(b"(\\Seen)", b"(\\Seen Known)")
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"1"))
        send(destination, message(b"22", flags=("Known", "\\Seen")))
        send(destination, message(b"333", flags=("New",)), message(b"4444", flags=("New", "known")))
        assert server.waited == [1, 3, 4]
        assert server.hurried == [0, 2]
        send(destination, message(b"4444", flags=("New", "known")), message(b"4444", flags=("New", "known")))
        assert server.hurried == [0, 2, 4, 4]
        destination.open(b"g")  # another folder may know other keywords
        send(destination, message(b"55555", flags=("New",)))
        assert server.waited == [1, 3, 4, 5]


def test_the_first_date_of_a_connection_waits() -> None:
    with Scripted() as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"1", internaldate=None), message(b"22", internaldate=None))
        send(destination, message(b"333"), message(b"4444"))
        assert server.waited == [1, 2, 3]


@pytest.mark.parametrize(
    ("literal", "multi", "hurries"),
    [
        ("LITERAL+", "", [0, 5000, 10]),
        ("LITERAL-", "", [0, 10]),
        ("", "", []),
        ("LITERAL+", "MULTIAPPEND", [0, 10]),
        ("LITERAL-", "MULTIAPPEND", [0, 10]),
        ("", "MULTIAPPEND", []),
    ],
)
def test_literals_go_as_the_server_allows(literal: str, hurries: list[int], multi: str) -> None:
    with Scripted(capabilities=f"IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS {literal} {multi}") as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, *(message(b"x" * size) for size in (7, 5000, 10)))
        assert server.hurried == hurries
        assert sorted(server.hurried + server.waited) == [*([0] if literal else []), 7, 10, 5000]
        assert b"SENT BEFORE +" not in server.commands
        assert len([command for command in server.commands if b"APPEND" in command]) == (1 if multi else 3)


def test_a_no_in_place_of_the_plus_sends_no_body() -> None:
    def refuse(tag: bytes, line: bytes) -> bytes | None:
        return tag + b" NO [TRYCREATE] no such folder\r\n" if b"{6}" in line else None

    with Scripted(literal=refuse) as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(b"secret"), message(b"other"))
        assert isinstance(answer.refused[0], FolderRefused)
        assert set(answer.refused) == {0, 1}
        assert b"secret" not in server.raw
        assert b"other" not in server.raw
        assert send(destination, message(b"fine!")).stored == (0,)


@pytest.mark.parametrize("multi", ["MULTIAPPEND", ""])
def test_after_a_bad_not_a_byte_more_is_sent(multi: str) -> None:
    def reply(tag: bytes, text: bytes) -> bytes | None:
        return tag + b" BAD no\r\n" if b"poison" in text else None

    with Scripted(capabilities=f"IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ {multi}", reply=reply) as server:
        destination = server.destination()
        destination.open(b"f")
        send(destination, message(b"fine"))
        destination.send([message(b"poison")], [()], 1)
        with pytest.raises(ProtocolViolation):
            list(destination.answers())
        before = bytes(server.raw)
        with pytest.raises(MailError):
            destination.send([message(b"later")], [()], 2)
        with pytest.raises(MailError):
            destination.noop()
        assert bytes(server.raw) == before


def test_answers_that_come_while_waiting_for_a_plus_are_kept() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR UIDPLUS") as server:
        server.reply = lambda tag, text: tag + b" OK [APPENDUID 7 %b] x\r\n" % tag[1:] if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        for number in range(5):
            destination.send([message(b"x" * (number + 1))], [()], number)
        answers = list(destination.answers())
        assert [answer.token for answer in answers] == list(range(5))
        assert [answer.uids for answer in answers] == [(n,) for n in range(3, 8)]


def test_appenduid_is_read_in_the_order_given() -> None:
    with Scripted() as server:
        server.reply = lambda tag, text: tag + b" OK [APPENDUID 7 9,3:4] x\r\n" if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, *(message(b"x") for _ in range(3)))
        assert answer.uids == (9, 3, 4)
        assert answer.uidvalidity == 7
        # There are as many UIDs as messages, or none is believed.
        assert send(destination, message(b"x")).uids is None


def test_nothing_is_believed_of_a_copy_that_is_told_wrongly() -> None:
    told = [b"[COPYUID 7 1:3 9:10]", b"[COPYUID 7 1:2 9", b"[COPYUID 7 1:200000 1:200000]", b""]
    with Scripted() as server:
        server.reply = lambda tag, text: tag + b" OK " + told[0] + b" x\r\n" if b"COPY" in text else None
        destination = server.destination()
        destination.open(b"f")
        while len(told) > 1:
            assert destination.copy(UidSet.span(1, 3), b"g")[1] == {}
            told.pop(0)
        server.reply = lambda tag, text: tag + b" OK [COPYUID 7 3,1:2 9:11] x\r\n" if b"COPY" in text else None
        assert destination.copy(UidSet.span(1, 3), b"g") == (7, {3: 9, 1: 10, 2: 11})


def test_a_message_over_the_limit_is_refused_here() -> None:
    with Scripted(capabilities="IMAP4rev1 AUTH=PLAIN SASL-IR LITERAL+ MULTIAPPEND APPENDLIMIT=10") as server:
        destination = server.destination()
        destination.open(b"f")
        answer = send(destination, message(b"fits"), message(b"far too big"), message(b"fits too"))
        assert list(answer.refused) == [1]
        assert "larger than the destination takes (limit 10 bytes)" in str(answer.refused[1])
        assert answer.stored == (0, 2)
        assert b"far too big" not in server.raw


def test_a_bye_while_we_write_is_told() -> None:
    with Scripted() as server:
        server.reply = lambda tag, text: b"* BYE Invalid character in literal\r\n" if b"APPEND" in text else None
        destination = server.destination()
        destination.open(b"f")
        destination.send([message(b"x")], [()], 1)
        with pytest.raises(ConnectionLost, match="Invalid character in literal"):
            list(destination.answers())


def test_a_suggested_wait_is_read_from_a_bad() -> None:
    text = b" BAD Request is throttled. Suggested Backoff Time: 299961 milliseconds\r\n"
    with Scripted() as server:
        server.reply = lambda tag, line: tag + text if b"APPEND" in line else None
        destination = server.destination()
        destination.open(b"f")
        destination.send([message(b"x")], [()], 1)
        with pytest.raises(Throttled) as caught:
            list(destination.answers())
        assert caught.value.wait_seconds == pytest.approx(299.961)


def test_no_source_makes_more_than_one_command_a_message() -> None:
    """Sends flags and folder names of any kind: each APPEND is exactly one command, whose literal is the body."""
    with Scripted() as server:

        @settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
        @given(flags=st.lists(st.text(max_size=12), max_size=4), name=st.binary(min_size=1, max_size=20))
        def one_command(flags: list[str], name: bytes) -> None:
            destination = server.destination()
            del server.commands[:]
            try:
                destination.open(name)
                send(destination, message(b"BODY"), message(b"BODY", flags=tuple(flags)))
            except (FolderRefused, ValueError):
                return
            finally:
                destination.abort()
            texts = [re.sub(rb"\Am\d+ ", b"", command) for command in server.commands]
            assert [text.split(b" ")[0] for text in texts] == [b"LIST", b"SELECT", b"APPEND"]
            assert texts[2].endswith(b"}\r\nBODY")

        one_command()
