"""Tests what is told of a copy that has other flags than it was sent with."""

from __future__ import annotations

import pytest

from shared.model.uids import Uid
from worker.decisions.unlike_flags import MOST_TOLD, told, unlike

OTHERS = frozenset({"work", "private"})


@pytest.mark.parametrize(
    ("sent", "shown", "said"),
    [
        ("\\Seen work", "WORK \\Seen", ""),
        ("\\Seen work", "\\Seen", "without: work"),
        ("\\Seen work", "work \\Flagged", "without: \\Seen"),
        ("work", "unknown-1", "without: work; it shows the message with: unknown-1"),
        ("work", "private NonJunk", "without: work; it shows the message with: private NonJunk"),
        ("\\Seen work", "work NonJunk", "without: \\Seen"),  # nothing is said of NonJunk
        ("", "private", "it shows the message with: private"),
        ("", "unknown-12", "it shows the message with: unknown-12"),
        ("unknown-12", "unknown-12", ""),  # it has that name at the source, too
        ("", "NonJunk \\Seen \\Answered \\Deleted", ""),  # a person, or a filter
    ],
)
def test_what_is_certain_is_told(sent: str, shown: str, said: str) -> None:
    reason = unlike(sent.split(), shown.split(), OTHERS)
    assert said in reason
    assert bool(said) == bool(reason)
    assert ("OK" in reason) == ("without" in said)
    assert "somebody" not in reason
    assert ("NonJunk" in reason) == ("NonJunk" in said)


def test_of_an_older_copy_people_may_have_taken_them_away() -> None:
    assert "somebody took them away since" in unlike(["work"], [], now=True)


def test_of_very_many_messages_the_first_are_told() -> None:
    found = [(Uid(uid), "without") for uid in range(1, MOST_TOLD + 2)]
    assert len(told(found[:-1])) == MOST_TOLD
    assert "not named" not in told(found[:-1])[-1].reason
    assert len(told(found)) == MOST_TOLD
    assert "not named" in told(found)[-1].reason
