"""Shows forecasts and their scores: in words for a terminal, and as JSON."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from producer.forecast.outlook import Outlook, Score
from shared.model.forecasts import KeptForecast
from shared.wording.spoken import spoken_duration


def forecast_fields(kept: KeptForecast) -> dict[str, Any]:
    """Returns a forecast for JSON."""
    return {
        "made_at": kept.made_at,
        "ends_at": kept.ends_at or None,
        "low_at": kept.low_at or None,
        "high_at": kept.high_at or None,
        "passes": kept.passes,
        "mailboxes": kept.mailboxes,
        "size_bytes": round(kept.size_bytes),
        "waves": {wave: end or None for wave, end in kept.waves.items()},
        "binds": list(kept.binds),
    }


def score_fields(score: Score) -> dict[str, Any]:
    """Returns a score for JSON."""
    return {
        "wave": score.wave,
        "made_at": score.made_at,
        "forecast_at": score.forecast_at or None,
        "ended_at": score.ended_at or None,
        "off": score.off,
    }


def outlook_lines(found: Outlook, wave: str = "") -> list[str]:
    """Words an outlook, or that of one wave."""
    kept = found.kept
    if wave:
        return [f"wave {wave}: {_end(kept.waves.get(wave), kept.made_at)}", *kept.binds]
    lines = [_end(kept.ends_at, kept.made_at)]
    if kept.ends_at and kept.high_at > kept.low_at:
        lines[0] += f", between {_spoken(kept.low_at)} and {_spoken(kept.high_at)}"
    lines += [f"wave {name}: {_end(end, kept.made_at)}" for name, end in kept.waves.items() if name]
    lines += kept.binds
    if found.assumed:
        lines.append(f"{found.assumed:,} mailboxes are not counted yet and taken to be as large as the others")
    if found.waiting:
        lines.append(f"{found.waiting:,} mailboxes wait for a person and are not in it")
    return lines


def score_line(score: Score) -> str:
    """Words how a forecast did."""
    what = f"wave {score.wave}" if score.wave else "all"
    made = f"{what}: forecast on {_spoken(score.made_at)} was {_spoken(score.forecast_at)}"
    late, off = score.late_seconds, score.off
    if late is None:
        return made
    if abs(late) < 60 or (off is not None and abs(off) < 0.01):
        return f"{made}; it ended then"
    part = "" if off is None else f" ({off:+.0%})"
    return f"{made}; it ended {spoken_duration(abs(late))} {'later' if late > 0 else 'earlier'}{part}"


def _end(at: float | None, made_at: float) -> str:
    if not at:
        return "no end: it is paused" if at is not None else "nothing is left"
    return f"done about {_spoken(at)}, in {spoken_duration(at - made_at)}"


def _spoken(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M} UTC"
