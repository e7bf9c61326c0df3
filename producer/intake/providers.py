"""The presets of mail providers behind ``--source gmail``. Pure, over the files in `presets`, one a provider.

Every fact has its source: `sources` names, for each field, where it is from, and a note carries its own.

- "ISPDB" is Mozilla's public database (github.com/thunderbird/autoconfig, folder ispdb, 2026-03).
- "start" marks a number that is ours: what is safe to begin with, kept below what the provider allows.
- "research" marks what our notes say without a public source that could be named: true as far as we know, and to be
  checked first when something does not fit.

Only facts that the program honours have fields; what a person should know is a note.
"""

from __future__ import annotations

import functools
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, field
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Any, Final, Literal

from shared.model import Endpoint
from shared.model.protocols import protocol_of
from shared.model.sides import Side
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

NO_PROVIDER: Final = Phrase("provider_unknown", "{name} is no provider; there are: {names}")

#: Suffix of a provider's name that selects its POP3 host: ``gmail:pop3``.
POP3_SUFFIX = ":pop3"


@dataclass(frozen=True, kw_only=True, slots=True)
class ProviderNote:
    """A fact that the operator should know, and that the program does not act on."""

    #: Subject of the note.
    about: str
    #: The note in one or two sentences.
    text: str
    #: The source of the fact.
    source: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Site:
    """A set of hosts of a provider."""

    #: Name in ``--source``; the first site has the provider's own name.
    name: str
    #: URL of the IMAP host.
    imap: str
    #: URL of the host to read a source from, if it is another one; "" for the same.
    imap_source: str = ""
    #: URL of the POP3 host; "" when there is none.
    pop3: str = ""
    #: Domains of its addresses; a leading "." stands for all subdomains.
    domains: tuple[str, ...] = ()
    #: Names of mail exchangers, or their endings.
    mx: tuple[str, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """The site's URLs."""
        return tuple(url for url in (self.imap, self.imap_source, self.pop3) if url)


@dataclass(frozen=True, kw_only=True)
class Provider:
    """A mail provider: the content of its file."""

    #: Year and month of the last review.
    reviewed: str
    #: The place among the providers that are shown; those of one number stand by name.
    shown: int
    #: Name in ``--source``.
    name: str
    #: Other names of the provider.
    aliases: tuple[str, ...] = ()
    #: Its usual name, for people.
    title: str
    #: The steps that the administrator must take first.
    first: str
    #: Ways to sign in that it accepts, the best first.
    sign_in: tuple[str, ...]
    #: Form of the login: "address" for the whole address, or "local_part".
    login: str = "address"
    #: Numbers of connections that are safe, by scope.
    limits: Mapping[str, int] = field(default_factory=dict)
    #: Rates in bytes and messages a second or a day that are safe for one account (`shared.model.rates`).
    rates: Mapping[str, int] = field(default_factory=dict)
    #: Source of each fact, by field.
    sources: Mapping[str, str]
    #: Notes for the operator.
    notes: tuple[ProviderNote, ...] = ()
    #: Its hosts; none for a private server. The first has the provider's name.
    sites: tuple[Site, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns for JSON what people have a use for."""
        return {name: value for name, value in asdict(self).items() if name not in ("reviewed", "shown")}

    def login_of(self, address: str) -> str:
        """Returns the login of the account that has this address."""
        return address.rpartition("@")[0] if self.login == "local_part" else address


@dataclass(frozen=True, kw_only=True)
class Catalogue:
    """The presets of a folder."""

    #: Providers in the order in which they are shown.
    providers: tuple[Provider, ...]

    @property
    def edition(self) -> str:
        """The year and month of the last review of any."""
        return max((one.reviewed for one in self.providers), default="")

    def find(self, name: str) -> tuple[Provider, Site | None]:
        """Returns the provider and site of this name or alias. Raises `UsageError` that lists the names."""
        wanted = name.strip().lower().removesuffix(POP3_SUFFIX)
        for provider in self.providers:
            if wanted in (provider.name, *provider.aliases):
                return provider, provider.sites[0] if provider.sites else None
            for site in provider.sites:
                if wanted == site.name:
                    return provider, site
        raise NO_PROVIDER.error(name=f"{name!r}", names=", ".join(one.name for one in self.providers))

    def by_domain(self, domain: str) -> tuple[Provider, Site] | None:
        """Returns the provider whose addresses belong to this domain."""
        name = domain.lower().rstrip(".")
        return self._claiming([name, *_parents(name)], "domains")

    def by_mx(self, exchanger: str) -> tuple[Provider, Site] | None:
        """Returns the provider whose mail exchanger this is; of several matches, that of the longest name."""
        name = exchanger.lower().rstrip(".")
        return self._claiming([name, *(parent[1:] for parent in _parents(name))], "mx")

    def by_account(self, login: str, host: str) -> Provider | None:
        """Returns the provider of this account among those at this host.

        It is the first of them if the login does not tell.
        """
        claimed = self.by_domain(login.rpartition("@")[2])
        at_host = [p for p in self.providers if any(host in map(_host, site.urls) for site in p.sites)]
        return claimed[0] if claimed and claimed[0] in at_host else next(iter(at_host), None)

    def first_at(self, login: str, host: str) -> str:
        """Returns what must be done before this login can sign in at this host; "" for a private server."""
        provider = self.by_account(login, host)
        return f"{provider.title}: {provider.first}" if provider else ""

    def urls(self, side: Side | str) -> dict[str, str]:
        """Returns the URLs by the names that may be given as ``--source`` or ``--destination``."""
        found: dict[str, str] = {}
        for provider in self.providers:
            for site in provider.sites:
                names = (site.name, *provider.aliases) if site.name == provider.name else (site.name,)
                for name in names:
                    found[name] = (site.imap_source if side == Side.SOURCE else "") or site.imap
                    if side == Side.SOURCE and site.pop3:
                        found[name + POP3_SUFFIX] = site.pop3
        return found

    def usual_limits(
        self, sources: Iterable[Endpoint], destination: Endpoint, most: Mapping[str, int]
    ) -> dict[str, int]:
        """Returns the usual connections and rates of these servers, in the form that `shared.store` takes.

        `most` is what the operator set for all servers, by scope: the lower number counts. A POP3 account is locked by
        its first session (RFC 1939 §4), so it gets one connection.
        """
        found: dict[str, int] = {}
        for side, endpoint in (*(("source", source) for source in sources), ("destination", destination)):
            provider = self.by_account("", endpoint.host)  # providers that share a host allow the same there
            limits: dict[str, int] = dict(provider.limits.items()) if provider else {}
            if protocol_of(endpoint).one_session:
                limits[f"{side}_account"] = 1
            rates: dict[str, int] = dict(provider.rates.items()) if provider else {}
            own = side if protocol_of(endpoint).takes_mail else endpoint.protocol
            for name, rate in rates.items():
                kind, _, what = name.partition(".")
                if kind == f"{own}_account":
                    scope = f"{side}_account.{what}"
                    found[f"{scope}:{endpoint.url}"] = min(rate, most.get(scope, rate))
            for part, server in (("account", endpoint.url), ("host", endpoint.host)):
                if (limit := limits.get(f"{side}_{part}")) is not None:
                    found[f"{side}_{part}:{server}"] = min(limit, most.get(f"{side}_{part}", limit))
        return found

    def _claiming(self, names: Iterable[str], field: Literal["domains", "mx"]) -> tuple[Provider, Site] | None:
        for name in names:
            for provider in self.providers:
                for site in provider.sites:
                    if name in getattr(site, field):
                        return provider, site
        return None


@functools.cache
def catalogue() -> Catalogue:
    """Returns the presets that come with mailhaul."""
    return presets_in(files(__package__) / "presets")


def presets_in(folder: Traversable) -> Catalogue:
    """Reads the providers of a folder: each is one file, whose being there registers it.

    The files come with mailhaul, and their form is held by a test: a library that would check it takes longer to load than all else
    that an import needs.
    """
    texts = [one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".toml")]
    found = [_provider(tomllib.loads(text)) for text in texts]
    return Catalogue(providers=tuple(sorted(found, key=lambda one: (one.shown, one.name))))


def _provider(read: Mapping[str, Any]) -> Provider:
    facts = {name: value for name, value in read.items() if name not in ("layout", "notes", "site")}
    notes = tuple(ProviderNote(**note) for note in read.get("notes", ()))
    return Provider(
        **_in_tuples(facts), notes=notes, sites=tuple(Site(**_in_tuples(site)) for site in read.get("site", ()))
    )


def _in_tuples(facts: Mapping[str, Any]) -> dict[str, Any]:
    return {name: tuple(value) if isinstance(value, list) else value for name, value in facts.items()}


def _parents(domain: str) -> list[str]:
    """Lists the parent domains: ``a.b.c`` gives ``.b.c`` and ``.c``."""
    labels = domain.split(".")
    return ["." + ".".join(labels[at:]) for at in range(1, len(labels))]


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0]
