"""Tells whether source and destination are one mailbox, by whatever name, port or protocol.

Importing a mailbox into itself writes into the source.

Two things must agree. The ends may be one server: the same host, or two names of one address. And both show the same
mailbox. Over IMAP that is the same UIDVALIDITY, UIDNEXT and number of messages in every folder that holds any, which
only the same folders have. Over POP3 it is as many messages as INBOX has, with unique-ids that name INBOX's
UIDVALIDITY, as those of the usual servers do.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Collection, Mapping
from typing import Protocol, runtime_checkable

from shared.mail import FolderStatus, MailSource
from shared.model import Account, Endpoint, server_key

_INBOX = b"INBOX"
_PORT = re.compile(r":\d+$")


@runtime_checkable
class NamesUids(Protocol):
    """A source whose messages have ids that may be made of UIDVALIDITY and UID: POP3."""

    def names_uidvalidity(self, uidvalidity: int) -> bool:
        """Tells whether every message's id names this UIDVALIDITY."""


def ids_name(ids: Collection[bytes], uidvalidity: int) -> bool:
    """Tells whether every unique-id of a maildrop names this UIDVALIDITY.

    Those of Dovecot name it in hexadecimal, those of Cyrus and Courier as a number.
    """
    # The number must stand by itself: UIDVALIDITY 1, which some servers give to every folder, stands inside nearly
    # every id.
    spelled = re.compile(rb"(?<![0-9a-z])%d(?![0-9a-z])|%08x" % (uidvalidity, uidvalidity))
    return bool(ids) and all(spelled.search(one.lower()) for one in ids)


def may_be_one(one: Endpoint, other: Endpoint) -> bool:
    """Tells whether both are one server, as far as names and addresses tell; ports do not count.

    False where neither tells.
    """
    return _host(one) == _host(other) or bool(_addresses(one.host) & _addresses(other.host))


def _host(end: Endpoint) -> str:
    return _PORT.sub("", server_key(end))


def _addresses(host: str) -> set[object]:
    try:
        return {found[4][0] for found in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    except (OSError, UnicodeError):
        return set()


def same_folders(
    theirs: Mapping[bytes, FolderStatus | Exception], ours: Mapping[bytes, FolderStatus | Exception]
) -> bool:
    """Tells whether both sides show the same folders, as far as these hold messages; False where none does."""
    there, here = _filled(theirs), _filled(ours)
    return bool(there) and all(name in here and same_numbers(one, here[name]) for name, one in there.items())


def same_numbers(there: FolderStatus, here: FolderStatus) -> bool:
    """Tells whether two folders that hold messages may be one: also by their mod-sequence, where both sides tell it."""
    modseq = there.highestmodseq == here.highestmodseq or None in (there.highestmodseq, here.highestmodseq)
    numbers = [(one.uidvalidity, one.uidnext, one.messages) for one in (there, here)]
    return modseq and numbers[0] == numbers[1]


def _filled(statuses: Mapping[bytes, FolderStatus | Exception]) -> dict[bytes, FolderStatus]:
    return {
        _INBOX if name.upper() == _INBOX else name: status
        for name, status in statuses.items()
        if not isinstance(status, Exception) and status.messages and status.uidvalidity
    }


def same_maildrop(source: MailSource, theirs: FolderStatus, here: FolderStatus, ends: tuple[Account, Account]) -> bool:
    """Tells whether a POP3 maildrop is the INBOX that stands at the destination as `here`."""
    if not isinstance(source, NamesUids) or not theirs.messages or theirs.messages != here.messages:
        return False
    if here.uidvalidity and source.names_uidvalidity(here.uidvalidity):
        return True
    named = {_host(end.endpoint) for end in ends}
    logins = {end.login.casefold() for end in ends}
    return len(named) == len(logins) == 1 and named != {"localhost"}
