"""Signs in before an import exists, by the same rules as the import; the state of logins is kept in this process."""

from __future__ import annotations

import time

from cryptography.fernet import Fernet

from producer.intake.manifest import Row
from producer.intake.sign_in import SignInAsked
from shared.model import Endpoint
from shared.model.sides import Side
from shared.runtime.credentials import Vault
from shared.sign_in.admission import Admission, Visitor
from shared.store.memory.memory_sign_ins import SignInBook


def visitor_of(side: Side, endpoint: Endpoint, row: Row, asked: SignInAsked) -> Visitor:
    """Returns the visitor that signs in for this row."""
    sign_in, secret = asked.of(side, row)
    return Visitor(
        import_id="",
        mailbox_id=f"row {row.line}",
        side=side,
        endpoint=endpoint,
        user=row.login if side == Side.SOURCE else row.new_login,
        sign_in=sign_in,
        secret=secret,
        digest="",
    )


def admission(connect_timeout_seconds: float, command_timeout_seconds: float) -> Admission:
    """Returns an `Admission` with the rules of an import and a state of its own. Thread-safe."""
    book = SignInBook(lambda: int(time.monotonic() * 1000))
    vault = Vault([Fernet.generate_key()])
    patience = connect_timeout_seconds + command_timeout_seconds
    return Admission(book, vault, connect_timeout_seconds, patience_seconds=patience)
