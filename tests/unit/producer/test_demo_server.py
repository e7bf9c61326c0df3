"""The sample server's connections, which nobody but the collector would end."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from producer.demo.sample_server import holding_tasks


async def _waits(seen: list[weakref.ref[Any]]) -> None:
    """Waits for a future that only this task knows, as a connection whose reading is paused does."""
    waiting = asyncio.get_running_loop().create_future()
    seen.append(weakref.ref(waiting))
    await waiting


async def _serve() -> int:
    """Begins a task as pymap's PROXY layer does and returns how many of its futures are left after a collection."""
    seen: list[weakref.ref[Any]] = []
    asyncio.create_task(_waits(seen))  # noqa: RUF006 - the fault itself
    await asyncio.sleep(0)
    gc.collect()
    return sum(future() is not None for future in seen)


def _as_asyncio_does(served: Coroutine[Any, Any, object]) -> Coroutine[Any, Any, object]:
    return served


@pytest.mark.parametrize(("serve", "left"), [(holding_tasks, 1), (_as_asyncio_does, 0)], ids=["held", "control"])
def test_the_collector_ends_no_connection(
    serve: Callable[[Coroutine[Any, Any, object]], Coroutine[Any, Any, object]], left: int
) -> None:
    assert asyncio.run(serve(_serve())) == left
