"""Tells the audit log with which options an import was opened: what was allowed, pinned and chosen. Pure."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from shared.model import Endpoint, Import, Options, Tls
from shared.model.requests import BY_ROW
from shared.model.sign_in import SignIn
from shared.runtime.logs import clean


def audited(import_: Import) -> dict[str, Any]:
    """Returns both servers with what vouches for them, and every option that is not the default; verification always."""
    found: dict[str, Any] = {"source": _server(import_.source), "destination": _server(import_.destination)}
    chosen = {
        field.name: _plain(value)
        for field in fields(Options)
        if (value := getattr(import_.options, field.name)) != field.default
    }
    return found | {"options": {"verify": import_.options.verify, **chosen}}


def edited(before: Import, now: Import) -> dict[str, Any]:
    """Returns what `audited` does of an import that was changed, and its servers before, where they were others."""
    there = {"source": (before.source, now.source), "destination": (before.destination, now.destination)}
    found = {f"{side}_before": _server(old) for side, (old, new) in there.items() if old != new}
    return audited(now) | found


def _server(endpoint: Endpoint) -> dict[str, Any]:
    vouched = {
        "plaintext": endpoint.tls is Tls.NONE,
        "certificate_sha256": endpoint.certificate_sha256,
        "ca_file": endpoint.ca_file,
    }
    url = "by row" if endpoint == BY_ROW else clean(endpoint.url)
    return {"url": url, **{name: value for name, value in vouched.items() if value}}


def _plain(value: Any) -> Any:
    """Returns an option's value as JSON writes it."""
    if isinstance(value, SignIn):
        return {"way": value.way.value, "admin": clean(value.admin)}
    if isinstance(value, list | tuple):
        return [_plain(inner) for inner in value]
    return clean(value) if isinstance(value, str) else value
