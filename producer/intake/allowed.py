"""The unusual requests that are refused unless the operator allows them. Pure.

Each of them is nearly always a mistake in the list.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from shared.nouns import dataclass

if TYPE_CHECKING:  # the help of the command line imports this module, and needs no model
    from shared.model import Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Allowed:
    """The unusual requests that the operator allows; the fields have the names of those in `shared.model.Options`."""

    #: Several source mailboxes may go into one destination mailbox, one after the other.
    share_destination: bool = False
    #: Logins that differ only in capital letters are different logins.
    case_sensitive_logins: bool = False
    #: Source and destination may be the same mailbox, or may seem to be swapped.
    same_mailbox: bool = False

    @classmethod
    def of(cls, options: Options) -> Allowed:
        """Returns what the operator allowed when the import was opened."""
        return cls(
            share_destination=options.share_destination,
            case_sensitive_logins=options.case_sensitive_logins,
            same_mailbox=options.same_mailbox,
        )


#: Applies to the rows of an existing import, which were checked when it was opened.
LOOKED_AT = Allowed(share_destination=True, case_sensitive_logins=True)
#: Allows nothing unusual.
NOTHING_ALLOWED = Allowed()
