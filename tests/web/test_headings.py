"""Tests that the page's words for columns are accepted as headings of a list, in every language of the page."""

from __future__ import annotations

import re
from importlib import resources

import pytest

from producer.intake.columns import UNKNOWN
from producer.intake.endpoints import parse_endpoint
from producer.intake.headings import COLUMN_OF, plain
from producer.translations import LANGUAGES, translations
from producer.translations.said import FIELDS
from producer.web.pages.sheet import Choice, look

_TYPED = ("login", "password", "new_login", "new_password")


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_headings_of_the_typed_table_are_known(language: str) -> None:
    form = (resources.files("producer.web") / "templates" / "mailboxes_form.html").read_text("utf-8")
    table = form[form.index('<table class="list typing">') :].replace(
        '<th scope="col">{{ _("What is wrong") }}</th>', ""
    )
    words = re.findall(r'<th scope="col">\{\{ _\("(.+?)"\) \}\}</th>', table)
    said = [translations(language).gettext(word) for word in words]
    assert [COLUMN_OF.get(plain(word)) for word in said] == list(_TYPED)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("column", FIELDS)
def test_the_names_that_can_be_chosen_are_known(language: str, column: str) -> None:
    assert COLUMN_OF.get(plain(translations(language).gettext(FIELDS[column]))) == column


def test_an_unknown_heading_blocks_the_list_until_somebody_answers() -> None:
    data = b"login,password,shade\na@x,b,red\n"
    asked = look(data, Choice(), parse_endpoint)
    assert asked.good == 0
    assert asked.choice.fields == ("login", "password", UNKNOWN)
    assert asked.headings == ("login", "password", "shade")
    (fault,) = asked.errors
    assert "this heading is not known" in fault.what
    again = look(data, asked.choice, parse_endpoint)  # the form sent again without a change
    assert again.good == 0
    answered = Choice(encoding="utf-8", separator="comma", first="names", fields=("login", "password", ""))
    assert look(data, answered, parse_endpoint).good == 1


def test_a_first_row_that_is_said_to_be_a_mailbox_is_one() -> None:
    data = "Käyttäjä,Salasana\na@x,b\n".encode()
    assert look(data, Choice(), parse_endpoint).good == 0
    assert look(data, Choice(first="mailbox"), parse_endpoint).good == 2


def test_the_preview_names_each_destination_and_what_was_assumed() -> None:
    lines = look(b"login,password,owner\na@x,b,\nc@x,d,e@y\n", Choice(), parse_endpoint).lines
    assert [(line.destination, line.same_login) for line in lines] == [("a@x", True), ("e@y", False)]
