"""Tests that the API can do what the command line can: every verb and option has its place, or a reason."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest

from producer.cli import app
from producer.web.app import make_app
from producer.web.web_context import WebContext
from shared.runtime.config import load_settings
from tests.web.parity import DOCS, TABLE, Verb, Why, faults, verbs, written


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """Returns the OpenAPI document. No request is sent."""
    known = cast(WebContext, SimpleNamespace(settings=load_settings()))
    return make_app(known).openapi()


def test_every_verb_and_option_has_its_place_or_a_reason(document: dict[str, Any]) -> None:
    assert faults(verbs(app), document) == []


def test_the_documentation_holds_the_table() -> None:
    text = DOCS.read_text()
    assert written(text) == text, "run: python -m tests.web.parity"


def test_an_option_that_nobody_thought_of_is_found(document: dict[str, Any]) -> None:
    known = verbs(app)
    assert faults({**known, "pause": (*known["pause"], "--gently")}, document) == [
        "pause --gently: which field is it, or why none?"
    ]
    assert faults({**known, "dance": ()}, document) == ["dance: where is it in the API, or why not?"]
    assert faults({name: known[name] for name in known if name != "window"}, document) == [
        "window: is no verb any more"
    ]


@pytest.mark.parametrize(
    ("verb", "fault"),
    [
        (Verb(at=("POST /imports/{import_id}/nap",), options=TABLE["pause"].options), "the API has no POST /imports"),
        (
            replace(TABLE["pause"], options={"which": "path.import_id", "--mailbox": "body.person"}),
            "has no body.person",
        ),
        (
            replace(TABLE["pause"], options={"which": "query.import_id", "--mailbox": "body.login"}),
            "no query.import_id",
        ),
        (
            replace(TABLE["pause"], options={**TABLE["pause"].options, "--x": "body.login"}),
            "--x: is no option any more",
        ),
        (replace(TABLE["pause"], options={**TABLE["pause"].options, "which": Why("")}), "a reason says something"),
        (Verb(), "either operations or a reason"),
    ],
)
def test_a_line_of_the_table_that_is_not_so_is_found(document: dict[str, Any], verb: Verb, fault: str) -> None:
    found = faults(verbs(app), document, {**TABLE, "pause": verb})
    assert found
    assert any(fault in line for line in found)


def test_fields_within_fields_are_looked_for(document: dict[str, Any]) -> None:
    wrong = replace(TABLE["check"], options={**TABLE["check"].options, "--source": "body.source.host"})
    assert faults(verbs(app), document, {**TABLE, "check": wrong}) == [
        "check --source: the API has no body.source.host"
    ]
