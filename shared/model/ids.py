"""Ids that are the same whenever the same thing is asked for, so that repeating a request continues it."""

from __future__ import annotations

import hashlib
from collections.abc import Container
from itertools import count

from shared.model.requests import Account, Endpoint
from shared.model.uids import UidSet

#: Ports at which one server speaks IMAP and POP3.
_MAIL_PORTS = frozenset({143, 993, 110, 995})
#: The name that a machine has for itself.
LOCAL = "localhost"
_LOCAL_NAMES = frozenset({LOCAL, "127.0.0.1", "::1", "localhost.localdomain"})


def _digest(*parts: str | bytes) -> str:
    text = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def import_id(name: str, source: Endpoint, destination: Endpoint) -> str:
    """Returns the import's id. The same request always gets the same id: running it again continues it."""
    return _digest("import", name, source.url, destination.url)


def mailbox_id(import_: str, source_login: str, destination_login: str, server: str = "") -> str:
    """Returns the id of a row.

    The same row always gets the same id. `server` is the URL of the source, where it is not that of the import.
    """
    return _digest("mailbox", import_, source_login, destination_login, *filter(None, [server]))


def server_key(endpoint: Endpoint) -> str:
    """Returns the key of the server behind an endpoint, whatever its protocol.

    The key is the host in lower case, with its port only where that is none of the usual ones. Two names of one server
    give two keys.
    """
    host = endpoint.host.rstrip(".").lower()
    host = LOCAL if host in _LOCAL_NAMES else host
    return host if endpoint.port in _MAIL_PORTS else f"{host}:{endpoint.port}"


def folded(login: str, *, case_sensitive: bool = False) -> str:
    """Returns a login as nearly all servers compare it: without regard to capitals."""
    return login if case_sensitive else login.casefold()


def account_key(account: Account, *, case_sensitive: bool = False) -> str:
    """Returns the key of an account.

    The same mailbox of the same server always gets the same key, however its login is spelled and whichever protocol or
    usual port is used.
    """
    login = folded(account.login, case_sensitive=case_sensitive)
    return _digest("account", server_key(account.endpoint), login)


def folder_id(mailbox: str, source_name: bytes, taken: Container[str] = ()) -> str:
    """Returns the id of a folder that was not planned before. The same folder always gets the same id.

    An id in `taken` is that of a folder which had this name before it was renamed.
    """
    found = _digest("folder", mailbox, source_name)
    for number in count(2):
        if found not in taken:
            break
        found = _digest("folder", mailbox, source_name, str(number))
    return found


def batch_id(folder: str, uidvalidity: int, uids: UidSet) -> str:
    """Returns the id of a batch: planning the same UIDs twice makes the same batch."""
    return _digest("batch", folder, str(uidvalidity), str(uids))


def part_id(unit: str, uids: UidSet) -> str:
    """Returns the id of a batch made out of another one: a half of it, or messages of a folder that are tried again."""
    return _digest("part", unit, str(uids))


def route_id(source: Endpoint, destination: Endpoint) -> str:
    """Returns the id of a pair of servers, whose mailboxes share a queue."""
    return _digest("route", source.url, destination.url)
