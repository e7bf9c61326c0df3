"""The notifier: notices what is to be told, spreads it to the targets, and sends it. One in all processes is at work.

Each step may be repeated. What a killed process had told stands in the outbox, for a day where nobody sends; what it was sending is
sent again, with the same id.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final

from producer.forecast.simulation import Rest, no_rest
from producer.notices.channels import NoticeTold, send
from producer.notices.sending import OF_HOST, NotSent, reach_of_notices, spoken
from producer.notices.watching import NoticeWatch
from shared.model.errors import LeaseLost, MailhaulError
from shared.model.notices import Delivery, Notice
from shared.runtime.config import Settings
from shared.runtime.logs import get_logger
from shared.sign_in.reach import Reach
from shared.store import Store
from shared.store.records.targets import Target, Targets

#: The time for which a process stays the sender after it last asked, seconds; longer than one delivery takes.
POST_SECONDS: Final = 120.0
#: Pause between two turns, and between two looks at all imports, seconds.
TURN_SECONDS, LOOK_SECONDS = 2.0, 10.0
#: Time until a delivery that failed is tried again, seconds; twice as much each time.
RETRY_SECONDS: Final = 30.0
#: Mailboxes that a message names at most.
_NAMED: Final = 20

_log = get_logger("mailhaul.notices")
#: Sends words to a target. Raises `NotSent`.
Send = Callable[[Target, NoticeTold, float, Reach | None], None]


@dataclass
class Notifier:
    """The turns of the notifier, in a thread of its own. Not thread-safe otherwise."""

    #: The store.
    store: Store
    #: The targets.
    targets: Targets
    #: The name of this process.
    holder: str
    #: Guards targets that came by page or API; None where no setting allows any address.
    reach: Reach | None
    #: Seconds without progress after which people are told.
    still_seconds: float
    #: The settings' limits, by scope, and the threads of a worker; for forecasts.
    default: Mapping[str, int] = field(default_factory=dict)
    threads: int = 16
    #: Called after each piece of a forecast.
    rest: Rest = no_rest
    #: Seconds until a delivery that failed is tried again.
    retry_seconds: float = RETRY_SECONDS
    #: Seconds between two looks at all imports.
    look_seconds: float = LOOK_SECONDS
    #: The time of day, seconds since the epoch.
    now: Callable[[], float] = time.time
    #: Sends one message.
    send: Send = send

    _watcher: NoticeWatch = field(init=False)
    _looked: float = field(init=False, default=float("-inf"))
    _over: threading.Event = field(init=False, default_factory=threading.Event)
    _thread: threading.Thread | None = field(init=False, default=None)

    def __post_init__(self) -> None:
        self._watcher = NoticeWatch(self.store, self.still_seconds, self.default, self.threads, self.rest)

    def start(self) -> None:
        """Starts the thread, which runs until `stop`."""
        self._thread = threading.Thread(target=self._run, name="notices", daemon=True)
        self._thread.start()

    def stop(self, seconds: float = 5.0) -> None:
        """Ends the thread after its turn, and waits so long for it."""
        self._over.set()
        if self._thread:
            self._thread.join(seconds)

    def turn(self) -> bool:
        """Does one turn. Returns whether this process is the sender. Raises `StoreError`."""
        term = self.store.lead(self.holder, POST_SECONDS, "sender")
        if not term:
            return False
        known = {target.target_id: target for target in self.targets.all()}
        if self.now() - self._looked >= self.look_seconds:
            self._watcher.look(self.now())
            self._looked = self.now()
        self._watcher.digests(known.values(), self.now())
        for notice in self.store.notices():
            self.store.spread(notice.notice_id, _wanted_by(notice, known))
        while not self._over.is_set() and (found := self.store.take_delivery(term, self.retry_seconds)):
            self._deliver(found, known)
            if not self.store.lead(self.holder, POST_SECONDS, "sender"):
                return False
        return True

    def last_words(self) -> None:
        """Ends the thread, and does one more turn with a last look: what has just happened is told before the process ends."""
        self.stop(POST_SECONDS)
        self._over.clear()
        self._looked = float("-inf")
        self._turn()

    def _run(self) -> None:
        while not self._over.wait(TURN_SECONDS):
            self._turn()

    def _turn(self) -> None:
        try:
            self.turn()
        except LeaseLost:
            return  # another process is the sender now
        except MailhaulError as error:
            _log.warning("notices_not_told", error=str(error))
        except Exception as error:  # the next turn goes on
            _log.exception("notices_not_told", error=spoken(error))

    def _deliver(self, delivery: Delivery, known: Mapping[str, Target]) -> None:
        notice, target = delivery.notice, known.get(delivery.target_id)
        if target is None:  # it was removed meanwhile
            self.store.settle_delivery(delivery, "drop")
            return
        about = {"kind": notice.kind, "target": target.target_id, "way": target.way, "attempt": delivery.attempts}
        try:
            word_and_send(self.store, target, delivery, self.now(), self.reach, self.send)
        except NotSent as error:
            how = "never" if error.forever else "failed"
            became = self.store.settle_delivery(delivery, how, error.why, error.after_seconds)
            event = "notice_given_up" if became == "given up" else "notice_not_sent"
            _log.warning(event, delivery=delivery.delivery_id, error=error.why, **about)
            return
        self.store.settle_delivery(delivery, "sent")
        _log.info("notice_sent", delivery=delivery.delivery_id, **about)


def word_and_send(
    store: Store, target: Target, delivery: Delivery, now: float, reach: Reach | None, by: Send = send
) -> None:
    """Sends a delivery in its target's words. Raises `NotSent`, whatever is wrong with it, and `StoreError`."""
    try:
        by(target, told_to(store, target, delivery), now, reach)
    except MailhaulError:
        raise
    except NotSent as error:
        raise error.without(target.hidden) from None
    except Exception as error:  # one target's password or address holds up no other
        raise NotSent(OF_HOST.says(host=type(error).__name__, cause=spoken(error))).without(target.hidden) from None


def told_to(store: Store, target: Target, delivery: Delivery) -> NoticeTold:
    """Returns the words of a delivery for its target; logins only where the target asked for them."""
    from producer.notices.wording import worded

    logins = _logins(store, delivery.notice) if target.logins else []
    wording = worded(delivery.notice, target.language, target.zone, logins if target.logins else None)
    return NoticeTold(delivery=delivery, wording=wording, logins=logins)


def _logins(store: Store, notice: Notice) -> list[str]:
    found = (store.mailbox(mailbox_id) for mailbox_id in notice.mailbox_ids[:_NAMED])
    return [mailbox.source.login for mailbox in found if mailbox]


def notifier_of(settings: Settings, store: Store, targets: Targets, holder: str, *, rest: Rest = no_rest) -> Notifier:
    """Returns the notifier that these settings ask for, which calls `rest` after each piece of a forecast."""
    return Notifier(
        store=store,
        targets=targets,
        holder=holder,
        reach=reach_of_notices(settings),
        still_seconds=settings.notify_still_minutes * 60,
        default=settings.limits,
        threads=settings.worker_threads,
        rest=rest,
    )


def _wanted_by(notice: Notice, known: Mapping[str, Target]) -> list[str]:
    """Returns the targets that are told of this. What happened before a target was set up is not told to it."""
    if notice.target_id:
        return [notice.target_id] * (notice.target_id in known)
    return [
        target.target_id
        for target in known.values()
        if target.wants(notice.kind, notice.import_id) and notice.at >= target.made_at
    ]
