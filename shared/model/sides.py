"""The two sides of an import, and the limits of each. Pure."""

from __future__ import annotations

from enum import StrEnum


class Side(StrEnum):
    """A side of an import. Its word is what Redis, the API and metrics have."""

    #: The old server: mail is copied from it, and a mailbox is turned back to it.
    SOURCE = "source"
    #: The new server: mail is copied into it, and a mailbox is turned to it.
    DESTINATION = "destination"

    @property
    def other(self) -> Side:
        """The other side."""
        return Side.SOURCE if self is Side.DESTINATION else Side.DESTINATION

    def limit(self, of: Limited) -> Scope:
        """Returns the kind of limit of its accounts, or of its hosts."""
        return Scope(f"{self}_{of}")


class Limited(StrEnum):
    """The subject of a limit."""

    ACCOUNT = "account"
    HOST = "host"


class Scope(StrEnum):
    """A kind of limit: of one account or host at one side, over all workers. The scripts know them by these words."""

    SOURCE_ACCOUNT = "source_account"
    SOURCE_HOST = "source_host"
    DESTINATION_ACCOUNT = "destination_account"
    DESTINATION_HOST = "destination_host"
