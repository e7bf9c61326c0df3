"""The binding of a mailbox's secrets to what the state store says about its servers and its mail.

It binds them to everything there that says to which server they are shown, and whose mail goes where.

Without the binding, an attacker who can write to the state store, but cannot seal, could direct a stored password to a
server of their own. Pure.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict

from shared.model.requests import Account, Import, Mailbox
from shared.model.sign_in import SignIn


def bound_to(import_: Import, mailbox: Mailbox) -> str:
    """Returns a digest over both ends, the import, and how each side is signed in to.

    Each end is its protocol, host, port, TLS mode, CA file, pin, guard and login. The digest is sealed with the
    mailbox's secrets, and computed anew from the store whenever they are opened.
    """
    ends = [
        _end(mailbox.source, import_.options.source_sign_in),
        _end(mailbox.destination, import_.options.destination_sign_in),
    ]
    text = json.dumps([mailbox.import_id, mailbox.mailbox_id, ends], sort_keys=True)
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def _end(account: Account, sign_in: SignIn) -> object:
    # An account with a password of its own signs in by the own way; the shared way is sealed separately.
    return [asdict(account.endpoint), account.login, sign_in.own.text]
