"""The values that the lives of `test_store_lockstep` are drawn from."""

from __future__ import annotations

from hypothesis import strategies as st

from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.rules.standing import Standing

HOLDERS = st.sampled_from(["a", "b", "c", "d"])
LIMITS = {"source_account": 2, "destination_account": 2, "source_host": 3, "destination_host": 4}
OTHERS = st.sampled_from([Outcome.VANISHED, Outcome.REFUSED, Outcome.FAILED, Outcome.SKIPPED])
LOST = st.booleans()
SIZES = st.integers(0, 30)
ENDS = st.sampled_from(["all", "part", "others", "taken", "withdraw", "nothing"])
HOW = st.sampled_from(["again", "again", "wait", "wait", "doubt", "late", "park", "replan"])
PEOPLE = [
    "again",
    "control",
    "control",
    "retry",
    "retry",
    "limit",
    "usual",
    "window",
    "wave",
    "move",
    "move",
    "erase",
    "die",
    "die",
    "cutover",
    "stand",
    "stand",
]
STANDING = st.sampled_from([None, Standing(least_seconds=10, most_seconds=10), Standing(least_seconds=20)])
WAVES = st.sampled_from([None, "", "a", "a", "b"])
#: Seconds until a time window opens and closes.
SPANS = st.sampled_from([(-5, 20), (10, 30), (0, 600), (70, 90)])
TIMES = st.sampled_from(
    ["crash", "attend", "attend", "time", "time", "reap", "leave", "lead", "bury", "tell", "send", "send", "forecast"]
)
HOLD = st.sampled_from(["", "", "source_host:old.example", "destination_account"])


def choice(
    data: st.DataObject, before: dict[str, UidSet], uids: UidSet
) -> tuple[dict[str, UidSet] | None, UidSet, UidSet]:
    """Draws (what the request leaves out of the folder, what it no longer leaves out, what is new)."""
    if not data.draw(st.booleans()):
        return None, UidSet(), UidSet()
    new = uids.take(data.draw(st.integers(0, len(uids))))[0]
    revived = before.get("old", UidSet()) if data.draw(st.booleans()) else UidSet()
    old = (before.get("old", UidSet()) - revived) | new
    skipped = {"old": old} if old else {}
    return (None, UidSet(), UidSet()) if skipped == before else (skipped, revived, new)
