"""Words what an import waits for: until when, and why. The terminal, the JSON and the page use the same words.

Where `now` is not given, this machine's clock and zone count.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from producer.coordinator.tally import Progress
from shared.model import Mailbox, Wait, WaitKind
from shared.rules.hours import read_hours
from shared.runtime.logs import clean
from shared.wording.spoken import spoken_size

_FAR_SECONDS: Final = 20 * 3600
_NEAR_SECONDS: Final = 90
#: Kinds of wait for a destination mailbox that another mailbox is using.
DESTINATION_WAITS: Final = (WaitKind.DESTINATION, WaitKind.DESTINATION_PAUSED)
_WHERE: Final[Mapping[WaitKind, str]] = {
    WaitKind.SOURCE_ACCOUNT: "the source account",
    WaitKind.SOURCE_HOST: "the source server",
    WaitKind.DESTINATION_ACCOUNT: "the destination account",
    WaitKind.DESTINATION_HOST: "the destination server",
}


def moment(until: float, now: float | None = None) -> str:
    """Words a moment by this machine's clock: "14:20", "Tue 24 Nov 14:20" if it is far away, with the year if in another."""
    when, today = datetime.fromtimestamp(until), datetime.fromtimestamp(time.time() if now is None else now)
    if not _far(until, now):
        return f"{when:%H:%M}"
    return f"{when:%a %d %b %H:%M}" if when.year == today.year else f"{when:%a %d %b %Y %H:%M}"


def _far(until: float, now: float | None) -> bool:
    return abs(until - (time.time() if now is None else now)) >= _FAR_SECONDS


def waiting_lines(progress: Progress, now: float | None = None) -> list[str]:
    """Returns a line for each cause of waiting. The caller shows the operator's own pause before these."""
    return [said(wait, now) for wait in progress.waits]


def said(wait: Wait, now: float | None = None) -> str:
    """Words one cause."""
    if wait.what is WaitKind.WINDOW:
        hours = read_hours(wait.why)
        when = f" until {hours.clock(wait.until, far=_far(wait.until, now))}" if wait.until else " for its hours"
        return f"waiting{when}: its hours are {clean(wait.why)}"
    if wait.what is WaitKind.WAVE_START:
        return f"wave {clean(wait.key)} begins {moment(wait.until, now)} ({spoken_number(wait.mailboxes)})"
    if wait.what is WaitKind.WAVE_HOURS:
        hours = read_hours(wait.why)
        when = f" until {hours.clock(wait.until, far=_far(wait.until, now))}" if wait.until else ""
        many = spoken_number(wait.mailboxes)
        return f"wave {clean(wait.key)} waits{when}: its hours are {clean(wait.why)} ({many})"
    if wait.what is WaitKind.WAVE_PAUSED:
        return f"wave {clean(wait.key)} is paused ({spoken_number(wait.mailboxes)}): mailhaul resume --wave {clean(wait.key)}"
    if wait.what in DESTINATION_WAITS:
        return _destination(wait)
    if wait.what is WaitKind.WORKERS:
        return "no worker is running: nothing moves until one is started (mailhaul worker, or mailhaul up)"
    if wait.what is WaitKind.STORE:
        return f"the state store takes no writes: {clean(wait.why)}; work goes on when it does"
    if wait.what in (WaitKind.SOURCE_SERVER, WaitKind.DESTINATION_SERVER):
        then = next_try(wait.until, now)
        return "; ".join(
            filter(None, [f"waiting for {clean(wait.key)}: {clean(wait.why)}{since(wait.since, now)}", then])
        )
    if wait.what is WaitKind.SETTLE:
        wait_ = "waits" if wait.mailboxes == 1 else "wait"
        what = "what was sent before may still arrive at the destination"
        return f"{spoken_number(wait.mailboxes)} {wait_} until {moment(wait.until, now)}: {what}"
    if wait.what is WaitKind.RATE:
        return f"{clean(wait.why)} ({spoken_number(wait.mailboxes)})"
    at = moment(wait.until, now)
    if wait.what is WaitKind.ROOM:
        full = "1 mailbox is full" if wait.mailboxes == 1 else f"{wait.mailboxes:,} mailboxes are full"
        return f"{full}: next attempt at {at}, while workers run" if wait.until else full
    place = _WHERE[wait.what]
    where = (
        f"{wait.mailboxes:,} of {place}s" if wait.mailboxes > 1 else " ".join(filter(None, [place, clean(wait.key)]))
    )
    return f"waiting until {at}: {clean(wait.why) or 'the server asked to wait'} ({where})"


def since(at: float, now: float | None = None) -> str:
    """Words a start, with a space in front: " since 23:41"; "" where it is not known."""
    return f" since {moment(at, now)}" if at else ""


def next_try(at: float, now: float | None = None) -> str:
    """Words a next try: "next try in 40 s", "next try at 23:42", "trying again now"; "" where it is not known."""
    left = at - (time.time() if now is None else now)
    if not at or left < 1:
        return "trying again now" if at else ""
    return f"next try in {round(left)} s" if left < _NEAR_SECONDS else f"next try at {moment(at, now)}"


def spoken_number(mailboxes: int) -> str:
    """Words a number of mailboxes."""
    return f"{mailboxes:,} mailbox{'es' if mailboxes != 1 else ''}"


def _destination(wait: Wait) -> str:
    """Words the wait for a destination that another mailbox is using."""
    one = wait.mailboxes == 1
    who = "1 mailbox waits" if one else f"{wait.mailboxes:,} mailboxes wait"
    holder = clean(wait.why)
    what = f"the destination {clean(wait.key)}" if wait.key else "their destinations"
    if holder.startswith("row "):
        return f"{who}: {holder} goes into the same destination first"
    if wait.what is WaitKind.DESTINATION_PAUSED:
        name = holder.removeprefix("import ")
        return f"{who}: {holder} has {what} and is paused; end that with: mailhaul resume {name} (or mailhaul cancel {name})"
    goes = "it goes on" if one else "they go on"
    return f"{who}: {holder} is filling {what}; {goes} when that is done, or put both in one list"


def waiting_for(mailbox: Mailbox) -> str:
    """Words who has the destination that this mailbox waits for: "waits for import pilot"; "" for none."""
    return f"waits for {clean(mailbox.behind)}" if mailbox.behind else ""


def wait_fields(waits: Sequence[Wait], now: float | None = None) -> list[dict[str, Any]]:
    """Returns the waits for JSON."""
    return [
        {
            "what": wait.what,
            "key": wait.key,
            "until": wait.until or None,
            "since": wait.since or None,
            "why": wait.why,
            "mailboxes": wait.mailboxes,
            "said": said(wait, now),
        }
        for wait in waits
    ]


def full(missing_bytes: int, again_at: float, now: float | None = None) -> str:
    """Words what is known of a full mailbox: "it needs 12 MB more, next attempt at 14:20"; "" for nothing."""
    missing = f"it needs {spoken_size(missing_bytes)} more" if missing_bytes else ""
    return ", ".join(filter(None, [missing, f"next attempt at {moment(again_at, now)}" if again_at else ""]))


def room_of(mailbox: Mailbox, now: float | None = None) -> str:
    """Words what is known of this mailbox's want of room, as `full` does."""
    return full(mailbox.failure.missing_bytes if mailbox.failure else 0, mailbox.again_at, now)
