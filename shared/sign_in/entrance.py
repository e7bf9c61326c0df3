"""Signs in at a stored mailbox's ends.

The module looks up the credentials, opens them just before signing in, and keeps them nowhere.
"""

from __future__ import annotations

from dataclasses import replace

from shared.content.maildrop import Identities
from shared.mail import MailDestination, MailSource
from shared.mail.answers.extensions import LeftOut, Servers, TriedAt
from shared.mail.pop3.pop3_reading import Readings
from shared.mail.ways import Ways
from shared.model import Mailbox
from shared.model.binding import bound_to
from shared.model.errors import CredentialsError
from shared.model.sides import Side
from shared.model.sign_in import SignIn
from shared.runtime.config import Settings
from shared.runtime.credentials import Credentials, Vault
from shared.sign_in.admission import Admission, Visitor, digest_of
from shared.sign_in.allowed_places import AllowedPlaces
from shared.sign_in.reach import reach_of
from shared.store import Store
from shared.wording.often_said import CREDENTIALS_ARE_NO_LONGER_STORED


class Entrance:
    """Signs in at both ends of stored mailboxes. Thread-safe; one per process."""

    def __init__(
        self,
        store: Store,
        vault: Vault,
        settings: Settings,
        left_out: LeftOut | None = None,
        tried: TriedAt | None = None,
    ) -> None:
        """Prepares the sign-ins of one process.

        `left_out` is told of each extension that a server announces and refuses, once for each server; `tried` of what
        compressing the connection to a server brought.
        """
        self._store, self._vault = store, vault
        self._admission = Admission(store, vault, settings.connect_timeout_seconds)
        self._ways = Ways(
            connect_timeout_seconds=settings.connect_timeout_seconds,
            command_timeout_seconds=settings.command_timeout_seconds,
            allowed=replace(
                reach_of(settings.web_allow or "", settings.web_ports), granted=AllowedPlaces(store, vault).granted
            ).addresses,
            servers=Servers(left_out, tried),
            compress=settings.compress == "auto",
            readings=Readings(settings.pop3_read),
        )

    def source(self, mailbox: Mailbox, identities: Identities) -> MailSource:
        """Signs in at the source.

        `identities` are those of its messages, for POP3. Raises MailError and CredentialsError.
        """
        end = mailbox.source.endpoint
        return self._admission.enter(
            self._visitor(Side.SOURCE, mailbox), lambda proof: self._ways.source(end, proof, identities)
        )

    def destination(self, mailbox: Mailbox) -> MailDestination:
        """Signs in at the destination. Raises MailError and CredentialsError."""
        end = mailbox.destination.endpoint
        return self._admission.enter(
            self._visitor(Side.DESTINATION, mailbox), lambda proof: self._ways.destination(end, proof)
        )

    def _visitor(self, side: Side, mailbox: Mailbox) -> Visitor:
        sealed = self._store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        if sealed is None:
            raise CredentialsError(CREDENTIALS_ARE_NO_LONGER_STORED.says(side=side))
        import_ = self._store.import_(mailbox.import_id)
        if import_ is None:
            raise CredentialsError("the import is no longer stored")
        given = self._vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
        how = import_.options.source_sign_in if side == Side.SOURCE else import_.options.destination_sign_in
        if given.own:
            how = how.own
        else:
            sealed, how, given = self._of_import(mailbox.import_id, side)
        account = mailbox.source if side == Side.SOURCE else mailbox.destination
        return Visitor(
            import_id=mailbox.import_id,
            mailbox_id=mailbox.mailbox_id,
            side=side,
            endpoint=account.endpoint,
            user=account.login,
            sign_in=how,
            secret=given.password,
            digest=digest_of(sealed),
        )

    def _of_import(self, import_id: str, side: Side) -> tuple[bytes, SignIn, Credentials]:
        """Returns what the side's mailboxes without credentials of their own sign in with."""
        sealed = self._store.sealed(import_id, import_id, side)
        if sealed is None:
            raise CredentialsError(f"what the {side} is signed in to with is no longer stored")
        given = self._vault.open(import_id, side, sealed)
        # A token command is a program, and a template may name any account. So both are read from what was sealed: only
        # a holder of the key can set them.
        return sealed, SignIn.parse(given.login), given
