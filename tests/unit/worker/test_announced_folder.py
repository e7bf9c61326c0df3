"""Tests who may go by a folder that was opened before its turn, and what is asked for ahead of a batch."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

import pytest

from shared.model import Account, Endpoint, Folder, Intent, Lease, Mailbox, Tls, Unit, UnitKind, batch_id
from shared.model.lifecycle import Wish
from shared.model.uids import UidSet
from shared.store.memory.memory_store import MemoryStore
from shared.testing.memory_mail import MemoryServer
from worker.copying.batch_folders import BatchFolders
from worker.copying.copy import BatchCopy, CopyRules
from worker.copying.writers import FolderWriters
from worker.decisions.batch_ahead import AHEAD_BYTES, BatchAhead
from worker.decisions.shares import Widening

LOGIN, HERE, NEXT = "ivan", b"A", b"B"
UIDS = UidSet.span(1, 3)
_ENDS = [Endpoint(host=host, port=993, tls=Tls.IMPLICIT) for host in ("old.example", "new.example")]
_OURS = Intent(intent_id="i", uids=UIDS, destination_uidnext=1, destination_uidvalidity=0, at=0.0)


def _lease(old: MemoryServer, new: MemoryServer, **changed: Any) -> Lease:
    theirs, ours = old.folder(LOGIN, NEXT), new.folder(LOGIN, NEXT)
    folder = Folder(
        folder_id="f",
        mailbox_id="m",
        source_name=NEXT,
        destination_name=NEXT,
        display="B",
        uidvalidity=theirs.status().uidvalidity or 0,
        destination_uidvalidity=ours.status().uidvalidity or 0,
    )
    unit = Unit(
        unit_id=batch_id("f", folder.uidvalidity, UIDS),
        kind=UnitKind.COPY,
        mailbox_id="m",
        folder_id="f",
        uids=UIDS,
        attempts=1,
    )
    accounts = [Account(endpoint=endpoint, login=LOGIN) for endpoint in _ENDS]
    mailbox = Mailbox(mailbox_id="m", import_id="i", row=1, source=accounts[0], destination=accounts[1])
    attempts = changed.pop("attempts", 1)
    lease = Lease(
        unit=replace(unit, attempts=attempts), holder="w", term=1, deadline=1e9, mailbox=mailbox, folder=folder
    )
    return replace(lease, **changed)


@pytest.mark.parametrize(
    ("changed", "anew"),
    [
        ({}, False),
        ({"intents": (_OURS,)}, True),
        ({"restarted": True}, True),
        ({"attempts": 2}, True),
        ({"writers": 2}, True),
        ({"alone": True}, True),
        ({"neighbours": (object(),)}, True),
        ({"due": object()}, True),
    ],
    ids=[
        "control: a new batch",
        "in doubt",
        "a store that lost records",
        "a second attempt",
        "several writers",
        "narrowed",
        "another import",
        "a wait",
    ],
)
def test_who_looks_for_what_others_brought_sees_what_came_before_the_claim(changed: dict[str, Any], anew: bool) -> None:
    old, new = MemoryServer(), MemoryServer()
    for server in (old, new):
        for name in (HERE, NEXT):
            server.folder(LOGIN, name)
    source, destination = old.source(LOGIN), new.destination(LOGIN)
    destination.open(HERE)
    destination.marks(UIDS, then=NEXT)
    new.folder(LOGIN, NEXT).add(b"Subject: of an earlier holder\r\n\r\n")
    lease = _lease(old, new, **changed)
    store = cast(Any, MemoryStore())
    writers = FolderWriters(lease, store, Widening())
    _, here = BatchFolders(lease, store, source, destination, writers, labels=False).open()
    assert here.messages == int(anew)


@pytest.mark.parametrize(("size_bytes", "asked"), [(300, 2), (3 << 20, 1), (0, 0)], ids=["small", "large", "unknown"])
def test_few_bytes_of_known_size_are_asked_for_ahead_of_the_decision_who_copies_them(
    size_bytes: int, asked: int
) -> None:
    old, new = MemoryServer(), MemoryServer()
    lease = _lease(old, new)
    lease = replace(lease, unit=replace(lease.unit, size_bytes=size_bytes), folder_pending=1_000_000)
    writers = FolderWriters(lease, cast(Any, MemoryStore()), Widening())
    writers._rest = UidSet.span(2, 3)
    assert len(writers.coming()) == asked


class _Asked:
    """A source that notes what it is asked for ahead."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def ask_ahead(self, uids: UidSet) -> None:
        self.asked.append("the rest")

    def foresee(self, name: bytes, uids: UidSet | None = None) -> None:
        self.asked.append("the next batch")


@pytest.mark.parametrize(
    ("rest", "size_bytes", "coming_bytes", "asked"),
    [
        (False, 300, 1, ["the next batch"]),
        (False, 300, AHEAD_BYTES, ["the next batch"]),
        (False, 300, AHEAD_BYTES + 1, []),
        (False, 300, 0, []),
        (True, 300, 1, ["the rest"]),
        (True, 0, 1, []),
        (True, 1 << 30, 1, []),
    ],
    ids=[
        "the next one",
        "the largest",
        "a larger one",
        "one of unknown size",
        "a rest",
        "a rest of unknown size",
        "a rest of large messages",
    ],
)
def test_the_next_batch_is_asked_for_where_it_is_small_and_this_one_is_read(
    rest: bool, size_bytes: int, coming_bytes: int, asked: list[str]
) -> None:
    old, new = MemoryServer(), MemoryServer()
    lease = _lease(old, new)
    assert lease.folder is not None
    lease = replace(lease, unit=replace(lease.unit, size_bytes=size_bytes))
    coming = BatchAhead(unit=replace(lease.unit, size_bytes=coming_bytes), folder=lease.folder)
    source = _Asked()
    copy = BatchCopy(
        lease,
        cast(Any, MemoryStore()),
        cast(Any, source),
        new.destination(LOGIN),
        CopyRules(),
        lambda: Wish.RUN,
        lambda event: None,
        cast(Any, None),
        coming=coming,
    )
    if rest:
        copy._writers._rest = UidSet.span(2, 3)
    copy._ask_ahead()
    assert source.asked == asked
