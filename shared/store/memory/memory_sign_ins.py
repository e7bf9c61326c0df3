"""The model's part for signing in: `shared.store.SignInStore` in plain Python.

`SignInBook` depends on no store, so that a dry run, which has none, keeps to the same rules.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto

from shared.model import Note, Unit
from shared.model.errors import CredentialsError
from shared.model.lifecycle import MailboxState
from shared.model.sides import Limited, Side
from shared.model.sign_in import LoginResult, LoginTurn, RefusalMeaning, TurnState
from shared.store import BRAKE_AFTER, MOST_DOUBTS, Resealed
from shared.store.memory.memory_accounts import MemoryAccounts
from shared.store.memory.memory_readings import atomic


class _LoginState(Enum):
    """The known state of one login; `_logins.lua` has the same by one letter each."""

    UNKNOWN = auto()
    #: A holder tries it.
    TRIED = auto()
    #: It let in.
    PROVED = auto()
    #: It let in, and was refused since.
    DOUBTED = auto()
    REFUSED = auto()


class _BrakeState(Enum):
    """The known state of a server."""

    UNKNOWN = auto()
    #: It let an account in.
    LETS_IN = auto()
    #: It had another trouble than a refusal.
    LOOSE = auto()


@dataclass(frozen=True, slots=True)
class _Login:
    digest: str
    state: _LoginState = _LoginState.UNKNOWN
    #: Refusals since the login last let in.
    count: int = 0
    #: Until when the trial of `holder` counts, ms.
    till: int = 0
    holder: str = ""
    words: str = ""


@dataclass(slots=True)
class _Brake:
    """The known state of the logins of one import at one server."""

    state: _BrakeState = _BrakeState.UNKNOWN
    #: Accounts that were refused.
    refused: set[str] = field(default_factory=set)
    #: Account → until when its trial counts, ms.
    trying: dict[str, int] = field(default_factory=dict)

    def drop(self, account: str) -> None:
        """Forgets what is known of this account."""
        self.refused.discard(account)
        self.trying.pop(account, None)


class SignInBook:
    """The known state of logins, and the tokens. Thread-safe. `now` returns milliseconds."""

    def __init__(
        self,
        now: Callable[[], int],
        others: Callable[[str, Side], int] = lambda mailbox_id, side: 0,
        ends: Callable[[str, Side], tuple[str, str] | None] = lambda mailbox_id, side: None,
    ) -> None:
        """Begins an empty book.

        `others` returns the number of other connections to the mailbox's account; `ends` returns (server, account) of a
        mailbox's side, or None where no login is stopped for the sake of others.
        """
        self._now, self._others, self._ends = now, others, ends
        #: (import, side, server) → what is known of its logins.
        self._brakes: dict[tuple[str, str, str], _Brake] = {}
        self._lock = threading.RLock()
        self._logins: dict[tuple[str, str], _Login] = {}
        #: (import, name) → until (ms) and the sealed token; and until when it is fetched, and by which holder.
        self._tokens: dict[tuple[str, str], tuple[int, bytes]] = {}
        self._fetching: dict[tuple[str, str], tuple[int, str]] = {}

    def login_turn(
        self, import_id: str, mailbox_id: str, side: Side, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        """Answers as `SignInStore.login_turn`."""
        with self._lock:
            place, login = self._login(import_id, mailbox_id, side, digest, shared)
            now = self._now()
            if login.state is _LoginState.REFUSED:
                return LoginTurn(state=TurnState.REFUSED, words=login.words)
            if login.state is _LoginState.PROVED:
                return LoginTurn(state=TurnState.PROVED)
            if login.state is _LoginState.TRIED and login.holder != holder and login.till > now:
                return LoginTurn(state=TurnState.WAIT, wait_seconds=(login.till - now) / 1000)
            if not (shared or login.count):
                turn = self._brake_turn(import_id, mailbox_id, side, now + int(seconds * 1000))
                if turn == "stopped":
                    return LoginTurn(state=TurnState.STOPPED)
                if turn != "go":
                    return LoginTurn(state=TurnState.WAIT, wait_seconds=float(turn) / 1000)
            self._logins[place] = replace(login, state=_LoginState.TRIED, till=now + int(seconds * 1000), holder=holder)
            return LoginTurn(state=TurnState.TRIAL)

    def login_told(
        self,
        import_id: str,
        mailbox_id: str,
        side: Side,
        digest: str,
        holder: str,
        *,
        shared: bool,
        result: LoginResult,
        words: str = "",
    ) -> RefusalMeaning:
        """Answers as `SignInStore.login_told`."""
        with self._lock:
            place, login = self._login(import_id, mailbox_id, side, digest, shared)
            ours = login.state is _LoginState.TRIED and login.holder == holder
            login = replace(login, till=0)
            if not shared and not (result == LoginResult.REFUSED and login.state is _LoginState.UNKNOWN):
                self._brake_told(import_id, mailbox_id, side, result)
            if result == LoginResult.IN:
                if login.state is not _LoginState.REFUSED:
                    self._logins[place] = replace(login, state=_LoginState.PROVED, count=0, holder="")
                return RefusalMeaning.NONE
            if result == LoginResult.UNKNOWN:
                if ours:
                    self._logins[place] = replace(
                        login, state=_LoginState.DOUBTED if login.count else _LoginState.UNKNOWN, holder=""
                    )
                return RefusalMeaning.NONE
            if login.state in (_LoginState.REFUSED, _LoginState.UNKNOWN):
                return RefusalMeaning.REFUSED
            meaning = RefusalMeaning.REFUSED
            if not ours and self._others(mailbox_id, side) > 0:
                meaning = RefusalMeaning.DOUBTED
            elif shared and (not ours or login.count) and login.count + 1 < MOST_DOUBTS:
                meaning = RefusalMeaning.ONE
            if ours or login.state is not _LoginState.TRIED:
                if meaning is RefusalMeaning.REFUSED:
                    self._logins[place] = replace(login, state=_LoginState.REFUSED, holder="", words=words)
                else:
                    self._logins[place] = replace(login, state=_LoginState.DOUBTED, holder="", count=login.count + 1)
            return meaning

    def _login(
        self, import_id: str, mailbox_id: str, side: Side, digest: str, shared: bool
    ) -> tuple[tuple[str, str], _Login]:
        place = (import_id if shared else mailbox_id, side)
        known = self._logins.get(place)
        return place, known if known and known.digest == digest else _Login(digest)

    def forget_logins(self, bound_to: str) -> None:
        """Lets this import's shared logins, or this mailbox's own, be tried again, since an operator acted."""
        with self._lock:
            for side in Side:
                self._logins.pop((bound_to, side), None)

    # -- the brake

    def _brake_turn(self, import_id: str, mailbox_id: str, side: Side, till: int) -> str:
        """Tells whether one more login may be tried at a server that let nobody in so far.

        The answer is "go", "stopped", or the ms to wait.
        """
        if (ends := self._ends(mailbox_id, side)) is None:
            return "go"
        server, account = ends
        brake = self._brakes.setdefault((import_id, side, server), _Brake())
        if brake.state is _BrakeState.LETS_IN:
            return "go"
        trying = [until for one, until in brake.trying.items() if one != account and until > self._now()]
        refused = len(brake.refused - {account})
        if refused >= BRAKE_AFTER:
            return "stopped"
        if brake.state is not _BrakeState.LOOSE and refused + len(trying) >= BRAKE_AFTER:
            return str(max(trying) - self._now())
        brake.refused.discard(account)
        brake.trying[account] = till
        return "go"

    def _brake_told(self, import_id: str, mailbox_id: str, side: Side, result: str) -> None:
        if (ends := self._ends(mailbox_id, side)) is None:
            return
        server, account = ends
        brake = self._brakes.setdefault((import_id, side, server), _Brake())
        if brake.state is _BrakeState.LETS_IN:
            return
        brake.drop(account)
        if result == LoginResult.REFUSED:
            brake.refused.add(account)
        elif result == LoginResult.IN:
            self._brakes[import_id, side, server] = _Brake(state=_BrakeState.LETS_IN)
        else:
            brake.state = _BrakeState.LOOSE

    def lets_in(self, import_id: str, mailbox_id: str, side: Side) -> bool:
        """Tells whether the server is known to have let an account in."""
        ends = self._ends(mailbox_id, side)
        return ends is None or self._brakes.get((import_id, side, ends[0]), _Brake()).state is _BrakeState.LETS_IN

    def lift_brake(self, import_id: str) -> None:
        """Forgets the refusals of this import's logins so far, since an operator acted."""
        with self._lock:
            for place, brake in list(self._brakes.items()):
                if place[0] == import_id and brake.state is not _BrakeState.LETS_IN:
                    del self._brakes[place]

    def release_login(self, import_id: str, mailbox_id: str) -> None:
        """Forgets how this mailbox's logins ended."""
        with self._lock:
            for side in Side:
                if ends := self._ends(mailbox_id, side):
                    self._brakes.get((import_id, side, ends[0]), _Brake()).drop(ends[1])

    def forget_brakes(self, import_id: str) -> None:
        """Forgets all brakes of an import."""
        with self._lock:
            for place in [place for place in self._brakes if place[0] == import_id]:
                del self._brakes[place]

    # -- tokens

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        """Answers as `SignInStore.token`."""
        with self._lock:
            now, key = self._now(), (import_id, name)
            till, sealed = self._tokens.get(key, (0, b""))
            if till > now and sealed != stale:
                return sealed, 0.0
            till, other = self._fetching.get(key, (0, ""))
            if till > now and other != holder:
                return b"", (till - now) / 1000
            self._fetching[key] = (now + int(seconds * 1000), holder)
            return b"", 0.0

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        """Keeps a token as `SignInStore.keep_token`."""
        with self._lock:
            key = (import_id, name)
            if self._fetching.get(key, (0, ""))[1] == holder:
                del self._fetching[key]
            if sealed and seconds <= 0:
                self._tokens.pop(key, None)
            elif sealed:
                self._tokens[key] = (self._now() + int(seconds * 1000), sealed)

    def reseal_tokens(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        """Answers as the store does."""
        found = Resealed()
        with self._lock:
            for key, (until, sealed) in list(self._tokens.items()):
                if key[0] == import_id:
                    try:
                        self._tokens[key] = (until, renew(sealed))
                        found += Resealed(renewed=1)
                    except CredentialsError:
                        found += Resealed(lost=1)
        return found

    def forget_tokens(self, import_id: str) -> None:
        """Forgets all tokens of an import."""
        with self._lock:
            for kept in (self._tokens, self._fetching):
                for key in [key for key in kept if key[0] == import_id]:
                    del kept[key]


class MemorySignIns(MemoryAccounts):
    """The store's methods for signing in, over a `SignInBook`."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        self._book = SignInBook(self._rows.now, self._other_permits, self._ends)
        self.token, self.keep_token = self._book.token, self._book.keep_token
        #: "scope:key" → lane → until when its connection counts, ms.
        self._permits: dict[str, dict[str, int]] = {}

    @atomic
    def login_turn(
        self, import_id: str, mailbox_id: str, side: Side, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        return self._book.login_turn(import_id, mailbox_id, side, digest, holder, shared=shared, seconds=seconds)

    @atomic
    def login_told(
        self,
        import_id: str,
        mailbox_id: str,
        side: Side,
        digest: str,
        holder: str,
        *,
        shared: bool,
        result: LoginResult,
        words: str = "",
    ) -> RefusalMeaning:
        released = shared or self._book.lets_in(import_id, mailbox_id, side)
        verdict = self._book.login_told(
            import_id, mailbox_id, side, digest, holder, shared=shared, result=result, words=words
        )
        if not released and result == LoginResult.IN:
            self._unbrake(import_id, side)
        return verdict

    def _unbrake(self, import_id: str, side: Side) -> None:
        """Lets mailboxes go on that were stopped at servers which let an account in since."""
        rows = self._rows
        for mailbox_id in rows.imports[import_id].rows if import_id in rows.imports else ():
            m = rows.mailboxes[mailbox_id]
            failure = m.mailbox.failure
            if (
                failure is None
                or failure.code != f"{side}_logins_stopped"
                or m.mailbox.state is not MailboxState.PARKED
            ):
                continue
            if self._book.lets_in(import_id, mailbox_id, side):
                if rows.may_go_on(m):
                    m.set(failure=None)
                    rows.go_on(m)
                else:
                    m.set(again_at=(rows.now() + 1) / 1000)

    @atomic
    def forgive_logins(self, import_id: str, mailbox_id: str = "") -> None:
        self._book.forget_logins(mailbox_id or import_id)
        if mailbox_id:
            self._book.release_login(import_id, mailbox_id)
        else:
            self._book.lift_brake(import_id)

    def _ends(self, mailbox_id: str, side: Side) -> tuple[str, str] | None:
        if (m := self._rows.mailboxes.get(mailbox_id)) is None:
            return None
        account = m.mailbox.source if side == Side.SOURCE else m.mailbox.destination
        return account.endpoint.url, m.scopes[side.limit(Limited.ACCOUNT)]

    @atomic
    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        super().seal(import_id, sealed)
        if sealed:
            self._book.lift_brake(import_id)

    @atomic
    def close(self, import_id: str) -> bool:
        closed = super().close(import_id)
        if closed:
            self._book.forget_brakes(import_id)
        return closed

    @atomic
    def erase(self, import_id: str, mailbox_id: str) -> bool:
        erased = super().erase(import_id, mailbox_id)
        if erased:
            self._book.forget_logins(mailbox_id)
        return erased

    def _other_permits(self, mailbox_id: str, side: Side) -> int:
        scope = side.limit(Limited.ACCOUNT)
        m = self._rows.mailboxes.get(mailbox_id)
        lanes = self._permits.get(f"{scope}:{m.scopes[scope]}", {}) if m else {}
        now = self._rows.now()
        return max(0, sum(until > now for until in lanes.values()) - 1)

    @atomic
    def retry(self, import_id: str, mailbox_id: str, batches: Sequence[tuple[Unit, Sequence[Note]]]) -> bool:
        queued = super().retry(import_id, mailbox_id, batches)
        if queued:
            self._book.forget_logins(mailbox_id)
        return queued

    @atomic
    def forget(self, import_id: str) -> bool:
        self._book.forget_tokens(import_id)
        whole = self._rows.imports.get(import_id)
        for bound_to in (import_id, *(whole.rows if whole else ())):
            self._book.forget_logins(bound_to)
        return super().forget(import_id)

    @atomic
    def reseal(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        return super().reseal(import_id, renew) + self._book.reseal_tokens(import_id, renew)
