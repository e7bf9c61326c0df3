"""Tests a connection that is cut at many bytes of an import, in either direction, at either server.

This is a small run of `make chaos-cuts`.
"""

from __future__ import annotations

from typing import Any

import pytest

from bench.chaos.cuts import Cut, cuts, play, undisturbed
from shared.model.uids import NO_UIDS, UidSet
from worker.copying import arrivals, copy_search
from worker.copying.recovery import Looked


@pytest.mark.slow
def test_cut_at_many_bytes_everything_is_there_once() -> None:
    wrong = {cut: said for cut in cuts(151) if (said := play(cut))}
    assert not wrong


def test_without_looking_first_a_cut_doubles_messages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control: the worker assumes that nothing of a lost group has arrived."""

    def blind(lease: Any, store: Any, *rest: Any) -> Looked:
        intents = rest[3]
        word = store.progress(lease, withdrawn=[intent.intent_id for intent in intents]).word
        return Looked(found=UidSet(), absent=UidSet(), wait_seconds=0, wanted=word)

    monkeypatch.setattr(copy_search, "look", blind)
    monkeypatch.setattr(arrivals.Arrivals, "before", lambda *_: ((), NO_UIDS, 0))
    monkeypatch.setattr(arrivals.Arrivals, "unlike", lambda *_: False)
    length = undisturbed()["destination", "c2s"]
    said = [play(Cut("destination", "c2s", "late", at)) for at in range(length // 3, length, length // 6)]
    assert any("surplus" in one for one in said)
