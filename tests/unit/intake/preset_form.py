"""The form that every preset of a provider must have, as pydantic checks it."""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from shared.model.sides import Scope

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


class _Form(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NoteForm(_Form):
    """A note for the operator, with its source."""

    about: Literal["sign-in", "login", "limits", "rates", "folders", "size", "quirk"]
    text: _Sentence
    source: _Said


class SiteForm(_Form):
    """A set of hosts of a provider."""

    name: _Name
    imap: Annotated[str, StringConstraints(pattern=r"^imaps://[a-z0-9.-]+:993$")]
    imap_source: Annotated[str, StringConstraints(pattern=r"^(imaps://[a-z0-9.-]+:993)?$")] = ""
    pop3: Annotated[str, StringConstraints(pattern=r"^(pop3s://[a-z0-9.-]+:995)?$")] = ""
    domains: tuple[_Domain, ...] = ()
    mx: tuple[_Domain, ...] = ()


class ProviderForm(_Form):
    """The content of a provider's file."""

    #: Version of the file's layout.
    layout: Literal[1]
    reviewed: Annotated[str, StringConstraints(pattern=r"^20\d\d-\d\d$")]
    shown: Annotated[int, Field(ge=0, le=9999)]
    name: _Name
    aliases: tuple[_Name, ...] = ()
    title: _Said
    first: _Sentence
    sign_in: Annotated[
        tuple[Literal["password", "app_password", "oauth2", "service_account", "app_consent"], ...], Field(min_length=1)
    ]
    login: Literal["address", "local_part"] = "address"
    limits: dict[Scope, _Limit] = {}
    rates: dict[_RateName, Annotated[int, Field(ge=1)]] = {}
    sources: dict[str, _Said]
    notes: tuple[NoteForm, ...] = ()
    site: tuple[SiteForm, ...] = ()

    @model_validator(mode="after")
    def _each_fact_has_its_source(self) -> Self:
        told = {"first", "sign_in"}
        told |= {name for name in ("limits", "rates", "login") if name in self.model_fields_set}
        told |= {"hosts"} if self.site else set()
        told |= {name for name in ("domains", "mx") if any(getattr(site, name) for site in self.site)}
        if told != set(self.sources):
            raise ValueError(f"{self.name}: sources must be exactly of {', '.join(sorted(told))}")
        if self.site and self.site[0].name != self.name:
            raise ValueError(f"{self.name}: the first site must have its name")
        return self


class CatalogueForm(_Form):
    """All files together."""

    providers: tuple[ProviderForm, ...]

    @model_validator(mode="after")
    def _nothing_stands_twice(self) -> Self:
        sites = [site for provider in self.providers for site in provider.site]
        names = [name for provider in self.providers for name in {provider.name, *provider.aliases}]
        names += [site.name for provider in self.providers for site in provider.site if site.name != provider.name]
        for what, values in (
            ("name", names),
            ("domain", [domain for site in sites for domain in site.domains]),
            ("mail exchanger", [suffix for site in sites for suffix in site.mx]),
        ):
            if twice := [value for value, count in Counter(values).items() if count > 1]:
                raise ValueError(f"claimed twice as a {what}: {', '.join(twice)}")
        return self
