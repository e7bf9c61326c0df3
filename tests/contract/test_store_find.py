"""Tests a page of mailboxes, filtered and ordered by the store, over memory, Redis and Valkey."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from itertools import product
from typing import Any

import pytest
import redis

from shared.model import Failure, Mailbox, Tally
from shared.model.lifecycle import Control, MailboxState, Outcome
from shared.model.search import ORDERS, Search, troubles_of
from shared.store import Store
from shared.store.redis import keys
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import intent, other, person, plan_of, start, take


def _logins(store: Store, import_id: str, **wanted: object) -> tuple[int, list[str]]:
    total, found = store.find_mailboxes(import_id, Search(**wanted))  # type: ignore[arg-type]
    return total, [mailbox.source.login for mailbox, _ in found]


def test_without_a_wish_they_come_by_row_page_by_page(store: Store) -> None:
    whole, mailboxes = start(store, 5)
    everyone = [mailbox.source.login for mailbox in mailboxes]

    assert _logins(store, whole.import_id) == (5, everyone)
    assert _logins(store, whole.import_id, start=2, count=2) == (5, everyone[2:4])
    assert _logins(store, whole.import_id, start=9) == (5, [])
    assert _logins(store, whole.import_id, descending=True, count=2) == (5, everyone[:2:-1])
    assert _logins(store, "nothing") == (0, [])


@pytest.mark.parametrize("order", ["login", "destination_login"])
def test_they_can_be_ordered_and_looked_for_by_login(store: Store, order: str) -> None:
    whole, mailboxes = start(store, 3)
    everyone = sorted(mailbox.source.login for mailbox in mailboxes)

    assert _logins(store, whole.import_id, order=order, descending=True) == (3, everyone[::-1])
    assert _logins(store, whole.import_id, text=everyone[1].upper()) == (1, [everyone[1]])
    assert _logins(store, whole.import_id, text="%w") == (0, [])  # a text, not a pattern
    for beside in (mailboxes[0].mailbox_id, mailboxes[0].mailbox_id[:6], f"{everyone[0]}\n", "\n", "\0"):
        assert _logins(store, whole.import_id, text=beside, order=order) == (0, []), "only logins are looked through"


def test_capitals_do_not_count_in_ascii_and_every_other_letter_does(store: Store) -> None:
    whole, _ = start(store)
    more = [person(whole, 2, "Жанна.K@x"), person(whole, 3, "жанна.k@x", to="Ä")]
    store.open_import(whole, more, 14)
    assert _logins(store, whole.import_id, text="Жанна.k@X", order="login") == (1, ["Жанна.K@x"])
    assert _logins(store, whole.import_id, text=".K@X", order="login") == (2, ["Жанна.K@x", "жанна.k@x"])
    assert _logins(store, whole.import_id, text="Ä") == (1, ["жанна.k@x"])


def test_they_can_be_chosen_by_state_and_by_what_went_wrong(store: Store) -> None:
    whole, mailboxes = start(store, 3)
    lease = take(store)
    failure = Failure(code="source_auth_refused", sentence="refused", detail='it said "code": "other"')
    store.release(lease, how="park", failure=failure)
    parked = next(mailbox.source.login for mailbox in mailboxes if mailbox.mailbox_id == lease.unit.mailbox_id)
    others = [mailbox.source.login for mailbox in mailboxes if mailbox.source.login != parked]

    assert _logins(store, whole.import_id, state=MailboxState.PARKED) == (1, [parked])
    assert _logins(store, whole.import_id, code="source_auth_refused") == (1, [parked])
    assert _logins(store, whole.import_id, code="other") == (0, [])
    assert _logins(store, whole.import_id, state=MailboxState.QUEUED, descending=True) == (2, others[::-1])
    assert _logins(store, whole.import_id, order="messages") == (3, [mailbox.source.login for mailbox in mailboxes])

    store.control(whole.import_id, None, Control.CANCEL)
    assert _logins(store, whole.import_id, state=MailboxState.CANCELLED, count=1)[0] == 3


@pytest.mark.parametrize("walk", [1, 3, 2000])
def test_every_way_to_look_finds_what_a_look_at_all_of_them_finds(store: Any, walk: int) -> None:
    """Finds what fits in pieces of two, where one script looks at few mailboxes."""
    store.walk, store.piece = walk, 2
    whole, mailboxes = start(store, 7)
    for number, code in enumerate(("source_auth_refused", "quota_exceeded", "source_auth_refused")):
        store.release(take(store, f"lane{number}"), how="park", failure=Failure(code=code, sentence="s"))
    store.release(take(store, "again"), how="again", failure=Failure(code="quota_exceeded", sentence="s"))
    planning = take(store, "planning")
    folder = plan_of(planning.mailbox, "INBOX", (1, 5))
    store.plan_folders(planning, [(folder, 1)])
    store.finish(planning)
    batch = take(store, "copying", prefer=planning.mailbox.mailbox_id)
    unit = batch.unit
    store.progress(batch, intents=[intent("i", unit.uids)])
    store.progress(batch, settled=[other(Outcome.REFUSED, unit.uids, "i")])
    store.finish(batch)

    def agrees() -> None:
        rows = store.mailboxes(whole.import_id)
        codes = Counter(mailbox.failure.code for mailbox, _ in rows if mailbox.failure)
        assert store.failure_codes(whole.import_id) == codes
        for state, code, text, order, descending in product(
            (None, *MailboxState), ("", "refused", *codes), ("", rows[0][0].source.login), ORDERS, (False, True)
        ):
            wanted = Search(state=state, code=code, text=text, order=order, descending=descending, start=1, count=4)
            fits = [
                pair
                for pair in rows
                if state in (None, pair[0].state)
                and (not code or (pair[0].failure and pair[0].failure.code == code) or code in troubles_of(pair[1]))
                and any(text in login for login in (pair[0].source.login, pair[0].destination.login))
            ]
            fits.sort(key=lambda pair: _value(order, *pair), reverse=descending)
            if isinstance(store, RedisStore):
                _forget(store._redis, "found:*")  # it is kept for five seconds
            assert store.find_mailboxes(whole.import_id, wanted) == (len(fits), fits[1:5]), wanted

    agrees()
    parked = next(mailbox for mailbox, _ in store.mailboxes(whole.import_id) if mailbox.state is MailboxState.PARKED)
    store.retry(whole.import_id, parked.mailbox_id, [])
    agrees()
    store.control(whole.import_id, mailboxes[-1].mailbox_id, Control.CANCEL)
    agrees()
    store.control(whole.import_id, None, Control.CANCEL)
    agrees()
    store.open_import(whole, [replace(mailbox, row=10 - mailbox.row) for mailbox in mailboxes], 14)
    agrees()


def _value(order: str, mailbox: Mailbox, counts: Tally) -> object:
    if order in ("failed", "refused"):
        return counts[Outcome(order)]
    return {
        "row": mailbox.row,
        "login": mailbox.source.login,
        "destination_login": mailbox.destination.login,
        "state": mailbox.state.value,
        "messages": counts.messages,
        "bytes": counts.size_bytes,
        "done_bytes": counts.done_bytes,
    }[order]


def test_many_are_sorted_by_a_number_as_few_are(store: Any) -> None:
    store.walk = 50
    whole, mailboxes = start(store, 101)
    for number, messages in enumerate((3, 9, 3)):
        lease = take(store, f"lane{number}")
        store.plan_folders(lease, [(plan_of(lease.mailbox, "INBOX", (1, messages)), 1)])
    planned = sorted(
        (pair for pair in store.mailboxes(whole.import_id) if pair[1].messages), key=lambda pair: -pair[1].messages
    )
    logins = [mailbox.source.login for mailbox, _ in planned]
    for _ in range(2):  # freshly sorted, and from the sorted list
        total, found = _logins(store, whole.import_id, order="messages", descending=True, count=4)
        assert (total, found[:3]) == (101, logins)
        assert _logins(store, whole.import_id, order="messages", start=100)[1] == logins[:1]
        text = logins[1]
        fits = [mailbox.source.login for mailbox in mailboxes if text in mailbox.source.login]
        total, found = _logins(store, whole.import_id, order="messages", descending=True, text=text)
        assert (total, found[0], set(found)) == (len(fits), text, set(fits))
        assert (
            _logins(store, whole.import_id, order="messages", descending=True, state=MailboxState.PLANNING)[1] == logins
        )
    if isinstance(store, RedisStore):
        _forgets_what_is_kept(store._redis)
        try:
            assert _logins(store, whole.import_id, order="messages", descending=True, count=3)[1] == logins
        finally:
            store._redis.config_set("min-replicas-to-write", 0)
    erased = mailboxes[-1]
    assert erased.source.login in _logins(store, whole.import_id, order="messages", start=90, count=20)[1]
    store.control(whole.import_id, erased.mailbox_id, Control.CANCEL)
    assert store.erase(whole.import_id, erased.mailbox_id)
    total, found = _logins(store, whole.import_id, order="messages", start=90, count=20)
    assert (total, len(found)) == (100, 10), "what was sorted before is no longer of use"


def _forget(client: redis.Redis, *patterns: str) -> None:
    for pattern in patterns:
        if names := client.keys(f"{keys.PREFIX}import:*:{pattern}"):
            client.delete(*names)


def _forgets_what_is_kept(client: redis.Redis) -> None:
    """Deletes what searches made, and lets the store take no writes from now on."""
    _forget(client, "ranked_*", "names", "found:*")
    client.config_set("min-replicas-to-write", 1)


def test_a_store_that_takes_no_writes_is_searched_as_well(store: Store) -> None:
    whole, mailboxes = start(store, 5)
    for number in range(3):
        store.release(take(store, f"lane{number}"), how="park", failure=Failure(code="full", sentence="s"))
    wanted = [
        Search(state=state, code=code, text=text, order=order, descending=descending, start=1, count=2)
        for state, code, text, order, descending in product(
            (None, MailboxState.PARKED), ("", "full"), ("", mailboxes[0].source.login[:4]), ORDERS, (False, True)
        )
    ]
    found = [store.find_mailboxes(whole.import_id, one) for one in wanted]
    if not isinstance(store, RedisStore):
        return
    _forgets_what_is_kept(store._redis)
    try:
        assert store.refusing(), "the control"
        for one, before in zip(wanted, found, strict=True):
            assert store.find_mailboxes(whole.import_id, one) == before, one
    finally:
        store._redis.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("steps", range(12))
@pytest.mark.parametrize("meanwhile", ["nothing", "first", "last", "gone"])
def test_the_order_by_logins_is_made_in_pieces(store: Any, steps: int, meanwhile: str) -> None:
    """Stops after so many pieces of two, has a mailbox come or go, and looks."""
    if not isinstance(store, RedisStore):
        pytest.skip("memory keeps no order")
    whole, mailboxes = start(store, 9)
    logins = [mailbox.source.login for mailbox in mailboxes]
    store.control(whole.import_id, mailboxes[3].mailbox_id, Control.CANCEL)
    store.piece = 2
    for _ in range(steps):
        store._run("rank", whole.import_id, "source", 2)
    if meanwhile == "gone":
        assert store.erase(whole.import_id, mailboxes[3].mailbox_id)
        logins.remove(mailboxes[3].source.login)
    elif meanwhile != "nothing":
        login = "aaa" if meanwhile == "first" else "zzz"
        store.open_import(whole, [person(whole, 0 if meanwhile == "first" else 99, login)], 14)
        logins.append(login)
    for order in ("login", "destination_login"):
        assert _logins(store, whole.import_id, order=order) == (len(logins), sorted(logins))
        assert _logins(store, whole.import_id, order=order, text=logins[-1]) == (1, [logins[-1]])
    assert store._redis.keys(f"{keys.PREFIX}import:*:sorting_*") == []


def test_an_import_of_an_older_version_is_kept_by_its_trouble_from_the_first_search_on(
    redis_client: redis.Redis,
) -> None:
    redis_client.flushdb()
    store = RedisStore(redis_client)
    whole, (mailbox, _) = start(store, 2)
    lease = take(store, prefer=mailbox.mailbox_id)
    store.plan_folders(lease, [(plan_of(lease.mailbox, "INBOX", (1, 5)), 1)])
    store.finish(lease)
    batch = take(store, prefer=lease.mailbox.mailbox_id)
    store.progress(batch, intents=[intent("i", batch.unit.uids)])
    store.progress(batch, settled=[other(Outcome.REFUSED, batch.unit.uids, "i")])
    assert _logins(store, whole.import_id, code="refused") == (1, [lease.mailbox.source.login])
    redis_client.delete(keys.import_(whole.import_id, "code:refused"))
    assert _logins(store, whole.import_id, code="refused") == (0, []), "the control: it is the set that is looked at"
    redis_client.hdel(keys.import_(whole.import_id), "by_trouble")
    assert _logins(store, whole.import_id, code="refused") == (1, [lease.mailbox.source.login])
