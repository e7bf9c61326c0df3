"""The store's part for accounts at the destination and for signing in.

It has `shared.store.AccountStore` and `shared.store.SignInStore` on Redis.
"""

from __future__ import annotations

from shared.model import AccountState, Lease
from shared.model.sides import Side
from shared.model.sign_in import LoginResult, LoginTurn, RefusalMeaning, TurnState
from shared.store import BRAKE_AFTER, MOST_DOUBTS
from shared.store.redis.redis_scripts import Scripts


class RedisSignIns(Scripts):
    """Turns, trials and tokens."""

    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        return int(self._run("account_turn", *self._fence(lease), service, int(interval_seconds * 1000))) / 1000

    def account_hold(self, service: str, seconds: float) -> None:
        self._run("account_hold", service, int(seconds * 1000))

    def note_account(self, lease: Lease, state: AccountState) -> None:
        self._run("account", *self._fence(lease), state)

    def login_turn(
        self, import_id: str, mailbox_id: str, side: Side, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        place = (import_id, mailbox_id, side, "1" if shared else "0", digest, holder)
        state, wait, words = self._run("login_turn", *place, int(seconds * 1000), BRAKE_AFTER)
        return LoginTurn(
            state=TurnState(state.decode()), wait_seconds=wait / 1000, words=words.decode("utf-8", "replace")
        )

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
        place = (import_id, mailbox_id, side, "1" if shared else "0", digest, holder)
        return RefusalMeaning(self._run("login_told", *place, result, words, MOST_DOUBTS).decode())

    def forgive_logins(self, import_id: str, mailbox_id: str = "") -> None:
        self._run("forgive", import_id, mailbox_id)

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        sealed, wait = self._run("token", import_id, name, holder, stale, int(seconds * 1000))
        return sealed, wait / 1000

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        self._run("keep_token", import_id, name, holder, sealed, int(seconds * 1000))
