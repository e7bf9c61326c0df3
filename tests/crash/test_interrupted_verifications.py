"""Tests a verification of many folders that is stopped again and again: it goes on behind the folders that it compared."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.model import UnitKind
from shared.model.lifecycle import Wish
from tests.crash.interruption import LOGIN, Effects, MemoryImport, numbered
from worker.copying.copy import BatchCopy
from worker.verifying.verify import MailboxVerification

FOLDERS = 12


@pytest.fixture
def copied(monkeypatch: pytest.MonkeyPatch) -> MemoryImport:
    """Returns an import that is copied and to be verified, each of its folders by what the destination shows."""
    monkeypatch.setattr(BatchCopy, "_read_back", lambda *_: False)
    in_process = MemoryImport()
    for number in range(FOLDERS):
        folder = in_process.old.folder(LOGIN, b"Folder %02d" % number if number else b"INBOX")
        for one in range(3):
            folder.add(numbered(100 * number + one), internaldate=1_700_000_000 + one)
    in_process.submit()
    in_process.work(stopping=lambda: verifies(in_process))
    return in_process


def verifies(in_process: MemoryImport) -> bool:
    """Tells whether all is copied, and the verification waits for a lane, or has one."""
    return any(row.unit.kind is UnitKind.VERIFY for row in in_process.store._rows.units.values())


class Attempt:
    """An attempt in which something is wanted of the verification once it has opened some folders."""

    def __init__(self, in_process: MemoryImport, monkeypatch: pytest.MonkeyPatch, wish: Wish, folders: int) -> None:
        self.effects = Effects()
        usual = MailboxVerification.__init__

        def wished(self_: MailboxVerification, *those: object, wish: Callable[[], Wish], **named: object) -> None:
            usual(self_, *those, wish=self.wish, **named)  # type: ignore[arg-type]

        self._wish, self._folders = wish, folders
        with monkeypatch.context() as patched:
            patched.setattr(MailboxVerification, "__init__", wished)
            in_process.work(self.effects, stopping=lambda: self.wish() is not Wish.RUN)

    @property
    def opened(self) -> int:
        """The folders that were opened."""
        return self.effects.names.count("after open")

    def wish(self) -> Wish:
        """Returns what is wanted by now."""
        return self._wish if self.opened >= self._folders else Wish.RUN


@pytest.mark.parametrize(
    ("wish", "keeps", "opened"),
    [
        pytest.param(Wish.PAUSE, True, [4, 4, 4, 3], id="a pause stops it inside of a folder"),
        pytest.param(Wish.YIELD, True, [4, 4, 4, 0], id="it gives way between two folders"),
        pytest.param(Wish.PAUSE, False, [4, 4, 4, 4], id="control: it begins anew each time"),
        pytest.param(Wish.YIELD, False, [12, 0, 0, 0], id="control: where it would, it does not give way"),
    ],
)
def test_it_goes_on_behind_what_it_compared(
    copied: MemoryImport, monkeypatch: pytest.MonkeyPatch, wish: Wish, opened: list[int], *, keeps: bool
) -> None:
    if not keeps:
        monkeypatch.setattr(MailboxVerification, "_lasts", False)
    assert [Attempt(copied, monkeypatch, wish, 4).opened for _ in opened] == opened
    copied.to_the_end()
    copied.assert_exactly_once()
