"""The part of a request that concerns accounts at the destination, and what `check` and `plan` find out about them."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from producer.intake.fitting import named_rows
from producer.intake.manifest_row import Row
from producer.intake.sign_in import NOT_TEXT, UNREADABLE
from shared.accounts import AccountService, NewAccount
from shared.accounts.several import parse_services, sealed_together, secret_of, split_domain, written
from shared.model.accounts import Adopted, Missing, Retry
from shared.nouns import dataclass
from shared.runtime.secret import Secret
from shared.wording.phrases import Fault, FieldName, Phrase

THERE_ALREADY: Final = Phrase("there_already", "the account is there already, and its password is never changed")
WRITE_NEW_PASSWORD: Final = Phrase("write_new_password", "write its password as new_password")
TRY_LATER: Final = Phrase("try_later", "try again later")
SEE_THE_SERVICE: Final = Phrase("see_the_service", "see what the service says")

#: Longest content of a secret file, in characters. The longest secret is a key in JSON.
MOST_CHARACTERS: Final = 64 * 1024
#: Longest wait, in seconds, and number of waits that a dry run grants a service that asks it to come back later.
_LONGEST_WAIT: Final = 60.0
_WAITS: Final = 3
ALONE: Final = Phrase("accounts_alone", "{accounts_secret_file} and {generate_passwords} go with {accounts} URL")
NOT_ONE: Final = Phrase("accounts_secret_not_one", "there is not one {accounts} {domain}URL for it")
CA_FILE: Final = Phrase("accounts_ca", "the CA file cannot be used ({cause})")
EMPTY_FILE: Final = Phrase("accounts_secret_empty", "{path} is empty or no secret")
BARE: Final = Phrase("accounts_row_without_password", "these rows give no password for a new account: {rows}")


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountsAsked:
    """The service that creates the accounts, and what it needs."""

    #: Services in the form that `shared.accounts.several` reads; "" when the accounts exist already.
    text: str = ""
    #: The secret that the services demand.
    secret: Secret = Secret("")
    #: Whether passwords that the manifest does not give are generated.
    generate: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class AccountSeen:
    """The state of one account as a dry run sees it."""

    #: "there", "missing" (it would be created), or "unknown".
    state: str
    #: Why the state is unknown, or why the account would not be created.
    failure: str = ""
    #: The operator's remedy for the failure.
    advice: str = ""


def read_accounts(urls: Sequence[str], secret_files: Sequence[str], *, generate: bool) -> AccountsAsked:
    """Reads the options about accounts and checks them. Raises `UsageError`. Sends nothing."""
    services = parse_services(written(urls))
    if not services.text:
        if secret_files or generate:
            names = ("accounts_secret_file", "generate_passwords", "accounts")
            raise ALONE.error(**{name: FieldName(name) for name in names})
        return AccountsAsked()
    secrets: dict[str, Secret] = {}
    for domain, path in map(split_domain, secret_files):
        if domain in secrets or domain not in services.by_domain:
            raise NOT_ONE.error("accounts_secret_file", accounts=FieldName("accounts"), domain=domain and f"{domain}=")
        secrets[domain] = read_secret(path)
    from shared.accounts.opening import open_service  # imports an HTTP client, which most commands do not need

    for domain, url in services.by_domain.items():
        try:
            if url:
                open_service(url, secrets.get(domain, Secret(""))).close()
        except OSError as error:
            raise CA_FILE.error("accounts", cause=str(error.strerror)) from None
    return AccountsAsked(text=services.text, secret=sealed_together(secrets), generate=generate)


def read_secret(path: str) -> Secret:
    """Reads the file of a secret. Raises `UsageError`."""
    try:
        secret = Path(path).expanduser().read_text(encoding="utf-8").strip()
    except UnicodeDecodeError:
        raise NOT_TEXT.error("accounts_secret_file", path=path) from None
    except OSError as error:
        raise UNREADABLE.error("accounts_secret_file", path=path, cause=str(error.strerror)) from None
    if not 0 < len(secret) <= MOST_CHARACTERS:
        raise EMPTY_FILE.error("accounts_secret_file", path=path)
    return Secret(secret)


def without_new_password(asked: AccountsAsked, rows: Sequence[Row]) -> list[Fault]:
    """Returns the fault of rows that give no password for an account that is to be created."""
    bare = [row.line for row in rows if not row.new_password]
    return [BARE.at("accounts", rows=named_rows(bare))] if asked.text and not asked.generate and bare else []


class AccountsSeen:
    """Looks accounts up and creates none. Thread-safe."""

    def __init__(self, asked: AccountsAsked, pause: Callable[[float], None] = time.sleep) -> None:
        self._services = parse_services(asked.text)
        self._opened: dict[str, AccountService] = {}
        for domain, url in self._services.by_domain.items():
            if url:
                from shared.accounts.opening import open_service

                self._opened[domain] = open_service(url, secret_of(self._services, domain, asked.secret))
        self._generate, self._pause = asked.generate, pause

    def of(self, row: Row) -> AccountSeen | None:
        """Returns what is known of the row's account at the destination; None when no service is to create it."""
        seen = self.look(row.new_login, row.new_password)
        if seen and seen.state == "there" and self._generate and not row.own_new_password:
            return AccountSeen(
                state="there",
                failure=THERE_ALREADY.says(),
                advice=WRITE_NEW_PASSWORD.says(),
            )
        return seen

    def look(self, login: str, password: Secret = Secret("")) -> AccountSeen | None:  # noqa: B008 - nobody changes it
        """Returns what is known of this account at the destination; None when no service is to create it."""
        if (meant := self._services.of(login)) is None:
            return None
        service = self._opened[meant[0]]
        account = NewAccount(login=login, password=password)
        found = service.look(account)
        for _ in range(_WAITS):
            if not isinstance(found, Retry) or found.after_seconds > _LONGEST_WAIT:
                break
            self._pause(found.after_seconds)
            found = service.look(account)
        if isinstance(found, Missing):
            return AccountSeen(state="missing")
        if isinstance(found, Adopted):
            return AccountSeen(state="there")
        if isinstance(found, Retry):
            return AccountSeen(state="unknown", failure=found.why, advice=TRY_LATER.says())
        return AccountSeen(state="unknown", failure=found.reason, advice=found.advice or SEE_THE_SERVICE.says())
