"""Tests the page's texts in every language: each has a translation, and plurals are right."""

from __future__ import annotations

import ast
import io
import re
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.extract import extract
from babel.messages.pofile import read_po

import producer.cli
import producer.operations
import producer.web
from producer.intake.providers import catalogue
from producer.translations import LANGUAGES, catalog, said
from producer.web.pages.drawing import Saying
from shared.model.notices import KINDS
from tests.web.spoken import phrases

_WORDS = {"_": None, "some": (1, 2), "say": None, "word": None}
_OTHERS = [language for language in LANGUAGES if language != "en"]


def said_on_the_page() -> dict[str, str]:
    """Returns every msgid → its plural, "" for none."""
    found: dict[str, str] = {}
    page = resources.files("producer.web") / "templates"
    for template in page.iterdir():
        for _, messages, _, _ in extract("jinja2.ext:babel_extract", io.BytesIO(template.read_bytes()), _WORDS):
            one, *many = messages if isinstance(messages, tuple) else (messages,)
            found[one] = many[0] if many else ""
    rooms = resources.files("producer.web.pages")
    for room in rooms.iterdir():
        if room.name.endswith(".py"):
            for text in re.findall(
                r"""(?:UsageError|append|say|422,|404,|faults\.insert\(0,)\(? ?"([^"{}]+)"\)""", room.read_text()
            ):
                found[text] = ""
    found |= {text: "" for text, place in phrases().items() if place.startswith("producer/web/pages/")}
    for words in (
        said.STEPS,
        said.FIELDS,
        said.EVENTS,
        said.DETAILS,
        said.WAYS_IN,
        said.SCOPES,
        said.CAUSES,
        said.ADVICE,
        said.NOTES,
        said.HEADS,
        said.CUTOVERS,
        said.CUTOVER_ACTS,
        said.GUARDS,
        said.SERVICE_OPTIONS,
        said.ON_PAGE,
        said.ROLES,
        said.LIMITS,
        said.LIMITS_OF_ONE,
        said.WAYS_TO_TELL,
    ):
        found |= dict.fromkeys(words.values(), "")
    found |= dict.fromkeys((*said.STATES, *said.LABELS, *said.SYSTEM, *KINDS.values()), "")
    found |= {text: "" for one in catalogue().providers if one.sites for text in (one.title, one.first)}
    return found


def without_translation(language: str) -> list[str]:
    """Returns the texts of the page that have no translation, or not for every number."""
    known = catalog(language)
    missing = []
    for one, many in said_on_the_page().items():
        entry = known.get(one)
        whole = entry is not None and (all(entry.string) if many else bool(entry.string))
        if not whole or (many and (not isinstance(entry.id, tuple) or len(entry.string) != known.num_plurals)):
            missing.append(one)
    return missing


@pytest.mark.parametrize("language", _OTHERS)
def test_a_text_without_a_translation_is_listed(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = said_on_the_page()
    monkeypatch.setitem(
        globals(), "said_on_the_page", lambda: {**known, "The moon": "", "%(num)s moon": "%(num)s moons"}
    )
    assert without_translation(language)[-2:] == ["The moon", "%(num)s moon"]


@pytest.mark.parametrize("language", _OTHERS)
def test_nothing_is_translated_that_is_not_said(language: str) -> None:
    known = read_po(
        io.BytesIO((resources.files("producer.translations") / f"{language}.po").read_bytes()), locale=language
    )
    ids = {entry.id[0] if isinstance(entry.id, tuple) else entry.id for entry in known if entry.id}
    assert ids - set(said_on_the_page()) == set()


@pytest.mark.parametrize("language", _OTHERS)
def test_every_text_of_the_page_is_known_to_the_catalogue(language: str) -> None:
    """A text may wait for its translation, with an empty msgstr. So a name of the code that came into a text is found."""
    known = catalog(language)
    assert [text for text in said_on_the_page() if known.get(text) is None] == []


def _noted() -> set[str]:
    """Returns the events that the page, the API and the command line write into the audit log under a fixed name."""
    found = set()
    rooms = (producer.web, producer.cli, producer.operations)
    for path in (path for room in rooms for path in Path(str(room.__file__)).parent.rglob("*.py")):
        for call in ast.walk(ast.parse(path.read_text())):
            name = getattr(call.func, "id", getattr(call.func, "attr", "")) if isinstance(call, ast.Call) else ""
            # With one argument it is the command line's own `note`, which prints.
            if (
                isinstance(call, ast.Call)
                and len(call.args) > 1
                and name in ("note", "noted", "_note", "_noted", "_act", "note_end")
            ):
                found |= {
                    one.value for one in call.args if isinstance(one, ast.Constant) and isinstance(one.value, str)
                }
    return found - {""}


def test_each_event_of_the_audit_log_has_a_label() -> None:
    assert len(_noted()) > 20, "the control: they were found"
    assert _noted() - set(said.EVENTS) == set()


def test_each_catalogue_is_read_without_a_complaint() -> None:
    """The reader warns on the terminal of whoever runs a command, and goes on without the line."""
    files = [one for one in resources.files("producer.translations").iterdir() if one.name.endswith(".po")]
    assert len(files) == 3
    for file in files:
        read_po(io.BytesIO(file.read_bytes()), abort_invalid=True)


def test_plurals_and_numbers_are_those_of_the_language() -> None:
    english, russian = Saying("en"), Saying("ru")
    ways = ("%(num)s mailbox", "%(num)s mailboxes")
    assert [english.some(*ways, number) for number in (1, 2, 1234)] == ["1 mailbox", "2 mailboxes", "1,234 mailboxes"]
    assert [russian.some(*ways, number) for number in (1, 3, 5, 21)] == ["1 ящик", "3 ящика", "5 ящиков", "21 ящик"]
    assert (english.size(3_400_000), russian.size(3_400_000)) == ("3.4\u00a0MB", "3,4\u00a0МБ")
    assert (english.duration(40), russian.duration(5400)) == ("40\u00a0s", "1,5\u00a0ч")
    assert (english.percent(0.999), english.percent(1)) == ("99%", "100%")
