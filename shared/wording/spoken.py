"""Words sizes and durations for people. Pure."""

from __future__ import annotations


def spoken_size(bytes_: int) -> str:
    """Words a number of bytes for people: "3.4 GB"."""
    size, units = float(bytes_), ["bytes", "kB", "MB", "GB", "TB"]
    while size >= 1000 and len(units) > 1:
        size, units = size / 1000, units[1:]
    return f"{size:.1f} {units[0]}" if units[0] != "bytes" else f"{bytes_} bytes"


def spoken_duration(seconds: float) -> str:
    """Words a duration for people, rounded: "40 s", "5 min", "3.5 h", "2.0 days"."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} days"
