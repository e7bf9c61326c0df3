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
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.model import Endpoint
from shared.model.protocols import protocol_of
from shared.model.sides import Scope, Side
from shared.wording.phrases import Phrase

NO_PROVIDER: Final = Phrase("provider_unknown", "{name} is no provider; there are: {names}")

#: Suffix of a provider's name that selects its POP3 host: ``gmail:pop3``.
POP3_SUFFIX = ":pop3"

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")]
_Domain = Annotated[
    str, StringConstraints(pattern=r"^\.?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")
]
_Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9\"\[][^\x00-\x1f]+[.)]$", max_length=400)]
_Said = Annotated[str, StringConstraints(min_length=3, max_length=200)]
_Limit = Annotated[int, Field(ge=1, le=1000)]
#: Rates of one account; a POP3 source has its own number.
_RateName = Literal[
    "source_account.bytes_per_second",
    "source_account.messages_per_second",
    "source_account.bytes_per_day",
    "destination_account.bytes_per_second",
    "destination_account.messages_per_second",
    "destination_account.bytes_per_day",
    "pop3_account.bytes_per_day",
]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ProviderNote(_Fact):
    """A fact that the operator should know, and that the program does not act on."""

    #: Subject of the note.
    about: Literal["sign-in", "login", "limits", "rates", "folders", "size", "quirk"]
    #: The note in one or two sentences.
    text: _Sentence
    #: The source of the fact.
    source: _Said


class Site(_Fact):
    """A set of hosts of a provider."""

    #: Name in ``--source``; the first site has the provider's own name.
    name: _Name
    #: URL of the IMAP host.
    imap: Annotated[str, StringConstraints(pattern=r"^imaps://[a-z0-9.-]+:993$")]
    #: URL of the host to read a source from, if it is another one; "" for the same.
    imap_source: Annotated[str, StringConstraints(pattern=r"^(imaps://[a-z0-9.-]+:993)?$")] = ""
    #: URL of the POP3 host; "" when there is none.
    pop3: Annotated[str, StringConstraints(pattern=r"^(pop3s://[a-z0-9.-]+:995)?$")] = ""
    #: Domains of its addresses; a leading "." stands for all subdomains.
    domains: tuple[_Domain, ...] = ()
    #: Names of mail exchangers, or their endings.
    mx: tuple[_Domain, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """The site's URLs."""
        return tuple(url for url in (self.imap, self.imap_source, self.pop3) if url)


class Provider(_Fact):
    """A mail provider: the content of its file."""

    #: Version of the file's layout.
    layout: Literal[1] = Field(exclude=True)
    #: Year and month of the last review.
    reviewed: Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d$")] = Field(exclude=True)
    #: The place among the providers that are shown; those of one number stand by name.
    shown: Annotated[int, Field(ge=0, le=9999)] = Field(exclude=True)
    #: Name in ``--source``.
    name: _Name
    #: Other names of the provider.
    aliases: tuple[_Name, ...] = ()
    #: Its usual name, for people.
    title: _Said
    #: The steps that the administrator must take first.
    first: _Sentence
    #: Ways to sign in that it accepts, the best first.
    sign_in: Annotated[
        tuple[Literal["password", "app_password", "oauth2", "service_account", "app_consent"], ...], Field(min_length=1)
    ]
    #: Form of the login: the whole address, or its local part.
    login: Literal["address", "local_part"] = "address"
    #: Numbers of connections that are safe.
    limits: dict[Scope, _Limit] = {}
    #: Rates in bytes and messages a second or a day that are safe for one account (`shared.model.rates`).
    rates: dict[_RateName, Annotated[int, Field(ge=1)]] = {}
    #: Source of each fact, by field.
    sources: dict[str, _Said]
    #: Notes for the operator.
    notes: tuple[ProviderNote, ...] = ()
    #: Its hosts; none for a private server.
    sites: tuple[Site, ...] = Field(default=(), alias="site")

    @model_validator(mode="after")
    def _each_fact_has_its_source(self) -> Self:
        told = {"first", "sign_in"}
        told |= {name for name in ("limits", "rates", "login") if name in self.model_fields_set}
        told |= {"hosts"} if self.sites else set()
        told |= {name for name in ("domains", "mx") if any(getattr(site, name) for site in self.sites)}
        if told != set(self.sources):
            raise ValueError(f"{self.name}: sources must be exactly of {', '.join(sorted(told))}")
        if self.sites and self.sites[0].name != self.name:
            raise ValueError(f"{self.name}: the first site must have its name")
        return self

    def login_of(self, address: str) -> str:
        """Returns the login of the account that has this address."""
        return address.rpartition("@")[0] if self.login == "local_part" else address


class Catalogue(_Fact):
    """The presets of a folder."""

    #: Providers in the order in which they are shown.
    providers: tuple[Provider, ...]

    @property
    def edition(self) -> str:
        """The year and month of the last review of any."""
        return max((one.reviewed for one in self.providers), default="")

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        sites = [site for provider in self.providers for site in provider.sites]
        names = [name for provider in self.providers for name in {provider.name, *provider.aliases}]
        names += [site.name for provider in self.providers for site in provider.sites if site.name != provider.name]
        for what, values in (
            ("name", names),
            ("domain", [domain for site in sites for domain in site.domains]),
            ("mail exchanger", [suffix for site in sites for suffix in site.mx]),
        ):
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise ValueError(f"claimed twice as a {what}: {', '.join(twice)}")
        return self

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
    """Reads the providers of a folder: each is one file, whose being there registers it. Raises pydantic's ValidationError."""
    texts = [one.read_text(encoding="utf-8") for one in folder.iterdir() if one.name.endswith(".toml")]
    found = [Provider.model_validate(tomllib.loads(text)) for text in texts]
    return Catalogue(providers=tuple(sorted(found, key=lambda one: (one.shown, one.name))))


def _parents(domain: str) -> list[str]:
    """Lists the parent domains: ``a.b.c`` gives ``.b.c`` and ``.c``."""
    labels = domain.split(".")
    return ["." + ".".join(labels[at:]) for at in range(1, len(labels))]


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0]
