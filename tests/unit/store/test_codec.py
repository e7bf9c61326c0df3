"""Values written to Redis read back as they were."""

from __future__ import annotations

import json
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.model import Account, Endpoint, Import, Moving, Options, Tls, import_id, mailbox_id
from shared.model.choices import DeletionsChoice, LabelMode, MoveChoice, SharedFolders, Verification
from shared.model.uids import MAX_UID, Record, UidSet, records_of
from shared.store.redis import codec, packing

UIDS = st.sets(st.integers(1, MAX_UID), max_size=300).map(UidSet.of)


@given(UIDS)
def test_uids_that_ascend_make_the_same_set(uids: UidSet) -> None:
    assert UidSet.ascending(uids) == uids
    if len(uids) > 1:
        with pytest.raises(ValueError, match="ascend"):
            UidSet.ascending(reversed(list(uids)))


@given(UIDS)
def test_uids_of_a_batch_survive_packing(uids: UidSet) -> None:
    text = packing.encode_uids(uids)
    assert packing.decode_uids(text) == uids
    assert len(text) <= len(str(uids))
    assert text.isascii()


@given(st.lists(st.tuples(st.integers(1, MAX_UID), st.integers(1, MAX_UID)), max_size=300, unique_by=lambda p: p[0]))
def test_records_survive_packing(pairs: list[tuple[int, int]]) -> None:
    once = {to: source for source, to in pairs}
    records = tuple(records_of((source, to) for to, source in once.items()))
    assert packing.decode_records(packing.encode_records(records)) == records


def test_packing_is_worth_it() -> None:
    uids = UidSet.of(n for n in range(1, 3000) if n % 3)
    assert len(packing.encode_uids(uids)) < len(str(uids)) / 2
    record = Record(uids, UidSet.span(1, len(uids)))
    assert len(packing.encode_records([record])) < len(str(record)) / 2


def test_a_million_skipped_messages_take_little_room() -> None:
    chance = random.Random(5)
    scattered = UidSet.ascending(uid for uid in range(1, 1_000_001) if chance.random() < 0.5)
    for uids, most in ((UidSet.span(1, 1_000_000), 100), (scattered, 250_000)):
        packed = packing.encode_sets({"before 2024-01-01": uids})
        assert len(packed) < most
        assert packing.decode_sets(packed) == {"before 2024-01-01": uids}
    assert packing.decode_sets(None) == packing.decode_sets(packing.encode_sets({})) == {}


def test_what_a_request_wants_comes_back_as_it_was() -> None:
    ends = [Endpoint(host=host, port=993, tls=Tls.IMPLICIT) for host in ("a", "b")]
    options = Options(
        include=("a",),
        skip_special=("junk", "trash"),
        into="x/y",
        folder_map=(("Work", "Projects"), ("b", "c")),
        since=1,
        before=2,
        larger=3,
        smaller=4,
        unseen=True,
        newest_first=True,
        shared_folders=SharedFolders.COPY,
        gmail_labels=LabelMode.PRIMARY,
        moves=MoveChoice.COPY,
        deletions=DeletionsChoice.FOLLOW,
        verify=Verification.ANEW,
    )
    wanted = Import(import_id="i", name="n", source=ends[0], destination=ends[1], options=options)
    row = {key.encode(): value.encode() for key, value in codec.encode_import(wanted).items()}
    found = codec.decode_import("i", row | {b"state": b"running", b"control": b"run"})
    assert found.options == options
    assert isinstance(found.options.gmail_labels, LabelMode), "not the text of it"
    written = json.loads(row[b"options"])
    names = ("shared_folders", "gmail_labels", "moves", "deletions", "verify")
    assert [written[name] for name in names] == ["copy", "primary", "copy", "follow", "anew"]


def test_a_mailbox_of_an_import_of_old_comes_from_where_all_come_from() -> None:
    """Reads a mailbox written before rows could name a server: no such field, and the ids that stand in Redis."""
    ends = [Endpoint(host=f"{which}.example", port=993, tls=Tls.IMPLICIT) for which in ("old", "new")]
    assert import_id("move", *ends) == "fa5cbd8d35e09a98"
    assert mailbox_id("fa5cbd8d35e09a98", "anna", "anna@new") == "2f4457e82ee763f3"
    row = {b"import": b"fa5cbd8d35e09a98", b"source_login": b"anna", b"destination_login": b"anna@new"}
    row |= {b"state": b"queued", b"control": b"run", b"row": b"2"}
    found = codec.decode_mailbox("2f4457e82ee763f3", row, *ends)
    assert (found.source, found.destination.endpoint) == (Account(endpoint=ends[0], login="anna"), ends[1])


def test_a_worker_of_before_reads_the_note_of_a_move() -> None:
    """Such a worker knows no `uidvalidity`, and takes each name in the note for one of its fields."""
    move = Moving(folder_id="f", destination_uidnext=5, messages=((1, 2, 3),))
    left_out = Moving(folder_id="f", uidvalidity=7, messages=((0, 0, 3),))
    (row,) = json.loads(codec.encode_moving([move]))
    assert row.keys() == {"folder_id", "destination_uidnext", "messages"}
    assert codec.decode_moving(codec.encode_moving([move, left_out])) == (move, left_out)
    assert codec.decode_moving(codec.encode_moving([])) == ()
