"""Refusals that are about the destination and not about messages."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

from shared.mail.answers.refusals import failure
from shared.model.errors import MailError, NothingTaken
from shared.model.uids import Uid
from worker.decisions import alike
from worker.decisions.alike import IN_A_ROW, UNCODED_IN_A_ROW, Alike
from worker.decisions.sent import Sent

BUG = b"[SERVERBUG] Internal error occurred"


def refusal(text: bytes) -> MailError:
    return failure("destination", "NO", text, asked="append")


def sent(uid: int) -> Sent:
    return Sent(uid=Uid(uid), size_bytes=1, internaldate=None, fingerprint=b"")


def noted(texts: list[bytes], *, believed: bool = False) -> Alike:
    alike = Alike(lambda nothing, coded: believed)
    for uid, text in enumerate(texts, start=1):
        alike.note(sent(uid), refusal(text))
    return alike


@pytest.mark.parametrize(("text", "most"), [(BUG, IN_A_ROW), (b"Unable to write", UNCODED_IN_A_ROW)])
def test_one_after_the_other_in_the_same_words_is_the_destination(text: bytes, most: int) -> None:
    noted([text] * (most - 1))
    with pytest.raises(NothingTaken, match="takes no message"):
        noted([text] * most)


@pytest.mark.parametrize("text", [BUG, b"Unable to write"])
def test_so_it_is_when_nothing_else_is_left_to_be_tried(text: bytes) -> None:
    assert len(noted([text] * (IN_A_ROW - 1), believed=True).ended()) == IN_A_ROW - 1
    with pytest.raises(NothingTaken):
        noted([text] * IN_A_ROW).ended()


@pytest.mark.parametrize("protected", [True, False])
def test_the_time_in_the_servers_words_makes_them_no_others(
    monkeypatch: pytest.MonkeyPatch, *, protected: bool
) -> None:
    """Gives Dovecot's words, which say when."""
    if not protected:
        monkeypatch.setattr(alike, "_words", lambda error: error.detail or error.what)
    texts = [BUG + b". Refer to server log for more information. [2026-11-30 15:32:%02d]" % n for n in range(IN_A_ROW)]
    with pytest.raises(NothingTaken) if protected else nullcontext():
        noted(texts)


@pytest.mark.parametrize("text", [b"[TOOBIG] no", b"[LIMIT] Message is too big", b"[CANNOT] bad header"])
def test_a_code_that_names_the_message_is_about_it(text: bytes) -> None:
    alike = noted([text] * 99)
    assert len(alike.ended()) == 99
    assert alike.ended() == []


def test_other_words_in_between_are_about_messages() -> None:
    assert len(noted([b"virus A", b"virus B"] * 40).ended()) == 80


def test_words_that_others_did_not_get_are_about_messages() -> None:
    alike = noted([b"content rejected"])
    assert len(alike.taken()) == 1
    for uid in range(2, 99):
        alike.note(sent(uid), refusal(b"content rejected"))
    assert len(alike.ended()) == 97


def test_what_is_believed_without_a_code_is_not_with_one() -> None:
    assert len(noted([b"content rejected"] * 99, believed=True).ended()) == 99
    with pytest.raises(NothingTaken):
        noted([BUG] * IN_A_ROW, believed=True)


def refused_beside(text: bytes = BUG, *, believed: bool = False) -> Alike:
    """Notes that a message was refused, and another one taken afterwards."""
    alike = Alike(lambda nothing, coded: believed)
    alike.note(sent(1), refusal(text))
    return alike


def test_by_the_servers_fault_nothing_that_is_taken_shows_that_there_is_room() -> None:
    alike = refused_beside()
    assert alike.taken() == []
    with pytest.raises(NothingTaken, match="fault of its own"):
        alike.ended()


def test_after_several_looks_it_is_the_message() -> None:
    alike = refused_beside(believed=True)
    assert alike.taken() == []
    assert len(alike.ended()) == 1
    assert alike.ended() == []


def test_without_a_code_another_message_tells_enough() -> None:
    assert len(refused_beside(b"content rejected").taken()) == 1
