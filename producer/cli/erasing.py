"""The command `erase`: forgets an import or a person, and prints the receipt."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Final

from producer.cli.acts import Acts
from producer.cli.asking import agreed
from producer.cli.command_context import open_context
from producer.cli.verb import COMPLETE, INCOMPLETE, say
from producer.operations import erasing
from producer.operations.finding import find_import
from producer.show.lines import spoken_mailboxes
from shared.runtime.logs import clean
from shared.wording.phrases import Phrase

WHAT_TO_ERASE: Final = Phrase(
    "erase_what",
    "erase: give either an import, or --login LOGIN for one person in every import",
)
_WITH_IT: Final = ": the ledger, the report, the stored passwords"


def run_erase(which: str, login: str, *, sure: bool, state_dir: Path | None) -> int:
    """Erases an import, or one person from every import. Returns 3 when something is left."""
    if bool(which) == bool(login):
        raise WHAT_TO_ERASE.error()
    with open_context(state_dir, make=False) as context:
        acts = Acts(context)
        if login:
            mailboxes = len(erasing.people(context.store, login))
            what = f"{spoken_mailboxes(mailboxes)} of {clean(login)}, and every mention of that login{_WITH_IT}"
            if not mailboxes:
                what = f"no mailbox, since none has the login {clean(login)} (check its spelling); only what else mentions it"
            begin = partial(acts.erase_login, login)
        else:
            import_ = find_import(context.store, which)
            number = sum(context.store.import_tally(import_.import_id)[1].values())
            what = f"import {clean(import_.name)} ({import_.import_id[:8]}) with {spoken_mailboxes(number)}{_WITH_IT}"
            begin = partial(acts.erase_import, import_)
        say(f"what goes: {what}; mail stays as it is on both sides")
        if not sure and not agreed("erase it?", "erase"):
            say("nothing was erased")
            return INCOMPLETE
        receipt = begin()
    for line in receipt_lines(receipt):
        say(line)
    return INCOMPLETE if receipt.left or not receipt.purged else COMPLETE


def receipt_lines(receipt: erasing.Erased) -> list[str]:
    """Words the receipt."""
    said = [
        f"erased: {spoken_mailboxes(receipt.mailboxes)}, and {receipt.mentions:,} mentions elsewhere",
        f"{receipt.keys:,} keys were read afterwards: "
        + ("none names them" if not receipt.left else f"{len(receipt.left):,} still name them:"),
        *(f"  {clean(key)}" for key in receipt.left),
    ]
    if receipt.audit:
        said.append(
            f"{receipt.audit:,} entries of the audit log name them, and stay as long as the audit log does (MAILHAUL_AUDIT_DAYS)"
        )
    if not receipt.purged:
        said.append(
            "the append-only file of Redis holds what was deleted until it is written anew: an administrator of Redis runs "
            "BGREWRITEAOF"
        )
    said.append("not looked at: reports and messages that were saved as files, logs, and backups of Redis")
    return said
