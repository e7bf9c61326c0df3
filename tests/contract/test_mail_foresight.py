"""Tests that requests sent ahead of their turn (`MailSource.foresee`) change nothing but time.

The tests run over memory, Dovecot in several variants and pymap, and against a scripted server.
"""

from __future__ import annotations

import pytest

from shared.mail import MailSource
from shared.mail.imap.imap_looking import WINDOW
from shared.model.errors import FolderChanged, FolderRefused, MailError
from shared.model.uids import UidSet
from tests.contract.mail_kit import PLACES, Place, Scripted, mail, message, place


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


#: UIDs of all messages: servers number from 1, or (pymap) from 101.
ALL = UidSet.parse("1:200")


def listed(source: MailSource, name: bytes) -> int:
    """Returns how many messages `sizes` shows."""
    return len(list(source.sizes(source.open(name))))


def folders(here: Place, *counts: int) -> list[bytes]:
    """Makes folders with these numbers of messages, numbered throughout; the first of each is flagged."""
    names = [here.folder() for _ in counts]
    destination = here.destination()
    assert destination.create(names) == [None] * len(names)
    number = 0
    for name, count in zip(names, counts, strict=True):
        destination.open(name)
        for at in range(count):
            number += 1
            destination.send([message(mail(number))], [("\\Flagged",) if at == 0 else ()], at)
        assert all(not answer.refused for answer in destination.answers())
    destination.close()
    return names


def test_what_was_foreseen_is_what_comes(here: Place) -> None:
    names = folders(here, 2, 0, 3)
    source = here.source()
    for name in names:
        source.foresee(name)
        source.foresee(name)  # announced a second time, as planning does
    assert [listed(source, name) for name in names] == [2, 0, 3]
    source.foresee(names[2], ALL)
    assert source.open(names[2]).messages == 3
    assert sorted(each.body for each in source.fetch(ALL)) == [mail(n) for n in (3, 4, 5)]
    source.close()


def test_all_that_is_asked_of_a_folder_is_of_that_folder_although_the_next_one_was_foreseen(here: Place) -> None:
    first, second = folders(here, 1, 3)
    for ask in ("flags", "sightings", "existing", "fetch", "again"):
        source = here.source()
        source.foresee(first)
        source.foresee(second)
        status = source.open(first)
        assert len(list(source.sizes(status))) == 1
        if ask == "flags":
            assert [flags for _, flags in source.flags(ALL)] == [("\\Flagged",)]
        elif ask == "sightings":
            assert [s.message_id for s in source.sightings(ALL)] == ["<1@example.org>"]
        elif ask == "existing":
            assert len(source.existing()) == 1
        elif ask == "fetch":
            assert [each.body for each in source.fetch(ALL)] == [mail(1)]
        else:
            assert len(list(source.sizes(status))) == 1, "the same words are on their way, for the next folder"
        assert listed(source, second) == 3
        source.close()


def test_a_folder_stays_the_open_one_although_what_opened_the_next_was_dropped(here: Place) -> None:
    """Asks for numbers and for the list of folders in between: for these, commands that are on their way are read and dropped."""
    first, second, third = folders(here, 1, 3, 0)
    for between in (lambda source: source.statuses([third]), lambda source: source.listing()):
        source = here.source()
        source.open(first)
        source.foresee(second)
        between(source)
        assert [each.body for each in source.fetch(ALL)] == [mail(1)]
        assert [s.message_id for s in source.sightings(ALL)] == ["<1@example.org>"]
        source.close()


def test_what_need_not_come_true_does_no_harm(here: Place) -> None:
    first, second = folders(here, 1, 2)
    source = here.source()
    source.foresee(first)
    source.foresee(second)
    assert listed(source, second) == 2
    source.foresee(first, UidSet.parse("1"))
    assert source.listing().folders
    assert source.open(second).messages == 2
    assert sorted(each.body for each in source.fetch(ALL)) == [mail(2), mail(3)]
    source.close()


def test_a_folder_that_is_refused_costs_its_neighbours_nothing(here: Place) -> None:
    (there,) = folders(here, 2)
    gone = here.folder()
    source = here.source()
    for name in (gone, there):
        source.foresee(name)
    with pytest.raises(FolderRefused):
        source.open(gone)
    assert listed(source, there) == 2
    source.close()


def test_without_the_way_back_the_neighbour_would_be_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control of the second test."""
    here = place("dovecot")
    first, second = folders(here, 1, 3)
    source = here.source()
    monkeypatch.setattr(source, "_stay", lambda command=b"": None)
    for name in (first, second):
        source.foresee(name)
    source.open(first)
    with pytest.raises(MailError):
        list(source.flags(ALL))


def test_a_long_list_of_sizes_stays_in_its_folder() -> None:
    high = WINDOW + 2
    selected = b"* %d EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT %d]\r\n" % (high, high + 1)

    def reply(tag: bytes, command: bytes) -> bytes | None:
        if command.startswith(b"UID FETCH"):
            low = 1 if command.startswith(b"UID FETCH 1:") else high
            return b"* 1 FETCH (UID %d RFC822.SIZE 5)\r\n%b OK\r\n" % (low, tag)
        return None

    with Scripted(reply=reply, selected=selected) as server:
        source = server.source()
        for name in (b"f", b"g"):
            source.foresee(name)
        assert dict(source.sizes(source.open(b"f"))) == {1: 5, high: 5}
        on = next(n for n, command in enumerate(server.commands) if b"FETCH %d:" % (WINDOW + 1) in command)
        opened = [command[-3:] for command in server.commands[:on] if b"EXAMINE" in command]
        assert opened == [b'"f"', b'"g"', b'"f"'], "opened again before it is asked on"


def test_a_folder_that_became_another_meanwhile_is_not_taken_for_the_same() -> None:
    validity = iter((7, 7, 8))

    def reply(tag: bytes, command: bytes) -> bytes | None:
        if b"EXAMINE" in command:
            return b"* 1 EXISTS\r\n* OK [UIDVALIDITY %d]\r\n* OK [UIDNEXT 2]\r\n%b OK\r\n" % (next(validity), tag)
        return None

    with Scripted(reply=reply) as server:
        source = server.source()
        for name in (b"f", b"g"):
            source.foresee(name)
        source.open(b"f")
        with pytest.raises(FolderChanged):
            list(source.flags(UidSet.parse("1")))


def test_a_bad_to_what_is_wanted_is_no_less_than_ever() -> None:
    def reply(tag: bytes, command: bytes) -> bytes | None:
        return tag + b" BAD no\r\n" if command.startswith(b"UID FETCH") else None

    with Scripted(reply=reply) as server:
        source = server.source()
        source.foresee(b"f", UidSet.parse("1"))
        source.open(b"f")
        with pytest.raises(MailError):
            list(source.fetch(UidSet.parse("1")))
        with pytest.raises(MailError):
            source.noop()


def test_a_large_message_that_was_foreseen_for_nothing_is_read_and_dropped(here: Place) -> None:
    large, small = here.folder(), here.folder()
    destination = here.destination()
    assert destination.create([large, small]) == [None, None]
    for name, body in ((large, mail(1) + b"x" * 1_500_000 + b"\r\n"), (small, mail(2))):
        destination.open(name)
        destination.send([message(body)], [()], 0)
        assert all(not answer.refused for answer in destination.answers())
    destination.close()
    source = here.source()
    source.foresee(large, ALL)
    source.open(small)
    assert [each.body for each in source.fetch(ALL)] == [mail(2)]
    source.close()
