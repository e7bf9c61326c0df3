"""Opens an adapter for `--accounts URL` and its secret."""

from __future__ import annotations

from shared.accounts import AccountService
from shared.accounts.address import ServiceUrl
from shared.accounts.discreet import Discreet
from shared.accounts.kinds import kind_of
from shared.model.errors import UsageError
from shared.runtime.credentials import Secret


def open_service(url: ServiceUrl, secret: Secret) -> AccountService:
    """Opens the adapter; nothing is sent yet. Raises `UsageError` for a secret of the wrong form."""
    kind = kind_of(url.kind)
    if kind is None:
        raise UsageError(f"--accounts {url.kind}: there is no such kind of service")
    if kind.secretive and not secret:
        raise UsageError(f"--accounts {url.kind} needs --accounts-secret-file")
    if any(ord(char) < 32 for char in secret.reveal()) and not kind.several_lines:
        raise UsageError("--accounts-secret-file: the secret must be one line")
    settling = url.number("settle", kind.settling_seconds)
    service = kind.open(url, secret, settling)
    service.settling_seconds = settling
    return Discreet(service, secret)
