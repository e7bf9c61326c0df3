"""Admission: who is let in, how often a login is tried, and what a token's end means. Threads, memory, no network."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from shared.mail.auth.sasl import Proof
from shared.model import Endpoint, Tls
from shared.model.errors import (
    AuthenticationRefused,
    AuthorizationRefused,
    LoginsStopped,
    StoreError,
    Throttled,
    Unreachable,
)
from shared.model.sign_in import SignIn, Way
from shared.oauth import AccessToken
from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.sign_in.admission import Admission, Visitor, proof_of
from shared.store import BRAKE_AFTER
from shared.store.memory.memory_sign_ins import SignInBook

END = Endpoint(host="mail.example", port=993, tls=Tls.IMPLICIT)
KEY = b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
ADMIN = SignIn(way=Way.AUTHZID, admin="chief")
BY_COMMAND = SignIn(way=Way.COMMAND, detail="/bin/token")
LANES = 16


class Opened:
    """A stand-in for a session."""

    aborted = False

    def abort(self) -> None:
        self.aborted = True


class Host:
    """A server that counts logins, and answers when all that come at once are there."""

    def __init__(self, right: str = "right") -> None:
        self.right = right
        self.let_in: list[Proof] = []
        self.refused: list[Proof] = []
        self.unknown: set[str] = set()
        self._lock = threading.Lock()
        self.pause = threading.Event()
        self.pause.set()

    def connect(self, proof: Proof) -> Opened:
        self.pause.wait(10)
        with self._lock:
            if proof.secret.reveal() != self.right:
                self.refused.append(proof)
                raise AuthenticationRefused("source", "authentication failed", "[AUTHENTICATIONFAILED] no")
            self.let_in.append(proof)
        if proof.authzid in self.unknown:
            raise AuthorizationRefused("source", "authorization failed for this account")
        return Opened()


class Mint:
    """An issuer that gives out tokens and counts them."""

    def __init__(self, *, per_user: bool = False, seconds: float = 3600, prefix: str = "t") -> None:
        self.per_user, self.seconds, self.prefix = per_user, seconds, prefix
        self.given = 0
        self.error: Exception | None = None

    def issue(self, user: str) -> AccessToken:
        if self.error:
            self.given += 1
            raise self.error
        self.given += 1
        return AccessToken(secret=Secret(f"{self.prefix}{self.given}"), seconds=self.seconds)


@pytest.fixture
def now() -> list[float]:
    return [1_000_000.0]


@pytest.fixture
def book(now: list[float]) -> SignInBook:
    return SignInBook(lambda: int(now[0] * 1000))


def admission(book: Any, mint: Mint | None = None, **options: Any) -> Admission:
    return Admission(book, Vault([KEY]), 5, opened=lambda *_: mint or Mint(), **options)


def visitor(user: str = "anna", how: SignIn = ADMIN, secret: str = "right", digest: str = "d") -> Visitor:
    return Visitor(
        import_id="i",
        mailbox_id=f"m-{user}",
        side="source",
        endpoint=END,
        user=user,
        sign_in=how,
        secret=Secret(secret),
        digest=digest,
    )


def crowd(work: Callable[[int], object]) -> list[BaseException | None]:
    """Runs `work` in all lanes at once, and returns their errors."""
    gate = threading.Barrier(LANES)

    def lane(number: int) -> BaseException | None:
        gate.wait(180)
        try:
            work(number)
        except Exception as error:
            return error
        return None

    with ThreadPoolExecutor(LANES) as pool:
        return list(pool.map(lane, range(LANES)))


def test_a_wrong_administrators_password_is_shown_once_by_however_many(book: SignInBook) -> None:
    host = Host()
    doors = [admission(book) for _ in range(4)]  # worker processes
    ended = crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", secret="wrong"), host.connect))
    assert len(host.refused) == 1
    assert {type(error) for error in ended} == {AuthenticationRefused}
    assert all("chief" in str(error) and "AUTHENTICATIONFAILED" in str(error) for error in ended)
    assert all("--source-password-file" in error.advice for error in ended if isinstance(error, AuthenticationRefused))


class _NoBook(SignInBook):
    """A book that remembers nothing (negative control)."""

    def login_turn(self, *args: Any, **options: Any) -> Any:
        return SignInBook(lambda: 0).login_turn(*args, **options)


def test_without_the_book_everybody_shows_it(now: list[float]) -> None:
    host, book = Host(), _NoBook(lambda: int(now[0] * 1000))
    crowd(lambda n: admission(book).enter(visitor(f"u{n}", secret="wrong"), host.connect))
    assert len(host.refused) == LANES


def test_a_right_one_lets_everybody_in_at_the_same_time(book: SignInBook) -> None:
    host, door = Host(), admission(book)
    assert crowd(lambda n: door.enter(visitor(f"u{n}"), host.connect)) == [None] * LANES
    together = threading.Barrier(LANES)

    def connect(proof: Proof) -> Opened:
        together.wait(180)  # passes only when nobody waits for anybody
        return host.connect(proof)

    assert crowd(lambda n: door.enter(visitor(f"u{n}"), connect)) == [None] * LANES


def test_own_passwords_are_each_for_itself(book: SignInBook) -> None:
    host, door, own = Host(), admission(book), SignIn()
    ended = crowd(lambda n: door.enter(visitor(f"u{n}", own, "wrong" if n % 2 else "right"), host.connect))
    assert [error is None for error in ended] == [n % 2 == 0 for n in range(LANES)]
    assert len(host.refused) == LANES // 2
    crowd(lambda n: door.enter(visitor(f"u{n}", own, "wrong" if n % 2 else "right"), host.connect))
    assert len(host.refused) == LANES // 2, "refused once, it is not shown again"


def test_one_account_that_an_administrator_may_not_open_is_no_word_about_the_others(book: SignInBook) -> None:
    host, door = Host(), admission(book)
    host.unknown = {"typo"}
    with pytest.raises(AuthorizationRefused):
        door.enter(visitor("typo"), host.connect)
    door.enter(visitor("anna"), host.connect)
    assert crowd(lambda n: door.enter(visitor(f"u{n}"), host.connect)) == [None] * LANES


def test_what_says_nothing_of_the_login_leaves_the_try_to_another(book: SignInBook) -> None:
    host, door = Host(), admission(book)

    def lost(proof: Proof) -> Opened:
        raise Unreachable("source", "gone")

    with pytest.raises(Unreachable):
        door.enter(visitor(), lost)
    assert door.enter(visitor(), host.connect)


def test_a_session_is_shut_when_its_success_cannot_be_written_down(book: SignInBook) -> None:
    opened = Opened()

    class Broken(SignInBook):
        def login_told(self, *args: Any, **options: Any) -> str:
            raise StoreError("gone")

    with pytest.raises(StoreError):
        admission(Broken(lambda: 0)).enter(visitor(), lambda _: opened)
    assert opened.aborted


def test_patience_has_an_end(book: SignInBook) -> None:
    book.login_turn("i", "m", "source", "d", "another", shared=True, seconds=60)
    with pytest.raises(Throttled, match="first sign-in"):
        admission(book, patience_seconds=0.2, pause=lambda _: None).enter(visitor(), Host().connect)


def test_over_the_limit_is_said_and_waited_for(now: list[float]) -> None:
    book = SignInBook(lambda: int(now[0] * 1000), lambda mailbox, side: 3)
    host, door, own = Host(), admission(book), SignIn()
    door.enter(visitor(how=own), host.connect)
    host.right = "changed"
    with pytest.raises(Throttled, match="other connections of the account are open") as caught:
        door.enter(visitor(how=own), host.connect)
    assert caught.value.wait_seconds
    with pytest.raises(AuthenticationRefused):
        door.enter(visitor(how=own), host.connect)
    with pytest.raises(AuthenticationRefused, match="before"):
        door.enter(visitor(how=own), host.connect)
    assert len(host.refused) == 2


# -- tokens


def test_all_workers_share_one_token(book: SignInBook) -> None:
    host, mint = Host("t1"), Mint()
    doors = [admission(book, mint) for _ in range(4)]
    assert crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect)) == [None] * LANES
    assert mint.given == 1
    assert {proof.login for proof in host.let_in} == {f"u{n}" for n in range(LANES)}
    assert all(proof.bearer and proof.host == "mail.example" for proof in host.let_in)


def test_without_the_shelf_everybody_fetches_one(now: list[float]) -> None:
    class NoShelf(SignInBook):
        def token(self, *args: Any, **options: Any) -> tuple[bytes, float]:
            return b"", 0.0

    host, mint = Host("t1"), Mint()
    door = admission(NoShelf(lambda: int(now[0] * 1000)), mint)
    crowd(lambda n: door.enter(visitor(f"u{n}", BY_COMMAND), host.connect))
    assert mint.given > 1


def test_a_token_is_fetched_anew_before_it_runs_out(book: SignInBook, now: list[float]) -> None:
    host, mint = Host("t1"), Mint(seconds=600)
    door = admission(book, mint)
    door.enter(visitor(how=BY_COMMAND), host.connect)
    now[0] += 539
    door.enter(visitor(how=BY_COMMAND), host.connect)
    assert mint.given == 1
    now[0] += 2  # a minute before the token's end
    host.right = "t2"
    door.enter(visitor(how=BY_COMMAND), host.connect)
    assert mint.given == 2
    assert not host.refused


def test_a_token_that_was_withdrawn_is_fetched_anew_once(book: SignInBook) -> None:
    host, mint = Host("t1"), Mint()
    doors = [admission(book, mint) for _ in range(4)]
    crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect))
    host.right = "t2"
    assert crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect)) == [None] * LANES
    assert mint.given == 2
    host.right = "never"
    ended = crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect))
    assert {type(error) for error in ended} == {AuthenticationRefused}
    given, refused = mint.given, len(host.refused)
    crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect))
    assert (mint.given, len(host.refused)) == (given, refused), "refused: not tried again"


def test_a_fresh_token_that_is_refused_is_a_refusal_at_once(book: SignInBook) -> None:
    host, mint = Host("never"), Mint()
    with pytest.raises(AuthenticationRefused):
        admission(book, mint).enter(visitor(how=BY_COMMAND), host.connect)
    assert (mint.given, len(host.refused)) == (1, 1)


def test_an_issuer_that_refuses_everybody_is_asked_once(book: SignInBook) -> None:
    host, mint = Host(), Mint(per_user=True)
    mint.error = AuthenticationRefused("source", "Google gives no token", "unauthorized_client")
    doors = [admission(book, mint) for _ in range(4)]
    ended = crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", BY_COMMAND), host.connect))
    assert mint.given == 1
    assert all(isinstance(error, AuthenticationRefused) for error in ended)
    assert not host.refused


def test_an_issuer_that_refuses_one_user_goes_on_for_the_others(book: SignInBook) -> None:
    host, mint = Host("t2"), Mint(per_user=True)
    door = admission(book, mint)
    mint.error = AuthorizationRefused("source", "Google gives no token for this user")
    with pytest.raises(AuthorizationRefused):
        door.enter(visitor("typo", BY_COMMAND), host.connect)
    mint.error = None
    assert door.enter(visitor("anna", BY_COMMAND), host.connect)


def test_each_user_has_a_token_where_tokens_are_for_one(book: SignInBook) -> None:
    mint = Mint(per_user=True)
    door = admission(book, mint)
    shown: list[Proof] = []
    for user in ("a", "b", "a", "b"):
        door.enter(visitor(user, BY_COMMAND), lambda proof: shown.append(proof) or Opened())  # type: ignore[func-returns-value]
    assert mint.given == 2
    assert [proof.secret.reveal() for proof in shown] == ["t1", "t2", "t1", "t2"]


def test_a_token_lies_sealed_and_opens_nowhere_else(book: SignInBook) -> None:
    # Base64 has no dot, so chance cannot write this token into the sealed text.
    host = Host("token.1")
    admission(book, Mint(prefix="token.")).enter(visitor(how=BY_COMMAND), host.connect)
    ((_, (_, sealed)),) = book._tokens.items()
    assert b"token.1" not in sealed
    mint = Mint(prefix="token.")
    other = Vault([b"OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2NTQzMjEwOTg="])
    Admission(book, other, 5, opened=lambda *_: mint).enter(visitor(how=BY_COMMAND), host.connect)
    assert mint.given == 1, "one that this process cannot open is fetched anew"


# -- what is shown


@pytest.mark.parametrize(
    ("how", "login", "authzid", "proxy"),
    [
        (SignIn(), "anna@example.org", "", ""),
        (SignIn(way=Way.MASTER, admin="chief"), "anna@example.org*chief", "", ""),
        (SignIn(way=Way.MASTER, admin="chief", detail="{admin}\\{user}"), "chief\\anna@example.org", "", ""),
        (
            SignIn(way=Way.MASTER, admin="x{user}", detail="{local}%{domain}/{admin}"),
            "anna%example.org/x{user}",
            "",
            "",
        ),
        (SignIn(way=Way.AUTHZID, admin="chief"), "chief", "anna@example.org", ""),
        (SignIn(way=Way.PROXYAUTH, admin="chief"), "chief", "", "anna@example.org"),
        (SignIn(way=Way.GOOGLE), "anna@example.org", "", ""),
    ],
)
def test_what_is_shown(how: SignIn, login: str, authzid: str, proxy: str) -> None:
    proof = proof_of(visitor("anna@example.org", how))
    assert (proof.login, proof.authzid, proof.proxy) == (login, authzid, proxy)
    assert "right" not in repr(proof) + repr(visitor())


# -- a server that refuses everybody


def _same_server(mailbox_id: str, side: str) -> tuple[str, str]:
    return END.url, mailbox_id


@pytest.fixture
def braking(now: list[float]) -> SignInBook:
    return SignInBook(lambda: int(now[0] * 1000), ends=_same_server)


def test_a_server_that_refuses_everybody_is_shown_a_few_logins_only(braking: SignInBook) -> None:
    host, own = Host(), SignIn()
    doors = [admission(braking) for _ in range(4)]
    ended = crowd(lambda n: doors[n % 4].enter(visitor(f"u{n}", own, "wrong"), host.connect))
    assert len(host.refused) == BRAKE_AFTER
    stopped = [error for error in ended if isinstance(error, LoginsStopped)]
    assert len(stopped) == LANES - BRAKE_AFTER
    assert all(isinstance(error, AuthenticationRefused) for error in ended)


def test_without_the_brake_it_is_shown_all_of_them(book: SignInBook) -> None:
    host, door, own = Host(), admission(book), SignIn()
    crowd(lambda n: door.enter(visitor(f"u{n}", own, "wrong"), host.connect))
    assert len(host.refused) == LANES


def test_a_server_that_lets_some_in_is_shown_all_of_them(braking: SignInBook) -> None:
    host, door, own = Host(), admission(braking), SignIn()
    # Were those that come first all refused, nobody else would be shown it; the threads come in any order.
    door.enter(visitor("first", own), host.connect)
    for _ in range(2):
        ended = crowd(lambda n: door.enter(visitor(f"u{n}", own, "right" if n % 2 else "wrong"), host.connect))
        assert [type(error) for error in ended] == [AuthenticationRefused, type(None)] * (LANES // 2)
    assert len(host.refused) == LANES // 2


def test_what_an_issuer_refuses_is_no_word_about_the_server(braking: SignInBook) -> None:
    mint = Mint(per_user=True)
    mint.error = AuthorizationRefused("source", "gives no token for this user")
    for n in range(LANES):
        with pytest.raises(AuthorizationRefused):
            admission(braking, mint).enter(visitor(f"typo{n}", BY_COMMAND), Host().connect)
