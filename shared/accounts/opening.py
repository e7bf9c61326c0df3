"""Opens an adapter for `--accounts URL` and its secret."""

from __future__ import annotations

from typing import Final

from shared.accounts import AccountService
from shared.accounts.address import ServiceUrl
from shared.accounts.discreet import Discreet
from shared.accounts.kinds import kind_of
from shared.runtime.credentials import Secret
from shared.wording.phrases import FieldName, Phrase

NO_KIND: Final = Phrase("accounts_kind_unknown", "{field} {kind}: there is no such kind of service")
NEEDS_SECRET: Final = Phrase("accounts_secret_missing", "{field} {kind} needs {accounts_secret_file}")
ONE_LINE: Final = Phrase("accounts_secret_lines", "the secret must be one line")


def open_service(url: ServiceUrl, secret: Secret) -> AccountService:
    """Opens the adapter; nothing is sent yet. Raises `UsageError` for a secret of the wrong form."""
    kind = kind_of(url.kind)
    if kind is None:
        raise NO_KIND.error("accounts", kind=url.kind)
    if kind.secretive and not secret:
        raise NEEDS_SECRET.error("accounts", kind=url.kind, accounts_secret_file=FieldName("accounts_secret_file"))
    if any(ord(char) < 32 for char in secret.reveal()) and not kind.several_lines:
        raise ONE_LINE.error("accounts_secret_file")
    settling = url.number("settle", kind.settling_seconds)
    service = kind.open(url, secret, settling)
    service.settling_seconds = settling
    return Discreet(service, secret)
