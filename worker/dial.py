"""Opens real sessions: looks the credentials up, opens them just before signing in, and keeps them nowhere."""

from __future__ import annotations

from shared.config import Settings
from shared.credentials import Vault
from shared.errors import ControlRequested, CredentialsError
from shared.lifecycle import SETTLED, MailboxState
from shared.mail import MailDestination, MailSource
from shared.mail.imap_destination import ImapDestination
from shared.mail.imap_source import ImapSource
from shared.mail.session import Session, open_session
from shared.model import Account, Mailbox
from shared.store import Store


class NetworkDialer:
    """`worker.sessions.Dialer` over the network."""

    def __init__(self, store: Store, vault: Vault, settings: Settings) -> None:
        self._store, self._vault, self._settings = store, vault, settings

    def source(self, mailbox: Mailbox) -> MailSource:
        """Signs in at the source."""
        return ImapSource(self._open("source", mailbox, mailbox.source))

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Signs in at the destination."""
        return ImapDestination(self._open("destination", mailbox, mailbox.destination))

    def _open(self, side: str, mailbox: Mailbox, account: Account) -> Session:
        # A login that was refused a moment ago to another lane is not tried again by this one.
        now = self._store.mailbox(mailbox.mailbox_id)
        if now is None or now.state in SETTLED:
            raise ControlRequested(now.state if now else MailboxState.CANCELLED)
        sealed = self._store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        if sealed is None:
            raise CredentialsError(f"the {side} credentials are no longer stored")
        credentials = self._vault.open(mailbox.mailbox_id, side, sealed)
        endpoint = account.endpoint
        return open_session(
            side,
            host=endpoint.host,
            port=endpoint.port,
            tls=endpoint.tls.value,
            login=credentials.login,
            password=credentials.password.reveal(),
            connect_timeout_seconds=self._settings.connect_timeout_seconds,
            command_timeout_seconds=self._settings.command_timeout_seconds,
            ca_file=endpoint.ca_file or None,
            fingerprint=endpoint.certificate_sha256 or None,
        )
