"""Erases an import, or one person from every import, and proves by a look through all keys that nothing is left.

The audit log keeps that it was done, by whom, and how much it was; not whom it was about.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Final

import redis

from shared.model import Import, Mailbox
from shared.model.errors import UnderWay
from shared.model.lifecycle import SETTLED, ImportState
from shared.nouns import dataclass
from shared.store import Store
from shared.store.records import traces
from shared.wording.phrases import Phrase

MAILBOX_BUSY: Final = Phrase(
    "erased_mailbox_under_way",
    "the mailbox is under way in import {name}: wait until it is finished, or cancel it first (mailhaul cancel "
    "{name} --mailbox LOGIN)",
)
NOTHING_TO_ERASE: Final = Phrase(
    "nothing_to_erase",
    "no import has a mailbox with this login, and no key names it: {num} were read. Check its spelling",
)
IMPORT_BUSY: Final = Phrase(
    "erased_import_under_way",
    "import {name} is under way: wait until it is finished, or cancel it first (mailhaul cancel)",
)
WORKER_BUSY: Final = Phrase(
    "erased_mailbox_held",
    "a worker is still at the mailbox in import {name}: try again in a minute",
)

#: The longest wait until the store has rewritten its file, seconds.
_PURGE_SECONDS: Final = 60.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Erased:
    """The receipt of an erasure."""

    #: Imports and mailboxes that were forgotten.
    imports: int = 0
    mailboxes: int = 0
    #: Places elsewhere that mentioned them and were struck out.
    mentions: int = 0
    #: Keys of the state database that were read afterwards.
    keys: int = 0
    #: Keys that still name them, with the logins masked; empty when nothing is left.
    left: tuple[str, ...] = ()
    #: Entries of the audit log that name them: they stay as long as the audit log does.
    audit: int = 0
    #: Whether the store's file was written anew, so that nothing is left in it either.
    purged: bool = True


def digest_of(login: str) -> str:
    """Returns what stands for a login in the audit log: it can be compared with a login, and does not tell one."""
    return hashlib.blake2b(login.casefold().encode(), digest_size=8).hexdigest()


def people(store: Store, login: str) -> list[tuple[Import, Mailbox]]:
    """Returns every mailbox of every import with this login on either side. Raises `UsageError` if one is under way."""
    wanted = login.casefold()
    found = [
        (import_, mailbox)
        for import_ in store.imports()
        for mailbox, _ in store.mailboxes(import_.import_id)
        if wanted in (mailbox.source.login.casefold(), mailbox.destination.login.casefold())
    ]
    if busy := [import_.name for import_, mailbox in found if mailbox.state not in SETTLED]:
        raise MAILBOX_BUSY.error(name=busy[0])
    return found


def erase_login(store: Store, client: redis.Redis, login: str) -> Erased:
    """Erases one person from every import. Repeated, it completes a call that broke off.

    Raises `UsageError` when a mailbox is under way, and when there is nothing that names the login.
    """
    found = people(store, login)
    others = _logins(store, without={mailbox.mailbox_id for _, mailbox in found})
    logins = {login, *(one for _, mailbox in found for one in _both(mailbox) if one.casefold() not in others)}
    ids = [name for _, mailbox in found for name in _ids(store, mailbox)]
    for import_, mailbox in found:
        try:
            store.erase(import_.import_id, mailbox.mailbox_id)
        except UnderWay as error:
            raise WORKER_BUSY.error(name=import_.name) from error
    receipt = _swept(store, client, ids, logins, imports=0, mailboxes=len(found))
    if not (found or receipt.mentions or receipt.left or receipt.audit):
        raise NOTHING_TO_ERASE.error(num=f"{receipt.keys:,}")
    return receipt


def erase_import(store: Store, client: redis.Redis, import_: Import) -> Erased:
    """Erases an import with all its mailboxes. Raises `UsageError` while it is under way."""
    whole = store.import_(import_.import_id) or import_
    if whole.state is ImportState.RUNNING:
        raise IMPORT_BUSY.error(name=import_.name)
    mailboxes = [mailbox for mailbox, _ in store.mailboxes(import_.import_id)]
    others = _logins(store, without={mailbox.mailbox_id for mailbox in mailboxes})
    logins = {login for mailbox in mailboxes for login in _both(mailbox) if login.casefold() not in others}
    ids = [import_.import_id, *(name for mailbox in mailboxes for name in _ids(store, mailbox))]
    # The import goes last, so that the same command can complete what broke off.
    mentions = traces.strike(client, traces.look(client, traces.Names([*ids, *logins])).found)
    store.close(import_.import_id)
    receipt = _swept(store, client, ids, logins, imports=1, mailboxes=len(mailboxes))
    return replace(receipt, mentions=mentions + receipt.mentions)


def _ids(store: Store, mailbox: Mailbox) -> list[str]:
    return [mailbox.mailbox_id, *(folder.folder_id for folder, _ in store.folders(mailbox.mailbox_id))]


def _both(mailbox: Mailbox) -> tuple[str, str]:
    return mailbox.source.login, mailbox.destination.login


def _logins(store: Store, *, without: Collection[str]) -> set[str]:
    """Returns the logins of all other mailboxes, folded: what they share with the erased ones stays."""
    return {
        login.casefold()
        for import_ in store.imports()
        for mailbox, _ in store.mailboxes(import_.import_id)
        if mailbox.mailbox_id not in without
        for login in _both(mailbox)
    }


def _masked(key: bytes, logins: Collection[str]) -> str:
    """Returns a key for the receipt, which the audit log keeps: without the logins."""
    text = key.decode("utf-8", "replace")
    for login in sorted(logins, key=len, reverse=True):
        text = re.sub(re.escape(login), "***", text, flags=re.IGNORECASE)
    return text


def _swept(
    store: Store, client: redis.Redis, ids: Sequence[str], logins: Collection[str], *, imports: int, mailboxes: int
) -> Erased:
    """Strikes out what mentions the names, looks through all keys once more, and returns the receipt."""
    wanted = traces.Names([*ids, *logins])
    mentions = traces.strike(client, traces.look(client, wanted).found)
    after = traces.look(client, wanted)
    left = tuple(sorted({_masked(trace.key, logins) for trace in after.found}))
    return Erased(
        imports=imports,
        mailboxes=mailboxes,
        mentions=mentions,
        keys=after.keys,
        left=left,
        audit=after.audit,
        purged=store.purge(_PURGE_SECONDS),
    )
