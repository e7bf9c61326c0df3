"""The throughput of an import as a picture: points for an SVG path. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

#: Size of the picture, in its own units.
WIDTH: Final = 600
HEIGHT: Final = 120
#: Maximum number of samples kept. With more, every second one is dropped, and they are taken half as often.
MOST: Final = 240

Sample = Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Plot:
    """The picture of an import's throughput."""

    #: Path of the line.
    line: str
    #: Path of the area below the line.
    area: str
    #: The highest rate, messages a second.
    most: float
    #: The mean rate.
    mean: float
    #: Begin and end, in seconds since the epoch.
    begin: float
    end: float


def plot(samples: Sequence[Sample]) -> Plot | None:
    """Draws the messages a second between samples. Returns None if there is nothing to draw."""
    rates = [(a[0], b[0], max(0.0, (b[1] - a[1]) / (b[0] - a[0]))) for a, b in pairwise(samples) if b[0] > a[0]]
    most = max((rate for _, _, rate in rates), default=0.0)
    if most <= 0:
        return None
    begin, end = rates[0][0], rates[-1][1]
    points = []
    for low, high, rate in rates:
        y = HEIGHT * (1 - rate / most)
        points += [f"{WIDTH * (at - begin) / (end - begin):.1f},{y:.1f}" for at in (low, high)]
    line = "M" + " L".join(points)
    moved = max(0.0, samples[-1][1] - samples[0][1])
    return Plot(
        line=line,
        area=f"{line} L{WIDTH},{HEIGHT} L0,{HEIGHT} Z",
        most=most,
        mean=moved / (end - begin),
        begin=begin,
        end=end,
    )


def thinned(samples: list[list[float]]) -> list[list[float]]:
    """Returns the samples; if there are more than `MOST`, every second one and the last."""
    if len(samples) <= MOST:
        return samples
    return [*samples[:-1:2], samples[-1]]
