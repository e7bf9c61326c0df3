"""The source folder that is open, so that it is opened once however many parts of a plan look into it."""

from __future__ import annotations

from shared.mail import KnownStatus, MailSource
from shared.model.errors import FolderRefused
from worker.planning.listing import stated_more


class OpenedSource:
    """A session at the source, and the folder that is open there."""

    def __init__(self, source: MailSource) -> None:
        self._source = source
        #: The folder that is open, and its status when it was opened.
        self._open: tuple[bytes, KnownStatus] | None = None
        #: The names that the source lists, once they were asked for again.
        self._listed: frozenset[bytes] | None = None
        #: Source folder → number of messages that STATUS states.
        self.stated: dict[bytes, int] = {}

    def forget(self) -> None:
        """Forgets which folder is open: the session was used for something else."""
        self._open = None

    def note(self, name: bytes, status: KnownStatus) -> None:
        """Notes a folder that somebody else opened in this session."""
        self._open = (name, status)

    def lists(self, name: bytes) -> bool:
        """Tells whether the source lists the folder still; it is asked for all folders at the first question."""
        if self._listed is None:
            self._listed = frozenset(one.name for one in self._source.listing().folders)
            self.forget()
        return name in self._listed

    def opened(self, name: bytes) -> KnownStatus | Exception:
        """Opens the source folder by EXAMINE unless it is open, and returns its status, or the refusal."""
        if self._open is None or self._open[0] != name:
            try:
                self._open = (name, self._source.open(name))
            except FolderRefused as error:
                self._open = None
                return error
        return self._open[1]

    def fully(self, name: bytes) -> tuple[KnownStatus | Exception, int]:
        """Opens the source folder, again where STATUS stated more messages.

        Returns its status and how many more messages STATUS states after all.
        """
        opened = self.opened(name)
        if isinstance(opened, Exception) or (stated := self.stated.pop(name, 0)) <= opened.messages:
            return opened, 0
        try:
            opened, untold = stated_more(self._source, name, opened, stated)
        except FolderRefused as error:
            self._open = None
            return error, 0
        self._open = (name, opened)
        return opened, untold
