"""Tests that one fault is worded by each front end in its own names and language."""

from __future__ import annotations

import json
from collections import Counter

import pytest

from producer.cutover.acts import checked as checked_cutover
from producer.intake.endpoints import PLAINTEXT
from producer.intake.sign_in import NEEDS_ADMIN, without_password
from producer.operations.standing import checked, read_switch
from producer.translations.translate import Translator
from producer.waves import read_start
from shared.model.cutover import CutoverOptions
from shared.model.errors import UsageError
from shared.rules.standing import Standing
from shared.wording.kept import as_json, from_json, packed, unpacked
from shared.wording.phrases import (
    Fault,
    Faults,
    FaultsFound,
    FieldName,
    Phrase,
    ServerWords,
    faults_of,
    option,
    parts,
    several,
    worded,
)
from tests.web.spoken import codes

_ADMIN = NEEDS_ADMIN.at("source.sign_in.way", word="master", admin=FieldName("source.sign_in.admin"))


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("source.server", "--source"),
        ("destination.fingerprint", "--destination-fingerprint"),
        ("source.sign_in.secret", "--source-password-file"),
        ("destination.allow_plaintext", "--allow-plaintext"),
        ("deletions_cap", "--deletions-cap"),
        ("login", "--mailbox"),
        ("domains", "--domain"),
    ],
)
def test_a_field_is_an_option_of_the_command_line(path: str, name: str) -> None:
    assert option(path) == name


@pytest.mark.parametrize(
    ("fault", "command_line", "api", "page", "russian"),
    [
        (
            _ADMIN,
            "--source-auth master needs --source-admin LOGIN",
            "source.sign_in.way master needs source.sign_in.admin LOGIN",
            "source: give the administrator's login",
            "источник: укажите логин администратора",
        ),
        (
            PLAINTEXT.at(
                "source.server",
                protocol="imap",
                url="imaps://a.example",
                other_url="imap+starttls://a.example",
                allow_plaintext=FieldName("source.allow_plaintext"),
            ),
            "--source: imap:// sends passwords and mail in plain text; use imaps://a.example or imap+starttls://a.example, or "
            "add --allow-plaintext",
            "source.server: imap:// sends passwords and mail in plain text; use imaps://a.example or "
            "imap+starttls://a.example, or add source.allow_plaintext",
            "source: imap:// sends passwords and mail in plain text; use imaps://a.example or imap+starttls://a.example",
            "источник: imap:// передаёт пароли и почту открытым текстом; используйте imaps://a.example или "
            "imap+starttls://a.example",
        ),
        (
            without_password("destination", "3, 4"),
            "these rows give no password for the destination: 3, 4; write it, or give --destination-password-file, "
            "--destination-admin or --destination-auth",
            "these rows give no password for the destination: 3, 4; write it, or give destination.sign_in.secret, "
            "destination.sign_in.admin or destination.sign_in.way",
            "destination: rows without a password: 3, 4; write it into the list, or say who signs in for all of them",
            "приёмник: строки без пароля: 3, 4; впишите его в список или укажите, кто входит за всех",
        ),
    ],
)
def test_each_front_end_words_it_by_its_own_names(
    fault: Fault, command_line: str, api: str, page: str, russian: str
) -> None:
    assert str(FaultsFound([fault])) == worded(fault, option) == command_line
    assert worded(fault, str) == api
    assert [str(Translator(language).fault(fault)) for language in ("en", "ru")] == [
        page.replace("'", "&#39;"),
        russian,
    ]


def test_a_phrase_without_a_translation_stays_english() -> None:
    new = Phrase("moon", "the moon is {phase}: wait {num} days").at("since", phase="full", num=1200)
    assert Translator("ru").fault(new) == "Начиная с даты: the moon is full: wait 1\xa0200 days"


def test_words_of_a_server_stay_as_they_are_and_marked() -> None:
    new = Phrase("heard", "the server says {what}").says(what=ServerWords("all attempts failed <b>"))
    told = Translator("ru").worded(new)
    assert told == 'the server says <q class="said" lang="" translate="no">all attempts failed &lt;b&gt;</q>'


def test_faults_gather_at_their_fields_until_the_block_ends() -> None:
    faults, late = Faults(), Phrase("late", "too late")
    with faults.at("since"):
        raise FaultsFound([late.at(), late.at("before")])
    with faults.at("window"):
        raise UsageError("no hours\nno zone")
    assert [(fault.fields, fault.code) for fault in faults] == [
        (("since",), "late"),
        (("before",), "late"),
        (("window",), "plain"),
        (("window",), "plain"),
    ]
    assert faults.concern("before")
    assert not faults.concern("after")
    assert faults_of(FaultsFound(faults)) == tuple(faults)
    with pytest.raises(KeyError), faults.at("name"):
        raise KeyError("no fault of the request")


def test_no_two_phrases_have_one_code() -> None:
    assert [code for code, count in Counter(codes()).items() if count > 1] == []


def test_a_fault_that_is_kept_is_worded_as_before() -> None:
    (fault,) = faults_of(
        Phrase("outer", "{field}: {what} at {host_cause}").error(
            "source.server",
            what=Phrase("inner", "{num} of {word}; see {admin}").says(
                num=3, word="rows", admin=FieldName("source.sign_in.admin")
            ),
            host_cause=ServerWords("NO <b>"),
        )
    )
    again = from_json(json.loads(json.dumps(as_json(fault))))
    assert again == fault
    assert worded(again, option) == "--source: 3 of rows; see --source-admin at NO <b>"
    assert Translator("ru").fault(again) == Translator("ru").fault(fault)


def test_thousands_of_texts_are_one_and_come_apart_again() -> None:
    texts = [Phrase("one_of_many", "number {num}").says(num=number) for number in range(3000)]
    whole = several(texts)
    assert parts(unpacked(packed(whole))) == texts
    assert whole == "; ".join(texts)


def test_a_moment_is_named_as_its_field() -> None:
    with pytest.raises(FaultsFound) as start:
        read_start("soon")
    with pytest.raises(FaultsFound) as switch:
        read_switch("soon")
    assert str(start.value).startswith("--start-at: 'soon' is no moment")
    assert str(start.value).endswith("or: now")
    assert [worded(fault, str).partition(":")[0] for fault in start.value.faults] == ["starts_at"]
    assert str(switch.value).startswith("--switch-at: 'soon' is no moment")
    assert str(switch.value).endswith("or: none")


@pytest.mark.parametrize(
    ("least", "most", "api", "command_line"),
    [
        (60, 30, "least_seconds: may not be longer than most_seconds", "--least: may not be longer than --most"),
        (60, 1e9, "least_seconds and most_seconds: a time from 10s to 7d", "--least and --most: a time from 10s to 7d"),
    ],
)
def test_bounds_of_looks_are_named_as_their_fields(least: float, most: float, api: str, command_line: str) -> None:
    with pytest.raises(FaultsFound) as found:
        checked(Standing(least_seconds=least, most_seconds=most))
    assert (worded(found.value.faults[0], str), str(found.value)) == (api, command_line)


def test_a_domain_is_named_as_its_field() -> None:
    with pytest.raises(FaultsFound) as found:
        checked_cutover(CutoverOptions(switch="table", domains=("a@b",)))
    assert (found.value.faults[0].fields, str(found.value)) == (("domains",), "--domain: 'a@b' is no mail domain")
