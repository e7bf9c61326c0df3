"""What is known of mail providers: the presets behind ``--source gmail``. Pure, over `providers.toml` beside this file."""

from __future__ import annotations

import functools
import tomllib
from collections import Counter
from collections.abc import Iterable, Mapping
from importlib.resources import files
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.errors import UsageError
from shared.model import Endpoint

#: The layout of the file that this module reads.
LAYOUT = 1
#: Stands behind a name for its POP3 host: ``gmail:pop3``.
POP3_SUFFIX = ":pop3"

_Name = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]+([.-][a-z0-9]+)*$")]
_Domain = Annotated[
    str, StringConstraints(pattern=r"^\.?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$")
]
_Sentence = Annotated[str, StringConstraints(pattern=r"^[A-Z0-9\"\[][^\x00-\x1f]+[.)]$", max_length=400)]
_Said = Annotated[str, StringConstraints(min_length=3, max_length=200)]
_Limit = Annotated[int, Field(ge=1, le=1000)]
#: What goes through one account; a POP3 source has a number of its own.
_RateName = Literal[
    "source_account.bytes_per_second",
    "source_account.messages_per_second",
    "source_account.bytes_per_day",
    "destination_account.bytes_per_second",
    "destination_account.messages_per_second",
    "destination_account.bytes_per_day",
    "pop3_account.bytes_per_day",
]
_Scope = Literal["source_account", "source_host", "destination_account", "destination_host"]


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Note(_Fact):
    """Something that a person should know and the program does not act on."""

    #: What it is about.
    about: Literal["sign-in", "login", "limits", "rates", "folders", "size", "quirk"]
    #: One or two sentences.
    text: _Sentence
    #: Who says so.
    source: _Said


class Site(_Fact):
    """One set of hosts of a provider."""

    #: As in ``--source``; the first site has the provider's own name.
    name: _Name
    #: URL of the IMAP host.
    imap: Annotated[str, StringConstraints(pattern=r"^imaps://[a-z0-9.-]+:993$")]
    #: URL to read a source from, when that is another host; "" for the same.
    imap_source: Annotated[str, StringConstraints(pattern=r"^(imaps://[a-z0-9.-]+:993)?$")] = ""
    #: URL of the POP3 host; "" when there is none.
    pop3: Annotated[str, StringConstraints(pattern=r"^(pop3s://[a-z0-9.-]+:995)?$")] = ""
    #: Domains of its addresses; a "." in front means all below.
    domains: tuple[_Domain, ...] = ()
    #: What the name of a mail exchanger is, or ends with.
    mx: tuple[_Domain, ...] = ()

    @property
    def urls(self) -> tuple[str, ...]:
        """All its URLs."""
        return tuple(url for url in (self.imap, self.imap_source, self.pop3) if url)


class Provider(_Fact):
    """One provider."""

    #: As in ``--source``.
    name: _Name
    #: Other names of it.
    aliases: tuple[_Name, ...] = ()
    #: What people call it.
    title: _Said
    #: What the administrator must do first.
    first: _Sentence
    #: Ways to sign in that it accepts, the best first.
    sign_in: Annotated[
        tuple[Literal["password", "app_password", "oauth2", "service_account", "app_consent"], ...], Field(min_length=1)
    ]
    #: What the account is called when signing in.
    login: Literal["address", "local_part"] = "address"
    #: Connections that are safe.
    limits: dict[_Scope, _Limit] = {}
    #: Bytes and messages a second or a day that are safe for one account (`shared.rates`).
    rates: dict[_RateName, Annotated[int, Field(ge=1)]] = {}
    #: Field → who says so.
    sources: dict[str, _Said]
    #: What a person should know.
    notes: tuple[Note, ...] = ()
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
        """How the account of this address is called there."""
        return address.rpartition("@")[0] if self.login == "local_part" else address


class Catalogue(_Fact):
    """The file."""

    #: Of the file's form.
    layout: Literal[1]
    #: When it was last looked through, year and month.
    edition: Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d$")]
    #: In the order in which they are shown.
    providers: tuple[Provider, ...] = Field(alias="provider")

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
        """The provider and site called so, by name or alias. Raises `UsageError` that lists the names."""
        wanted = name.strip().lower().removesuffix(POP3_SUFFIX)
        for provider in self.providers:
            if wanted in (provider.name, *provider.aliases):
                return provider, provider.sites[0] if provider.sites else None
            for site in provider.sites:
                if wanted == site.name:
                    return provider, site
        raise UsageError(f"{name!r} is no provider; there are: {', '.join(one.name for one in self.providers)}")

    def by_domain(self, domain: str) -> tuple[Provider, Site] | None:
        """Whose addresses are of this domain."""
        name = domain.lower().rstrip(".")
        return self._claiming([name, *_parents(name)], "domains")

    def by_mx(self, exchanger: str) -> tuple[Provider, Site] | None:
        """Whose mail exchanger this is; of several that fit, the one that says most."""
        name = exchanger.lower().rstrip(".")
        return self._claiming([name, *(parent[1:] for parent in _parents(name))], "mx")

    def by_account(self, login: str, host: str) -> Provider | None:
        """Whose account this is, of those who are at this host; for a login that says nothing the first of them."""
        claimed = self.by_domain(login.rpartition("@")[2])
        at_host = [p for p in self.providers if any(host in map(_host, site.urls) for site in p.sites)]
        return claimed[0] if claimed and claimed[0] in at_host else next(iter(at_host), None)

    def first_at(self, login: str, host: str) -> str:
        """What must be done before anybody can sign in with this login at this host; "" for a private server."""
        provider = self.by_account(login, host)
        return f"{provider.title}: {provider.first}" if provider else ""

    def urls(self, side: str) -> dict[str, str]:
        """What may be given as ``--source`` or ``--destination`` → URL."""
        found: dict[str, str] = {}
        for provider in self.providers:
            for site in provider.sites:
                names = (site.name, *provider.aliases) if site.name == provider.name else (site.name,)
                for name in names:
                    found[name] = (site.imap_source if side == "source" else "") or site.imap
                    if side == "source" and site.pop3:
                        found[name + POP3_SUFFIX] = site.pop3
        return found

    def usual_limits(
        self, sources: Iterable[Endpoint], destination: Endpoint, most: Mapping[str, int]
    ) -> dict[str, int]:
        """Connections and rates that are usual at these servers, as `shared.store` wants them. `most` is what a person set for all
        servers, by scope: the lower counts. A POP3 account is locked by its first session (RFC 1939 §4)."""
        found: dict[str, int] = {}
        for side, endpoint in (*(("source", source) for source in sources), ("destination", destination)):
            provider = self.by_account("", endpoint.host)  # where two share a host, what they allow is the same
            limits: dict[str, int] = dict(provider.limits.items()) if provider else {}
            if endpoint.protocol == "pop3":
                limits[f"{side}_account"] = 1
            rates: dict[str, int] = dict(provider.rates.items()) if provider else {}
            own = "pop3" if endpoint.protocol == "pop3" else side
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
    """The presets that come with mailhaul."""
    return read_catalogue((files(__package__) / "providers.toml").read_text(encoding="utf-8"))


def read_catalogue(text: str) -> Catalogue:
    """From the text of the file. Raises pydantic's ValidationError."""
    return Catalogue.model_validate(tomllib.loads(text))


def _parents(domain: str) -> list[str]:
    """``a.b.c`` → ``.b.c``, ``.c``."""
    labels = domain.split(".")
    return ["." + ".".join(labels[at:]) for at in range(1, len(labels))]


def _host(url: str) -> str:
    return url.partition("://")[2].rpartition(":")[0]
