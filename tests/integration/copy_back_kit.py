"""The kit of the copy back's tests: an import that was switched, and the way back of its mail."""

from __future__ import annotations

import itertools
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from cryptography.fernet import Fernet

from producer.cutover.copy_back import CopyBack
from shared.mail.auth.sasl import Proof
from shared.mail.imap.imap_destination import ImapDestination
from shared.mail.imap.imap_source import ImapSource
from shared.mail.imap.session import Session, open_session
from shared.model import Mailbox
from shared.model.binding import bound_to
from shared.model.lifecycle import ImportState
from shared.model.sides import Side
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport, plain
from tests.mail import Kept, Mail, make_mailbox, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

COUNTS = {"INBOX": 12, "Work": 6, "Work/deep": 3}
WHEN = datetime(2022, 3, 4, 5, 6, 7, tzinfo=UTC)
_numbers = itertools.count(900_000)


class BothWays(InProcessImport):
    """An import, and the copy back of a rollback, served by the same lanes."""

    def __init__(self, source: Dovecot, destination: Dovecot, login: str, password: str, **more: Any) -> None:
        super().__init__(source, destination, logins=(login,), password=password, **more)
        self.vault = Vault([Fernet.generate_key()])
        self.back = CopyBack(self.store, self.vault, self, 14, now=lambda: self.time)
        self.back_id = ""

    def submit(self) -> None:
        """Opens the import with its credentials, or its next pass."""
        super().submit()
        import_ = self.store.import_(self.import_id)
        assert import_
        for login in self.logins:
            mailbox = self.mailbox(login)
            given = Credentials(login=login, password=Secret(self.passwords["source"]))
            bound = bound_to(import_, mailbox)
            for side in ("source", "destination"):
                sealed = self.vault.seal(mailbox.mailbox_id, side, given, bound=bound)
                self.store.seal(self.import_id, {(mailbox.mailbox_id, side): sealed})

    def session(self, side: str, mailbox: Mailbox) -> Session:
        """Signs in at the mailbox's own end, with what is sealed for it."""
        account = mailbox.source if side == "source" else mailbox.destination
        import_ = self.store.import_(mailbox.import_id)
        sealed = self.store.sealed(mailbox.import_id, mailbox.mailbox_id, side)
        assert import_
        assert sealed
        given = self.vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))
        return open_session(
            Side(side),
            host=account.endpoint.host,
            port=account.endpoint.port,
            tls="none",
            proof=Proof(login=account.login, secret=given.password),
            connect_timeout_seconds=self.timeout_seconds,
            command_timeout_seconds=self.timeout_seconds,
            broken=self._servers.of(account.endpoint.host, account.endpoint.port),
        )

    def dialer(self) -> Any:
        outer = self

        class Dialing:
            def source(self, mailbox: Mailbox) -> ImapSource:
                return ImapSource(outer.session("source", mailbox))

            def destination(self, mailbox: Mailbox) -> Any:
                return outer.spoil(ImapDestination(outer.session("destination", mailbox)))

        return Dialing()

    def destination_of(self, mailbox: Mailbox) -> ImapDestination:
        return ImapDestination(self.session("destination", mailbox))

    def mark(self) -> None:
        """Marks every mailbox, as just before a switch."""
        opening = self

        class Opening:
            def destination(self, mailbox: Mailbox) -> ImapDestination:
                return opening.destination_of(mailbox)

        self.back._opening = Opening()
        for login in self.logins:
            self.back.mark(self.mailbox(login))

    def begin_back(self) -> None:
        """Asks for the copy back of every mailbox."""
        for login in self.logins:
            self.back_id = self.back.begin(self.mailbox(login))

    def bring_back(self, *, limit: int = 30) -> None:
        """Brings back, to the end."""
        self.later(60)
        self.begin_back()
        for _ in range(limit):
            self.work()
            found = self.store.import_(self.back_id)
            if found is not None and found.state is ImportState.FINISHED:
                return
            self.later()
        raise AssertionError(f"not finished: {self.back.progress(self.mailbox())}")

    def back_outcomes(self) -> dict[str, int]:
        """Returns the messages of the copy back, by outcome."""
        tally = self.store.import_tally(self.back_id)[0]
        return {outcome.value: number for outcome, number in tally.outcomes.items() if number}

    def put(self, side: str, *folders: str, number: int = 1, flags: tuple[str, ...] = ("\\Seen",)) -> list[bytes]:
        """Delivers new messages to one side, and returns their bodies."""
        server = self.source if side == "source" else self.destination
        mails = {name: [Mail(plain(next(_numbers)), flags, WHEN) for _ in range(number)] for name in folders}
        populate(server.host, server.port, self.logins[0], self.passwords[side], mails)
        return [one.body for several in mails.values() for one in several]

    def at(self, side: str, *commands: bytes) -> None:
        """Sends commands to one side."""
        server = self.source if side == "source" else self.destination
        with Wire(server.host, server.port, self.logins[0], self.passwords[side]) as wire:
            for command in commands:
                wire.command(command)

    def again(self) -> None:
        """Runs another pass from the source to the destination."""
        self.later(3600)
        self.to_the_end()


def switched(pair: DovecotPair, **more: Any) -> BothWays:
    """Returns servers after a first pass and the marks of a switch."""
    login = pair.account()
    populate(pair.source.host, pair.source.port, login, pair.password, make_mailbox(7, COUNTS))
    in_process = BothWays(pair.source, pair.destination, login, pair.password, **more)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": sum(COUNTS.values())}
    in_process.mark()
    return in_process


def gained(in_process: BothWays, before: Counter[Kept]) -> Counter[str]:
    """Returns how many messages each folder of the source has gained; asserts that it has lost none."""
    now = in_process.held("source")
    assert before - now == Counter(), "lost"
    return Counter(kept.folder.decode() for kept in (now - before).elements())
