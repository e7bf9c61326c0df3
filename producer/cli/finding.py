"""The verbs providers and detect."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Final

from producer.cli.verb import COMPLETE, INCOMPLETE, show
from producer.intake.detect import Detection
from producer.intake.detect import detect as detected
from producer.intake.providers import POP3_SUFFIX, Provider, Site, catalogue
from shared.runtime.logs import clean

_WAYS: Final = {
    "password": "password",
    "app_password": "app password",
    "oauth2": "OAuth 2.0 token",
    "service_account": "Google service account",
    "app_consent": "app with admin consent",
}


def run_providers(name: str, *, as_json: bool) -> int:
    """Prints all providers, one a line, or everything about one."""
    known = catalogue()
    if not name:
        if as_json:
            _print({"edition": known.edition, "providers": [_fields(one) for one in known.providers]})
            return COMPLETE
        width = max(len(one.name) for one in known.providers)
        for one in known.providers:
            show(f"{one.name:<{width}}  {one.title}: {_spoken(one)}")
        show(f"as of {known.edition}; more of one: mailhaul providers NAME")
        return COMPLETE
    provider, site = known.find(name)
    if as_json:
        _print(_fields(provider))
        return COMPLETE
    for line in _lines(provider, site):
        show(line)
    return COMPLETE


def run_detect(address: str, *, offline: bool, as_json: bool) -> int:
    """Prints the servers of an address. Returns 3 if none are found."""
    found = detected(address, offline=offline)
    if as_json:
        _print(found.as_json())
    else:
        for line in _told(found, offline=offline):
            show(clean(line))
    return COMPLETE if found.ways else INCOMPLETE


def _lines(provider: Provider, asked: Site | None) -> Iterator[str]:
    yield provider.title
    yield f"  first: {provider.first}"
    yield f"  sign in by: {_spoken(provider)}; the login is {_LOGIN[provider.login]}"
    for site in provider.sites:
        mark = "*" if site == asked and len(provider.sites) > 1 else " "
        yield f"{mark} --source {site.name:<14} {site.imap_source or site.imap}"
        if site.imap_source:
            yield f"  --destination {site.name:<9} {site.imap}"
        if site.pop3:
            yield f"  --source {site.name + POP3_SUFFIX:<14} {site.pop3}"
        if site.domains:
            shown = ", ".join(site.domains[:8])
            yield f"      addresses: {shown}" + (f" and {len(site.domains) - 8} more" if len(site.domains) > 8 else "")
        if site.mx:
            yield f"      mail exchangers: {', '.join(site.mx)}"
    if provider.aliases:
        yield f"  also called: {', '.join(provider.aliases)}"
    if provider.limits:
        limits = ", ".join(f"{scope} {most}" for scope, most in provider.limits.items())
        first = provider.sites[0]
        host = (first.imap_source or first.imap).removeprefix("imaps://").partition(":")[0]
        yield f"  connections: {limits}; to have more or less: mailhaul limits source_host:{host} N"
    if provider.rates:
        yield f"  rates: {', '.join(f'{name} {most}' for name, most in provider.rates.items())}; see docs/throttling.md"
    for note in provider.notes:
        yield f"  {note.about}: {note.text} [{note.source}]"
    yield "  sources: " + "; ".join(f"{name}: {source}" for name, source in provider.sources.items())


_LOGIN: Final = {"address": "the whole address", "local_part": "what stands before the @"}


def _told(found: Detection, *, offline: bool) -> Iterator[str]:
    if not found.ways:
        yield f"{found.address}: no servers found"
        for line in found.tried:
            yield f"  {line}"
        if offline:
            yield "without --offline DNS, autoconfig and the servers themselves are asked"
        else:
            yield "ask the administrator of the mail server, and give its URL, as in imaps://mail.example.org"
        return
    yield f"{found.address}: {found.why}"
    for way in found.ways:
        login = f", login {way.login}" if way.login else ""
        yield f"  --source {way.give}" + (f"  ({way.url}{login})" if way.give != way.url else f"{login}")
        if way.doubt:
            yield f"    its certificate is not trusted: {way.doubt}"
            yield "    give its CA with --source-ca, or pin it with --source-fingerprint; mailhaul check says more"
    if found.provider:
        yield f"  first: {found.provider.first}"
        yield f"  more: mailhaul providers {found.provider.name}"


def _spoken(provider: Provider) -> str:
    return ", ".join(_WAYS[way] for way in provider.sign_in)


def _fields(provider: Provider) -> dict[str, Any]:
    return provider.as_json()


def _print(value: object) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2, default=str), flush=True)
