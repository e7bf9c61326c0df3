"""What stands in Redis reads back as it was."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from shared.store import codec
from shared.uids import MAX_UID, Record, UidSet, records_of

UIDS = st.sets(st.integers(1, MAX_UID), max_size=300).map(UidSet.of)


@given(UIDS)
def test_uids_of_a_batch_survive_packing(uids: UidSet) -> None:
    text = codec.encode_uids(uids)
    assert codec.decode_uids(text) == uids
    assert len(text) <= len(str(uids))
    assert text.isascii()


@given(st.lists(st.tuples(st.integers(1, MAX_UID), st.integers(1, MAX_UID)), max_size=300, unique_by=lambda p: p[0]))
def test_records_survive_packing(pairs: list[tuple[int, int]]) -> None:
    once = {to: source for source, to in pairs}
    records = tuple(records_of((source, to) for to, source in once.items()))
    assert codec.decode_records(codec.encode_records(records)) == records


def test_packing_is_worth_it() -> None:
    uids = UidSet.of(n for n in range(1, 3000) if n % 3)
    assert len(codec.encode_uids(uids)) < len(str(uids)) / 2
    record = Record(uids, UidSet.span(1, len(uids)))
    assert len(codec.encode_records([record])) < len(str(record)) / 2
