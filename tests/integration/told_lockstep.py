"""Steps of the lockstep test about what people are told: notices, deliveries and forecasts."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import strategies as st

from shared.model.forecasts import KeptForecast
from shared.model.notices import Notice


def tell(pair: Any, data: st.DataObject, lost: bool) -> None:
    """Tells something that may have been told before, and spreads the oldest notice."""
    pair.count += 1
    notice = Notice(notice_id=f"n{pair.count}", kind="state", at=pair.clock(), values={"n": pair.count})
    seconds, mark = data.draw(st.sampled_from([20.0, 90.0])), data.draw(st.sampled_from(["", "m"]))
    height = data.draw(st.integers(0, 3))
    pair.both(
        "tell",
        notice,
        once=data.draw(st.sampled_from(["a", "b", "c"])),
        seconds=seconds,
        mark=mark,
        height=float(height),
        lost=lost,
    )
    if (waiting := pair.model.notices()) and data.draw(st.booleans()):
        targets = data.draw(st.lists(st.sampled_from(["t", "u"]), unique=True))
        pair.both("spread", waiting[0].notice_id, targets, lost=lost)


def forecast(pair: Any, data: st.DataObject, lost: bool) -> None:
    """Keeps a forecast and an end of an import that may not be there."""
    one = data.draw(st.sampled_from([*(whole.import_id for whole in pair.imports), "nobody"]))
    made = data.draw(st.integers(0, 60))
    kept = KeptForecast(
        made_at=made, passes=1, ends_at=9, low_at=8, high_at=10, mailboxes=2, size_bytes=3, waves={"a": 9}
    )
    pair.both("keep_forecast", one, kept, lost=lost)
    pair.both("keep_end", one, data.draw(st.integers(1, 2)), data.draw(st.sampled_from(["", "a"])), made, lost=lost)


def send(pair: Any, data: st.DataObject, lost: bool) -> None:
    """Takes a delivery as the sender, now and then under an old term, and says what came of it."""
    term = pair.both("lead", "x", 30, "sender")
    for _ in range(1 + lost):
        pair.both("take_delivery", term - data.draw(st.integers(0, 1)) if term else 0, 15.0)
    known = [*pair.model.deliveries(), *pair.model.undelivered()]
    if known:
        one = data.draw(st.sampled_from(known))
        one = replace(one, attempts=max(0, one.attempts - data.draw(st.sampled_from([0, 0, 1]))))
        how = data.draw(st.sampled_from(["sent", "failed", "failed", "never", "drop", "anew"]))
        for _ in range(1 + lost):
            pair.both("settle_delivery", one, how, "why", data.draw(st.sampled_from([0.0, 40.0])))
