"""Tests the sentence that says what comes next in a cutover."""

from __future__ import annotations

import pytest

from producer.cutover.telling import next_step
from shared.model.cutover import Cutover, MailboxCutover
from shared.model.lifecycle import CutoverState
from tests.contract.store_kit import person, request


@pytest.mark.parametrize(("marked", "more"), [(True, "brings back the mail of 1 more"), (False, "to try again: ")])
def test_only_the_mail_of_a_marked_mailbox_is_still_to_be_brought_back(marked: bool, more: str) -> None:
    whole = request()
    cutover = Cutover(import_id=whole.import_id, wave="", state=CutoverState.ROLLED_BACK, since=1.0)
    known = MailboxCutover(to="old", answer="already", marked=marked)
    assert more in next_step(cutover, {}, [(person(whole, 1), known)], [])
