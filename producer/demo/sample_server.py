"""Runs one sample server for `mailhaul demo`: pymap with its mail in memory and several accounts.

It listens on the loopback interface only, without TLS. `python -m producer.demo.sample_server PORT ACCOUNTS.json`; the file
holds {login: password}. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from argparse import Namespace
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from pymap.backend.dict import Config, DictBackend, Identity, Login
from pymap.backend.dict.mailbox import MailboxData
from pymap.imap import IMAPService
from pymap.main import run
from pymap.parsing.specials.flag import Flag, Recent, get_system_flags
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

from shared.content.json_text import read_json


class _SampleBackend(DictBackend):
    """Pymap's in-memory backend with the demo's accounts."""

    accounts: dict[str, str] = {}  # noqa: RUF012 - set once, before it starts

    @classmethod
    async def init(cls, args: Namespace, **overrides: Any) -> tuple[DictBackend, Config]:
        # Sample passwords need no hash, and hashing would take most of a login's time here.
        return await super().init(args, hash_context=Cleartext(), **overrides)

    @classmethod
    async def _add_demo_user(cls, config: Config, login: Login) -> None:
        for name, password in cls.accounts.items():
            await Identity(name, login, None, frozenset()).set(UserMetadata(config, name, password=password))


async def holding_tasks(served: Coroutine[Any, Any, object]) -> object:
    """Awaits `served` and holds each task that the loop begins meanwhile until the task is done.

    Pymap's PROXY layer begins a task for each connection and keeps no reference to it. The loop keeps a weak one, so the
    collector may destroy a task that waits, and its connection is reset in the middle of a command
    (github.com/icgood/proxy-protocol/pull/61).
    """
    held: set[asyncio.Task[Any]] = set()

    def begin(loop: asyncio.AbstractEventLoop, coroutine: Any, **options: Any) -> asyncio.Task[Any]:
        task: asyncio.Task[Any] = asyncio.Task(coroutine, loop=loop, **options)
        held.add(task)
        task.add_done_callback(held.discard)
        return task

    asyncio.get_running_loop().set_task_factory(begin)
    return await served


def main() -> None:
    """Serves until it is told to stop."""
    port, accounts = sys.argv[1], Path(sys.argv[2])
    logging.basicConfig(level=logging.WARNING)
    # Pymap's folders keep keywords, but do not announce it.
    MailboxData.permanent_flags = property(lambda _: (get_system_flags() - {Recent}) | {Flag(b"\\*")})  # type: ignore[method-assign,assignment]
    _SampleBackend.accounts = read_json(accounts.read_text(encoding="utf-8"))
    args = Namespace(
        host="127.0.0.1",
        port=port,
        cert=None,
        key=None,
        tls=False,
        proxy_protocol=None,
        passlib_cfg=None,
        debug=False,
        inherited_sockets=None,
        skip_services=[],
        demo_data=False,
        demo_user="",
        demo_password="",
        set_uid=None,
        set_gid=None,
    )
    asyncio.run(holding_tasks(run(args, _SampleBackend, [IMAPService])))


if __name__ == "__main__":
    main()
