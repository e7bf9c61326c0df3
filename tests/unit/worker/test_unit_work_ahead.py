"""Tests that a lane forgets which batch comes next, once a server failed at one."""

from __future__ import annotations

from typing import Any, cast

import pytest

from shared.model import Lease
from shared.model.errors import (
    ConnectionLost,
    FolderRefused,
    MailError,
    MailhaulError,
    NothingTaken,
    ProtocolViolation,
    StoreError,
    Throttled,
)
from shared.model.sides import Side
from worker.unit_work import UnitWork


@pytest.mark.parametrize(
    ("error", "forgotten"),
    [
        *((kind(Side.SOURCE, "no"), True) for kind in (ConnectionLost, FolderRefused, ProtocolViolation, Throttled)),
        (NothingTaken(Side.DESTINATION, "no"), True),
        (StoreError("no"), False),
    ],
    ids=lambda value: type(value).__name__ if isinstance(value, MailhaulError) else "",
)
def test_what_comes_next_is_forgotten_at_any_error_of_a_server(
    monkeypatch: pytest.MonkeyPatch, error: MailError | StoreError, forgotten: bool
) -> None:
    def failing(self: UnitWork, lease: Lease) -> None:
        raise error

    monkeypatch.setattr(UnitWork, "_worked", failing)
    work = UnitWork(cast(Any, _Place()), cast(Any, None), lambda event: None, lambda lease: None)
    work._coming = cast(Any, {"a": "b"})
    with pytest.raises(type(error)):
        work.run(cast(Any, None))
    assert (not work._coming) is forgotten


class _Place:
    """A workplace with nothing in it."""

    store = None
