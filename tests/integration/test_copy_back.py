"""Tests the rollback on real servers: what came to the destination since the switch goes back, and nothing else, once."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from producer.cutover.copy_back import WaveBack, no_way_back, wave_back
from shared.model import Account, Endpoint, Options, SwitchMarks, Tls
from shared.model.errors import CredentialsError, UsageError
from shared.model.uids import NO_UIDS
from tests.conftest import DovecotPair
from tests.integration.copy_back_kit import COUNTS, BothWays, gained, switched
from worker.copying.neighbours import Neighbours
from worker.copying.recognise import Recognition
from worker.copying.returning import WayBack


@pytest.fixture
def ways(dovecot_pair: DovecotPair) -> BothWays:
    return switched(dovecot_pair)


def test_what_came_since_the_switch_goes_back_and_nothing_else(ways: BothWays) -> None:
    before, there = ways.held("source"), ways.held("destination")
    ways.put("destination", "INBOX", "Work/deep", number=3, flags=("\\Flagged", "kw"))
    came = ways.held("destination") - there
    ways.bring_back()
    assert ways.held("source") - before == came, "with its flags and dates, in its folders"
    assert gained(ways, before) == {"INBOX": 3, "Work/deep": 3}
    progress = ways.back.progress(ways.mailbox())
    assert progress.whole
    assert (progress.back, progress.pending, progress.failed) == (6, 0, 0)
    after = ways.held("source")
    ways.bring_back()
    assert ways.held("source") == after, "a second time nothing comes"


def test_of_a_wave_it_is_told_how_far_its_mail_is(ways: BothWays) -> None:
    import_ = ways.store.import_(ways.import_id)
    assert import_
    begun = [ways.mailbox()]
    assert wave_back(ways.store, import_, begun) == WaveBack(mailboxes=1), "nothing was begun"
    ways.put("destination", "INBOX", number=3)
    ways.later(60)
    ways.begin_back()
    assert wave_back(ways.store, import_, begun).whole == 0
    ways.bring_back()
    assert wave_back(ways.store, import_, begun) == WaveBack(mailboxes=1, whole=1, messages=3)
    assert wave_back(ways.store, import_, []) == WaveBack()


def test_mail_that_comes_late_to_the_new_server_goes_back_until_a_new_cutover_begins(ways: BothWays) -> None:
    before = ways.held("source")
    ways.bring_back()

    def comes_late() -> Counter[str]:
        ways.put("destination", "INBOX")
        for _ in range(6):
            ways.later(300)
            ways.work()
        return gained(ways, before)

    assert comes_late() == {"INBOX": 1}
    assert comes_late() == {"INBOX": 2}
    origin = ways.store.import_(ways.import_id)
    assert origin
    ways.back.rest(origin, "")
    assert comes_late() == {"INBOX": 2}


def test_what_its_user_put_there_before_the_switch_stays_there(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.mark()
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {}


def test_without_the_marks_it_would_go_back(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.store.mark_switch(ways.mailbox_id, SwitchMarks(at=1.0))
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 1}


def test_mail_that_its_user_moved_or_copied_since_does_not_go_back(ways: BothWays) -> None:
    before = ways.held("source")
    ways.at("destination", b"CREATE Mine", b"SELECT INBOX", b"MOVE 1:3 Work", b"COPY 1:2 Mine", b"COPY 1 Mine")
    ways.put("destination", "Work", "Mine")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 1, "Mine": 1}
    assert ways.back_outcomes() == {"copied": 2, "skipped": sum(COUNTS.values()) + 3}


def test_without_the_look_at_the_bytes_moved_mail_would_go_back_twice(
    ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(WayBack, "_there", lambda *arguments: NO_UIDS)
    before = ways.held("source")
    ways.at("destination", b"SELECT INBOX", b"MOVE 1:3 Work")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 3}


def test_a_new_folder_is_made_only_for_new_mail(ways: BothWays) -> None:
    ways.at("destination", b"CREATE Empty", b"CREATE Sorted", b"SELECT INBOX", b"MOVE 1:2 Sorted")
    ways.put("destination", "Project/2026")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Project/2026": 1}
    names = {name.decode() for name in ways.marks("source")}
    assert "Project/2026" in names
    assert not names & {"Empty", "Sorted"}
    ways.put("destination", "Sorted")
    ways.bring_back()
    assert gained(ways, before) == {"Project/2026": 1, "Sorted": 1}


def test_a_folder_that_was_renamed_goes_back_to_the_one_it_was_made_from(ways: BothWays) -> None:
    ways.at("destination", b"RENAME Work Office")
    ways.put("destination", "Office", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2}


def test_another_uidvalidity_leaves_the_bytes_to_decide(ways: BothWays) -> None:
    ways.put("destination", "Work", number=2)
    ways.destination.wipe_uidlist(ways.logins[0], "Work")  # type: ignore[attr-defined]
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2}


def test_what_an_import_put_below_a_folder_comes_out_of_it_again(dovecot_pair: DovecotPair) -> None:
    ways = switched(dovecot_pair, options=Options(into="Old"))
    ways.put("destination", "Old/Work", "Old/New", "INBOX")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 1, "New": 1, "INBOX": 1}


def test_mail_that_came_to_the_source_since_is_not_brought_back_twice(ways: BothWays) -> None:
    """The passes of the draining run on: what they bring has UIDs above the mark, and is known by the ledger."""
    ways.put("source", "INBOX", number=4)
    ways.again()
    ways.put("destination", "INBOX")
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 1}


def test_a_later_pass_does_not_bring_again_what_came_back(ways: BothWays) -> None:
    ways.put("destination", "INBOX", "Project/2026", number=2)
    ways.bring_back()
    ways.put("source", "INBOX", "Project/2026")
    here = ways.held("destination")
    ways.again()
    new = Counter(kept.folder.decode() for kept in (ways.held("destination") - here).elements())
    assert new == {"INBOX": 1, "Project/2026": 1}
    assert ways.held("destination") == ways.held("source")
    assert ways.outcomes() == {"copied": sum(COUNTS.values()) + 2, "already_present": 4}


def test_what_came_back_is_asked_once_a_pass_however_many_batches_it_has(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    ways = switched(dovecot_pair, batch_messages=2)
    ways.put("destination", "INBOX", number=3)
    ways.bring_back()
    asked: list[str] = []
    imports = type(ways.store).imports
    monkeypatch.setattr(type(ways.store), "imports", lambda self: [asked.append(""), imports(self)][1])
    for again in range(1, 3):
        ways.put("source", "INBOX", "Work", number=8)
        before = len(asked)
        ways.again()
        assert len(asked) - before <= 4, "once at its start, and once in a lane"
        assert ways.outcomes() == {"copied": sum(COUNTS.values()) + 16 * again, "already_present": 3}


@pytest.mark.parametrize("known", [True, False])
def test_where_bytes_tell_nothing_the_ledger_turned_round_does(
    known: bool, ways: BothWays, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that rewrites what it takes leaves nothing to recognise: then only the ledger tells, and without it mail doubles."""
    monkeypatch.setattr(Recognition, "among", lambda *arguments: {})
    if not known:
        monkeypatch.setattr(Neighbours, "_back", lambda self, folder: iter(()))
    ways.put("destination", "INBOX")
    ways.bring_back()
    ways.again()
    assert sum((ways.held("destination") - ways.held("source")).values()) == (0 if known else 1)


def test_switched_and_rolled_back_a_second_time(ways: BothWays) -> None:
    ways.put("destination", "INBOX")
    ways.bring_back()
    ways.put("destination", "INBOX")  # its user's, between the two cutovers
    ways.again()
    ways.later(60)
    ways.mark()
    ways.put("destination", "INBOX", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"INBOX": 2}


def test_what_cannot_be_brought_back_says_so(ways: BothWays) -> None:
    mailbox = ways.mailbox()
    pop3 = Endpoint(protocol="pop3", host="pop.old.example", port=995, tls=Tls.IMPLICIT)
    assert "POP3" in no_way_back(replace(mailbox, source=Account(endpoint=pop3, login="x")))
    assert no_way_back(mailbox) == ""
    ways.store.forget(ways.import_id)
    with pytest.raises(CredentialsError, match="no longer stored"):
        ways.back.begin(mailbox)
    ways.store.close(ways.import_id)
    with pytest.raises(UsageError, match="never switched"):
        ways.back.begin(mailbox)


def test_once_the_import_is_closed_nothing_goes_back_by_guessing(ways: BothWays) -> None:
    ways.bring_back()
    ways.put("destination", "INBOX")
    ways.later(60)
    ways.begin_back()
    ways.store.close(ways.import_id)
    before = ways.held("source")
    ways.work()
    found = ways.store.mailboxes(ways.back_id)[0][0]
    assert found.failure
    assert found.failure.code == "nothing_known"
    assert ways.held("source") == before


def test_a_folder_that_the_folder_map_put_elsewhere_gives_back_to_where_it_came_from(dovecot_pair: DovecotPair) -> None:
    ways = switched(dovecot_pair, options=Options(folder_map=(("Work", "Office/Work"),)))
    ways.put("destination", "Office/Work", "Office/Work/deep", number=2)
    before = ways.held("source")
    ways.bring_back()
    assert gained(ways, before) == {"Work": 2, "Work/deep": 2}
    here = ways.held("destination")
    ways.again()
    assert ways.held("destination") == here
