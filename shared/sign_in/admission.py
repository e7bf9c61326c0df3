"""Signs in with stored credentials, and prevents accounts from being locked out by it, whatever the number of workers.

Credentials that never let anybody in are tried by one lane, while the others wait for the result. Refused credentials
are not tried again before an operator acts. An administrator's login is one for all mailboxes of the side. Some servers
call one connection too many a wrong password: a login that let in before, and is refused while other connections of the
account are open, is tried once more a while later. Where the first logins at a server are all refused, the others are
not tried at all.
"""

from __future__ import annotations

import hashlib
import threading
import uuid
from collections.abc import Callable
from typing import Final, Protocol, TypeVar

from shared.mail.auth.sasl import Proof
from shared.model import Endpoint
from shared.model.errors import AuthenticationRefused, AuthorizationRefused, LoginsStopped, Throttled, UsageError
from shared.model.sides import Side
from shared.model.sign_in import BY_ISSUER, BY_TOKEN, LoginResult, LoginTurn, RefusalMeaning, SignIn, TurnState, Way
from shared.nouns import dataclass
from shared.oauth import Issuer
from shared.oauth.opening import open_issuer
from shared.oauth.shared_tokens import Tokens
from shared.runtime.credentials import Vault
from shared.runtime.secret import Secret
from shared.store import LoginStore
from shared.wording.phrases import Phrase, text_of

ADMIN_TRIED_NO_MORE: Final = Phrase(
    "admin_tried_no_more", "{what}: the administrator's login {login}, which is not tried for any other mailbox now"
)
SECRET_TRIED_NO_MORE: Final = Phrase(
    "secret_tried_no_more", "{what}: what {login} signs in with, which is not tried for any other mailbox now"
)
ADMIN_FAILED_BEFORE: Final = Phrase(
    "admin_failed_before", "authentication failed before with the administrator's login {login}; it is not tried again"
)
SECRET_FAILED_BEFORE: Final = Phrase(
    "secret_failed_before", "authentication failed before with what {login} signs in with; it is not tried again"
)
LOGIN_FAILED_BEFORE: Final = Phrase(
    "login_failed_before", "authentication failed before with this login; it is not tried again"
)
MEND_THE_ONE_LOGIN: Final = Phrase(
    "mend_the_one_login",
    "see that it is right and may sign in for others; give the right one with mailhaul credentials "
    "{id} {option}-password-file FILE, or mailhaul retry {id} when it was put right at the server",
)

LOGIN_TAKEN_BEFORE_REFUSED: Final = Phrase(
    "login_taken_before_refused",
    "refused a login that it took before, while other connections of the account are open: too many, "
    "perhaps; tried once more in a while",
)
WAITS_FOR_ANOTHERS_FIRST_SIGN_IN: Final = Phrase(
    "waits_for_anothers_first_sign_in", "waits for how another's first sign-in ends"
)

#: The wait after a refusal that may mean too many connections.
DOUBT_SECONDS: Final = 60.0
#: The time that a trial may take, beside the time for connecting.
_TRIAL_SECONDS: Final = 90.0
#: A lane waits so long for another's trial to end, seconds; then it gives its unit back.
PATIENCE_SECONDS: Final = 10.0
_POLL_SECONDS: Final = 0.05


class Opened(Protocol):
    """The session that signing in opens."""

    def abort(self) -> None:
        """Shuts the session at once."""


_O = TypeVar("_O", bound=Opened)


@dataclass(frozen=True, kw_only=True, slots=True)
class Visitor:
    """The mailbox that a worker wants to sign in to, and the credentials for it."""

    #: The import.
    import_id: str
    #: The mailbox.
    mailbox_id: str
    #: "source" or "destination".
    side: Side
    #: The server.
    endpoint: Endpoint
    #: The user whose mailbox it is.
    user: str
    #: The way to sign in.
    sign_in: SignIn
    #: The password, token or key for that way.
    secret: Secret
    #: The text that stands for the secret, and changes with it; see `digest_of`.
    digest: str


def digest_of(sealed: bytes) -> str:
    """Returns a digest of the sealed secret, not of the password itself.

    The digest changes when the secret is sealed anew. Nobody can guess the password by it.
    """
    return hashlib.sha256(sealed).hexdigest()[:12]


def proof_of(visitor: Visitor, token: Secret | None = None) -> Proof:
    """Returns the proof that is shown to the server."""
    how = visitor.sign_in
    return Proof(
        login=how.login_of(visitor.user),
        secret=token or visitor.secret,
        bearer=how.way in BY_TOKEN,
        authzid=visitor.user if how.way is Way.AUTHZID else "",
        proxy=visitor.user if how.way is Way.PROXYAUTH else "",
        mechanism=how.detail if how.way is Way.PASSWORD else "",
        host=visitor.endpoint.host,
        port=visitor.endpoint.port,
    )


class _Unasked(Exception):
    """The issuer refused its credentials, so that no login reached the mail server."""

    def __init__(self, refusal: AuthenticationRefused) -> None:
        super().__init__(str(refusal))
        self.refusal = refusal


class Admission:
    """Signs visitors in. Thread-safe; one per process."""

    def __init__(
        self,
        book: LoginStore,
        vault: Vault,
        connect_timeout_seconds: float,
        *,
        opened: Callable[[Side, str, SignIn, Secret], Issuer] = open_issuer,
        pause: Callable[[float], object] | None = None,
        patience_seconds: float = PATIENCE_SECONDS,
    ) -> None:
        """Prepares the sign-ins of one process.

        `patience_seconds` is how long a call waits for another's trial to end.
        """
        self._patience = patience_seconds
        self._book, self._opened = book, opened
        self._trial_seconds = connect_timeout_seconds + _TRIAL_SECONDS
        self._pause = pause or threading.Event().wait
        self._tokens = Tokens(book, vault, self._pause)
        self._issuers: dict[tuple[str, str], Issuer] = {}

    def enter(self, visitor: Visitor, connect: Callable[[Proof], _O]) -> _O:
        """Calls `connect` with the right proof, and returns what it returns.

        Raises what `connect` raises; `AuthenticationRefused`, without contacting the server, when the login was refused
        before; `LoginsStopped` when the first logins there were all refused; `Throttled` while another holder tries the
        login, or when a refusal may mean too many connections.
        """
        if visitor.sign_in.way in BY_ISSUER:
            return self._tried(visitor, False, lambda holder: self._by_token(visitor, holder, connect))
        return self._tried(visitor, visitor.sign_in.shared, lambda _: connect(proof_of(visitor)))

    # -- tokens

    def _by_token(self, visitor: Visitor, holder: str, connect: Callable[[Proof], _O]) -> _O:
        issuer = self._issuer(visitor)

        def get(stale: bytes) -> tuple[Secret, bytes, bool]:
            given = self._tokens.get(
                issuer, visitor.import_id, visitor.side, visitor.user, visitor.digest, holder, stale
            )
            return given.secret, given.sealed, given.fresh

        token, sealed, fresh = self._issued(visitor, lambda: get(b""))
        try:
            return connect(proof_of(visitor, token))
        except AuthenticationRefused:
            if fresh:
                raise
        # The token may have been withdrawn, so a new one is fetched; a refusal of that one counts.
        token, _, _ = self._issued(visitor, lambda: get(sealed))
        return connect(proof_of(visitor, token))

    def _issued(self, visitor: Visitor, get: Callable[[], tuple[Secret, bytes, bool]]) -> tuple[Secret, bytes, bool]:
        """Gets a token.

        The issuer's own credentials are treated as a shared login: once refused, no lane shows them again. Raises
        `_Unasked` then: the mail server was not asked.
        """

        class _Nothing:
            def __init__(self) -> None:
                self.got = get()

            def abort(self) -> None:
                """Does nothing: no connection is open."""

        try:
            return self._tried(visitor, True, lambda _: _Nothing()).got
        except AuthenticationRefused as error:
            raise _Unasked(error) from error

    def _issuer(self, visitor: Visitor) -> Issuer:
        key = (visitor.side, visitor.digest)
        if key not in self._issuers:
            try:
                how = visitor.sign_in
                found = self._opened(visitor.side, visitor.endpoint.protocol, how, visitor.secret)
            except UsageError as error:
                raise AuthenticationRefused(visitor.side, text_of(error)) from None
            self._issuers[key] = found
        return self._issuers[key]

    # -- one at a time

    def _tried(self, visitor: Visitor, shared: bool, attempt: Callable[[str], _O]) -> _O:
        holder = uuid.uuid4().hex[:12]
        turn = self._turn(visitor, shared, holder)
        try:
            found = attempt(holder)
        except AuthorizationRefused:
            self._tell(visitor, shared, holder, LoginResult.IN if shared else LoginResult.ALONE, "")
            raise
        except _Unasked as unasked:
            # The brake counts logins that the mail server refused.
            self._tell(visitor, shared, holder, LoginResult.UNKNOWN, "")
            raise unasked.refusal from None
        except AuthenticationRefused as error:
            meant = self._meant(visitor, shared, holder, error)
            if meant is error:
                raise
            raise meant from error
        except BaseException:
            self._tell(visitor, shared, holder, LoginResult.UNKNOWN, "")
            raise
        if turn.state is not TurnState.PROVED:
            try:
                self._tell(visitor, shared, holder, LoginResult.IN, "")
            except BaseException:
                found.abort()
                raise
        return found

    def _turn(self, visitor: Visitor, shared: bool, holder: str) -> LoginTurn:
        waited = 0.0
        while True:
            turn = self._book.login_turn(
                visitor.import_id,
                visitor.mailbox_id,
                visitor.side,
                visitor.digest,
                holder,
                shared=shared,
                seconds=self._trial_seconds,
            )
            if turn.state is TurnState.REFUSED:
                what = LOGIN_FAILED_BEFORE.says()
                if shared:
                    said = ADMIN_FAILED_BEFORE if visitor.sign_in.admin else SECRET_FAILED_BEFORE
                    what = said.says(login=_holder(visitor))
                raise _advised(visitor, shared, AuthenticationRefused(visitor.side, what, turn.words))
            if turn.state is TurnState.STOPPED:
                raise LoginsStopped(visitor.side)
            if turn.state is not TurnState.WAIT:
                return turn
            if waited >= self._patience:
                raise Throttled(visitor.side, WAITS_FOR_ANOTHERS_FIRST_SIGN_IN.says(), wait_seconds=5.0)
            self._pause(_POLL_SECONDS)
            waited += _POLL_SECONDS

    def _meant(self, visitor: Visitor, shared: bool, holder: str, error: AuthenticationRefused) -> Exception:
        meaning = self._tell(visitor, shared, holder, LoginResult.REFUSED, error.detail)
        if meaning is RefusalMeaning.DOUBTED:
            what = LOGIN_TAKEN_BEFORE_REFUSED.says()
            return Throttled(visitor.side, what, error.detail, wait_seconds=DOUBT_SECONDS)
        if meaning is RefusalMeaning.REFUSED and shared:
            said = ADMIN_TRIED_NO_MORE if visitor.sign_in.admin else SECRET_TRIED_NO_MORE
            what = said.says(what=error.what, login=_holder(visitor))
            return _advised(visitor, shared, AuthenticationRefused(visitor.side, what, error.detail))
        return error

    def _tell(self, visitor: Visitor, shared: bool, holder: str, result: LoginResult, words: str) -> RefusalMeaning:
        return self._book.login_told(
            visitor.import_id,
            visitor.mailbox_id,
            visitor.side,
            visitor.digest,
            holder,
            shared=shared,
            result=result,
            words=words,
        )


def _advised(visitor: Visitor, shared: bool, error: AuthenticationRefused) -> AuthenticationRefused:
    if shared:
        error.advice = MEND_THE_ONE_LOGIN.says(id="IMPORT", option=f"--{visitor.side}")
    return error


def _holder(visitor: Visitor) -> str:
    """Returns the administrator who signs in for all, or the way that does."""
    return visitor.sign_in.admin or str(visitor.sign_in.way)
