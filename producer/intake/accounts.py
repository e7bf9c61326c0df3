"""What a request says of accounts at the destination, and what `check` and `plan` may know of them beforehand."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from producer.intake.manifest import Row
from shared.accounts import AccountService, NewAccount
from shared.accounts.several import parse_services, sealed_together, secret_of, split_domain, written
from shared.credentials import Secret
from shared.errors import UsageError
from shared.model.accounts import Adopted, Missing, Retry

#: What a secret file may hold: a key in JSON at most.
_MOST_CHARACTERS: Final = 64 * 1024
#: A dry run waits no longer for a service that asks to, and no more often.
_LONGEST_WAIT: Final = 60.0
_WAITS: Final = 3


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountsAsked:
    """What makes the accounts."""

    #: As `shared.accounts.several` reads it; "" when they are there.
    text: str = ""
    #: What they ask for to let us in.
    secret: Secret = Secret("")
    #: Whether passwords that are not given are made.
    generate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSeen:
    """What a dry run knows of one account."""

    #: "there", "missing" (it would be created), or "unknown".
    state: str
    #: Why it is unknown, or would not be made.
    failure: str = ""
    #: What to do about that.
    advice: str = ""


def read_accounts(urls: Sequence[str], secret_files: Sequence[str], *, generate: bool) -> AccountsAsked:
    """From the options. Raises `UsageError`; nothing is sent."""
    services = parse_services(written(urls))
    if not services.text:
        if secret_files or generate:
            raise UsageError("--accounts-secret-file and --generate-passwords go with --accounts URL")
        return AccountsAsked()
    secrets: dict[str, Secret] = {}
    for domain, path in map(split_domain, secret_files):
        if domain in secrets or domain not in services.by_domain:
            raise UsageError(f"--accounts-secret-file: there is not one --accounts {domain and domain + '='}URL for it")
        secrets[domain] = _read_secret(path)
    from shared.accounts.opening import open_service  # an HTTP client: not for those who need none

    for domain, url in services.by_domain.items():
        try:
            if url:
                open_service(url, secrets.get(domain, Secret(""))).close()
        except OSError as error:
            raise UsageError(f"--accounts: the CA file cannot be used ({error.strerror})") from None
    return AccountsAsked(text=services.text, secret=sealed_together(secrets), generate=generate)


def _read_secret(path: str) -> Secret:
    try:
        secret = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UsageError(f"--accounts-secret-file: {path} cannot be read ({reason})") from None
    if not 0 < len(secret) <= _MOST_CHARACTERS:
        raise UsageError(f"--accounts-secret-file: {path} is empty or no secret")
    return Secret(secret)


class AccountsSeen:
    """Looks for accounts and creates none. Used by several threads."""

    def __init__(self, asked: AccountsAsked, pause: Callable[[float], None] = time.sleep) -> None:
        self._services = parse_services(asked.text)
        self._opened: dict[str, AccountService] = {}
        for domain, url in self._services.by_domain.items():
            if url:
                from shared.accounts.opening import open_service

                self._opened[domain] = open_service(url, secret_of(self._services, domain, asked.secret))
        self._generate, self._pause = asked.generate, pause

    def of(self, row: Row) -> AccountSeen | None:
        """None when nobody was asked to make such accounts."""
        if (meant := self._services.of(row.new_login)) is None:
            return None
        service = self._opened[meant[0]]
        account = NewAccount(login=row.new_login, password=row.new_password)
        found = service.look(account)
        for _ in range(_WAITS):
            if not isinstance(found, Retry) or found.after_seconds > _LONGEST_WAIT:
                break
            self._pause(found.after_seconds)
            found = service.look(account)
        if isinstance(found, Missing):
            return AccountSeen(state="missing")
        if isinstance(found, Retry):
            return AccountSeen(state="unknown", failure=found.why, advice="try again later")
        if not isinstance(found, Adopted):
            return AccountSeen(
                state="unknown", failure=found.reason, advice=found.advice or "see what the service says"
            )
        if self._generate and not row.own_new_password:
            return AccountSeen(
                state="there",
                failure="the account is there already, and its password is never changed",
                advice="write its password as new_password",
            )
        return AccountSeen(state="there")
