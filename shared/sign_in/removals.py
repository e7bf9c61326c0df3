"""The permission to remove copies at the destination (`--deletions follow`), sealed with the key.

The options of an import stand in the store as they are. Whoever may write to it, without the key, could otherwise have workers
remove people's mail.
"""

from __future__ import annotations

import json
from typing import Final, Protocol

from shared.model import Options
from shared.model.choices import DeletionsChoice
from shared.model.errors import CredentialsError
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret

#: The name of the permission among what is sealed of an import.
REMOVALS: Final = "deletions"


class SealedStore(Protocol):
    """The store of what is sealed; `shared.store.SecretStore` is one."""

    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        """Returns what is sealed under this name."""


def sealed_permission(vault: Vault, import_id: str, options: Options) -> bytes:
    """Returns the permission that these options ask for; b"" where they remove nothing."""
    if options.deletions != DeletionsChoice.FOLLOW:
        return b""
    return vault.seal(import_id, REMOVALS, Credentials(login=_words(options), password=Secret("")))


def may_remove(store: SealedStore, vault: Vault, import_id: str, options: Options) -> bool:
    """Tells whether a holder of the key gave the permission that these options ask for. Raises `StoreError`."""
    sealed = store.sealed(import_id, import_id, REMOVALS)
    try:
        return sealed is not None and vault.open(import_id, REMOVALS, sealed).login == _words(options)
    except CredentialsError:
        return False


def _words(options: Options) -> str:
    return json.dumps([options.deletions, options.deletions_cap])
