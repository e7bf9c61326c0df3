"""JSON from outside: whatever it is, it is read, or it is no JSON."""

from __future__ import annotations

import json

import pytest

from shared.accounts.program import json_object
from shared.content.json_text import read_json
from shared.mail.auth.sasl import refusal_in
from shared.runtime.credentials import Vault
from shared.store.records.cutovers import decode_mailbox
from shared.store.records.signed import row_of

_KEY = b"MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE="
NESTED = "[" * 100_000


def test_what_is_nested_without_end_is_no_json() -> None:
    for text in (NESTED, '{"a":' * 100_000, NESTED.encode()):
        with pytest.raises(ValueError, match="nested too deeply"):
            read_json(text)
    assert read_json('{"a": [[1]]}') == {"a": [[1]]}


def test_python_alone_would_end_what_is_done_for_everybody() -> None:
    """The control."""
    with pytest.raises(RecursionError):
        json.loads(NESTED)


def test_whoever_reads_what_a_stranger_wrote_takes_it_for_nothing() -> None:
    assert refusal_in(NESTED.encode()).startswith("[[[")
    assert json_object(NESTED.encode()) == {}
    assert row_of(Vault([_KEY]), "place", NESTED) is None
    assert decode_mailbox(NESTED) == decode_mailbox("")
