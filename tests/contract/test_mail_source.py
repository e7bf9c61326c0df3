"""Tests the source port (`shared.mail.MailSource`) over memory, Dovecot in several variants and pymap.

A scripted server checks what a source may answer without harm.
"""

from __future__ import annotations

import pytest

from shared.content.fingerprint import canonical_digest, header_fingerprint, header_of
from shared.mail import FlagChange, Message
from shared.model.errors import FolderRefused, MailError
from shared.model.uids import UidSet
from tests.contract.mail_kit import PLACES, Place, mail, message, place


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def filled(here: Place, *messages: Message) -> tuple[bytes, UidSet]:
    """Makes a new folder with these messages. Returns its name and their UIDs."""
    name = here.folder()
    destination = here.destination()
    assert destination.create([name]) == [None]
    if messages:
        destination.open(name)
        for at in range(0, len(messages), 100):
            group = messages[at : at + 100]
            destination.send(group, [each.flags for each in group], at)
            for answer in destination.answers(outstanding=3):
                assert not answer.refused
        for answer in destination.answers():
            assert not answer.refused
    destination.close()
    source = here.source()
    status = source.open(name)
    uids = UidSet.of(uid for uid, _ in source.sizes(status))
    source.close()
    return name, uids


# -- over every server


def test_what_is_fetched_is_what_was_stored(here: Place) -> None:
    bodies = [mail(1), mail(2, text=b"\x80\xff\r\n"), mail(3, text=b"last line without end")]
    name, uids = filled(
        here,
        message(bodies[0], flags=("\\Seen", "\\Flagged")),
        message(bodies[1], internaldate=1_000_000_000, zone_minutes=330),
        message(bodies[2], internaldate=86_400, zone_minutes=-480),
    )
    source = here.source()
    status = source.open(name)
    assert (status.messages, len(uids)) == (3, 3)
    assert status.uidvalidity > 0
    found = sorted(source.fetch(uids), key=lambda each: each.uid)
    assert [each.body for each in found] == bodies
    assert [each.size_bytes for each in found] == [len(body) for body in bodies]
    assert [set(each.flags) for each in found] == [{"\\Seen", "\\Flagged"}, set(), set()]
    assert [each.internaldate for each in found] == [837_570_265, 1_000_000_000, 86_400]
    assert [each.fingerprint for each in found] == [header_fingerprint(header_of(body)) for body in bodies]
    assert [each.oddities for each in found] == [(), (), ()]


def test_a_list_of_sizes_tells_flags_where_it_is_asked_to(here: Place) -> None:
    name, uids = filled(here, message(mail(1), flags=("\\Seen", "$Work")), message(mail(2)), message(mail(3)))
    source = here.source()
    told: dict[int, set[str]] = {}
    source.foresee(name)
    sizes = list(source.sizes(source.open(name), told=lambda uid, flags: told.update({uid: set(flags)})))
    assert sizes == [(uid, len(mail(number))) for number, uid in enumerate(uids, start=1)]
    assert list(told) == list(uids)
    assert [{flag for flag in told[uid] if flag in {"\\Seen", "\\Flagged"}} for uid in uids] == [
        {"\\Seen"},
        set(),
        set(),
    ]


def test_reading_changes_no_flag(here: Place) -> None:
    name, uids = filled(here, message(mail(1)), message(mail(2)))
    for _ in range(2):
        source = here.source()
        source.open(name)
        assert [set(flags) for _, flags in source.flags(uids)] == [set(), set()]
        assert len(list(source.fetch(uids))) == 2
        assert len(list(source.sightings(uids, full=True))) == 2
        source.close()


def test_an_empty_folder(here: Place) -> None:
    name, uids = filled(here)
    assert not uids
    source = here.source()
    status = source.open(name)
    assert status.messages == 0
    assert list(source.sizes(status)) == []
    assert list(source.fetch(UidSet())) == []
    assert list(source.fetch(UidSet.span(1, 50))) == []
    assert list(source.sightings(UidSet.span(1, 50))) == []
    assert list(source.flags(UidSet.span(1, 50))) == []
    source.noop()


def test_a_uid_that_is_not_there_is_not_given(here: Place) -> None:
    name, uids = filled(here, message(mail(1)), message(mail(2)))
    source = here.source()
    source.open(name)
    beyond = UidSet.span(uids.high + 1, uids.high + 40)
    assert [each.uid for each in source.fetch(beyond)] == []
    assert {each.uid for each in source.fetch(UidSet.of([uids.high]) | beyond)} == {uids.high}


def test_all_of_many_messages_come_once_in_whatever_order(here: Place) -> None:
    """Reads many messages: Dovecot runs FETCHes in flight side by side and mixes their answers."""
    count = 1700
    name, uids = filled(here, *(message(mail(n, text=b"x" * 3000 + b"\r\n"), uid=n + 1) for n in range(count)))
    assert len(uids) == count
    source = here.source()
    status = source.open(name)
    found = [each.uid for each in source.fetch(uids)]
    assert len(found) == count
    assert UidSet.of(found) == uids
    seen = [each.uid for each in source.sightings(uids)]
    assert len(seen) == count
    assert UidSet.of(seen) == uids
    sizes = list(source.sizes(status))
    assert [uid for uid, _ in sizes] == list(uids)


def test_sightings_recognise_what_was_fetched(here: Place) -> None:
    name, uids = filled(here, message(mail(1)), message(b"no header field known\r\n\r\nx"), message(mail(3)))
    source = here.source()
    source.open(name)
    fetched = {each.uid: each for each in source.fetch(uids)}
    for full in (False, True):
        seen = {each.uid: each for each in source.sightings(uids, full=full)}
        assert seen.keys() == fetched.keys()
        for uid, sighting in seen.items():
            body = fetched[uid].body
            assert body is not None
            assert sighting.fingerprint == fetched[uid].fingerprint
            assert sighting.internaldate == fetched[uid].internaldate
            assert sighting.size_bytes == len(body)
            assert sighting.digest == (canonical_digest(body) if full else None)
    assert sorted(each.message_id for each in source.sightings(uids)) == ["", "<1@example.org>", "<3@example.org>"]


def test_statuses_come_in_the_order_asked(here: Place) -> None:
    one, _ = filled(here, message(mail(1)))
    two, _ = filled(here, message(mail(1)), message(mail(2)))
    source = here.source()
    answers = source.statuses([two, b"no such folder", one])
    assert [getattr(answer, "messages", None) for answer in answers] == [2, None, 1]
    assert isinstance(answers[1], FolderRefused)


def test_a_look_lists_the_folders_and_tells_their_numbers(here: Place) -> None:
    one, _ = filled(here, message(mail(1)))
    source = here.source()
    listed, statuses = source.look([one, b"no such folder"])
    asked = source.statuses([one])
    assert {folder.name for folder in listed} >= {one}
    assert isinstance(statuses[1], FolderRefused)
    for told, again in zip(statuses, asked, strict=False):
        assert not isinstance(told, Exception)
        assert not isinstance(again, Exception)
        assert (told.uidvalidity, told.uidnext, told.messages) == (again.uidvalidity, again.uidnext, again.messages)
        assert told.highestmodseq == again.highestmodseq


def test_odd_folder_names_stay_the_servers_own_bytes(here: Place) -> None:
    if here.name == "pymap":
        pytest.skip("decodes and encodes names")
    names = [
        here.folder() + odd for odd in (b' "quoted"', b"&AOQ-", b"*%", b" trailing ", b"back\\slash", b"{5}", b"&-")
    ]
    destination = here.destination()
    assert destination.create(names) == [None] * len(names)
    source = here.source()
    assert set(names) <= {folder.name for folder in source.listing().folders}
    assert all(not isinstance(status, Exception) for status in source.statuses(names))
    for name in names:
        assert source.open(name).messages == 0


def test_a_name_that_cannot_be_written_is_refused_and_nothing_is_sent(here: Place) -> None:
    source = here.source()
    for name in (b"a\r\nb", b"a\x00b", b""):
        with pytest.raises(FolderRefused):
            source.open(name)
        assert isinstance(source.statuses([name])[0], FolderRefused)
    source.noop()


def test_a_dead_session_says_so(here: Place) -> None:
    name, uids = filled(here, message(mail(1)))
    source = here.source()
    source.open(name)
    source.abort()
    source.abort()
    with pytest.raises(MailError):
        list(source.fetch(uids))
    source.close()


def test_only_flags_changed_since_are_asked_for(here: Place) -> None:
    name, uids = filled(here, message(mail(1)), message(mail(2)))
    source = here.source()
    since = source.open(name).highestmodseq
    destination = here.destination()
    destination.open(name)
    destination.store_flags([FlagChange(uids=UidSet.of([uids.high]), add=("\\Seen",))])
    destination.close()
    again = here.source()
    again.open(name)
    changed = dict(again.flags(uids, changed_since=since))
    if since is not None:
        assert changed == {uids.high: ("\\Seen",)}
    else:
        assert changed[uids.high] == ("\\Seen",)


def test_a_stream_left_unread_does_no_harm(here: Place) -> None:
    large = mail(1) + b"x" * 70 * 20_000
    name, uids = filled(here, message(large), message(mail(2)))
    source = here.source()
    source.open(name)
    found = [(each.size_bytes, each.stream is not None) for each in source.fetch(uids)]
    assert sorted(found) == [(len(mail(2)), False), (len(large), True)]
    source.noop()


# -- answers of a source
