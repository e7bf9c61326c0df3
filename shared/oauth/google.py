"""Google: a service account with domain-wide delegation, acting for one user (RFC 7523, by google-auth)."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Final

from google.auth.exceptions import GoogleAuthError, RefreshError, TransportError
from google.auth.transport.requests import Request
from google.oauth2.service_account import Credentials

from shared.content.json_text import read_json
from shared.mail.answers.grammar import clean_text
from shared.model.errors import AuthenticationRefused, AuthorizationRefused, MailError, Unreachable
from shared.model.sides import Side
from shared.oauth import AccessToken
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

UNDELEGATED: Final = Phrase(
    "google_undelegated",
    "Google gives no token: let the super admin delegate {scope} to the client id {client}",
)
GOOGLE_GIVES_NO_TOKEN: Final = Phrase("google_gives_no_token", "Google gives no token")
GOOGLE_TOKEN_ENDPOINT_DOES_NOT_WORK: Final = Phrase(
    "google_token_endpoint_does_not_work", "Google's token endpoint does not work just now"
)
GOOGLE_GIVES_NO_TOKEN_FOR_THIS_USER: Final = Phrase(
    "google_gives_no_token_for_this_user", "Google gives no token for this user"
)
GOOGLE_NOT_REACHED: Final = Phrase("google_not_reached", "Google's token endpoint is not reached ({kind})")

NO_KEY: Final = Phrase(
    "google_key",
    "what was given is not the key of a Google service account: make one of type JSON in the Cloud console and "
    "give that file",
)

#: The scope for IMAP with every label, hidden ones too. POP3 needs the wider scope below.
IMAP_SCOPE: Final = "https://www.googleapis.com/auth/gmail.imap_admin"
MAIL_SCOPE: Final = "https://mail.google.com/"


class GoogleIssuer:
    """The issuer for the key of a Google service account."""

    per_user = True

    def __init__(self, side: Side, key: str, scope: str) -> None:
        """Reads `key`, the JSON that Google made. Raises `UsageError`."""
        self._side, self._scope = side, scope
        try:
            self._key: Mapping[str, Any] = read_json(key)
            self._credentials("nobody@example.org")
        except (ValueError, TypeError, KeyError, AttributeError, GoogleAuthError):
            raise NO_KEY.error() from None

    def _credentials(self, user: str) -> Credentials:
        return Credentials.from_service_account_info(  # type: ignore[no-untyped-call,no-any-return]
            dict(self._key), scopes=[self._scope], subject=user
        )

    def issue(self, user: str) -> AccessToken:
        credentials = self._credentials(user)
        try:
            credentials.refresh(Request())  # type: ignore[no-untyped-call]
        except TransportError as error:
            raise Unreachable(self._side, GOOGLE_NOT_REACHED.says(kind=type(error).__name__)) from None
        except GoogleAuthError as error:
            raise self._refused(error) from None
        now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
        seconds = (credentials.expiry - now).total_seconds() if credentials.expiry else 0.0
        return AccessToken(secret=Secret(str(credentials.token)), seconds=seconds)

    def _refused(self, error: GoogleAuthError) -> MailError:
        said = error.args[1] if len(error.args) > 1 and isinstance(error.args[1], Mapping) else {}
        code, words = str(said.get("error", "")), str(said.get("error_description") or error)
        if error.retryable or not isinstance(error, RefreshError):
            return Unreachable(self._side, GOOGLE_TOKEN_ENDPOINT_DOES_NOT_WORK.says(), clean_text(words))
        detail = clean_text(f"{code}: {words}" if code else words)
        # Google says invalid_grant of the user ("Invalid email or User ID") and of the key ("Invalid JWT Signature").
        if code == "invalid_grant" and ("user" in words.lower() or "account" in words.lower()):
            return AuthorizationRefused(self._side, GOOGLE_GIVES_NO_TOKEN_FOR_THIS_USER.says(), detail)
        what = GOOGLE_GIVES_NO_TOKEN.says()
        if code in ("unauthorized_client", "access_denied"):
            what = UNDELEGATED.says(scope=self._scope, client=str(self._key.get("client_id", "?")))
        return AuthenticationRefused(self._side, what, detail)
