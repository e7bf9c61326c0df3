"""Says in words and in fields which parts of an import stand, and how its looks go."""

from __future__ import annotations

from collections.abc import Mapping
from time import time as now
from typing import Any

from producer.show.waiting import moment
from shared.rules.standing import Standing, StandingTally
from shared.runtime.logs import clean


def standing_lines(known: Mapping[str, Standing | None], tally: StandingTally) -> list[str]:
    """Returns what stands and how its looks go, in lines; none where nothing does and nothing ever did."""
    lines = [_line(f"wave {clean(wave)} " if wave else "", one) for wave, one in sorted(known.items())]
    if tally.mailboxes or tally.looks:
        due = f"{tally.due:,} due" + (f", the first for {spoken_span(now() - tally.due_since)}" if tally.due else "")
        coming = f", the next at {moment(tally.next_at)}" if tally.next_at else ""
        many = "1 mailbox stands" if tally.mailboxes == 1 else f"{tally.mailboxes:,} mailboxes stand"
        lines.append(f"looks: {many}, {due}{coming}")
        lines.append(f"looks so far: {tally.looks:,}, of which {tally.found:,} were followed by a pass")
    return lines


def spoken_span(seconds: float) -> str:
    """Returns a time as a person writes it: "90s", "5m", "2h 30m", "3d"."""
    whole = max(0, round(seconds))
    parts = [(whole // 86_400, "d"), (whole % 86_400 // 3600, "h"), (whole % 3600 // 60, "m"), (whole % 60, "s")]
    said = [f"{number}{unit}" for number, unit in parts if number]
    return " ".join(said[:2]) or "0s"


def _line(what: str, standing: Standing | None) -> str:
    if standing is None:
        return f"{what}does not stand"
    least, most = spoken_span(standing.least_seconds), spoken_span(standing.most_seconds)
    switch = f", switched at {moment(standing.switch_at)}" if standing.switch_at else ""
    return f"{what}stands: each mailbox is looked at again after {least} to {most}{switch}"


def standing_fields(known: Mapping[str, Standing | None], tally: StandingTally) -> dict[str, Any]:
    """Returns the same as fields."""
    return {
        "standing": [
            {
                "wave": wave,
                "off": one is None,
                "least_seconds": one and one.least_seconds,
                "most_seconds": one and one.most_seconds,
                "switch_at": (one and one.switch_at) or None,
            }
            for wave, one in sorted(known.items())
        ],
        "mailboxes": tally.mailboxes,
        "due": tally.due,
        "due_since": tally.due_since or None,
        "next_at": tally.next_at or None,
        "looks": tally.looks,
        "found": tally.found,
    }
