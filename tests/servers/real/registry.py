"""Lists the servers that the contract of `tests/compatibility` runs over, each with what it can do."""

from __future__ import annotations

import imaplib
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version as package_version
from importlib.util import find_spec
from typing import Any

from tests.servers import cyrus, dovecot
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.process import SEARCH_PATH
from tests.servers.pymap_server import PymapServer
from tests.servers.real import courier, go_imap_server, hoodiecrow, mailutils, perdition
from tests.servers.real.courier import Courier
from tests.servers.real.go_imap_server import GoImap
from tests.servers.real.hoodiecrow import Hoodiecrow
from tests.servers.real.mailutils import Mailutils
from tests.servers.real.perdition import Perdition

PASSWORD = "s3cret-canary"
_ROOM = 1 << 34


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A kind of server."""

    #: Name in the table, which is also the argument of `--only`.
    name: str
    #: Makes a server: a context manager with `host`, `port` and `add_user`.
    make: Callable[[], Any]
    #: Returns why it cannot run here, or nothing.
    missing: Callable[[], str]
    #: Returns its version.
    version: Callable[[], str]
    #: Login of the account.
    login: str = "anna@example.org"
    #: Way of signing in, as `--source-auth` takes it; without one mailhaul chooses.
    way: str = ""
    #: Whether it has a `pop3_port`.
    pop3: bool = False
    #: Limits the account of this login to so many bytes, where there is a quota.
    limit: Callable[[Any, str, int], None] | None = None


def _dovecot_missing() -> str:
    return "" if dovecot.available() else "Dovecot is not installed"


def _dovecot_version() -> str:
    done = subprocess.run(
        ["dovecot", "--version"], env={"PATH": SEARCH_PATH}, capture_output=True, text=True, check=False
    )
    return done.stdout.split(" ")[0].strip()


def _cyrus_version() -> str:
    with Cyrus() as server:
        server.add_user("anna", PASSWORD)
        with imaplib.IMAP4(server.host, server.port) as client:
            client.login("anna", PASSWORD)
            found = re.search(r"\d+(\.\d+)+", client.welcome.decode())
            return found[0] if found else ""


def _dovecot_limit(server: Dovecot, login: str, size: int) -> None:
    server.set_quota(size)


def _cyrus_limit(server: Cyrus, login: str, size: int) -> None:
    server.add_user("cyrusadmin", PASSWORD)
    with imaplib.IMAP4(server.host, server.port) as client:
        client.login("cyrusadmin", PASSWORD)
        client.setquota(f"user.{login}", f"(STORAGE {max(1, size // 1024)})")


def _dovecot(mail_format: Any, **options: Any) -> Kind:
    return Kind(
        name=f"Dovecot {mail_format}",
        make=partial(Dovecot, mail_format=mail_format, **options),
        missing=_dovecot_missing,
        version=_dovecot_version,
        pop3=bool(options.get("pop3")),
        limit=_dovecot_limit if "quota_bytes" in options else None,
    )


KINDS = [
    _dovecot("maildir", pop3=True, quota_bytes=_ROOM),
    _dovecot("sdbox"),
    _dovecot("mdbox"),
    _dovecot("mbox"),
    Kind(
        name="Cyrus",
        make=Cyrus,
        login="anna",
        pop3=True,
        limit=_cyrus_limit,
        version=_cyrus_version,
        missing=lambda: "" if cyrus.available() else "Cyrus' packages cannot be had here",
    ),
    Kind(
        name="Courier",
        make=Courier,
        missing=courier.missing,
        version=courier.version,
        pop3=True,
        limit=Courier.set_quota,
    ),
    Kind(
        name="GNU Mailutils",
        make=Mailutils,
        missing=mailutils.missing,
        version=mailutils.version,
        pop3=True,
        way="password:PLAIN",  # it announces SCRAM also for accounts of which it has only hashed passwords
    ),
    Kind(
        name="pymap",
        make=PymapServer,
        version=lambda: package_version("pymap"),
        missing=lambda: "" if find_spec("pymap") else "pymap is not installed",
    ),
    Kind(
        name="Perdition before Dovecot",
        make=Perdition,
        missing=perdition.missing,
        version=perdition.version,
        pop3=True,
    ),
    Kind(name="go-imap", make=GoImap, missing=go_imap_server.missing, version=go_imap_server.version),
    Kind(name="hoodiecrow-imap", make=Hoodiecrow, missing=hoodiecrow.missing, version=hoodiecrow.version),
]
BY_NAME = {kind.name: kind for kind in KINDS}
