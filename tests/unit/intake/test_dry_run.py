"""Cutting, deltas, estimates and the dry run."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.intake.dry_run import DryRun, MailboxLine, folder_lines
from shared.folders.mapping import MappedFolder
from shared.mail import FolderStatus
from shared.model import Folder, UnitKind, batch_id
from shared.model.errors import FolderRefused
from shared.model.uids import Uid, UidSet
from shared.rules.batching import Change, cut_batches, delta, expected_duration
from shared.wording.spoken import spoken_duration, spoken_size

_sizes = st.dictionaries(st.integers(1, 4_294_967_295), st.integers(0, 5000), max_size=60).map(
    lambda d: [(Uid(uid), d[uid]) for uid in sorted(d)]
)


class TestCutting:
    @given(_sizes, st.integers(1, 20), st.integers(1, 10_000))
    def test_every_message_is_in_one_batch_and_no_batch_is_too_large(
        self, sizes: list[tuple[Uid, int]], most: int, most_bytes: int
    ) -> None:
        units = list(cut_batches("f", 7, sizes, mailbox_id="m", batch_messages=most, batch_bytes=most_bytes))
        assert [uid for unit in units for uid in unit.uids] == [uid for uid, _ in sizes]
        assert sum(unit.size_bytes for unit in units) == sum(size for _, size in sizes)
        assert all(len(unit.uids) == 1 or unit.size_bytes <= most_bytes for unit in units)
        assert all(1 <= len(unit.uids) <= most for unit in units)
        assert len({unit.unit_id for unit in units}) == len(units)
        assert units == list(cut_batches("f", 7, sizes, mailbox_id="m", batch_messages=most, batch_bytes=most_bytes))

    def test_a_unit_is_what_the_model_says(self) -> None:
        (unit,) = cut_batches("f", 7, [(Uid(1), 10), (Uid(3), 20)], batch_messages=10, batch_bytes=100)
        assert unit.unit_id == batch_id("f", 7, UidSet.of([1, 3]))
        assert (unit.kind, unit.folder_id, unit.mailbox_id, unit.size_bytes) == (UnitKind.COPY, "f", "", 30)

    def test_a_large_message_is_a_batch_of_its_own(self) -> None:
        sizes = [(Uid(1), 10), (Uid(2), 1000), (Uid(3), 10)]
        units = cut_batches("f", 7, sizes, batch_messages=10, batch_bytes=100)
        assert [str(unit.uids) for unit in units] == ["1", "2", "3"]

    def test_an_endless_folder_is_cut_as_it_is_read(self) -> None:
        read = 0

        def endless() -> Iterator[tuple[Uid, int]]:
            nonlocal read
            for read in itertools.count(1):
                yield Uid(read), 1

        units = cut_batches("f", 7, endless(), batch_messages=100, batch_bytes=10**9)
        assert str(next(units).uids) == "1:100"
        assert read == 101

    def test_uids_that_do_not_ascend_are_a_fault_of_ours(self) -> None:
        with pytest.raises(ValueError, match="ascend"):
            list(cut_batches("f", 7, [(Uid(2), 1), (Uid(2), 1)], batch_messages=10, batch_bytes=100))


def folder(**fields: int) -> Folder:
    numbers = {"uidvalidity": 7, "uidnext": 100, "source_messages": 50, "highestmodseq": 900} | fields
    return Folder(
        folder_id="f",
        mailbox_id="m",
        source_name=b"a",
        destination_name=b"a",
        display="a",
        uidvalidity=numbers["uidvalidity"],
        uidnext=numbers["uidnext"],
        source_messages=numbers["source_messages"],
        highestmodseq=numbers["highestmodseq"],
    )


class TestDelta:
    @pytest.mark.parametrize(
        ("status", "change", "first_uid", "flags", "since"),
        [
            ((7, 100, 50, 900), Change.UNCHANGED, 0, False, None),
            ((7, 100, 40, 900), Change.UNCHANGED, 0, False, None),
            ((7, 100, 50, 950), Change.UNCHANGED, 0, True, 900),
            ((7, 100, 50, 800), Change.UNCHANGED, 0, True, None),
            ((7, 100, 50, None), Change.UNCHANGED, 0, True, None),
            ((7, 100, 0, None), Change.UNCHANGED, 0, False, None),
            ((7, 103, 51, 950), Change.CHANGED, 100, True, 900),
            ((7, 103, 50, 900), Change.CHANGED, 100, False, None),
            ((7, 90, 50, 900), Change.CHANGED, 100, False, None),
            ((7, 100, 51, 900), Change.UNCHANGED, 0, False, None),
            ((8, 100, 50, 900), Change.REPLACED, 1, False, None),
            ((0, 100, 50, 900), Change.REPLACED, 1, False, None),
        ],
    )
    def test_numbers_decide(
        self, status: tuple[int, int, int, int | None], change: Change, first_uid: int, flags: bool, since: int | None
    ) -> None:
        uidvalidity, uidnext, messages, modseq = status
        now = FolderStatus(uidvalidity=uidvalidity, uidnext=uidnext, messages=messages, highestmodseq=modseq)
        found = delta(now, folder())
        assert (found.change, found.first_uid, found.flags, found.changed_since) == (change, first_uid, flags, since)

    def test_a_folder_without_a_snapshot_is_new(self) -> None:
        now = FolderStatus(uidvalidity=7, uidnext=100, messages=50)
        assert delta(now, None).change is Change.NEW
        assert delta(now, folder(uidvalidity=0, uidnext=1)).change is Change.NEW

    def test_without_stable_uids_nothing_is_ever_unchanged(self) -> None:
        now = FolderStatus(uidvalidity=0, uidnext=100, messages=50)
        assert delta(now, folder(uidvalidity=0)).change is Change.REPLACED


class TestEstimate:
    def test_low_is_below_high_and_more_takes_longer(self) -> None:
        assert expected_duration(0, 0, 0, 4) == (0, 0)
        low, high = expected_duration(10_000, 40_000_000, 1, 1)
        assert 1 < low < high
        more = expected_duration(20_000, 80_000_000, 2, 1)
        assert more[0] > low
        assert more[1] > high
        assert expected_duration(20_000, 80_000_000, 2, 16)[1] < more[1]
        assert expected_duration(1, 10**12, 1, 10_000)[0] >= 10**12 / 200e6

    def test_spoken(self) -> None:
        assert [spoken_duration(s) for s in (0, 40, 300, 12_600, 200_000)] == [
            "1 s",
            "40 s",
            "5 min",
            "3.5 h",
            "2.3 days",
        ]
        assert [spoken_size(b) for b in (0, 999, 3_400_000_000)] == ["0 bytes", "999 bytes", "3.4 GB"]


class TestDryRun:
    def dry_run(self) -> DryRun:
        mapped = [
            MappedFolder(source_name=b"INBOX", destination_name=b"INBOX", display="INBOX", destination_display="INBOX"),
            MappedFolder(
                source_name=b"a.b",
                destination_name=b"a=2Eb",
                display="a.b",
                destination_display="a=2Eb",
                note="called a=2Eb there",
            ),
            MappedFolder(source_name=b"Spam", display="Spam", skip="excluded by 'Spam'"),
            MappedFolder(source_name=b"x", destination_name=b"x", display="x", destination_display="x"),
        ]
        statuses: dict[bytes, FolderStatus | Exception] = {
            b"INBOX": FolderStatus(uidvalidity=1, uidnext=9, messages=1200, size_bytes=5_000_000),
            b"a.b": FolderStatus(uidvalidity=1, uidnext=9, messages=1),
            b"Spam": FolderStatus(uidvalidity=1, uidnext=9, messages=99, size_bytes=1),
            b"x": FolderRefused("source", "EXAMINE", "no"),
        }
        boxes = (
            MailboxLine(row=1, login="a@x", destination_login="b@y", folders=folder_lines(mapped, statuses)),
            MailboxLine(row=2, login="c@x", destination_login="c@x", problem="source: authentication failed"),
        )
        return DryRun(source="imaps://a:993", destination="imaps://b:993", mailboxes=boxes, connections=4)

    def test_totals_count_what_would_be_copied(self) -> None:
        sums = self.dry_run().totals
        assert (sums.mailboxes, sums.problems, sums.folders, sums.skipped_folders) == (2, 1, 2, 2)
        assert (sums.renamed_folders, sums.messages, sums.size_bytes, sums.unknown_sizes) == (1, 1201, 5_000_000, 1)

    def test_it_is_one_json_document(self) -> None:
        document = json.loads(json.dumps(self.dry_run().as_json()))
        assert document["totals"]["messages"] == 1201
        assert document["mailboxes"][0]["folders"][1]["note"] == "called a=2Eb there"
        assert document["mailboxes"][0]["totals"]["folders"] == 2
        assert document["expected_seconds"]["low"] <= document["expected_seconds"]["high"]

    def test_it_can_be_read(self) -> None:
        assert list(self.dry_run().lines())[:-1] == [
            "from imaps://a:993 to imaps://b:993: nothing is written",
            "a@x → b@y: 2 folders, 1,201 messages, at least 5.0 MB",
            "    INBOX: 1,200 messages",
            "    a.b → a=2Eb: 1 message",
            "    Spam: left out, excluded by 'Spam'",
            "    x: left out, cannot be read at the source: source: EXAMINE (the server said: no)",
            "c@x: source: authentication failed",
            "2 mailboxes, 2 folders, 1,201 messages, at least 5.0 MB; left out: 2, renamed: 1, not reached: 1",
        ]

    def test_a_reason_for_another_name_stays_and_the_name_is_said_once(self) -> None:
        folder = MappedFolder(
            source_name=b"a.b",
            destination_name=b"a=2Eb",
            display="a.b",
            destination_display="a=2Eb",
            note="the destination cannot hold its name as it is; called a=2Eb there",
        )
        folders = folder_lines([folder], {b"a.b": FolderStatus(uidvalidity=1, uidnext=9, messages=1)})
        box = MailboxLine(row=1, login="a", destination_login="a", folders=folders)
        lines = list(DryRun(source="s", destination="d", mailboxes=(box,)).lines())
        assert "    a.b → a=2Eb: 1 message (the destination cannot hold its name as it is)" in lines

    def test_nothing_is_expected_of_what_was_not_reached(self) -> None:
        box = MailboxLine(row=1, login="a", destination_login="a", problem="nobody answers")
        *_, last = DryRun(source="s", destination="d", mailboxes=(box,)).lines()
        assert last == "no estimate: no mailbox could be opened"
        *_, last = self.dry_run().lines()
        assert re.fullmatch(r"expected: \S+ \S+ to \S+ \S+, over 4 connections", last)
