"""Tests which logins may be tried, and tokens that all workers share."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from shared.model import Failure, Mailbox, Options
from shared.model.errors import CredentialsError
from shared.model.lifecycle import MailboxState
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.store import MOST_DOUBTS, Store
from shared.store.redis.redis_store import RedisStore
from tests.contract.store_kit import Clock, plan_of, start, take


class SignInTries:
    """A set of short functions for one side of one import."""

    def __init__(self, store: Store, mailboxes: int = 2, *, shared: bool) -> None:
        self.store, self.shared = store, shared
        self.request, people = start(store, mailboxes)
        self.people: list[Mailbox] = list(people)

    def _place(self, at: int, digest: str) -> tuple[str, str, str, str]:
        return self.request.import_id, self.people[at].mailbox_id, Side.SOURCE, digest

    def turn(self, holder: str, at: int = 0, digest: str = "d1") -> str:
        found = self.store.login_turn(*self._place(at, digest), holder, shared=self.shared, seconds=30)
        assert (found.wait_seconds > 0) == (found.state == "wait")
        return found.state

    def told(self, holder: str, result: str, at: int = 0, digest: str = "d1", words: str = "no: \n{}") -> str:
        place = self._place(at, digest)
        return self.store.login_told(*place, holder, shared=self.shared, result=result, words=words)


@pytest.fixture(params=[True, False], ids=["shared", "own"])
def tries(store: Store, request: Any) -> SignInTries:
    return SignInTries(store, shared=request.param)


def test_what_never_let_anybody_in_is_tried_by_one(tries: SignInTries, clock: Clock) -> None:
    assert tries.turn("a") == "trial"
    assert [tries.turn(holder) for holder in "bcd"] == ["wait"] * 3
    assert tries.turn("a") == "trial", "the same call again changes nothing"
    assert tries.told("a", "in") == ""
    assert [tries.turn(holder) for holder in "abcd"] == ["proved"] * 4


def test_a_refused_login_is_tried_by_nobody_until_it_is_another(tries: SignInTries, clock: Clock) -> None:
    assert tries.turn("a") == "trial"
    assert tries.told("a", "refused") == "refused"
    assert tries.told("a", "refused") == "refused", "the same call again changes nothing"
    clock.forward(100_000)
    assert tries.turn("b") == "refused"
    found = tries.store.login_turn(*tries._place(0, "d1"), "b", shared=tries.shared, seconds=30)
    assert found.words == "no: \n{}"
    assert tries.turn("b", digest="d2") == "trial", "other credentials"


def test_a_shared_login_is_refused_for_all_and_an_own_one_for_itself(tries: SignInTries) -> None:
    assert tries.turn("a", 0) == "trial"
    assert tries.turn("b", 1) == ("wait" if tries.shared else "trial")
    assert tries.told("a", "refused", 0) == "refused"
    assert tries.turn("b", 1) == ("refused" if tries.shared else "trial")


def test_a_trial_of_which_nothing_came_is_anothers_turn(tries: SignInTries, clock: Clock) -> None:
    assert tries.turn("a") == "trial"
    assert tries.told("a", "unknown") == ""
    assert tries.turn("b") == "trial"
    clock.forward(31)  # the process of b died
    assert tries.turn("c") == "trial"
    assert tries.told("b", "unknown") == "", "too late to say anything"
    assert tries.turn("d") == "wait"


def test_a_shared_login_that_let_others_in_is_refused_after_some_in_a_row(store: Store) -> None:
    tries = SignInTries(store, 1, shared=True)
    for _ in range(2):
        assert tries.turn("a") in ("trial", "proved")
        tries.told("a", "in")
        assert tries.told("b", "refused") == "one", "that account alone is to blame"
        for number in range(MOST_DOUBTS - 1):
            assert tries.turn(f"c{number}") == "trial", "from now on one at a time"
            assert tries.turn("d") == "wait"
            if number < MOST_DOUBTS - 2:
                assert tries.told(f"c{number}", "refused") == "one"
        tries.told(f"c{MOST_DOUBTS - 2}", "in")
        assert tries.turn("d") == "proved"
    for number in range(MOST_DOUBTS):
        tries.turn(f"e{number}")
        assert tries.told(f"e{number}", "refused") == ("refused" if number == MOST_DOUBTS - 1 else "one")
    assert tries.turn("f") == "refused"


def test_an_own_login_that_let_in_is_doubted_once_while_other_connections_are_open(store: Store) -> None:
    tries = SignInTries(store, 1, shared=False)
    lease = take(store, "lane1")
    assert lease.mailbox.mailbox_id == tries.people[0].mailbox_id
    store.set_limit("source_account", 4)
    tries.turn("a")
    tries.told("a", "in")
    assert tries.told("b", "refused") == "refused", "nobody else is there"
    assert tries.turn("b") == "refused"


def test_over_the_limit_may_be_called_a_wrong_password(store: Store, clock: Clock) -> None:
    tries = SignInTries(store, 1, shared=False)
    _two_lanes(store, tries)
    tries.turn("a")
    tries.told("a", "in")
    assert tries.told("b", "refused") == "doubted"
    assert tries.told("c", "refused") == "doubted", "was on its way at the same time"
    assert tries.turn("b") == "trial"
    assert tries.turn("c") == "wait"
    assert tries.told("c", "refused") == "doubted", "still on its way"
    assert tries.told("b", "refused") == "refused", "the one more try decides"
    assert tries.turn("c") == "refused"


def test_it_was_the_limit(store: Store) -> None:
    tries = SignInTries(store, 1, shared=False)
    _two_lanes(store, tries)
    tries.turn("a")
    tries.told("a", "in")
    assert tries.told("b", "refused") == "doubted"
    tries.turn("b")
    tries.told("b", "in")
    assert tries.turn("c") == "proved"
    assert tries.told("c", "refused") == "doubted"


def _two_lanes(store: Store, tries: SignInTries) -> None:
    """Lets two lanes claim at one mailbox: two connections of one account."""
    lease = take(store, "lane1")
    store.plan_folders(lease, [(plan_of(lease.mailbox, name, (1, 9)), n) for n, name in enumerate(("A", "B"), start=1)])
    assert store.claim("lane2") is not None


@pytest.mark.parametrize("shared", [True, False])
def test_a_person_may_ask_for_one_more_try(store: Store, shared: bool) -> None:
    tries = SignInTries(store, 1, shared=shared)
    lease = take(store)
    tries.turn("a")
    assert tries.told("a", "refused") == "refused"
    store.release(lease, how="park")
    mailbox = tries.people[0].mailbox_id
    assert store.retry(tries.request.import_id, mailbox, [])
    assert tries.turn("b") == ("refused" if shared else "trial"), "one mailbox's retry is no word about the others'"
    store.forgive_logins(tries.request.import_id, "" if shared else mailbox)
    assert tries.turn("b") == "trial"
    assert tries.told("b", "refused") == "refused"
    store.forgive_logins(tries.request.import_id, mailbox if shared else "")
    assert tries.turn("c") == "refused", "that was said of others"


# -- tokens


def test_one_fetches_a_token_and_all_use_it(store: Store, clock: Clock) -> None:
    whole, _ = start(store, 1)
    i = whole.import_id
    assert store.token(i, "n", "a", seconds=30) == (b"", 0.0)
    assert store.token(i, "n", "a", seconds=30) == (b"", 0.0), "the same call again changes nothing"
    assert store.token(i, "n", "b", seconds=30) == (b"", 30.0)
    assert store.token(i, "other", "b", seconds=30) == (b"", 0.0)
    store.keep_token(i, "n", "a", b"sealed:1", 100)
    assert store.token(i, "n", "b", seconds=30) == (b"sealed:1", 0.0)
    clock.forward(100)
    assert store.token(i, "n", "b", seconds=30) == (b"", 0.0), "it has run out"


def test_a_stale_token_is_fetched_anew_by_one(store: Store) -> None:
    whole, _ = start(store, 1)
    i = whole.import_id
    store.keep_token(i, "n", "a", b"one", 100)
    assert store.token(i, "n", "a", stale=b"one", seconds=30) == (b"", 0.0)
    assert store.token(i, "n", "b", stale=b"one", seconds=30) == (b"", 30.0)
    assert store.token(i, "n", "c", seconds=30) == (b"one", 0.0), "who was not refused goes on with it"
    store.keep_token(i, "n", "a", b"two", 100)
    assert store.token(i, "n", "b", stale=b"one", seconds=30) == (b"two", 0.0)


def test_nobody_waits_for_one_who_found_none_or_died(store: Store, clock: Clock) -> None:
    whole, _ = start(store, 1)
    i = whole.import_id
    store.token(i, "n", "a", seconds=30)
    store.keep_token(i, "n", "a", b"", 0)
    assert store.token(i, "n", "b", seconds=30) == (b"", 0.0)
    clock.forward(31)
    assert store.token(i, "n", "c", seconds=30) == (b"", 0.0)
    store.keep_token(i, "n", "b", b"late", 100)
    assert store.token(i, "n", "d", seconds=30) == (b"late", 0.0)


def test_a_token_that_is_of_no_use_when_it_comes_is_not_kept_nor_the_one_before(store: Store) -> None:
    whole, _ = start(store, 1)
    i = whole.import_id
    store.keep_token(i, "n", "a", b"one", 100)
    store.keep_token(i, "n", "a", b"two", 0)
    assert store.token(i, "n", "a", seconds=30) == (b"", 0.0)


def test_tokens_go_with_the_credentials(store: Store) -> None:
    whole, (mailbox,) = start(store, 1)
    store.seal(whole.import_id, {(mailbox.mailbox_id, Side.SOURCE): b"x"})
    store.keep_token(whole.import_id, "n", "a", b"one", 100)
    assert store.forget(whole.import_id)
    assert store.token(whole.import_id, "n", "a", seconds=30) == (b"", 0.0)


WORDS = "cannot do LOGIN u CANARY"


def test_words_of_servers_go_with_the_credentials(store: Store) -> None:
    whole, people = start(store, 2)
    lease = take(store)
    i, m = whole.import_id, lease.mailbox.mailbox_id
    (other,) = (one for one in people if one.mailbox_id != m)
    failure = Failure(
        code="source_auth_refused", sentence="source: refused", detail=WORDS, advice="do", at=5.5, times=2
    )
    store.login_turn(i, m, Side.SOURCE, "digest", "holder", shared=False, seconds=30)
    store.login_told(i, m, Side.SOURCE, "digest", "holder", shared=False, result="refused", words=WORDS)
    store.release(lease, how="park", failure=failure, hold="source_host:old.example", hold_seconds=60)
    told = store.failures(m)
    assert [one.detail for one in told] == [WORDS]
    assert WORDS in str(store.waits(i))

    store.forget(i)
    (after,) = store.failures(m)
    assert after == replace(failure, detail="")
    found = store.mailbox(m)
    assert found is not None
    assert found.failure == after
    assert found.state is MailboxState.PARKED
    assert store.login_turn(i, m, Side.SOURCE, "digest", "holder", shared=False, seconds=30).state == "trial"
    assert WORDS not in str(store.waits(i))
    assert store.failures(other.mailbox_id) == []
    assert store.failure_codes(i) == {"source_auth_refused": 1}


def test_what_an_account_service_said_goes_too(store: Store) -> None:
    whole, (mailbox,) = start(store, 1)
    failure = Failure(code="account_rejected", sentence=f"destination: {WORDS}", at=5.5)
    store.release(take(store), how="park", failure=failure)
    store.forget(whole.import_id)
    (after,) = store.failures(mailbox.mailbox_id)
    assert "CANARY" not in str(after)


def test_everything_sealed_is_sealed_anew_where_a_key_opens_it(store: Store) -> None:
    whole, (mailbox,) = start(store, 1)
    i, m = whole.import_id, mailbox.mailbox_id
    store.seal(i, {(m, Side.SOURCE): b"one", (m, Side.DESTINATION): b"strange", (i, "accounts"): b"three"})
    store.keep_token(i, "n", "a", b"four", 100)

    def renew(sealed: bytes) -> bytes:
        if sealed == b"strange":
            raise CredentialsError("no key opens it")
        return b"new-" + sealed

    found = store.reseal(i, renew)
    assert (found.renewed, found.lost) == (3, 1)
    assert [store.sealed(i, *place) for place in ((m, Side.SOURCE), (m, Side.DESTINATION), (i, "accounts"))] == [
        b"new-one",
        b"strange",
        b"new-three",
    ]
    assert store.token(i, "n", "a", seconds=30)[0] == b"new-four"
    assert store.reseal("no", renew).renewed == 0


def test_what_is_given_while_it_is_sealed_anew_stays(store: Store) -> None:
    if not isinstance(store, RedisStore):
        return  # in memory nobody comes between
    whole, (mailbox,) = start(store, 1)
    i, m = whole.import_id, mailbox.mailbox_id
    store.seal(i, {(m, Side.SOURCE): b"one"})

    def renew(sealed: bytes) -> bytes:
        store.seal(i, {(m, Side.SOURCE): b"given meanwhile"})
        return b"new-" + sealed

    assert store.reseal(i, renew).renewed == 0
    assert store.sealed(i, m, Side.SOURCE) == b"given meanwhile"


def test_how_to_sign_in_is_kept_and_may_be_corrected_while_the_import_runs(store: Store) -> None:
    whole, (mailbox,) = start(store, 1)
    take(store)
    how = SignIn(way=Way.MASTER, admin='ch"ief\n', detail="{user}*{admin}")
    for options in (Options(source_sign_in=how), Options(), Options(destination_sign_in=how)):
        store.open_import(replace(whole, options=options), [mailbox], 14)
        found = store.import_(whole.import_id)
        assert found is not None
        assert found.options == options
        assert isinstance(found.options.source_sign_in.way, Way)
    assert SignIn.parse(how.text) == how
