"""When refusals are about the destination and not about messages."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.errors import MailError, MessagesRefused, NothingTaken
from shared.mail.refusals import failure
from shared.model import Failure
from shared.uids import Uid
from worker.alike import IN_A_ROW, LOOKS, Alike
from worker.decide import Sent

LAST = Failure(code="destination_takes_nothing", sentence="", detail="", advice="", at=0.0, folder="", times=LOOKS)


def refusal(text: bytes) -> MailError:
    return failure("destination", "NO", text, asked="append")


def sent(uid: int) -> Sent:
    return Sent(uid=Uid(uid), size_bytes=1, internaldate=None, fingerprint=b"")


def notes(alike: Alike, *texts: bytes) -> None:
    for uid, text in enumerate(texts, start=1):
        alike.note(sent(uid), refusal(text))


@pytest.mark.parametrize(
    "text", [b"[SERVERBUG] Internal error occurred", b"Unable to write", b"[CONTACTADMIN] see log"]
)
def test_one_after_the_other_in_the_same_words_is_the_destination(text: bytes) -> None:
    alike = Alike(lambda: True, None)
    notes(alike, *[text] * (IN_A_ROW - 1))
    with pytest.raises(NothingTaken, match="takes no message"):
        alike.note(sent(9), refusal(text))


@pytest.mark.parametrize("text", [b"[TOOBIG] no", b"[LIMIT] Message is too big", b"[CANNOT] bad header"])
def test_a_code_that_names_the_message_is_about_it(text: bytes) -> None:
    alike = Alike(lambda: True, None)
    notes(alike, *[text] * 20)
    assert len(alike.clear()) == 20
    assert alike.clear() == []


def test_other_words_in_between_are_about_messages() -> None:
    alike = Alike(lambda: True, None)
    notes(alike, *[b"virus A", b"virus B"] * 10)
    assert len(alike.clear()) == 20


def test_who_never_took_any_refuses_these() -> None:
    alike = Alike(lambda: False, None)
    notes(alike, *[b"not wanted here"] * 10)
    assert len(alike.clear()) == 10
    assert isinstance(refusal(b"not wanted here"), MessagesRefused)


def test_after_some_looks_a_refusal_without_a_code_is_believed() -> None:
    alike = Alike(lambda: True, LAST)
    notes(alike, *[b"content rejected"] * 10)
    assert len(alike.clear()) == 10
    with pytest.raises(NothingTaken):
        notes(Alike(lambda: True, LAST), *[b"[SERVERBUG] x"] * 10)
    with pytest.raises(NothingTaken):
        notes(Alike(lambda: True, replace(LAST, times=LOOKS - 1)), *[b"content rejected"] * 10)
