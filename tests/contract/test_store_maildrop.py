"""Tests the numbers of POP3 identities in the store: permanent, consecutive, and never overwritten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from shared.content import maildrop
from shared.content.fingerprint import NO_FINGERPRINT
from shared.content.maildrop import DIGEST_BYTES, Head, Known, described, digest, number, positional
from shared.store import Store


class Kept:
    """The numbers of one mailbox, as a worker keeps them."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def known(self) -> Known:
        return self.store.maildrop("m1")

    def replace(self, before: Known, generation: int, digests: bytes) -> Known:
        return self.store.replace_maildrop("m1", before, generation, digests)

    def say(self, generation: int, said: Mapping[int, bytes]) -> None:
        self.store.say_maildrop("m1", generation, said)


def nothing(places: Sequence[int]) -> dict[int, Head]:
    """Returns no heads, as for messages that cannot be read."""
    return {}


def numbered(kept: Kept, listed: Sequence[bytes], *, certain: bool = True) -> list[int]:
    """Returns the numbers where no message was ever read."""
    return number(kept, listed, nothing, lambda places: {}, certain=certain)[1]


def test_a_maildrop_begins_empty_and_keeps_what_it_was_given(store: Store) -> None:
    empty = store.maildrop("m1")
    assert empty == Known(generation=1)
    one, two, three = (digest(text) for text in (b"1", b"2", b"\0\xff"))
    first = store.replace_maildrop("m1", empty, 1, one + two)
    assert first == store.maildrop("m1") == Known(generation=1, digests=one + two)
    assert store.replace_maildrop("m1", empty, 1, three) == first, "somebody was faster: nothing is changed"
    assert store.replace_maildrop("m1", first, 1, one + three).digests == one + three, "the second in a new guise"
    assert store.maildrop("m2") == Known(generation=1), "another mailbox's"


def test_what_was_read_is_kept_by_number_and_goes_with_its_generation(store: Store) -> None:
    entries = {n: described(Head(date=n, fingerprint=b"f%d" % n), b"c%d" % n) for n in (1, 2, 5)}
    known = store.replace_maildrop("m1", store.maildrop("m1"), 1, b"".join(digest(bytes([n])) for n in range(5)))
    store.say_maildrop("m1", 1, entries)
    assert {n: said for n in range(1, 7) if (said := store.maildrop("m1").said_of(n))} == entries
    other = described(Head(date=7, fingerprint=b"x"), None)
    store.say_maildrop("m1", 1, {2: other})
    store.say_maildrop("m1", 9, {1: other})
    assert {n: said for n in range(1, 7) if (said := store.maildrop("m1").said_of(n))} == entries | {2: other}
    same = store.replace_maildrop("m1", known, 1, known.digests + digest(b"new"))
    assert store.maildrop("m1").said_of(5) == entries[5]
    store.replace_maildrop("m1", same, 2, digest(b"new"))
    assert store.maildrop("m1") == Known(generation=2, digests=digest(b"new"))


def test_two_that_look_at_once_agree(store: Store) -> None:
    kept = Kept(store)
    letters = [digest(bytes([n])) for n in range(20)]
    assert numbered(kept, letters[:5]) == [1, 2, 3, 4, 5]

    class Slow(Kept):
        """A maildrop in which another session assigns a number between the read and the write."""

        def replace(self, before: Known, generation: int, digests: bytes) -> Known:
            if len(before.digests) == 5 * DIGEST_BYTES:
                numbered(kept, [*letters[:5], letters[9]])
            return super().replace(before, generation, digests)

    assert numbered(Slow(store), [*letters[:5], letters[7]]) == [1, 2, 3, 4, 5, 7]
    assert numbered(kept, [letters[9], letters[7]]) == [6, 7]


def test_a_generation_ends_when_nothing_of_it_is_left_and_nothing_was_read(store: Store) -> None:
    kept = Kept(store)
    letters = [digest(bytes([n])) for n in range(9)]

    def generation(listed: Sequence[bytes], *, certain: bool = True) -> int:
        numbered(kept, listed, certain=certain)
        return store.maildrop("m1").generation

    assert generation(letters[:4]) == 1
    assert generation(letters[2:6]) == 1, "some stay: people delete mail"
    assert generation([]) == 1, "an empty maildrop says nothing"
    assert generation(letters[6:8]) == 2
    assert generation(letters[6:9], certain=False) == 2, "one came, none went"
    assert generation([letters[0], letters[8]], certain=False) == 3, "one came and one went: the same?"


class Drop:
    """A maildrop with messages (head, content) and with the identities that a test gives."""

    def __init__(self, store: Store) -> None:
        self.kept = Kept(store)
        self.heads = self.contents = 0

    def look(self, *messages: tuple[bytes, str, str]) -> list[int]:
        """Returns the numbers of messages given as (identity, head, content); all are read."""

        def heads(places: Sequence[int]) -> dict[int, Head]:
            self.heads += len(places)
            return {at: _head(messages[at][1]) for at in places}

        def contents(places: Sequence[int]) -> dict[int, bytes]:
            self.contents += len(places)
            return {at: messages[at][2].encode() for at in places}

        known, numbers = number(self.kept, [digest(m[0]) for m in messages], heads, contents, certain=True)
        said = {n: described(_head(m[1]), m[2].encode()) for n, m in zip(numbers, messages, strict=True)}
        self.kept.say(known.generation, said)
        return numbers


def _head(text: str) -> Head:
    return Head(date=1_000, fingerprint=text.encode() if text else NO_FINGERPRINT)


def test_ids_that_change_in_part_or_all_at_once_are_the_same_messages(store: Store) -> None:
    drop = Drop(store)
    assert drop.look((b"a", "A", "1"), (b"b", "B", "2"), (b"c", "C", "3")) == [1, 2, 3]
    assert drop.heads == 0, "where nothing is missing nothing is read"
    assert drop.look((b"a", "A", "1"), (b"B2", "B", "2"), (b"c", "C", "3"), (b"d", "D", "4")) == [1, 2, 3, 4]
    assert drop.look((b"a3", "A", "1"), (b"b3", "B", "2"), (b"c3", "C", "3"), (b"d3", "D", "4")) == [1, 2, 3, 4]
    assert drop.contents == 1 + 4, "what is shown under another name is read once"
    assert store.maildrop("m1").generation == 1


def test_a_head_that_comes_again_with_another_content_is_another_message(store: Store) -> None:
    """Replaces a message by one with the same head, as a daily report may be."""
    drop = Drop(store)
    assert drop.look((b"a", "A", "1"), (b"b", "B", "2")) == [1, 2]
    assert drop.look((b"c", "A", "3"), (b"b", "B", "2")) == [3, 2]


@pytest.mark.parametrize(("shown", "numbers"), [("AA", [1, 2]), ("AAA", [3, 4, 5]), ("A", [3])])
def test_where_only_heads_were_read_as_many_on_both_sides_are_the_same(
    store: Store, shown: str, numbers: list[int]
) -> None:
    kept = Kept(store)
    numbered(kept, [digest(b"a"), digest(b"b")])
    kept.say(1, {1: described(_head("A"), None), 2: described(_head("A"), None)})
    drop = Drop(store)
    assert sorted(drop.look(*((b"%d" % n, head, str(n)) for n, head in enumerate(shown)))) == numbers


def test_a_message_that_goes_and_one_that_comes_are_two(store: Store) -> None:
    drop = Drop(store)
    assert drop.look((b"a", "A", "1"), (b"b", "B", "2")) == [1, 2]
    assert drop.look((b"a", "A", "1"), (b"c", "C", "3")) == [1, 3]
    assert drop.look((b"a", "A", "1"), (b"c", "C", "3"), (b"b", "B", "2")) == [1, 3, 2], "it is back"


@pytest.mark.parametrize("head", ["A", ""])
def test_equal_heads_are_told_apart_by_their_contents(store: Store, head: str) -> None:
    drop = Drop(store)
    assert drop.look((b"a", head, "1"), (b"b", head, "2"), (b"c", "C", "3")) == [1, 2, 3]
    assert drop.look((b"a", head, "1"), (b"d", head, "4"), (b"c", "C", "3")) == [1, 4, 3], "another of the same head"
    assert drop.look((b"b2", head, "2"), (b"a2", head, "1"), (b"c2", "C", "3")) == [2, 1, 3]


def test_equal_messages_are_a_multiset(store: Store) -> None:
    drop = Drop(store)
    assert drop.look((b"a", "A", "1"), (b"b", "A", "1")) == [1, 2]
    assert sorted(drop.look((b"x", "A", "1"), (b"y", "A", "1"), (b"z", "A", "1"))) == [1, 2, 3]


def test_without_looking_they_would_come_twice(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(maildrop, "recognise", lambda *_: {})
    drop = Drop(store)
    drop.look((b"a", "A", "1"), (b"b", "B", "2"))
    assert drop.look((b"a", "A", "1"), (b"B2", "B", "2")) == [1, 3]


@pytest.mark.parametrize(
    ("ids", "so"),
    [
        ([b"1", b"2", b"3"], True),
        ([b"0", b"1", b"2"], True),
        ([b"msg-0001@host9", b"msg-0002@host9", b"msg-0003@host9"], True),
        ([b"1", b"2", b"4"], False),
        ([b"7f1", b"7f2", b"8f3"], False),
        ([b"a", b"b", b"c"], False),
        ([b"1", None, b"3"], False),
        ([], False),
    ],
)
def test_places_written_as_unique_ids_identify_nothing(ids: list[bytes | None], so: bool) -> None:
    assert positional(range(1, len(ids) + 1), ids) is so
