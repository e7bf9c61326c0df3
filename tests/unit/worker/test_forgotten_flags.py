"""Tests by which copies a server is judged to forget flags, and which copies are given them."""

from __future__ import annotations

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any

import pytest

from shared.mail import FlagChange, KnownStatus
from shared.mail.answers.kept_flags import KeptFlags
from shared.model.uids import UidSet
from tests.contract.store_kit import copied
from worker.copying.forgotten_flags import ForgottenFlags

FOLDER = KnownStatus(uidnext=99, messages=9)


class Server:
    """A destination that shows \\Seen for some UIDs, and notes where it is set, and all that is changed."""

    def __init__(self, *seen: int) -> None:
        self.kept_flags, self.seen, self.given = KeptFlags(), seen, UidSet()
        self.changes: list[FlagChange] = []
        self.asked: list[UidSet] = []

    def flags(self, uids: UidSet) -> list[tuple[int, tuple[str, ...]]]:
        self.asked.append(uids)
        return [(uid, ("\\Seen",) if uid in self.seen else ()) for uid in uids]

    def store_flags(self, changes: Iterable[FlagChange]) -> None:
        for change in changes:
            self.given |= change.uids
            self.changes.append(change)


def flags_of(server: Server, flags: str = "\\Seen") -> ForgottenFlags:
    store: Any = SimpleNamespace(flags=lambda _: {flags: UidSet.span(1, 6)})
    lease: Any = SimpleNamespace(unit=SimpleNamespace(folder_id="folder"))
    return ForgottenFlags(lease, store, server)  # type: ignore[arg-type]


@pytest.mark.parametrize("ours_seen", [True, False])
def test_copies_that_others_made_neither_teach_nor_change(*, ours_seen: bool) -> None:
    """Somebody read mail at the new server, and marked it as unread: 104 to 106 were there before."""
    server = Server(*((101,) if ours_seen else ()))
    flags, ours, theirs = flags_of(server), copied(UidSet.span(1, 3), 101), copied(UidSet.span(4, 6), 104)
    for uid in range(1, 4):
        flags.sent(uid, ("\\Seen",))
    flags.found(theirs)
    flags.see_to(FOLDER, [*ours.records, *theirs.records])
    assert server.given == (UidSet() if ours_seen else UidSet.span(101, 103))
    assert bool(server.kept_flags.kept) == ours_seen


def test_what_an_earlier_attempt_sent_teaches_nothing_bad_about_the_server() -> None:
    """Its flags may have been cleared by a reader meanwhile; they are set, and the next batch looks for itself."""
    server = Server()
    flags_of(server).see_to(FOLDER, copied(UidSet.span(1, 3), 101).records)
    assert server.given == UidSet.span(101, 103)
    assert not server.kept_flags.forgotten


def test_copies_that_are_found_again_get_only_keywords_that_the_source_shows_now() -> None:
    """Message 1 lost its keyword with its answer. People read 2 and gave 101 a keyword: neither is undone."""
    server, source = Server(102), Server()
    shown = {101: ("mine",), 102: ("\\Seen", "new")}
    server.flags = lambda uids: [(uid, shown[uid]) for uid in uids]  # type: ignore[method-assign]
    now = {1: ("\\Flagged", "new"), 2: ()}
    source.flags = lambda uids: [(uid, now[uid]) for uid in uids]  # type: ignore[method-assign]
    folder = KnownStatus(uidnext=99, messages=9, permanent_flags=frozenset({"\\Seen", "\\Flagged", "\\*"}))
    records = copied(UidSet.span(1, 2), 101).records
    flags_of(server).complete(source, folder, UidSet.span(1, 2), records)  # type: ignore[arg-type]
    assert server.changes == [FlagChange(uids=UidSet.of([101]), add=("new",))]


@pytest.mark.parametrize("seen", [True, False])
def test_what_was_read_back_is_not_asked_for_again(*, seen: bool) -> None:
    """Flags that were not read back are asked for at once, whichever they are."""
    server = Server()
    flags, ours = flags_of(server, "\\Seen \\Flagged"), copied(UidSet.span(1, 3), 101)
    for uid in range(1, 4):
        flags.sent(uid, ("\\Seen", "\\Flagged"))
    shown = ("\\Seen", "\\Flagged") if seen else ()
    assert flags.see_to(FOLDER, ours.records, dict.fromkeys((101, 102), shown)) is not seen
    assert server.asked == [UidSet.of([103])]
    assert server.given == (UidSet() if seen else UidSet.span(101, 103))
    assert server.kept_flags.kept == (frozenset({"\\seen", "\\flagged"}) if seen else frozenset())
