"""Tests that after a rollback it is told how far the mail is on its way back: for people and for programs."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.cutover.acts import CutoverView
from producer.cutover.copy_back import WaveBack
from producer.cutover.telling import back_words
from producer.show.cutover_lines import cutover_fields, cutover_lines
from producer.translations.translate import Translator
from shared.model import Endpoint, Import, Options, Tls
from shared.model.cutover import Cutover
from shared.model.lifecycle import CutoverState

BACK = WaveBack(mailboxes=40, whole=37, messages=1204, pending=12, failed=3, stopped=(("anna", "source: full"),))
WHOLE = WaveBack(mailboxes=40, whole=40, messages=1219)


def _view(back: WaveBack | None) -> CutoverView:
    cutover = Cutover(import_id="1", wave="pilot", state=CutoverState.ROLLED_BACK, since=0.0)
    return CutoverView(cutover=cutover, guards={}, next="", back=back)


def _lines(back: WaveBack | None) -> list[str]:
    end = Endpoint(host="mail.example", port=993, tls=Tls.IMPLICIT)
    import_ = Import(import_id="1", name="people", source=end, destination=end, options=Options())
    return list(cutover_lines(import_, _view(back), 60.0))


def test_people_read_it_with_who_is_stopped() -> None:
    said = "37 of 40 mailboxes are brought back; messages: 1,204 are back, 12 are still to come, 3 were not taken"
    assert f"  back: {said}" in _lines(BACK)
    assert "  not back: anna: source: full" in _lines(BACK)
    assert "  back: 40 of 40 mailboxes are brought back; messages: 1,219 are back" in _lines(WHOLE)
    assert not [line for line in _lines(None) if "back:" in line]


def test_programs_read_the_numbers() -> None:
    assert cutover_fields(_view(BACK), 60.0)["back"] == {
        "mailboxes": 40,
        "whole": 37,
        "messages": 1204,
        "pending": 12,
        "failed": 3,
        "stopped": [{"name": "anna", "value": "source: full"}],
    }
    assert cutover_fields(_view(None), 60.0)["back"] is None


@pytest.mark.parametrize("back", [BACK, WHOLE, replace(BACK, failed=0)])
def test_the_page_says_it_in_russian(back: WaveBack) -> None:
    assert "возвращено" in str(Translator("ru").known(back_words(back)))
