"""Reads from the store the facts that the guards of a cutover check."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from typing import Any, Final

from producer.cutover.guards import IMPORT_IS_PAUSED, WAVE_IS_PAUSED
from producer.cutover.measured import CutoverFacts, DomainFacts, MailboxFacts
from shared.content.json_text import read_json
from shared.model import Mailbox
from shared.model.cutover import DNS, NO_SWITCH, CutoverOptions
from shared.model.lifecycle import Control
from shared.model.search import Search
from shared.store import Store
from shared.store.records.cutovers import decode_mailbox, same_types
from shared.wording.kept import packed_all, unpacked, unpacked_all

#: The fields of a domain's facts that hold several texts.
_LISTS: Final = ("faults", "mx", "mx_before")
#: The largest number of mailboxes in a wave.
_EVERYONE: Final = 10_000_000


def members(store: Store, import_id: str, wave: str, notes: Mapping[str, str]) -> list[Mailbox]:
    """Returns the mailboxes of a cutover: those of the wave, and those that it turned before they left the wave."""
    if not wave:
        return [mailbox for mailbox, _ in store.mailboxes(import_id)]
    found = [one for one, _ in store.find_mailboxes(import_id, Search(wave=wave, count=_EVERYONE))[1]]
    here = {one.mailbox_id for one in found}
    left = [name for name, text in notes.items() if name[:1] != "#" and name not in here and decode_mailbox(text).to]
    return found + [one for name in left if (one := store.mailbox(name)) is not None and one.import_id == import_id]


def domains_of(options: CutoverOptions, mailboxes: Iterable[Mailbox]) -> tuple[str, ...]:
    """Returns the mail domains of the cutover: those that were given, else those of the logins."""
    if options.domains:
        return options.domains
    found = {login.rpartition("@")[2].lower() for one in mailboxes if "@" in (login := address_of(one))}
    return tuple(sorted(found))


def address_of(mailbox: Mailbox) -> str:
    """Returns the address of the mailbox: its login at the old server where that is an address, else the one at the new.

    People have their mail there until the switch. The login at the new server may be a name that only it knows.
    """
    both = (mailbox.source.login, mailbox.destination.login)
    return next((login for login in both if "@" in login), both[0])


def facts_of(
    mailboxes: Sequence[Mailbox],
    notes: Mapping[str, str],
    domains: Sequence[str],
    at: float,
    *,
    switched: bool = False,
    paused: str = "",
) -> CutoverFacts:
    """Returns the facts at the moment `at`; `switched` tells whether the switch was begun.

    `notes` are those of the cutover; `paused` says what a person paused of it.
    """
    asked = decode_domains(notes.get(DNS, ""))
    return CutoverFacts(
        at=at,
        mailboxes=[
            MailboxFacts(
                login=one.source.login,
                state=one.state,
                synced_at=one.synced_at,
                mail_at=one.mail_at,
                known=decode_mailbox(notes.get(one.mailbox_id, "")),
            )
            for one in mailboxes
        ],
        domains=[asked.get(domain) or DomainFacts(domain=domain, at=0.0) for domain in domains],
        no_switch=unpacked(notes.get(NO_SWITCH, "")),
        switched=switched,
        paused=paused,
    )


def paused_of(store: Store, import_id: str, wave: str) -> str:
    """Says in a sentence that the import or the wave is paused, and how it is resumed; "" where neither is."""
    import_ = store.import_(import_id)
    if import_ is None:
        return ""
    if import_.control is Control.PAUSE:
        return IMPORT_IS_PAUSED.says(name=shlex.quote(import_.name))
    if wave and any(one.name == wave and one.control is Control.PAUSE for one in store.waves(import_id)):
        return WAVE_IS_PAUSED.says(name=shlex.quote(import_.name), wave_name=shlex.quote(wave))
    return ""


def encode_domains(asked: Mapping[str, DomainFacts]) -> str:
    """Returns the note of what the DNS said."""
    return json.dumps(packed_all({domain: asdict(one) for domain, one in asked.items()}))


def decode_domains(text: str) -> dict[str, DomainFacts]:
    """Returns what the DNS said, by domain."""
    try:
        rows = unpacked_all(read_json(text)) if text else {}
        found = {domain: DomainFacts(**{**row, **_tuples(row)}) for domain, row in rows.items()}
        usual = asdict(DomainFacts(domain="", at=0.0))
        return {domain: one for domain, one in found.items() if same_types(asdict(one), usual)}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}


def _tuples(row: Mapping[str, Any]) -> dict[str, tuple[str, ...]]:
    # A sentence stays one: `str` would make it a plain text.
    return {name: tuple(one if isinstance(one, str) else str(one) for one in row[name]) for name in _LISTS}
