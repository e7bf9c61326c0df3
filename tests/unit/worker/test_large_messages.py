"""Large messages: those of one import together take of a destination what one alone would, while others are at work."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from worker.copying.large_messages import LargeMessages


class _Destination:
    """A destination that is busy with each chunk for some seconds of a clock that only it and rests move."""

    def __init__(self, others: bool) -> None:
        self.now, self.rested = 0.0, 0.0
        self.large = LargeMessages(lambda import_id: others, lambda: self.now, self._rest)

    def _rest(self, seconds: float) -> None:
        self.rested += seconds

    def take(self, chunks: Iterator[bytes], number: int, seconds: float = 0.01) -> list[bytes]:
        """Takes so many chunks, and asks for the one behind them."""
        taken = [next(chunks)]
        for _ in range(number):
            self.now += seconds
            taken.append(next(chunks))
        return taken


def _chunks() -> Iterator[bytes]:
    yield from (b"%d" % number for number in range(10_000))


@pytest.mark.parametrize(("messages", "rests"), [(1, 0.0), (2, 10.0), (4, 30.0)])
def test_each_rests_as_long_as_the_destination_was_busy_once_for_each_of_the_others(
    messages: int, rests: float
) -> None:
    place = _Destination(others=True)
    passing = [place.large.paced("hostile", _chunks()) for _ in range(messages)]
    for one in passing:
        next(one)
    assert place.take(passing[0], 1_000) == [b"%d" % number for number in range(1, 1_002)], "it passes unchanged"
    assert place.rested == pytest.approx(rests, rel=0.01)


def test_an_import_alone_never_rests() -> None:
    place = _Destination(others=False)
    passing = [place.large.paced("honest", _chunks()) for _ in range(4)]
    for one in passing:
        place.take(one, 100)
    assert place.rested == 0


def test_large_messages_of_another_import_do_not_count() -> None:
    place = _Destination(others=True)
    hostile = [place.large.paced("hostile", _chunks()) for _ in range(4)]
    for one in hostile:
        next(one)
    place.take(place.large.paced("honest", _chunks()), 100)
    assert place.rested == 0


def test_a_message_that_ended_in_whatever_way_counts_no_more() -> None:
    place = _Destination(others=True)
    ended, broken = (place.large.paced("one", iter([b"x"])) for _ in range(2))
    assert list(ended) == [b"x"]
    next(broken)
    broken.close()  # type: ignore[attr-defined]
    place.take(place.large.paced("one", _chunks()), 100)
    assert place.rested == 0


def test_no_rest_is_long() -> None:
    """A lane hears within it what is wanted of it."""
    place = _Destination(others=True)
    rests: list[float] = []
    place.large = LargeMessages(lambda import_id: True, lambda: place.now, rests.append)
    passing = [place.large.paced("one", _chunks()) for _ in range(9)]
    for one in passing:
        next(one)
    place.take(passing[0], 5, seconds=60.0)
    assert max(rests) <= 0.5
