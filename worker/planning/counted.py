"""The numbers that planning saw at the destination, kept for a verification that follows at once.

A pass that finds nothing new plans and verifies within milliseconds, in one lane and over one session. Then verification
counts what planning has just counted, unless anything was sent to the server since, or anybody could have copied.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.mail import KnownStatus, MailDestination
from shared.mail.answers.numbers import known_statuses
from shared.nouns import dataclass

#: Seconds for which the numbers are good: mail may be delivered at any time, as it may after every count.
GOOD_SECONDS = 5.0


@dataclass(frozen=True, kw_only=True, slots=True)
class CountedFolders:
    """The numbers of a mailbox's destination folders."""

    #: The mailbox.
    mailbox_id: str
    #: Folder name → its numbers, or why it has none.
    numbers: Mapping[bytes, KnownStatus | Exception]
    #: `MailDestination.commands` just after they were told.
    commands: int
    #: When they were not asked for yet, by the monotonic clock.
    at: float


def counted_again(
    destination: MailDestination, names: Sequence[bytes], counted: CountedFolders | None, mailbox_id: str, now: float
) -> list[KnownStatus | Exception]:
    """Returns the numbers of each folder, in order: those of `counted` where they are still good, else the server's."""
    if (
        counted is not None
        and counted.mailbox_id == mailbox_id
        and counted.commands == destination.commands
        and now - counted.at <= GOOD_SECONDS
        and all(name in counted.numbers for name in names)
    ):
        return [counted.numbers[name] for name in names]
    return known_statuses(destination, names)
