"""The service that makes all accounts, or several services, each for the accounts of one domain. Pure.

They are given a line each: ``URL`` is for every domain that has none of its own, ``new.example=URL`` for that domain.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from typing import Final

from shared.accounts.address import parse_service
from shared.accounts.kinds import ServiceUrl
from shared.content.json_text import read_json
from shared.nouns import dataclass
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

LINE_BREAK: Final = Phrase("accounts_line_break", "holds a line break")
TWICE: Final = Phrase("accounts_twice", "given twice for {name}")

_OF_DOMAIN = re.compile(r"([^:/?=]*)=(.*)", re.DOTALL)


@dataclass(frozen=True, kw_only=True, slots=True)
class Services:
    """The services, by the domains whose accounts they make."""

    #: The lines as given; "" when all accounts are there.
    text: str = ""
    #: Domain → service, or None where the accounts are there; "" stands for every other domain.
    by_domain: Mapping[str, ServiceUrl | None]

    def of(self, login: str) -> tuple[str, ServiceUrl] | None:
        """Returns (its key in `by_domain`, the service) for the service that makes this account, or None."""
        domain = login.rpartition("@")[2].lower() if "@" in login else ""
        key = domain if domain in self.by_domain else ""
        url = self.by_domain.get(key)
        return (key, url) if url else None


def parse_services(text: str) -> Services:
    """Reads the lines. Raises `UsageError`."""
    found: dict[str, ServiceUrl | None] = {}
    for line in text.splitlines():
        domain, url = split_domain(line)
        if domain in found:
            raise TWICE.error("accounts", name=domain or "all domains")
        found[domain] = parse_service(url)
    return Services(text=text if any(found.values()) else "", by_domain=found)


def shown(text: str) -> str:
    """Returns the services' names for people and logs, each with the domain that it is for. Raises `UsageError`."""
    found = parse_services(text).by_domain.items()
    return ", ".join(f"{url.shown} ({domain})" if domain else url.shown for domain, url in found if url)


def split_domain(text: str) -> tuple[str, str]:
    """Splits ``new.example=…`` into the domain and the rest; without a domain returns "" and the whole text."""
    if matched := _OF_DOMAIN.fullmatch(text):
        return matched[1].strip().lower().removeprefix("@"), matched[2]
    return "", text


def sealed_together(secrets: Mapping[str, Secret]) -> Secret:
    """Joins the secrets by domain into one."""
    if set(secrets) <= {""}:
        return secrets.get("", Secret(""))
    return Secret(json.dumps({domain: secret.reveal() for domain, secret in secrets.items()}))


def secret_of(services: Services, domain: str, together: Secret) -> Secret:
    """Returns this domain's secret out of those that `sealed_together` joined."""
    if set(services.by_domain) <= {""}:
        return together
    return Secret(read_json(together.reveal()).get(domain, ""))


def written(urls: Sequence[str]) -> str:
    """Joins the URLs into the lines that `parse_services` reads. Raises `UsageError`."""
    if any(len(url.splitlines()) > 1 for url in urls):
        raise LINE_BREAK.error("accounts")
    return "\n".join(url.strip() for url in urls if url.strip())
