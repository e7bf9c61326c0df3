"""Tests what a session does that is opened anew over a message, when the folder is not there any more."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from shared.mail import KnownStatus, Message
from shared.model.errors import ConnectionLost, FolderRefused
from shared.model.sides import Side
from shared.model.uids import UidSet
from worker.sessions.outlasting import OutlastingSource


class Breaking:
    """A session that ends at each FETCH; `there` tells whether its folder can be opened."""

    def __init__(self, *, there: bool) -> None:
        self._there = there

    def open(self, name: bytes) -> KnownStatus:
        if not self._there:
            raise FolderRefused(Side.SOURCE, "no such folder")
        return KnownStatus(uidvalidity=7, uidnext=3, messages=2)

    def fetch(self, uids: UidSet, *, size_bytes: int = 0) -> Iterator[Message]:
        raise ConnectionLost(Side.SOURCE, "gone")
        yield

    def abort(self) -> None: ...


def test_a_folder_that_was_renamed_meanwhile_is_no_refusal_of_its_messages() -> None:
    """A refusal would give up the batch, or park the mailbox where copies are in doubt: the next attempt follows the folder."""
    sessions: Any = [Breaking(there=True), Breaking(there=False)]
    source = OutlastingSource(sessions[0], lambda: sessions[1], lambda: True)
    source.open(b"Work")
    with pytest.raises(ConnectionLost):
        list(source.fetch(UidSet.of([1, 2])))
