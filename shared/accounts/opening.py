"""Opens an adapter for `--accounts URL` and its secret."""

from __future__ import annotations

from typing import Final

from shared.accounts import AccountService
from shared.accounts.discreet import Discreet
from shared.accounts.kinds import ServiceUrl, kind_of
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

NO_KIND: Final = Phrase("accounts_kind_unknown", "{kind}: there is no such kind of service")
NEEDS_SECRET: Final = Phrase("accounts_secret_missing", "{kind} needs its secret")
NOT_ASCII: Final = Phrase("accounts_secret_letters", "the secret holds a letter that no key or token has")
ONE_LINE: Final = Phrase("accounts_secret_lines", "the secret must be one line")


def open_service(url: ServiceUrl, secret: Secret) -> AccountService:
    """Opens the adapter; nothing is sent yet. Raises `UsageError` for a secret of the wrong form."""
    kind = kind_of(url.kind)
    if kind is None:
        raise NO_KIND.error("accounts", kind=url.kind)
    if kind.secretive and not secret:
        raise NEEDS_SECRET.error("accounts_secret_file", kind=url.kind)
    if any(ord(char) < 32 for char in secret.reveal()) and not kind.several_lines:
        raise ONE_LINE.error("accounts_secret_file")
    settling = url.number("settle", kind.settling_seconds)
    try:
        service = kind.open(url, secret, settling)
    except UnicodeEncodeError:
        raise NOT_ASCII.error("accounts_secret_file") from None
    service.settling_seconds = settling
    return Discreet(service, secret)
