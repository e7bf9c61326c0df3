"""The parts of the store's port for accounts at the destination and for signing in."""

from __future__ import annotations

from typing import Protocol

from shared.model import (
    AccountState,
    Lease,
)
from shared.model.sides import Side
from shared.model.sign_in import LoginResult, LoginTurn, RefusalMeaning


class AccountStore(Protocol):
    """The methods that workers call about accounts at the destination, under the lease of a mailbox's plan."""

    def account_turn(self, lease: Lease, service: str, interval_seconds: float) -> float:
        """Returns the seconds until this mailbox may ask the service, 0 for now.

        Turns are `interval_seconds` apart for all workers together. A turn that lies ahead is kept for its mailbox, so
        that a worker that comes back then is let in.
        """

    def account_hold(self, service: str, seconds: float) -> None:
        """Keeps all workers from the service for so long, since the service asked to wait."""

    def note_account(self, lease: Lease, state: AccountState) -> None:
        """Notes the state of the account (`Mailbox.account`) and the time.

        A state that is noted already keeps its time.
        """


class TokenStore(Protocol):
    """The methods with which workers share access tokens."""

    def token(
        self, import_id: str, name: str, holder: str, *, stale: bytes = b"", seconds: float
    ) -> tuple[bytes, float]:
        """Returns the sealed token of this name as (sealed, 0), unless it has expired or is `stale`.

        Otherwise returns (b"", seconds to wait) while another holder fetches one, or (b"", 0): then this holder is to
        fetch it, and no other does for `seconds`.
        """

    def keep_token(self, import_id: str, name: str, holder: str, sealed: bytes, seconds: float) -> None:
        """Keeps the token that was fetched, usable for `seconds`; b"" when none could be had.

        Holders that wait for it go on.
        """


class LoginStore(TokenStore, Protocol):
    """The methods with which workers share what they know about logins.

    `digest` stands for the credentials and changes with them. `shared` means a login that many mailboxes sign in with,
    such as an administrator's; it is recorded for the import's whole side.
    """

    def login_turn(
        self, import_id: str, mailbox_id: str, side: Side, digest: str, holder: str, *, shared: bool, seconds: float
    ) -> LoginTurn:
        """Tells whether this login may be tried now.

        Credentials that never let anybody in are tried by one holder at a time, for at most `seconds`; refused ones are
        not tried. Of mailboxes' own logins at a server that let nobody in so far, `BRAKE_AFTER` are tried; when all of
        those were refused, no other is.
        """

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
        """Notes how a try ended, and returns what a refusal means. `words` are what the server said to a refusal."""


class SignInStore(LoginStore, Protocol):
    """The methods with which workers share what they know about signing in, and producers let them try again."""

    def forgive_logins(self, import_id: str, mailbox_id: str = "") -> None:
        """Lets the import's shared logins be tried again, since an operator acted.

        Refusals so far then stop no other login. (Sealing credentials anew also ends that stop.) With `mailbox_id` it
        lets only this mailbox's own logins be tried again, since its account did not exist yet. (`retry` lets a
        mailbox's own logins be tried again too.)
        """
