"""Opens a mailbox's sessions for the lanes, as long as the mailbox is still to be worked on."""

from __future__ import annotations

from collections.abc import Mapping

from shared.content.maildrop import Known
from shared.folders.gmail import EXTENSION
from shared.mail import MailDestination, MailSource
from shared.mail.answers.extensions import TABLE
from shared.model import Mailbox
from shared.model.choices import LabelMode
from shared.model.errors import ControlRequested
from shared.model.lifecycle import SETTLED, MailboxState
from shared.runtime.config import Settings
from shared.runtime.credentials import Vault
from shared.runtime.logs import get_logger
from shared.sign_in.entrance import Entrance
from shared.store import Store

_log = get_logger("mailhaul.worker")


class NetworkDialer:
    """A `worker.sessions.mailbox_sessions.Dialer` over the network."""

    def __init__(self, store: Store, vault: Vault, settings: Settings) -> None:
        self._store = store
        self._entrance = Entrance(store, vault, settings, _left_out, _tried)

    def source(self, mailbox: Mailbox) -> MailSource:
        """Signs in at the source and returns the session."""
        self._still_wanted(mailbox)
        source = self._entrance.source(mailbox, _Maildrop(self._store, mailbox.mailbox_id))
        if EXTENSION in source.capabilities:
            import_ = self._store.import_(mailbox.import_id)
            if import_ is not None and import_.options.gmail_labels == LabelMode.KEYWORDS:
                source.labels_as_keywords()
        return source

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Signs in at the destination and returns the session."""
        self._still_wanted(mailbox)
        return self._entrance.destination(mailbox)

    def _still_wanted(self, mailbox: Mailbox) -> None:
        # A login that another lane had refused a moment ago is not tried again by this one.
        now = self._store.mailbox_state(mailbox.mailbox_id)
        # A mailbox that is looked at is complete when it is claimed, and stays so.
        looked_at = now is mailbox.state is MailboxState.COMPLETE
        if now is None or (now in SETTLED and not looked_at):
            raise ControlRequested(now or MailboxState.CANCELLED)


def _left_out(host: str, port: int, extension: str, said: str) -> None:
    without = TABLE[extension].without
    _log.info("extension_left_out", server=f"{host}:{port}", extension=extension, without=without, said=said)


def _tried(host: str, port: int, pays: bool, plain: float, compressed: float) -> None:
    _log.info(
        "compression_tried",
        server=f"{host}:{port}",
        pays=pays,
        plain_bytes_per_second=round(plain),
        compressed_bytes_per_second=round(compressed),
    )


class _Maildrop:
    """The `shared.content.maildrop.Identities` of a mailbox, kept in the store."""

    def __init__(self, store: Store, mailbox_id: str) -> None:
        self._store, self._mailbox_id = store, mailbox_id

    def known(self) -> Known:
        return self._store.maildrop(self._mailbox_id)

    def replace(self, before: Known, generation: int, digests: bytes) -> Known:
        return self._store.replace_maildrop(self._mailbox_id, before, generation, digests)

    def say(self, generation: int, said: Mapping[int, bytes]) -> None:
        self._store.say_maildrop(self._mailbox_id, generation, said)
