"""Tests that each sentence has a code, and is worded with any values while servers' words stay unchanged."""

from __future__ import annotations

import ast
import io
import re
from importlib import resources

import pytest
from babel.messages.pofile import read_po

from producer.translations import LANGUAGES, catalog
from producer.translations.translate import Translator
from shared.content.fingerprint import CRS_WITHOUT_LF_ARE_NOT_STORED
from shared.wording.kept import KEPT_WORDS_CANNOT_BE_READ, packed, unpacked
from shared.wording.often_said import AND_CAUSE, OF_SIDE, SERVER_SAID, TOLD_MORE
from shared.wording.phrases import Parameter, Phrase, Sentence, parts, several
from tests.web import translations
from tests.web.spoken import NOT_SHOWN, ROOT, SILENT_ROOMS, SOURCES, phrases, sentences, shape, strings
from tests.web.translations import OTHERS, in_english, missing
from worker.decisions.failures import CORRECT_THE_PASSWORD

#: Texts of phrases that these tests take from the sources.
_TAKEN: list[str] = []


def _of(text: str, **parameters: Parameter) -> Sentence:
    """Returns the sentence of a phrase of the sources."""
    _TAKEN.append(text)
    return Phrase("of_the_test", text).says(**parameters)


def test_the_sentences_of_these_tests_are_said() -> None:
    assert set(_TAKEN) - set(phrases()) == set()


def test_no_sentence_is_without_a_code() -> None:
    found = {shape: place for shape, place in sentences().items() if shape not in NOT_SHOWN}
    assert found == {}, "give it a Phrase (CONTRIBUTING.md)"
    assert set(NOT_SHOWN) - set(sentences()) == set()


def test_each_room_is_read_or_named_as_one_without_sentences() -> None:
    """A room that is made anew is in no pattern: its sentences would go unread, and nothing would say so."""
    read = {path.parent for pattern in SOURCES for path in ROOT.glob(pattern)}
    rooms = {path.parent for room in ("producer", "worker", "shared") for path in (ROOT / room).rglob("*.py")}
    assert {str(room.relative_to(ROOT)) for room in rooms - read} == set(SILENT_ROOMS)


def test_a_new_sentence_without_a_code_would_be_found() -> None:
    code = """raise UsageError(f"the moon is {phase} {'tonight' if late else 'today'}: wait {n:,} days")"""
    found = [shape(text) for _, text in strings(ast.parse(code))]
    assert found == ["the moon is {} tonight: wait {} days", "the moon is {} today: wait {} days"]


def _phrases_of(language: str) -> dict[str, str]:
    """Returns the phrases of a language's catalogue, with their translations."""
    text = (resources.files("producer.translations") / f"{language}.phrases.po").read_bytes()
    entries = [one for one in read_po(io.BytesIO(text), locale=language) if one.id]
    return {one.id if isinstance(one.id, str) else one.id[0]: str(one.string) for one in entries}


@pytest.mark.parametrize("language", LANGUAGES)
def test_nothing_is_translated_that_nobody_says(language: str) -> None:
    assert set(_phrases_of(language)) - set(phrases()) == set()


@pytest.mark.parametrize("language", OTHERS)
def test_no_page_shows_a_text_in_english_since_nobody_translated_it(
    language: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert in_english(language) == {}, "translate it (CONTRIBUTING.md)"
    known = phrases() | {"the {num} moons": "producer/cutover/guards.py:1", "moon by command": "producer/cli/verb.py:1"}
    monkeypatch.setattr(translations, "phrases", lambda: known)
    missing.cache_clear()
    assert set(in_english(language)) == {"the {num} moons"}, "the control"
    missing.cache_clear()


#: Options and commands of the terminal, which who reads a page cannot give.
_OF_THE_TERMINAL = re.compile(
    r"--[a-z]|\{option\}|\bmailhaul (?:retry|credentials|limits|watch|resume|cancel|providers|import|up|check|verify)\b"
    r"|import command|in the file|in a CSV and run|new_login\b(?!,)|new_password\b(?!,)|\bFILE\b"
)
#: What is shown on the page although it names a column: how a list may begin.
_COLUMNS = {"{what}; write one, e.g. login,password,new_login"}


def _of_the_terminal(language: str) -> list[str]:
    """Returns the phrases that a page shows and that name options or commands of the terminal in this language."""
    known = _phrases_of(language)
    texts = [known.get(text, text) for text in set(_phrases_of("ru")) - _COLUMNS]
    return [text for text in texts if _OF_THE_TERMINAL.search(text)]


def test_the_page_names_no_option_and_no_command_in_english(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _of_the_terminal("en") == []
    shown = _phrases_of("ru")
    monkeypatch.setitem(globals(), "_phrases_of", lambda language: shown if language == "ru" else {})
    assert len(_of_the_terminal("en")) > 50, "the control: without the catalogue of English"


@pytest.mark.parametrize(
    ("sentence", "english_text"),
    [
        (CORRECT_THE_PASSWORD.says(id="IMPORT"), "give the right password under “Give new passwords”"),
        (
            several(
                (
                    _of("give it as {option} FILE", option="--source-ca"),
                    _of(
                        "or, if its administrator confirms this certificate, pin it with {option} {pin}",
                        option="--source-fingerprint",
                        pin="00ff",
                    ),
                )
            ),
            "add it to what the machine of mailhaul trusts; or, if its administrator confirms this certificate, give its SHA-256 "
            "fingerprint: 00ff",
        ),
        (_of("check host, port and firewall"), "check host, port and firewall"),
    ],
)
def test_english_says_it_in_words_of_the_page(sentence: str, english_text: str) -> None:
    assert Translator("en").sentence(sentence).striptags() == english_text


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
    ("sentence", "russian"),
    [
        (_of("more than {num} rows: split it", num=200_000), "больше 200 000 строк: разделите файл"),
        (_of("{num} column instead of {width}", num=1, width=2), "1 столбец вместо 2"),
        (_of("{num} columns instead of {width}", num=3, width=2), "3 столбца вместо 2"),
        (_of("{num} columns instead of {width}", num=5, width=2), "5 столбцов вместо 2"),
        (
            _of(
                "rows {rows}: {what}",
                rows=_of("{rows} and {num} more", rows="3, 4", num="12"),
                what=_of(
                    "{field} begins or ends with a space, which is kept since it is in quotation marks", field="login"
                ),
            ),
            "строки 3, 4 и ещё 12: значение столбца «Логин» начинается или кончается пробелом; он сохранён, потому что стоит "
            "в кавычках",
        ),
        (
            OF_SIDE.says(
                side_word="source",
                what=_of("cannot connect to {place}: {cause}", place="[::1]:993", cause="Connection refused"),
            ),
            "источник: нет соединения с [::1]:993: в соединении отказано",
        ),
        (
            several(
                (
                    _of("{num} {why}", num="1", why=_of("before {day}", day="2024-02-01")),
                    _of("{num} {why}", num="2,000", why=_of("read already")),
                )
            ),
            "1: раньше 1 февр. 2024 г.; 2 000: прочитано",
        ),
        (
            _of(
                "waiting until {day}: {size} of the {most_size} of 24 hours are used",
                day="2026-11-24 14:20 UTC",
                size="2.5 GB",
                most_size="10 GB",
            ),
            "ждёт до 24 нояб. 2026 г., 14:20 UTC: за сутки израсходовано 2,5 ГБ из 10 ГБ",
        ),
        ("timed out", "время ожидания истекло"),
        ("page: a sentence that nobody says", "page: a sentence that nobody says"),
    ],
)
def test_values_take_their_places(sentence: str, russian: str) -> None:
    assert re.sub(r"\s", " ", Translator("ru").sentence(sentence).striptags()) == russian


def _said(text: str) -> str:
    return f'<q class="said" lang="" translate="no">{text}</q>'


@pytest.mark.parametrize(
    ("text", "russian"),
    [
        ("550 mailbox is full; go away", _said("550 mailbox is full; go away")),
        (
            SERVER_SAID.says(
                what=OF_SIDE.says(side_word="source", what=_of("authentication failed")),
                said="NO <b>x</b>; has expired",
            ),
            f"источник: вход не удался (сервер ответил: {_said('NO &lt;b&gt;x&lt;/b&gt;; has expired')})",
        ),
        (
            _of("it does not greet as {protocol} does: {said}", protocol="IMAP", said="220 {what} hi"),
            f"приветствие не IMAP: {_said('220 {what} hi')}",
        ),
        (
            _of("cannot be read at the source: {cause}", cause="[SERVERBUG] oops"),
            f"не читается на источнике: {_said('[SERVERBUG] oops')}",
        ),
        (TOLD_MORE.says(what=_of("closed the connection"), said="bye"), f"закрыл соединение: {_said('bye')}"),
        (
            AND_CAUSE.says(what=_of("closed the connection"), cause="Broken pipe"),
            "закрыл соединение: соединение оборвалось",
        ),
    ],
)
def test_what_a_server_says_stays_as_it_said_it(text: str, russian: str) -> None:
    assert Translator("ru").heard(text) == russian


def test_a_server_that_talks_like_mailhaul_is_a_server() -> None:
    ours = _of("all attempts failed")
    assert Translator("ru").heard(ours) == "все попытки не удались"
    assert Translator("ru").heard(str(ours)) == _said(ours)


def test_a_sentence_keeps_its_code_in_the_store_and_its_text_everywhere_else() -> None:
    sentence = several((SERVER_SAID.says(what=CRS_WITHOUT_LF_ARE_NOT_STORED.says(), said="NO; \udcff"), "as it is"))
    kept = packed(sentence)
    assert (kept.isascii(), unpacked(kept)) == (True, sentence)
    assert Translator("ru").sentence(unpacked(kept)) == Translator("ru").sentence(sentence)
    assert sentence == "CRs without LF are not stored (the server said: NO; \udcff); as it is"
    assert list(map(type, parts(unpacked(kept)))) == [Sentence, str]


def test_what_an_older_version_kept_is_shown_as_it_is() -> None:
    old = "source: connection lost; called Work there"
    assert (unpacked(old), packed(old)) == (old, old)
    assert Translator("ru").sentence(unpacked(old)) == old
    assert parts(old) == ["source: connection lost", "called Work there"]


@pytest.mark.parametrize(
    ("kept", "shown"),
    [
        ('{"code":"x","text":"call \\"555\\": {num} of {word}","headed":true,"pla', 'call "555": … of …'),
        ('{"code":"x","text":"call","headed":true,"places":["555"]}', "call"),
        ('{"code":"x","text":"call {0}","headed":true,"places":{}}', "call …"),
        (
            '{"code":"both","text":"{what}; {more_what}","headed":false,"places":{"what":{"code":"x","text":"ca',
            KEPT_WORDS_CANNOT_BE_READ.says(),
        ),
        (
            '{"code":"both","text":"{what}; {more_what}","headed":false,"places":{"what":{"code":"x","text":"call","',
            "call",
        ),
        (
            '{"code":"x","text":"call","headed":true,"places":{"a":'
            + '{"code":"x","text":"y","headed":true,"places":{"a":' * 2_000,
            "call",
        ),
        ("[" * 100_000, KEPT_WORDS_CANNOT_BE_READ.says()),
        ('{"code":"x","text":"cal', KEPT_WORDS_CANNOT_BE_READ.says()),
        ("[]", KEPT_WORDS_CANNOT_BE_READ.says()),
        ("", KEPT_WORDS_CANNOT_BE_READ.says()),
    ],
)
def test_of_a_sentence_that_was_cut_the_words_are_shown_that_are_left(kept: str, shown: str) -> None:
    assert unpacked("\x1e" + kept) == shown
    assert "{" not in Translator("ru").sentence(unpacked("\x1e" + kept))


@pytest.mark.parametrize(
    "words", ['\x1e{"code":"x","text":"call 555","headed":true,"places":{}}', "\x1e", "\x1e[]", '\x1e{"code":"x"}']
)
def test_words_of_a_server_never_become_a_sentence(words: str) -> None:
    assert type(unpacked(packed(words))) is str
    assert "\x1e" not in unpacked(words) or type(unpacked(words)) is Sentence
