"""What a mailbox's secrets are bound to: all that the state store says of whom they are shown to, and of whose mail goes where.

Who can write to the state store, but not seal, could otherwise turn a stored password to a server of their own. Pure.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from shared.model.requests import Account, Import, Mailbox
from shared.model.sign_in import SignIn


def bound_to(request: Import, mailbox: Mailbox) -> str:
    """A digest over both ends (protocol, host, port, TLS mode, CA file, pin, guard, login), the import, and how each side is
    signed in to. It goes into what is sealed for the mailbox, and is computed anew from the store whenever that is opened."""
    ends = [
        _end(mailbox.source, request.options.source_sign_in),
        _end(mailbox.destination, request.options.destination_sign_in),
    ]
    text = json.dumps([mailbox.import_id, mailbox.mailbox_id, ends], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _end(account: Account, sign_in: SignIn) -> object:
    # The own way of an account is what it signs in with where it has a password; the shared way is sealed apart.
    return [asdict(account.endpoint), account.login, sign_in.own.text]
