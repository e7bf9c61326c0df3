"""Tests how a source is asked which messages are selected (`MailSource.search`, `traits`), and the selection.

The tests run over memory, Dovecot in several variants and pymap; and against servers that search wrongly, hold back, or
refuse.
"""

from __future__ import annotations

import re
from typing import Any

import pytest

from shared.mail.imap.choosing import FEW, left_out
from shared.mail.imap.imap_source import ImapSource
from shared.model import Options
from shared.model.errors import ServerRefused
from shared.model.uids import UidSet
from shared.rules.selection import Selection
from shared.testing.memory_mail import MemoryServer
from tests.contract.mail_kit import PLACES, Place, mail, message, place
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, plain
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer

DAY = 86_400
#: 2001-09-09 01:46:40 UTC.
MOMENT = 1_000_000_000
#: Number of messages that is too large to look at each one without a search.
MANY = FEW + 30


@pytest.fixture(params=PLACES)
def here(request: pytest.FixtureRequest) -> Place:
    return place(request.param)


def filled(here: Place, count: int = MANY) -> tuple[bytes, list[int]]:
    """Fills a folder with a message every six hours around `MOMENT`, in many zones.

    Returns their dates in order of UID.
    """
    name, dates = here.folder(), []
    destination = here.destination()
    assert destination.create([name]) == [None]
    destination.open(name)
    group = []
    for n in range(count):
        dates.append(MOMENT + (n - count // 2) * 21_600)
        flags = tuple(flag for bit, flag in enumerate(("\\Seen", "\\Flagged", "\\Deleted")) if n >> bit & 1)
        zone = (n % 27 - 12) * 60
        group.append(message(mail(n), uid=n + 1, flags=flags, internaldate=dates[-1], zone_minutes=zone))
    for n, one in enumerate(group):
        destination.send([one], [one.flags], n)
    assert not any(answer.refused for answer in destination.answers())
    destination.close()
    return name, dates


@pytest.mark.parametrize(
    "options",
    [
        Options(since=MOMENT),
        Options(before=MOMENT),
        Options(since=MOMENT - DAY, before=MOMENT + DAY),
        Options(unseen=True),
        Options(flagged=True),
        Options(not_deleted=True),
        Options(since=MOMENT, unseen=True, flagged=True, not_deleted=True),
    ],
)
def test_the_choice_is_exact_to_the_second_and_to_the_flag(here: Place, options: Options) -> None:
    name, dates = filled(here)
    source = here.source()
    status = source.open(name)
    sizes = list(source.sizes(status))
    out = left_out(source, Selection.of(options), sizes)
    dropped = {uid for uids in out.values() for uid in uids}

    def wanted(n: int) -> bool:
        return (
            (options.since is None or dates[n] >= options.since)
            and (options.before is None or dates[n] < options.before)
            and not (options.unseen and n & 1)
            and not (options.flagged and not n & 2)
            and not (options.not_deleted and n & 4)
        )

    uids = [uid for uid, _ in sizes]
    assert [uid not in dropped for uid in uids] == [wanted(n) for n in range(len(uids))]
    assert sum(map(len, out.values())) == len(dropped), "one reason each"
    seen = list(source.traits(UidSet.of(uids)))
    assert sorted((t.uid, t.internaldate) for t in seen) == sorted(zip(uids, dates, strict=True))
    source.noop()


def memory(count: int = MANY) -> tuple[MemoryServer, Any]:
    server = MemoryServer()
    for n in range(count):
        server.folder(LOGIN, b"INBOX").add(mail(n), internaldate=MOMENT + (n - count // 2) * 10 * DAY)
    source = server.source(LOGIN)
    source.open(b"INBOX")
    return server, source


def chosen(source: Any, options: Options) -> set[int]:
    sizes = [(uid, 100) for uid in source.existing()]
    return {uid for uids in left_out(source, Selection.of(options), sizes).values() for uid in uids}


OLD = set(range(1, MANY // 2 + 1))


def test_most_is_searched_for_and_little_is_looked_at() -> None:
    _, source = memory()
    looked: list[int] = []
    traits = source.traits

    def counting(uids: UidSet) -> Any:
        looked.append(len(uids))
        return traits(uids)

    source.traits = counting
    assert chosen(source, Options(since=MOMENT)) == OLD
    assert sum(looked) < FEW


def test_a_server_that_searches_what_it_does_not_show_is_not_believed() -> None:
    _, source = memory()
    source.search = lambda keys: [source.existing() if key.startswith("SINCE") else UidSet() for key in keys]
    assert chosen(source, Options(since=MOMENT)) == OLD


def test_without_the_sample_it_would_be_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    _, source = memory()
    source.search = lambda keys: [source.existing() if key.startswith("SINCE") else UidSet() for key in keys]
    monkeypatch.setattr("shared.mail.imap.choosing._trusted", lambda *_: True)
    assert chosen(source, Options(since=MOMENT)) == set()


def test_a_server_that_tells_only_the_first_of_what_it_finds_is_asked_for_the_rest() -> None:
    _, source = memory()
    truth = source.search
    source.search = lambda keys: [found.take(3)[0] for found in truth(keys)]
    assert chosen(source, Options(since=MOMENT)) == OLD


def test_a_server_that_refuses_to_search_is_looked_at_and_what_it_does_not_show_is_wanted() -> None:
    _, source = memory()
    source.search = lambda keys: [UidSet() for _ in keys]
    assert chosen(source, Options(since=MOMENT)) == OLD

    def refuses(uids: UidSet) -> Any:
        raise ServerRefused("source", "not now")
        yield

    source.traits = refuses
    assert chosen(source, Options(since=MOMENT)) == set()


@pytest.mark.parametrize("extended", [True, False])
def test_a_refused_search_on_the_wire_costs_nothing(faulty_server: FaultyServer, extended: bool) -> None:
    """Answers NO to every SEARCH: messages are looked at one by one.

    Only with ESEARCH are searches in flight together.
    """
    if not extended:
        faulty_server.behaviour.capabilities.discard("ESEARCH")
    account = faulty_server.add_account(LOGIN, PASSWORD)
    for n in range(MANY):
        date = b"%02d-Feb-2021 00:30:00 +0300" % (n % 28 + 1)
        account.folder(b"INBOX").add(plain(n), [b"\\Seen"] if n % 2 else [], date)
    in_process = InProcessImport(faulty_server, faulty_server)
    source = ImapSource(in_process.open("source", LOGIN))
    source.open(b"INBOX")
    options = Options(since=1_612_310_400, unseen=True)  # 2021-02-03: half an hour after some
    wanted = {n + 1 for n in range(MANY) if n % 28 >= 3 and not n % 2}
    assert set(range(1, MANY + 1)) - chosen(source, options) == wanted
    searches = [line for line in faulty_server.lines if line.startswith(b"UID SEARCH") and not line.endswith(b" ALL")]
    assert len(searches) == 4
    assert all((b"RETURN (ALL)" in line) == extended for line in searches)
    assert not any(re.search(rb"[\r\n]", line) for line in searches)
    faulty_server.faults.add(reply(b"^UID SEARCH.*(SEEN|SINCE|BEFORE)", b"NO not now", times=None))
    assert set(range(1, MANY + 1)) - chosen(source, options) == wanted
