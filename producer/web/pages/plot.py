"""The throughput of an import as a picture: points for an SVG path, an axis, and values to point at. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import floor, log10
from typing import Final

from shared.nouns import dataclass

#: Size of the picture, in its own units.
WIDTH: Final = 600
HEIGHT: Final = 120
#: Maximum number of samples kept. With more, every second one is dropped, and they are taken half as often.
MOST: Final = 240
#: Maximum number of columns that tell their value under the pointer.
_COLUMNS: Final = 40

Sample = Sequence[float]


@dataclass(frozen=True, kw_only=True, slots=True)
class Column:
    """A part of the picture that tells its value under the pointer."""

    #: Where it begins, and its width, in units of the picture.
    x: float
    width: float
    #: When it begins, in seconds since the epoch.
    at: float
    #: Messages a second in it, on average.
    rate: float


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
    #: The rate at the top of the axis: a round number.
    top: float
    #: Begin and end, in seconds since the epoch.
    begin: float
    end: float
    #: The values to point at.
    columns: tuple[Column, ...] = ()


def plot(samples: Sequence[Sample]) -> Plot | None:
    """Draws the messages a second between samples. Returns None if there is nothing to draw."""
    rates = [(a[0], b[0], max(0.0, (b[1] - a[1]) / (b[0] - a[0]))) for a, b in pairwise(samples) if b[0] > a[0]]
    most = max((rate for _, _, rate in rates), default=0.0)
    if most <= 0:
        return None
    begin, end, top = rates[0][0], rates[-1][1], round_top(most)
    points = []
    for low, high, rate in rates:
        y = HEIGHT * (1 - rate / top)
        points += [f"{WIDTH * (at - begin) / (end - begin):.1f},{y:.1f}" for at in (low, high)]
    line = "M" + " L".join(points)
    moved = max(0.0, samples[-1][1] - samples[0][1])
    return Plot(
        line=line,
        area=f"{line} L{WIDTH},{HEIGHT} L0,{HEIGHT} Z",
        most=most,
        mean=moved / (end - begin),
        top=top,
        begin=begin,
        end=end,
        columns=tuple(_columns(rates, begin, end)),
    )


def round_top(most: float) -> float:
    """Returns the least of 1, 2, 4, 5, 8 or 10 times a power of ten that is not below `most`, so that its half is round."""
    power = 10.0 ** floor(log10(most))
    return float(next(power * step for step in (1, 2, 4, 5, 8, 10) if most <= power * step * (1 + 1e-9)))


def _columns(rates: Sequence[tuple[float, float, float]], begin: float, end: float) -> list[Column]:
    step = -(-len(rates) // _COLUMNS)
    found = []
    for at in range(0, len(rates), step):
        part = rates[at : at + step]
        low, high = part[0][0], part[-1][1]
        rate = sum(rate * (b - a) for a, b, rate in part) / (high - low)
        x, right = (round(WIDTH * (one - begin) / (end - begin), 1) for one in (low, high))
        found.append(Column(x=x, width=round(right - x, 1), at=low, rate=rate))
    return found


def thinned(samples: list[list[float]]) -> list[list[float]]:
    """Returns the samples; if there are more than `MOST`, every second one and the last."""
    if len(samples) <= MOST:
        return samples
    return [*samples[:-1:2], samples[-1]]
