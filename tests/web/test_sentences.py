"""Tests that sentences of mailhaul are recognised and translated with any values, and servers' words stay unchanged."""

from __future__ import annotations

import ast
import io
import itertools
import re
from functools import cache
from importlib import resources

import pytest
from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po
from markupsafe import Markup

from producer.translations import LANGUAGES, catalog, said
from producer.translations.sentences import Fit
from producer.translations.translate import Translator
from tests.web.spoken import COMPOSED, NOT_SHOWN, english, phrases, sentences, shape, strings

_OTHERS = [language for language in LANGUAGES if language != "en"]
#: Values for places: a number, a host, a column, a sentence, subjects of sentences, a time.
_VALUES = ("7", "x9.example", "login", "timed out", "source", "source-fingerprint", "3 min")


class _Noting(Translator):
    """A translation that records which templates it used."""

    def __init__(self, language: str) -> None:
        super().__init__(language)
        self.used: set[str] = set()

    def _filled(self, fit: Fit, deep: int) -> Markup | None:
        found = super()._filled(fit, deep)
        if found is not None:
            self.used.add(fit.one)
        return found


def _ways(template: str) -> list[str]:
    """Returns the template filled with every combination of values, up to 2,000."""
    pieces = template.split("{}")
    values = itertools.islice(itertools.product(_VALUES, repeat=len(pieces) - 1), 2000)
    return ["".join(itertools.chain(*zip(pieces, (*one, ""), strict=True))) for one in values]


@cache
def _spoken(language: str) -> tuple[dict[str, str], set[str]]:
    """Returns the untranslated sentences of the sources with their places, and the templates that were used."""
    telling, missing = _Noting(language), {}

    def known(text: str, *, quotes: bool = False) -> bool:
        """Tells whether the text is translated.

        With `quotes` it may hold a server's words; else none of ours may be marked so.
        """
        found = telling.known(text)
        if found is None:
            return False
        ours = re.sub(rf"\b(?:{'|'.join(_VALUES)})\b", "", " ".join(re.findall("<q .*?>(.*?)</q>", found)))
        return not english(re.sub("<q .*?</q>", "", found)) and (quotes or not english(ours))

    for template, place in sentences().items():
        if template not in NOT_SHOWN and not any(map(known, _ways(template))):
            missing[template] = place
    missing |= {text: "spoken.COMPOSED" for text in COMPOSED if not known(text, quotes=True)}
    return missing, telling.used


def untranslated(language: str) -> dict[str, str]:
    """Returns the sentences of the sources that are not translated → where they stand.

    Each belongs into words/*.sentences.po, or is named in tests/web/spoken.py as never shown.
    """
    return _spoken(language)[0]


@pytest.mark.parametrize("language", _OTHERS)
def test_a_sentence_without_a_translation_is_listed(language: str, monkeypatch: pytest.MonkeyPatch) -> None:
    known = sentences()
    monkeypatch.setitem(globals(), "sentences", lambda: {**known, "the moon is {}": "moon.py:7"})
    assert _spoken.__wrapped__(language)[0] == {**untranslated(language), "the moon is {}": "moon.py:7"}


def test_a_new_sentence_would_be_missed() -> None:
    code = """raise UsageError(f"the moon is {phase} {'tonight' if late else 'today'}: wait {n:,} days")"""
    found = [shape(text) for _, text in strings(ast.parse(code))]
    assert found == ["the moon is {} tonight: wait {} days", "the moon is {} today: wait {} days"]
    assert all(Translator("ru").known(text) is None for text in _ways(found[0]))


@pytest.mark.parametrize("language", _OTHERS)
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    text = (resources.files("producer.translations") / f"{language}.sentences.po").read_bytes()
    entries = [entry for entry in read_po(io.BytesIO(text), locale=language) if entry.id]
    ids = {entry.id if isinstance(entry.id, str) else entry.id[0] for entry in entries}
    assert ids - _spoken(language)[1] - {*said.SYSTEM, *said.HEADS.values(), *phrases()} == set()
    assert set(NOT_SHOWN) - set(sentences()) == set()


#: Options and commands of the terminal, which who reads a page cannot give.
_OF_THE_TERMINAL = re.compile(
    r"--[a-z]|\{option\}|\bmailhaul (?:retry|credentials|limits|watch|resume|cancel|providers|import|up|check|verify)\b"
    r"|import command|in the file|in a CSV and run|new_login\b(?!,)|new_password\b(?!,)|\bFILE\b"
)
#: What is shown on the page although it names a column: how a list may begin.
_COLUMNS = {"{what}; write one, e.g. login,password,new_login"}


def _of_the_terminal(language: str) -> list[str]:
    """Returns the sentences that name options or commands of the terminal in this language."""
    whole = catalog(language)
    known = read_po(
        io.BytesIO((resources.files("producer.translations") / "ru.sentences.po").read_bytes()), locale="ru"
    )
    ids = [one.id if isinstance(one.id, str) else one.id[0] for one in known if one.id]
    texts = {one: str(whole[one].string) if one in whole else one for one in ids if one not in _COLUMNS}
    return [text for text in texts.values() if _OF_THE_TERMINAL.search(text)]


def test_the_page_names_no_option_and_no_command_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _of_the_terminal("en") == []
    monkeypatch.setitem(globals(), "catalog", lambda language: Catalog())
    assert len(_of_the_terminal("en")) > 50, "the control: without the catalogue of English"


@pytest.mark.parametrize(
    ("text", "english_text"),
    [
        (
            "correct the password in a CSV and run: mailhaul credentials IMPORT FILE.csv",
            "give the right password under “Give new passwords”",
        ),
        (
            "give it as --source-ca FILE; or, if its administrator confirms this certificate, pin it with --source-fingerprint "
            "00ff",
            "add it to what the machine of mailhaul trusts; or, if its administrator confirms this certificate, give its SHA-256 "
            "fingerprint: 00ff",
        ),
        ("check host, port and firewall", "check host, port and firewall"),
    ],
)
def test_english_says_it_in_words_of_the_page(text: str, english_text: str) -> None:
    assert Translator("en").sentence(text).striptags() == english_text


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_translation_is_whole_and_has_no_place_of_its_own(language: str) -> None:
    entries = [message for message in catalog(language) if message.id and "{" in str(message.id)]
    assert entries
    for entry in entries:
        known = set(re.findall(r"\{(\w+)\}", entry.id if isinstance(entry.id, str) else entry.id[1]))
        texts = [entry.string] if isinstance(entry.string, str) else list(entry.string)
        assert all(texts), entry.id
        assert (len(texts) == 1) == isinstance(entry.id, str), entry.id
        assert all(set(re.findall(r"\{(\w+)\}", text)) <= known for text in texts), entry.id


@pytest.mark.parametrize(
    ("text", "russian"),
    [
        ("more than 200000 rows: split it", "больше 200 000 строк: разделите файл"),
        ("1 column instead of 2", "1 столбец вместо 2"),
        ("3 columns instead of 2", "3 столбца вместо 2"),
        ("5 columns instead of 2", "5 столбцов вместо 2"),
        (
            "rows 3, 4 and 12 more: login begins or ends with a space, which is kept since it is in quotation marks",
            "строки 3, 4 и ещё 12: значение столбца «Логин» начинается или кончается пробелом; он сохранён, потому что стоит "
            "в кавычках",
        ),
        ("since and before: nothing lies between them", "Начиная с даты / До даты: между ними ничего нет"),
        (
            "source: cannot connect to [::1]:993: Connection refused",
            "источник: нет соединения с [::1]:993: в соединении отказано",
        ),
        ("1 before 2024-02-01; 2,000 read already", "1: раньше 1 февр. 2024 г.; 2 000: прочитано"),
        (
            "waiting until 2026-11-24 14:20 UTC: 2.5 GB of the 10 GB of 24 hours are used",
            "ждёт до 24 нояб. 2026 г., 14:20 UTC: за сутки израсходовано 2,5 ГБ из 10 ГБ",
        ),
        ("page: a sentence that nobody says", "page: a sentence that nobody says"),
    ],
)
def test_values_take_their_places(text: str, russian: str) -> None:
    assert re.sub(r"\s", " ", Translator("ru").sentence(text).striptags()) == russian


def _said(text: str) -> str:
    return f'<q class="said" lang="" translate="no">{text}</q>'


@pytest.mark.parametrize(
    ("text", "russian"),
    [
        ("550 mailbox is full; go away", _said("550 mailbox is full; go away")),
        (
            "source: authentication failed (the server said: NO <b>x</b>; has expired)",
            f"источник: вход не удался (сервер ответил: {_said('NO &lt;b&gt;x&lt;/b&gt;; has expired')})",
        ),
        ("it does not greet as IMAP does: 220 {what} hi", f"приветствие не IMAP: {_said('220 {what} hi')}"),
        (
            "cannot be read at the source: [SERVERBUG] oops",
            f"не читается на источнике: {_said('[SERVERBUG] oops')}",
        ),
        ("closed the connection: bye", f"закрыл соединение: {_said('bye')}"),
    ],
)
def test_what_a_server_says_stays_as_it_said_it(text: str, russian: str) -> None:
    assert Translator("ru").heard(text) == russian


def test_a_server_that_talks_like_mailhaul_is_a_server() -> None:
    ours = "all attempts failed"
    assert Translator("ru").sentence(ours) == "все попытки не удались"
    assert Translator("ru").quoted(ours) == _said(ours)
    assert _said(ours) in Translator("ru").sentence(f"source: authentication failed (the server said: {ours})")


class _Counting(Translator):
    """A translation that counts the texts that it looks at."""

    def __init__(self) -> None:
        self.looks = 0
        super().__init__("ru")

    def _one(self, text: str, deep: int) -> Markup | None:
        self.looks += 1
        return super()._one(text, deep)


@pytest.mark.parametrize(
    "piece", ["row 1: ", "timed out; ", "it is empty; ", "source: ", "12 ", "timed out: ", "((", "x; "]
)
def test_a_long_text_of_a_stranger_costs_little(piece: str) -> None:
    telling = _Counting()
    telling.known((piece * 4000)[:4000])
    assert telling.looks < 1000
