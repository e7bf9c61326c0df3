"""The 81 cases of a later pass: nine changes at the source, each with nine at the destination, and what is right then.

python -m tests.integration.both_sides     writes the table of docs/later-passes.md
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs" / "later-passes.md"
BEGIN: Final = "<!-- written by python -m tests.integration.both_sides -->\n"
END: Final = "<!-- end -->\n"

#: The change → its heading in the table, and the commands that make it. Message 1 of the folder Work is meant.
CHANGES: Final = (
    "nothing",
    "system flag",
    "keyword",
    "moved",
    "deleted",
    "folder renamed",
    "folder deleted",
    "copied",
    "new mail",
)
DELETED: Final = (b"SELECT Work", b"STORE 1 +FLAGS.SILENT (\\Deleted)", b"EXPUNGE")
AT_SOURCE: Final[dict[str, tuple[bytes, ...]]] = {
    "nothing": (),
    "system flag": (b"SELECT Work", b"STORE 1 +FLAGS.SILENT (\\Flagged)"),
    "keyword": (b"SELECT Work", b"STORE 1 +FLAGS.SILENT (theirs)"),
    "moved": (b"SELECT Work", b"MOVE 1 Other"),
    "deleted": DELETED,
    "folder renamed": (b"RENAME Work Projects",),
    "folder deleted": (b"DELETE Work",),
    "copied": (b"SELECT Work", b"COPY 1 Other"),
    "new mail": (),
}
AT_DESTINATION: Final[dict[str, tuple[bytes, ...]]] = {
    **AT_SOURCE,
    "system flag": (b"SELECT Work", b"STORE 1 -FLAGS.SILENT (\\Seen)"),
    "keyword": (b"SELECT Work", b"STORE 1 +FLAGS.SILENT (ours)"),
    "moved": (b"CREATE Kept", b"SELECT Work", b"MOVE 1 Kept"),
    "folder renamed": (b"RENAME Work Mine",),
    "copied": (b"CREATE Kept", b"SELECT Work", b"COPY 1 Kept"),
}
#: Messages by number: 1 and 2 are in Work, 3 in Other, 4 in INBOX; 8 is new at the source, 9 at the destination.
NEW_AT_SOURCE, NEW_AT_DESTINATION = 8, 9


@dataclass(frozen=True, kw_only=True, slots=True)
class State:
    """The destination."""

    #: (folder, message) as often as it is there.
    places: tuple[tuple[str, int], ...] = (("INBOX", 4), ("Other", 3), ("Work", 1), ("Work", 2))
    #: Flags of message 1 where we put it; None where it is not.
    flags: frozenset[str] | None = frozenset({"\\seen"})
    #: The name of the folder that was Work; "" where its user deleted it.
    work: str = "Work"

    def with_one(self, folder: str, number: int) -> State:
        """Returns the state with a message more."""
        return replace(self, places=tuple(sorted((*self.places, (folder, number)))))

    def without(self, number: int) -> State:
        """Returns the state without a message of the folder that was Work."""
        return replace(self, places=tuple(one for one in self.places if one != (self.work, number)))

    def renamed(self, name: str) -> State:
        """Returns the state in which the folder that was Work has another name."""
        places = tuple(sorted((name if folder == self.work else folder, number) for folder, number in self.places))
        return replace(self, places=places, work=name)


def after_the_user(change: str) -> State:
    """Returns the destination after its user's change."""
    state = State()
    if change == "system flag":
        return replace(state, flags=frozenset())
    if change == "keyword":
        return replace(state, flags=frozenset({"\\seen", "ours"}))
    if change == "moved":
        return replace(state.without(1).with_one("Kept", 1), flags=None)
    if change == "deleted":
        return replace(state.without(1), flags=None)
    if change == "folder renamed":
        return state.renamed("Mine")
    if change == "folder deleted":
        return replace(state.without(1).without(2), flags=None, work="")
    if change == "copied":
        return state.with_one("Kept", 1)
    return state.with_one("Work", NEW_AT_DESTINATION) if change == "new mail" else state


def expected(there: str, here: str) -> tuple[State, str]:
    """Returns the destination after the later pass, and what the pass did to it, in words for the table."""
    state = after_the_user(here)
    if there in ("system flag", "keyword"):
        if state.flags is None:
            return state, "left alone"
        flag = "\\flagged" if there == "system flag" else "theirs"
        return replace(state, flags=state.flags | {flag}), "set"
    if there == "moved":
        if state.flags is None:
            return state, "left alone"
        return state.without(1).with_one("Other", 1), "moved"
    if there == "folder renamed":
        return (state, "left alone") if state.work != "Work" else (state.renamed("Projects"), "renamed")
    if there == "copied":
        return state.with_one("Other", 1), "copied"
    if there == "new mail":
        into = state.work or "Work"
        words = (
            "copied" if state.work == "Work" else f"copied, into {'the folder made anew' if not state.work else 'it'}"
        )
        return state.with_one(into, NEW_AT_SOURCE), words
    return state, "left alone" if there != "nothing" or here != "nothing" else "nothing to do"


def table() -> str:
    """Returns the table, one row for each change at the source."""
    lines = ["| at the source ↓, at the destination → | " + " | ".join(CHANGES) + " |", "|---" * 10 + "|"]
    for there in CHANGES:
        lines.append(f"| **{there}** | " + " | ".join(expected(there, here)[1] for here in CHANGES) + " |")
    return "\n".join(lines) + "\n"


def written(page: str) -> str:
    """Returns the page with the right table."""
    head, _, rest = page.partition(BEGIN)
    return head + BEGIN + "\n" + table() + "\n" + END + rest.partition(END)[2]


if __name__ == "__main__":
    PAGE.write_text(written(PAGE.read_text()))
