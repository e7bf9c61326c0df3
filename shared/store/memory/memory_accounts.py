"""The model's part for accounts at the destination: `shared.store.AccountStore` in plain Python."""

from __future__ import annotations

from collections.abc import Callable

from shared.model import AccountState, Lease
from shared.store.memory.memory_cutovers import MemoryCutovers
from shared.store.memory.memory_readings import atomic


class MemoryAccounts(MemoryCutovers):
    """Turns at the account services, and the known state of each account."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__(clock)
        #: Service → when its next turn is free, and until when no worker asks it, ms.
        self._next: dict[str, int] = {}
        self._held: dict[str, int] = {}
        #: Mailbox → its turn, ms.
        self._turns: dict[str, int] = {}

    @atomic
    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        now = self._rows.now()
        mailbox = self._rows.fence(lease).unit.mailbox_id
        held, turn = self._held.get(service, 0), self._turns.get(mailbox, 0)
        if turn == 0 or turn < held:
            turn = max(now, self._next.get(service, 0), held)
            self._next[service] = turn + int(interval_seconds * 1000)
        if turn > now:
            self._turns[mailbox] = turn
            return (turn - now) / 1000
        self._turns.pop(mailbox, None)
        return 0.0

    @atomic
    def account_hold(self, service: str, seconds: float) -> None:
        until = self._rows.now() + int(seconds * 1000)
        self._held[service] = max(until, self._held.get(service, 0))

    @atomic
    def note_account(self, lease: Lease, state: AccountState) -> None:
        m = self._rows.mailboxes[self._rows.fence(lease).unit.mailbox_id]
        if m.mailbox.account is not state:
            m.set(account=state, account_at=self._rows.now() / 1000)
