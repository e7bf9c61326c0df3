"""Runs one sample server for `mailhaul demo`: pymap with its mail in memory and several accounts.

It listens on the loopback interface only, without TLS. `python -m producer.demo_server PORT ACCOUNTS.json`; the file
holds {login: password}. SIGTERM ends it.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
from argparse import Namespace
from pathlib import Path
from typing import Any

from pymap.backend.dict import Config, DictBackend, Identity, Login
from pymap.backend.dict.mailbox import MailboxData
from pymap.imap import IMAPService
from pymap.main import run
from pymap.parsing.specials.flag import Flag, Recent, get_system_flags
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext


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


def main() -> None:
    """Serves until it is told to stop."""
    port, accounts = sys.argv[1], Path(sys.argv[2])
    logging.basicConfig(level=logging.WARNING)
    # Pymap's folders keep keywords, but do not announce it.
    MailboxData.permanent_flags = property(lambda _: (get_system_flags() - {Recent}) | {Flag(b"\\*")})  # type: ignore[method-assign,assignment]
    _SampleBackend.accounts = json.loads(accounts.read_text(encoding="utf-8"))
    args = Namespace(
        host="127.0.0.1", port=port, cert=None, key=None, tls=False, proxy_protocol=None, passlib_cfg=None, debug=False,
        inherited_sockets=None, skip_services=[], demo_data=False, demo_user="", demo_password="", set_uid=None,
        set_gid=None,
    )  # fmt: skip
    asyncio.run(run(args, _SampleBackend, [IMAPService]))


if __name__ == "__main__":
    main()
