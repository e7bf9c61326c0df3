"""Tests the words of notices: in both languages, in the reader's zone, and without a login unless asked for."""

from __future__ import annotations

import ast
import io
import json
import re
from dataclasses import replace
from importlib import resources
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from producer.notices import wording
from producer.notices.awaited import awaited
from producer.notices.wording import Reader, worded
from producer.reports import one_page
from shared.model import Wait, WaitKind
from shared.model.notices import KINDS, Notice
from shared.wording.phrases import LINES, several
from tests.web.page_words import latin

AT = 1_800_000_000.0  # 2027-01-15 08:00 UTC
NUMBERS = {"mailboxes": 40, "complete": 37, "parked": 2, "messages": 12345, "size_bytes": 3_400_000_000, "ends_at": AT}
VALUES: dict[str, dict[str, str | float]] = {
    "state": {"word": "incomplete", **NUMBERS},
    "cutover": {"word": "switched", "said_1": "source: nobody answers", **NUMBERS},
    "person": {
        "code": "source_auth_refused",
        "sentence": "source: the server refused anna@old.example",
        "advice": "mend it",
        "mailboxes": 2,
    },
    "still": {"since": AT - 2400, "cause": "waiting for mail.example:993: nobody answers\nno worker is running"},
    "slipped": {"then": AT, "now": AT + 7200, "made_at": AT - 86_400, "binds": ""},
    "digest": {"rows": json.dumps([{"name": "office", "word": "running", **NUMBERS}])},
    "test": {},
}


def _notice(kind: str) -> Notice:
    return Notice(
        notice_id="n",
        kind=kind,
        at=AT,
        import_id="i",
        name="office",
        wave="pilot",
        values=VALUES[kind],
        mailbox_ids=("m",),
    )


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_is_worded_in_russian_too(kind: str) -> None:
    english, russian = (worded(_notice(kind), language, "Europe/Moscow") for language in ("en", "ru"))
    assert english.subject != russian.subject
    assert "%(" not in english.text + russian.text
    assert "\n" not in english.subject + russian.subject


def test_english_says_it() -> None:
    assert worded(_notice("state"), "en", "UTC").text == (
        "wave pilot of import office: at its end, and something is left to do\n"
        "37 of 40 mailboxes are complete\n2 mailboxes wait for a person\n12,345 messages, 3.4\u00a0GB\n"
        "The end is forecast for 15 Jan 2027, 08:00 (UTC)\n15 Jan 2027, 08:00 (UTC)"
    )


def test_plurals_moments_and_causes_are_those_of_the_reader() -> None:
    assert worded(_notice("person"), "ru", "UTC").subject == "волна pilot импорта office: 2 ящика ждут человека"
    state = worded(_notice("state"), "ru", "Europe/Moscow")
    assert state.lines[-1] == "15 янв. 2027, 11:00 (Europe/Moscow)"
    assert state.lines[2] == "12\u00a0345 писем, 3,4\u00a0ГБ"
    still = worded(_notice("still"), "ru", "UTC")
    assert "уже 40\u00a0мин" in still.subject
    assert len(still.lines) == 3


def test_no_login_is_said_unless_it_was_asked_for() -> None:
    silent = worded(_notice("person"), "en", "UTC")
    assert "anna" not in silent.text
    named = worded(_notice("person"), "en", "UTC", ["anna@old.example"])
    assert "These are: anna@old.example" in named.lines


def test_a_sentence_with_a_login_is_said_without_it() -> None:
    notice = Notice(
        notice_id="n",
        kind="person",
        at=AT,
        name="office",
        values={"code": "strange", "sentence": "odd: anna@old.example, no"},
    )
    assert worded(notice, "en", "UTC").lines[0] == "odd: …, no"
    assert "anna@old.example" in worded(notice, "en", "UTC", []).lines[0], "the control"


def test_a_name_ends_no_header() -> None:
    notice = Notice(notice_id="n", kind="state", at=AT, name="a\r\nBcc: x", values={"word": "complete"})
    assert worded(notice, "en", "UTC").subject == "import a  Bcc: x: complete"


def test_every_text_has_its_russian_and_nothing_else_is_translated() -> None:
    texts: set[str] = set()
    for module in [*Path(wording.__file__).parent.glob("*.py"), Path(one_page.__file__)]:
        for node in ast.walk(ast.parse(module.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in ("say", "some")
            ):
                texts |= {
                    arg.value for arg in node.args[: 1 + (node.func.attr == "some")] if isinstance(arg, ast.Constant)
                }
    page = Path(one_page.__file__).with_suffix(".html").read_text()
    texts |= set(re.findall(r'\bsay\("([^"]+)"', page))
    for one, many in re.findall(r'reader\.some\("([^"]+)", "([^"]+)"', page):
        texts |= {one, many}
    texts |= {*one_page._ACTORS.values(), *one_page.HEADS}
    texts |= {
        *wording._STATES.values(),
        *wording._CUTOVERS.values(),
        *(unit for unit, _, _ in wording._UNITS),
        "%(what)s",
    }
    known = read_po(io.BytesIO((resources.files("producer.notices") / "ru.po").read_bytes()), locale="ru")
    ids = {text for one in known if one.id for text in ([one.id] if isinstance(one.id, str) else one.id)}
    assert texts == ids
    assert all(all(one.string) if isinstance(one.string, tuple) else one.string for one in known if one.id)
    assert Reader("ru", "UTC").say("min") == "мин"


@pytest.mark.parametrize("kind", WaitKind)
def test_what_an_import_waits_for_is_said_in_the_language_of_the_reader(kind: WaitKind) -> None:
    wait = Wait(what=kind, key="анна", until=AT, why="20:00-06:00 UTC", mailboxes=3)
    said = several([awaited(wait), awaited(replace(wait, what=WaitKind.WORKERS))], LINES)
    notice = replace(_notice("still"), wave="", name="офис", values={"since": AT - 2400, "cause": said})
    russian = worded(notice, "ru", "UTC")
    assert len(russian.lines) == 3
    assert latin(russian.text) == []
    assert "анна" not in russian.text or kind.is_of_wave or kind.endswith("_server"), "a login"
    assert "20:00-06:00" in russian.text or kind not in (WaitKind.WINDOW, WaitKind.WAVE_HOURS)
    assert latin(worded(notice, "en", "UTC").text), "the control"


def test_a_cause_that_the_last_release_kept_is_shown_as_it_is() -> None:
    assert "no worker is running" in worded(_notice("still"), "ru", "UTC").lines
