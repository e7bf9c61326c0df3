"""Tests which options of an import the audit log holds."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from typing import Any

import pytest

from producer.operations.audited_options import audited
from shared.model import Endpoint, Import, Options, Tls
from shared.model.sign_in import SignIn, Way

TLS = Endpoint(host="new.example", port=993, tls=Tls.IMPLICIT)
USUAL = Import(import_id="i", name="move", source=TLS, destination=replace(TLS, host="old.example"))
#: An option → a value that is not its default.
CHOSEN: dict[str, Any] = {
    "include": ("Work*",),
    "since": 5,
    "verify": "full",
    "same_mailbox": True,
    "folder_map": (("a", "b"),),
    "source_sign_in": SignIn(way=Way.MASTER, admin="root", detail="{user}*{admin}"),
}


def test_what_was_allowed_and_pinned_is_told() -> None:
    plain = Endpoint(host="old.example", port=143, tls=Tls.NONE)
    pinned = replace(TLS, certificate_sha256="ab" * 32)
    said = audited(replace(USUAL, source=plain, destination=pinned))
    assert said["source"] == {"url": "imap://old.example:143", "plaintext": True}
    assert said["destination"] == {"url": "imaps://new.example:993", "certificate_sha256": "ab" * 32}
    assert said["options"] == {"verify": "default"}


@pytest.mark.parametrize("name", sorted(CHOSEN))
def test_each_option_that_is_not_the_default_is_told(name: str) -> None:
    said = audited(replace(USUAL, options=replace(Options(), **{name: CHOSEN[name]})))
    assert name in json.loads(json.dumps(said))["options"]


def test_every_option_can_be_written() -> None:
    """An option that is added later must be told too, and as JSON."""
    for field in fields(Options):
        value = CHOSEN.get(field.name, not field.default if isinstance(field.default, bool) else "x")
        json.dumps(audited(replace(USUAL, options=replace(Options(), **{field.name: value}))))


def test_no_template_of_a_sign_in_is_told() -> None:
    said = audited(replace(USUAL, options=replace(Options(), source_sign_in=CHOSEN["source_sign_in"])))
    assert said["options"]["source_sign_in"] == {"way": "master", "admin": "root"}
