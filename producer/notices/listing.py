"""Lists targets and what is on its way to them, for the command line, the API and the page; and sends a test message."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, Final

from producer.notices.notifier import word_and_send
from producer.notices.sending import NotSent
from producer.telling import new_id
from shared.model.notices import Delivery, Notice
from shared.sign_in.reach import Reach
from shared.store import Store
from shared.store.records.targets import Target
from shared.wording.phrases import Phrase

NO_TARGET: Final = Phrase("target_unknown", "no target has the id {text}; mailhaul notify list shows them")


def target_fields(target: Target) -> dict[str, Any]:
    """Returns what may be seen of a target."""
    minutes = target.digest_minutes
    return {
        "id": target.target_id,
        "way": target.way,
        "to": target.shown,
        "kinds": list(target.kinds),
        "imports": list(target.imports),
        "language": target.language,
        "zone": target.zone,
        "digest": "" if minutes is None else f"{minutes // 60:02}:{minutes % 60:02}",
        "logins": target.logins,
        "made_at": target.made_at,
    }


def delivery_fields(delivery: Delivery) -> dict[str, Any]:
    """Returns what may be seen of a delivery."""
    return {
        "id": delivery.delivery_id,
        "target": delivery.target_id,
        "kind": delivery.notice.kind,
        "import": delivery.notice.name,
        "at": delivery.notice.at,
        "attempts": delivery.attempts,
        "due_at": delivery.due_at,
        "why": delivery.why,
    }


def target_named(targets: Sequence[Target], target_id: str) -> Target:
    """Returns the target with this id. Raises `UsageError`."""
    for target in targets:
        if target.target_id == target_id:
            return target
    raise NO_TARGET.error(text=f"{target_id[:40]!r}")


def tried(store: Store, target: Target, reach: Reach | None) -> str:
    """Sends a test message now. Returns why it was not sent; "" when it was."""
    now = time.time()
    notice = Notice(notice_id=new_id(), kind="test", at=now, target_id=target.target_id)
    try:
        delivery = Delivery(notice=notice, target_id=target.target_id, attempts=1)
        word_and_send(store, target, delivery, now, reach)
    except NotSent as error:
        return error.why
    return ""


def sent_again(store: Store, *, drop: bool = False) -> int:
    """Has everything that could not be delivered tried once more, or forgotten (`drop`). Returns how many."""
    lost = store.undelivered()
    for delivery in lost:
        store.settle_delivery(delivery, "drop" if drop else "anew")
    return len(lost)
