"""Tests that what is asked ahead is what is read: nothing comes twice over the wire."""

from __future__ import annotations

import pytest

from shared.mail.imap.ahead import UNSELECT, Ahead
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from worker.copying.writers import FolderWriters

#: Enough for the pace of the folder to be measured after its first messages.
MESSAGES = 1_050


@pytest.mark.parametrize("known", [True, False], ids=["the first part", "control: the whole batch"])
def test_a_folder_whose_pace_is_measured_is_asked_for_its_first_part_only(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, make_mailbox(1, {"INBOX": MESSAGES}, 100))
    dropped: list[bytes] = []
    settle = Ahead.settle

    def settled(self: Ahead, until: bytes = b"") -> None:
        before = [command for command, _ in self._sent]
        settle(self, until)
        gone = before[: len(before) - len(self._sent)]
        dropped.extend(command for command in gone if command != UNSELECT)

    monkeypatch.setattr(Ahead, "settle", settled)
    if not known:
        parts = FolderWriters.first_part
        asked: list[int] = []

        def first(self: FolderWriters, remaining, destination):  # type: ignore[no-untyped-def]
            asked.append(len(remaining))
            return remaining if len(asked) == 1 else parts(self, remaining, destination)

        monkeypatch.setattr(FolderWriters, "first_part", first)
    in_process = InProcessImport(
        dovecot_pair.source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password
    )
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": MESSAGES}
    assert bool(dropped) is not known
