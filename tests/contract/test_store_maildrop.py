"""The numbers of POP3 identities in the store: for good, one after the other, and nobody's are overwritten."""

from __future__ import annotations

from shared.maildrop import DIGEST_BYTES, Known, digest, number
from shared.store import Store


class Kept:
    """As a worker binds it to a mailbox."""

    def __init__(self, store: Store) -> None:
        self.store = store

    def known(self) -> Known:
        return self.store.maildrop("m1")

    def add(self, before: Known, digests: bytes, *, renew: bool) -> Known:
        return self.store.number_maildrop("m1", before, digests, renew=renew)


def test_a_maildrop_begins_empty_and_keeps_what_it_was_given(store: Store) -> None:
    empty = store.maildrop("m1")
    assert empty == Known(generation=1)
    one, two, three = (digest(text) for text in (b"1", b"2", b"\0\xff"))
    first = store.number_maildrop("m1", empty, one + two, renew=False)
    assert first == store.maildrop("m1") == Known(generation=1, digests=one + two)
    assert store.number_maildrop("m1", empty, three, renew=False) == first, "somebody was faster: nothing is changed"
    assert store.number_maildrop("m1", first, three, renew=False).digests == one + two + three
    assert store.maildrop("m2") == Known(generation=1), "another mailbox's"
    now = store.maildrop("m1")
    assert store.number_maildrop("m1", now, two, renew=True) == Known(generation=2, digests=two)
    assert store.number_maildrop("m1", now, one, renew=True).generation == 2


def test_two_that_look_at_once_agree(store: Store) -> None:
    kept = Kept(store)
    letters = [digest(bytes([n])) for n in range(20)]
    assert number(kept, letters[:5], certain=True)[1] == [1, 2, 3, 4, 5]

    class Slow(Kept):
        """Another session numbers something between the look and the word."""

        def add(self, before: Known, digests: bytes, *, renew: bool) -> Known:
            if len(before.digests) == 5 * DIGEST_BYTES:
                number(kept, [*letters[:5], letters[9]], certain=True)
            return super().add(before, digests, renew=renew)

    assert number(Slow(store), [*letters[:5], letters[7]], certain=True)[1] == [1, 2, 3, 4, 5, 7]
    assert number(kept, [letters[9], letters[7]], certain=True)[1] == [6, 7]


def test_a_generation_ends_when_nothing_of_it_is_left(store: Store) -> None:
    kept = Kept(store)
    letters = [digest(bytes([n])) for n in range(9)]
    number(kept, letters[:4], certain=True)
    assert number(kept, letters[2:6], certain=True)[0].generation == 1, "some stay: people delete mail"
    assert number(kept, [], certain=True)[0].generation == 1, "an empty maildrop says nothing"
    assert number(kept, letters[6:8], certain=True)[0].generation == 2
    assert number(kept, letters[6:9], certain=False)[0].generation == 2, "one came, none went"
    assert number(kept, [letters[0], letters[8]], certain=False)[0].generation == 3, "one came and one went: the same?"
