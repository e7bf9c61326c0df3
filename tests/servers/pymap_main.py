"""The process of `PymapServer`: pymap's in-memory backend with the accounts of a file.

Pymap itself has one demo account; its maildir backend has more, but alters what it stores.
"""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import ArgumentParser, Namespace
from pathlib import Path
from typing import Any

from pymap.backend.dict import Config, DictBackend, Login
from pymap.imap import IMAPService
from pymap.main import run
from pymap.user import UserMetadata
from pysasl.hashing import Cleartext

from producer.demo.sample_server import holding_tasks


class Plain(Cleartext):
    """A comparison of plain passwords; pysasl's own fails on letters outside ASCII."""

    def copy(self, **_: Any) -> Plain:
        """Returns itself; pysasl calls this before each comparison."""
        return self

    def verify(self, secret: str, hash: str) -> bool:
        """Tells whether both passwords are equal."""
        return secret == hash


class Accounts(dict[str, UserMetadata]):
    """The accounts of the file, read again each time, so that accounts can be added while the server runs."""

    def __init__(self, path: Path, config: Config) -> None:
        super().__init__()
        self._path = path
        self._config = config

    def get(self, name: str, default: Any = None) -> Any:
        """Returns the account of this login."""
        password = json.loads(self._path.read_text("utf-8")).get(name)
        return default if password is None else UserMetadata(self._config, name, password=password)


class FileBackend(DictBackend):
    """Pymap's in-memory backend, with accounts from a file."""

    @classmethod
    async def init(cls, args: Namespace, **overrides: Any) -> tuple[DictBackend, Config]:
        """Makes the backend; pymap calls this."""
        config = Config.from_args(args, hash_context=Plain(), invalid_user_sleep=0.0, **overrides)
        login = Login(config)
        login.users_dict = Accounts(Path(args.accounts), config)
        return cls(login, config), config


def main() -> None:
    """Runs `python pymap_main.py ACCOUNTS.json --port N --no-tls`."""
    parser = ArgumentParser()
    parser.add_argument("accounts")
    DictBackend.add_subparser("dict", parser.add_subparsers(dest="backend"))
    IMAPService.add_arguments(parser)
    parser.set_defaults(
        debug=False,
        set_uid=None,
        set_gid=None,
        passlib_cfg=None,
        backend_type=FileBackend,
        skip_services=[],
        demo_data=False,
        demo_user="",
        demo_password="",
    )
    args = parser.parse_args(sys.argv[1:])
    asyncio.run(holding_tasks(run(args, FileBackend, [IMAPService])))


if __name__ == "__main__":
    main()
