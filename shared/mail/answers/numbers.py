"""Collects the numbers of folders, wherever the server tells them.

STATUS is asked first. Where STATUS is refused, makes no sense or leaves a number out, the module opens the folder.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.mail import FolderStatus, KnownStatus, MailDestination, MailSource
from shared.model.errors import FolderRefused


def known_status(
    session: MailSource | MailDestination, name: bytes, status: FolderStatus | Exception
) -> KnownStatus | Exception:
    """Returns `status` itself when it leaves out nothing; else opens the folder `name`, which stays open.

    A provider answers ``* STATUS "INBOX" ()`` (chatmail/core#5049).
    """
    if isinstance(status, FolderStatus) and (known := status.known()) is not None:
        return known
    if isinstance(status, FolderStatus | FolderRefused):
        return _opened(session, name)
    return status


def _opened(session: MailSource | MailDestination, name: bytes) -> KnownStatus | Exception:
    try:
        return session.open(name)
    except FolderRefused as error:
        return error


def known_statuses(
    session: MailSource | MailDestination, names: Sequence[bytes], *, sized: bool = False, changes: bool = False
) -> list[KnownStatus | Exception]:
    """Returns the STATUS of each folder, in order; a refusal is returned as an error.

    `sized` and `changes` as in `MailSession.statuses`. A folder that was open need not be so afterwards.
    """
    told = session.statuses(names, sized=sized, changes=changes)
    return [known_status(session, name, status) for name, status in zip(names, told, strict=True)]


def as_opened(
    session: MailSource | MailDestination,
    told: Mapping[bytes, FolderStatus | Exception],
    expected: Mapping[bytes, int],
) -> dict[bytes, FolderStatus | Exception]:
    """Returns `told`, the STATUS by folder; a folder that tells another UIDVALIDITY than `expected` is opened, which counts.

    A server whose STATUS and EXAMINE disagree would have the folder taken for another at each pass. -1 expects none.
    """
    found = dict(told)
    for name, status in told.items():
        if isinstance(status, FolderStatus) and status.uidvalidity not in (
            None,
            expected.get(name, status.uidvalidity),
        ):
            found[name] = _opened(session, name)
    return found
