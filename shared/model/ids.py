"""Ids that are the same whenever the same thing is asked for, so that doing it again goes on with it."""

from __future__ import annotations

import hashlib

from shared.model.requests import Endpoint
from shared.uids import UidSet


def _digest(*parts: str | bytes) -> str:
    text = b"\0".join(part.encode() if isinstance(part, str) else part for part in parts)
    return hashlib.blake2b(text, digest_size=8).hexdigest()


def import_id(name: str, source: Endpoint, destination: Endpoint) -> str:
    """The same request always gets the same id: running it again goes on with it."""
    return _digest("import", name, source.url, destination.url)


def mailbox_id(import_: str, source_login: str, destination_login: str, server: str = "") -> str:
    """The same row always gets the same id. `server`: URL of the source, where it is not that of the import."""
    return _digest("mailbox", import_, source_login, destination_login, *filter(None, [server]))


def folder_id(mailbox: str, source_name: bytes) -> str:
    """The same folder always gets the same id."""
    return _digest("folder", mailbox, source_name)


def batch_id(folder: str, uidvalidity: int, uids: UidSet) -> str:
    """Planning the same UIDs twice makes the same batch."""
    return _digest("batch", folder, str(uidvalidity), str(uids))


def part_id(unit: str, uids: UidSet) -> str:
    """A batch made out of another one: a half of it, or messages of a folder that are tried again."""
    return _digest("part", unit, str(uids))


def route_id(source: Endpoint, destination: Endpoint) -> str:
    """Mailboxes between the same two servers share their limits and their queue."""
    return _digest("route", source.url, destination.url)
