"""Tests that a cutover's row and notes change together, only from what was read, and that a repeated call does no harm."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from shared.model.cutover import Cutover, CutoverOptions, CutoverStep, MailboxCutover, Overruled
from shared.model.lifecycle import Control, CutoverState
from shared.runtime.credentials import Vault
from shared.store import Store
from shared.store.records.cutovers import Cutovers, KeptCutover, decode_mailbox, encode_mailbox
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import start

KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
OTHER = b"YWJjZGVmZ2hpamtsbW5vcHFyc3R1dnd4eXphYmNkZWY="


def test_only_who_read_the_last_row_changes_it(store: Store) -> None:
    i = start(store, 1)[0].import_id
    assert store.cutover_rows(i) == {}
    assert store.set_cutover(i, "a", "", "one", {})
    assert not store.set_cutover(i, "a", "", "other", {}), "somebody began it before"
    assert store.set_cutover(i, "a", "one", "two", {"m": ("", "asked"), "#dns": ("", "x")})
    assert not store.set_cutover(i, "a", "one", "three", {})
    assert store.cutover_rows(i) == {"a": "two"}
    assert store.set_cutover(i, "", "", "whole", {})
    assert store.cutover_rows(i) == {"a": "two", "": "whole"}
    assert store.cutover_notes(i, "a") == {"m": "asked", "#dns": "x"}
    assert store.cutover_notes(i, "") == {}
    assert not store.set_cutover("nobody", "a", "", "one", {})


def test_notes_are_written_all_or_none_and_only_beside_their_row(store: Store) -> None:
    i = start(store, 1)[0].import_id
    store.set_cutover(i, "a", "", "row", {"m": ("", "1"), "n": ("", "1")})
    assert not store.set_cutover(i, "a", "row", "row", {"m": ("1", "2"), "n": ("0", "2")})
    assert store.cutover_notes(i, "a") == {"m": "1", "n": "1"}
    assert not store.set_cutover(i, "a", "older", "older", {"m": ("1", "2")})
    assert store.set_cutover(i, "a", "row", "row", {"m": ("1", "2"), "n": ("1", "")})
    assert store.cutover_notes(i, "a") == {"m": "2"}


def test_the_same_call_again_says_that_it_stands(store: Store) -> None:
    i = start(store, 1)[0].import_id
    call: Callable[[], bool] = lambda: store.set_cutover(i, "a", "", "row", {"m": ("", "1")})  # noqa: E731
    assert [call(), call()] == [True, True]
    gone: Callable[[], bool] = lambda: store.set_cutover(i, "a", "row", "row2", {"m": ("1", "")})  # noqa: E731
    assert [gone(), gone()] == [True, True]
    assert (store.cutover_rows(i), store.cutover_notes(i, "a")) == ({"a": "row2"}, {})


@pytest.mark.parametrize("whole", [True, False])
def test_nothing_is_left_of_who_is_erased_or_closed(store: Store, whole: bool) -> None:
    request, (first, second) = start(store, 2)
    i = request.import_id
    store.set_cutover(i, "a", "", "row", {first.mailbox_id: ("", "1"), second.mailbox_id: ("", "1")})
    store.control(i, None, Control.CANCEL)
    if not whole:
        assert store.erase(i, first.mailbox_id)
        assert store.cutover_notes(i, "a") == {second.mailbox_id: "1"}
        return
    assert store.close(i)
    assert (store.cutover_rows(i), store.cutover_notes(i, "a")) == ({}, {})
    if isinstance(store, RedisStore):
        assert not store._read("keys", f"{keys.PREFIX}*cutover*")


# -- signed


def _cutover(import_id: str) -> Cutover:
    return Cutover(
        import_id=import_id,
        wave="a",
        state=CutoverState.ANNOUNCED,
        since=12.5,
        serial=4,
        options=CutoverOptions(switch="office", domains=("example.org",)),
        overruled=(Overruled(guard="ttl", event="switch", reason="internal", who="anna", at=3.0),),
        steps=(
            CutoverStep(state=CutoverState.DRAFTED, at=1.0, who="anna"),
            CutoverStep(state=CutoverState.CHECKED, at=2.0),
        ),
    )


def test_a_row_is_read_as_it_was_written(store: Store) -> None:
    i = start(store, 1)[0].import_id
    cutovers = Cutovers(store, Vault([KEY]))
    assert cutovers.one(i, "a") == KeptCutover()
    assert cutovers.put(KeptCutover(), _cutover(i))
    kept = cutovers.one(i, "a")
    assert kept.cutover == _cutover(i)
    assert cutovers.all(i) == {"a": kept}
    assert cutovers.put_notes(kept, {"m": ("", "1")})
    assert cutovers.put(kept, replace(_cutover(i), serial=5), {"m": ("1", "2")})
    assert not cutovers.put_notes(kept, {"m": ("2", "3")}), "the cutover is another by now"
    assert cutovers.notes(i, "a") == {"m": "2"}


def test_a_row_that_was_written_without_the_key_is_no_cutover(store: Store) -> None:
    i = start(store, 1)[0].import_id
    cutovers = Cutovers(store, Vault([KEY]))
    cutovers.put(KeptCutover(), _cutover(i))
    row = store.cutover_rows(i)["a"]
    store.set_cutover(i, "a", row, row.replace("office", "theirs"), {})
    assert cutovers.one(i, "a").cutover is None
    store.set_cutover(i, "b", "", row, {})
    assert cutovers.one(i, "b").cutover is None, "nor does it count for another wave"
    assert Cutovers(store, Vault([OTHER])).resign(i).lost == 2


def test_another_key_signs_the_row_anew(store: Store) -> None:
    i = start(store, 1)[0].import_id
    Cutovers(store, Vault([KEY])).put(KeptCutover(), _cutover(i))
    assert Cutovers(store, Vault([OTHER, KEY])).resign(i).renewed == 1
    assert Cutovers(store, Vault([OTHER])).one(i, "a").cutover == _cutover(i)


def test_what_is_known_of_a_mailbox_is_short(store: Store) -> None:
    known = MailboxCutover(to="new", answer="done", words="x" * 900, at=1.5, marked=True, empty=1)
    assert decode_mailbox(encode_mailbox(known)) == replace(known, words="x" * 200)
    assert encode_mailbox(MailboxCutover()) == "{}"
    assert decode_mailbox("") == decode_mailbox("{nonsense") == MailboxCutover()
