"""Tests when source and destination are taken for one mailbox, and an import into itself is refused."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from shared.folders.mapping import MappedFolder
from shared.mail import FolderStatus
from shared.model import Account, Endpoint, Tls
from shared.model.errors import SameMailbox, Throttled
from shared.testing.memory_folders import MemoryFolder
from shared.testing.memory_mail import MemoryServer
from shared.testing.memory_sessions import MemoryDestination, MemorySource
from worker.sessions.ends import Ends

NAMES = (b"INBOX", b"Work")


def server() -> MemoryServer:
    """Returns a server with an account; of two, one is a copy of the other's disk."""
    made = MemoryServer()
    for name in NAMES:
        for number in range(3):
            made.folder("ivan", name).add(b"Subject: %d\r\n\r\nhi\r\n" % number)
    return made


def is_one(old: MemoryServer, new: MemoryServer) -> bool:
    account = Account(endpoint=Endpoint(host="mail.example", port=993, tls=Tls.IMPLICIT), login="ivan")
    mailbox = SimpleNamespace(source=account, destination=account, failure=None)
    source, destination = old.source("ivan"), new.destination("ivan")
    lease: Any = SimpleNamespace(mailbox=mailbox)
    ends = Ends(lease, source, destination, lambda: pytest.fail("not asked"), lambda uidvalidity: False)
    mapped = [MappedFolder(source_name=name, destination_name=name, display=name.decode()) for name in NAMES]
    here = destination.statuses(NAMES)
    try:
        ends.look(mapped, old.folder("ivan", b"INBOX").status(), here, 0)  # type: ignore[arg-type]
    except SameMailbox:
        return True
    return False


@pytest.mark.parametrize("asked", [True, False], ids=["asked", "control: not asked"])
@pytest.mark.parametrize("changed", range(2), ids=["the copy", "the first"])
def test_a_restored_copy_is_another_mailbox_once_any_of_it_changed(
    monkeypatch: pytest.MonkeyPatch, asked: bool, changed: int
) -> None:
    monkeypatch.setattr(MemoryDestination, "subscribe", lambda *_: None)  # a server without subscriptions
    monkeypatch.setattr(MemoryDestination, "unsubscribe", lambda *_: None)
    if not asked:
        statuses = MemoryDestination.statuses
        monkeypatch.setattr(MemoryDestination, "statuses", lambda self, names, **_: statuses(self, names))
    servers = server(), server()
    servers[changed].folder("ivan", b"Work").highestmodseq += 1  # a flag
    assert is_one(*servers) is not asked


@pytest.mark.parametrize("subscribed", [True, False], ids=["subscribed", "not subscribed"])
def test_what_agrees_by_chance_is_not_one_mailbox(subscribed: bool) -> None:
    """Tests two accounts that show the same, as after an import whose state is lost; the control is one account."""
    old, new = server(), server()
    for one in (old, new):
        one.folder("ivan", b"INBOX").subscribed = subscribed
    assert not is_one(old, new)
    assert is_one(old, old)
    assert [one.folder("ivan", b"INBOX").subscribed for one in (old, new)] == [subscribed] * 2


def test_accounts_with_other_subscriptions_are_two() -> None:
    old, new = server(), server()
    new.folder("ivan", b"INBOX").subscribed = not new.folder("ivan", b"INBOX").subscribed
    assert not is_one(old, new)


@pytest.mark.parametrize("at", ["source", "destination"])
def test_one_mailbox_is_one_though_its_flags_change_while_it_is_asked(monkeypatch: pytest.MonkeyPatch, at: str) -> None:
    one = server()
    side: Any = MemorySource if at == "source" else MemoryDestination
    told, changes = side.statuses, iter([1])

    def statuses(self: Any, names: Sequence[bytes], **given: Any) -> list[FolderStatus | Exception]:
        folder: MemoryFolder = one.folder("ivan", b"Work")
        found: list[FolderStatus | Exception] = told(self, names, **given)
        if at == "source" or given:
            folder.highestmodseq += next(changes, 0)
        return found

    monkeypatch.setattr(side, "statuses", statuses)
    assert is_one(one, one)


def test_a_destination_that_does_not_answer_again_is_believed_what_it_said(monkeypatch: pytest.MonkeyPatch) -> None:
    one = server()
    told: Callable[..., list[FolderStatus | Exception]] = MemoryDestination.statuses

    def busy(self: Any, names: Sequence[bytes], **given: Any) -> list[FolderStatus | Exception]:
        return [Throttled(self.side, "slow down")] * len(names) if given else told(self, names)

    monkeypatch.setattr(MemoryDestination, "statuses", busy)
    assert is_one(one, one)
