"""Tests that the API has all options of the command line on what to import."""

from __future__ import annotations

import inspect

import pytest

from producer.cli.wanting import _asked
from producer.web.api.request_bodies import ImportBody, WantedBody
from producer.web.pages.form import form_of
from shared.model import Endpoint, Tls
from shared.model.errors import UsageError

_ENDS = {"source": {"server": "imaps://a.example"}, "destination": {"server": "imaps://b.example"}}


def _body(**said: object) -> ImportBody:
    return ImportBody.model_validate({"name": "n", "manifest": "a,b\n", **_ENDS, **said})


def test_every_option_of_what_to_import_is_a_field() -> None:
    assert set(inspect.signature(_asked).parameters) == set(WantedBody.model_fields)


def test_what_is_said_is_what_is_opened() -> None:
    said = {"since": "2024-02-01", "larger": "10k", "unseen": True, "skip_special": ["spam", "trash"], "into": "Old"}
    options = _body(**said, folder_map=[["from", "to"], ['A;"b"', "C,d"]], gmail_labels="primary").options(())
    assert (options.since, options.larger, options.unseen) == (1706745600, 10_000, True)
    assert (set(options.skip_special), options.into, options.gmail_labels) == ({"junk", "trash"}, "Old", "primary")
    assert options.folder_map == (("from", "to"), ('A;"b"', "C,d"))


def test_folders_of_others_are_left_out_unless_asked_for_by_api_and_page() -> None:
    assert _body().options(()).shared_folders == "leave"
    assert _body(shared_folders="copy").options(()).shared_folders == "copy"
    assert form_of({}).options(()).shared_folders == "leave"
    assert (form_of({}).options(()).moves, form_of({"moves": "copy"}).options(()).moves) == ("follow", "copy")
    assert form_of({"moves": "copy"}).special
    asked = form_of({"shared_folders": "1"})
    assert asked.special, "the section is shown open"
    assert asked.options(()).shared_folders == "copy"


def test_faults_come_together_and_by_the_names_of_the_body() -> None:
    with pytest.raises(UsageError) as told:
        _body(since="never", skip_special=["nonsense"], folder_map=[["a", "b"], ["a", "c"]]).options(())
    text = str(told.value)
    assert "--" not in text
    assert all(name in text for name in ("since: ", "skip_special: ", "folder_map "))


def test_flags_are_refused_of_pop3() -> None:
    pop3 = Endpoint(host="a.example", port=995, tls=Tls.IMPLICIT, protocol="pop3")
    with pytest.raises(UsageError, match="unseen: POP3 knows no flags"):
        _body(unseen=True).options({pop3})
