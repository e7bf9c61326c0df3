"""A notifier in a process of its own that kills itself (SIGKILL) before or after one of its effects.

`python -m tests.integration.notifier_process URL KEY EFFECT WHEN NTH`. EFFECT is tell, spread, take_delivery, send or
settle_delivery; with none it runs until nothing is left to send.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable
from typing import Any

from producer.notices.channels import send
from producer.notices.notifier import Notifier
from shared.runtime.credentials import Vault
from shared.store.records.targets import Targets
from shared.store.redis.redis_store import RedisStore, connect

EFFECTS = ("tell", "spread", "take_delivery", "send", "settle_delivery")


def deadly(function: Callable[..., Any], when: str, nth: int) -> Callable[..., Any]:
    """Returns the function, which kills the process before or after its nth call."""
    calls = 0

    def called(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == nth and when == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        found = function(*args, **kwargs)
        if calls == nth and when == "after":
            os.kill(os.getpid(), signal.SIGKILL)
        return found

    return called


def main(url: str, key: str, effect: str, when: str, nth: str) -> int:
    """Runs the turns. Returns 1 when something is left to send after three minutes."""
    client, vault = connect(url), Vault([key.encode()])
    store = RedisStore(client)
    sender = deadly(send, when, int(nth)) if effect == "send" else send
    if effect in EFFECTS and effect != "send":
        setattr(store, effect, deadly(getattr(store, effect), when, int(nth)))
    holder = f"process-{os.getpid()}"
    notifier = Notifier(
        store=store,
        targets=Targets(client, vault),
        holder=holder,
        reach=None,
        still_seconds=600,
        retry_seconds=0.05,
        look_seconds=0.0,
        send=sender,
    )
    until = time.monotonic() + 180
    while time.monotonic() < until:
        if notifier.turn() and not store.notices() and not store.deliveries():
            return 0
    return 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
