"""Tests that the API has all options of the command line on what to import."""

from __future__ import annotations

import inspect

import pytest

from producer.cli.wanting import selected
from producer.intake.selection_options import SelectionOptions
from producer.intake.wanted import read_wanted
from producer.web.api.import_bodies import ImportBody, WantedBody
from producer.web.pages.form import form_of
from shared.model import Endpoint, Options, Tls
from shared.wording.phrases import FaultsFound, worded

_ENDS = {"source": {"server": "imaps://a.example"}, "destination": {"server": "imaps://b.example"}}


def _body(**said: object) -> ImportBody:
    return ImportBody.model_validate({"name": "n", "manifest": "a,b\n", **_ENDS, **said})


def _options(selection: SelectionOptions, *sources: Endpoint) -> Options:
    return Options(**read_wanted(selection, sources))


def test_every_option_of_what_to_import_is_a_field() -> None:
    assert set(inspect.signature(selected).parameters) == set(WantedBody.model_fields)


def test_what_is_said_is_what_is_opened() -> None:
    said = {"since": "2024-02-01", "larger": "10k", "unseen": True, "skip_special": ["spam", "trash"], "into": "Old"}
    options = _options(_body(**said, folder_map=[["from", "to"], ['A;"b"', "C,d"]], gmail_labels="primary").selection())
    assert (options.since, options.larger, options.unseen) == (1706745600, 10_000, True)
    assert (set(options.skip_special), options.into, options.gmail_labels) == ({"junk", "trash"}, "Old", "primary")
    assert options.folder_map == (("from", "to"), ('A;"b"', "C,d"))


def test_folders_of_others_are_left_out_unless_asked_for_by_api_and_page() -> None:
    assert _options(_body().selection()).shared_folders == "leave"
    assert _options(_body(shared_folders="copy").selection()).shared_folders == "copy"
    assert _options(form_of({}).selection()).shared_folders == "leave"
    moves = [_options(form_of(given).selection()).moves for given in ({}, {"moves": "copy"})]
    assert moves == ["follow", "copy"]
    assert form_of({"moves": "copy"}).special
    asked = form_of({"shared_folders": "1"})
    assert asked.special, "the section is shown open"
    assert _options(asked.selection()).shared_folders == "copy"


def test_faults_come_together_and_by_the_names_of_the_body() -> None:
    with pytest.raises(FaultsFound) as told:
        _options(_body(since="never", skip_special=["nonsense"], folder_map=[["a", "b"], ["a", "c"]]).selection())
    text = "\n".join(worded(fault, str) for fault in told.value.faults)
    assert "--" not in text
    assert all(name in text for name in ("since: ", "skip_special: ", "folder_map "))


def test_flags_are_refused_of_pop3() -> None:
    pop3 = Endpoint(host="a.example", port=995, tls=Tls.IMPLICIT, protocol="pop3")
    with pytest.raises(FaultsFound, match="unseen: POP3 knows no flags"):
        _options(_body(unseen=True).selection(), pop3)
