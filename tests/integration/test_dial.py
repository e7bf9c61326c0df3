"""Tests the way from stored credentials to a session: several workers, one store, a real Dovecot that takes tokens."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from producer.intake.sign_in import SignInAsked
from shared.model import Endpoint, Mailbox, Options, Tls
from shared.model.errors import AuthenticationRefused, CredentialsError
from shared.model.sign_in import SignIn, Way
from shared.runtime.config import load_settings
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.store.memory.memory_store import MemoryStore
from tests.resources import GivenResources
from tests.servers.dovecot import Dovecot, available
from tests.servers.oauth import TokenServer, dovecot_oauth2
from worker.sessions.dial import NetworkDialer

pytestmark = pytest.mark.skipif(not available(), reason="needs Dovecot")

KEY = b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="
HOW = SignIn(way=Way.GOOGLE)


@pytest.fixture
def mint() -> Iterator[TokenServer]:
    with TokenServer() as server:
        yield server


@pytest.fixture
def dovecot(mint: TokenServer) -> Iterator[Dovecot]:
    with (
        tempfile.TemporaryDirectory(prefix="oauth-", ignore_cleanup_errors=True) as place,
        Dovecot(extra=dovecot_oauth2(mint, Path(place))) as server,
    ):
        yield server


class DialedImport:
    """An import whose source accepts tokens."""

    def __init__(self, server: Dovecot, mint: TokenServer, *users: str, home: Path) -> None:
        self.store, self.vault = MemoryStore(), Vault([KEY])
        self.settings = load_settings(state_dir=home, connect_timeout_seconds=20, command_timeout_seconds=20)
        end = Endpoint(host=server.host, port=server.port, tls=Tls.NONE)
        empty = Secret("")
        rows = [
            Row(line=n, login=u, password=empty, new_login=u, new_password=Secret("x"), own_new_password=True)
            for n, u in enumerate(users, start=1)
        ]
        for user in users:
            server.add_user(user, "nobody knows")
        import_, mailboxes = prepare_import(rows, end, end, Options(source_sign_in=HOW), "desk")
        self.import_id = import_.import_id
        asked = {"source": SignInAsked(sign_in=HOW, secret=Secret(mint.service_account))}
        GivenResources(store=self.store, vault=self.vault).operations.submit(import_, mailboxes, rows, sign_ins=asked)

    def process(self) -> NetworkDialer:
        """Returns the dialer of a new worker process."""
        return NetworkDialer(self.store, self.vault, self.settings)

    def mailbox(self, user: str) -> Mailbox:
        """Returns the mailbox as a lane holds it."""
        return next(m for m, _ in self.store.mailboxes(self.import_id) if m.source.login == user)


def test_a_token_that_ends_during_a_run_is_fetched_once_for_all_workers(
    dovecot: Dovecot, mint: TokenServer, tmp_path: Path
) -> None:
    dialed = DialedImport(dovecot, mint, "anna", "bob", home=tmp_path)
    one, other = dialed.process(), dialed.process()
    for process in (one, other):
        for user in ("anna", "bob"):
            process.source(dialed.mailbox(user)).close()
    assert mint.tokens_asked == 2
    assert dovecot.login_attempts() == 0

    mint.issued.clear()  # withdraws all tokens
    for process in (one, other, one):
        for user in ("anna", "bob"):
            process.source(dialed.mailbox(user)).close()
    assert mint.tokens_asked == 4
    assert dovecot.login_attempts() == 2, "each withdrawn token was shown once"

    mint.lifetime = 0  # a token has expired when it comes, so each session fetches one
    mint.issued.clear()
    one.source(dialed.mailbox("anna")).close()
    other.source(dialed.mailbox("anna")).close()
    assert mint.tokens_asked == 6
    assert dovecot.login_attempts() == 3


def test_a_fresh_token_that_is_refused_parks_and_is_not_tried_again(
    dovecot: Dovecot, mint: TokenServer, tmp_path: Path
) -> None:
    dialed = DialedImport(dovecot, mint, "anna", home=tmp_path)
    mint.give = lambda user, scope="imap": "not-known-to-dovecot"  # type: ignore[method-assign]
    for process in (dialed.process(), dialed.process()):
        with pytest.raises(AuthenticationRefused):
            process.source(dialed.mailbox("anna"))
    assert (mint.tokens_asked, dovecot.login_attempts()) == (1, 1)


def test_who_can_write_to_the_store_cannot_say_how_to_sign_in(
    dovecot: Dovecot, mint: TokenServer, tmp_path: Path
) -> None:
    dialed = DialedImport(dovecot, mint, "anna", home=tmp_path)
    import_ = dialed.store.import_(dialed.import_id)
    assert import_ is not None
    evil = SignIn(way=Way.COMMAND, detail=f"/usr/bin/touch {tmp_path}/gone")
    dialed.store.open_import(replace(import_, options=Options(source_sign_in=evil)), [], 14)
    dialed.process().source(dialed.mailbox("anna")).close()  # with the sealed credentials
    assert not (tmp_path / "gone").exists()
    forged = dialed.vault.seal("another-import", "source", Credentials(login=evil.text, password=Secret("x")))
    dialed.store.seal(dialed.import_id, {(dialed.import_id, "source"): forged})
    with pytest.raises(CredentialsError):
        dialed.process().source(dialed.mailbox("anna"))
    assert not (tmp_path / "gone").exists()


def test_what_is_forgotten_is_said(dovecot: Dovecot, mint: TokenServer, tmp_path: Path) -> None:
    dialed = DialedImport(dovecot, mint, "anna", home=tmp_path)
    dialed.process().source(dialed.mailbox("anna")).close()
    dialed.store.forget(dialed.import_id)
    with pytest.raises(CredentialsError, match="no longer stored"):
        dialed.process().source(dialed.mailbox("anna"))
