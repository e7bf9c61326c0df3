"""Tokens that all workers share: sealed in the store, and fetched by one worker when they expire.

A token is no longer used shortly before it expires. A token that a server refused is fetched anew once, whatever it
said of its time, since it may have been withdrawn. A token that cannot be had is recorded as a refused login
(`shared.sign_in.admission`).
"""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable
from typing import Final

from shared.model.errors import CredentialsError, Throttled
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.oauth import Issuer
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.store import TokenStore
from shared.wording.phrases import Phrase

ANOTHER_WORKER_FETCHES_THE_TOKEN: Final = Phrase(
    "another_worker_fetches_the_token", "waits for a token that another worker fetches"
)

#: The time that a holder that fetches a token may take before another does, seconds.
FETCH_SECONDS: Final = 90.0
#: A token is not used in the last part of its life, since the session has yet to be opened.
_MARGIN_SECONDS: Final = 60.0
_MARGIN_PART: Final = 0.1


@dataclass(frozen=True, kw_only=True, slots=True)
class HeldToken:
    """A token at hand."""

    #: The token.
    secret: Secret
    #: The token as the store keeps it.
    sealed: bytes
    #: Whether this call fetched it.
    fresh: bool


class Tokens:
    """The tokens of a process. Thread-safe."""

    def __init__(self, store: TokenStore, vault: Vault, pause: Callable[[float], object] | None = None) -> None:
        self._store, self._vault = store, vault
        self._pause = pause or threading.Event().wait

    def get(
        self, issuer: Issuer, import_id: str, side: Side, user: str, digest: str, holder: str, stale: bytes = b""
    ) -> HeldToken:
        """Returns a token for this user, another than `stale`.

        `digest` stands for the issuer's credentials: other credentials have other tokens. Raises what the issuer
        raises, and `Throttled` when another holder has been fetching one for too long.
        """
        about = f"token:{side}:{digest}:{user if issuer.per_user else ''}"
        name = hashlib.sha256(about.encode()).hexdigest()[:32]
        until = time.monotonic() + FETCH_SECONDS
        while True:
            sealed, wait = self._store.token(import_id, name, holder, stale=stale, seconds=FETCH_SECONDS)
            if sealed:
                try:
                    return HeldToken(
                        secret=self._vault.open(import_id, about, sealed).password, sealed=sealed, fresh=False
                    )
                except CredentialsError:  # sealed with a key that is no longer configured
                    stale = sealed
                    continue
            if not wait:
                return self._fetched(issuer, import_id, name, about, user, holder)
            if time.monotonic() > until:
                raise Throttled(side, ANOTHER_WORKER_FETCHES_THE_TOKEN.says(), wait_seconds=5.0)
            self._pause(min(wait, 0.1))

    def _fetched(self, issuer: Issuer, import_id: str, name: str, about: str, user: str, holder: str) -> HeldToken:
        sealed, seconds = b"", 0.0
        try:
            token = issuer.issue(user)
            sealed = self._vault.seal(import_id, about, Credentials(login=user, password=token.secret))
            seconds = token.seconds - min(_MARGIN_SECONDS, token.seconds * _MARGIN_PART)
            return HeldToken(secret=token.secret, sealed=sealed, fresh=True)
        finally:
            self._store.keep_token(import_id, name, holder, sealed, seconds)
