"""Waits until the rates of a mailbox's accounts or hosts (`shared.model.rates`) allow more.

It waits only as long as it is worth keeping the connections open.
"""

from __future__ import annotations

import time
from collections.abc import Callable

from shared.model.errors import RateReached
from shared.model.events import Listener, RateWaited
from shared.model.lifecycle import Wish
from shared.model.rates import PATIENCE_SECONDS, Due, spoken_due
from worker.copying.inflight import stop_on

#: Seconds between two looks at the operator's wish, and at whether the process is to end.
_LOOK_SECONDS = 0.25
#: Seconds between two questions to the store for what is owed: a rate may change meanwhile, and others pay into the
#: same meter.
_ASK_SECONDS = 1.0


def wait_out(
    due: Due | None,
    ask: Callable[[], Due | None],
    wish: Callable[[], Wish],
    tell: Listener,
    sleep: Callable[[float], object] = time.sleep,
) -> None:
    """Waits until nothing is owed.

    Raises `RateReached` when that would take too long, and what `stop_on` raises for a wish.
    """
    while due is not None:
        if due.seconds > PATIENCE_SECONDS:
            raise RateReached(due.side, spoken_due(due), due.name)
        left = min(due.seconds, _ASK_SECONDS)
        tell(RateWaited(rate=due.rate, seconds=left))
        while left > 0:
            stop_on(wish())
            sleep(min(left, _LOOK_SECONDS))
            left -= _LOOK_SECONDS
        due = ask()
