"""Lists what stops an import, in one form for every view.

The causes are a store that takes no writes, workers that are not there, servers that do not answer, rates that are used
up, and what the store itself knows (`Store.waits`).

A server's outage is read from its mailboxes' last failures: since when, why, and when the next try is. It is over as
soon as the import has recorded anything later. At a source that rows name themselves, it is over as soon as one of its
mailboxes makes progress.
"""

from __future__ import annotations

import re
from collections import defaultdict
from dataclasses import replace
from typing import Final

from shared.model import Endpoint, Failure, Import, Mailbox, Wait, WaitKind
from shared.model.lifecycle import SETTLED, Control, ImportState, MailboxState
from shared.model.search import Search
from shared.model.sides import Side
from shared.store import Store
from shared.wording.often_said import CANNOT_CONNECT, TOLD_MORE, str_of, without_side
from shared.wording.phrases import Sentence

#: Codes of failures that mean an outage of a server.
_OUTAGES: Final = ("unreachable", "connection_lost")
_RATES: Final = "rate_waiting"
#: Waits that end with a try.
_TRIED: Final = (WaitKind.SOURCE_SERVER, WaitKind.DESTINATION_SERVER, WaitKind.ROOM)
#: Number of mailboxes with one code that are read: enough to tell since when and until when.
_READ: Final = 50
_ERRNO: Final = re.compile(r"\[Errno -?\d+\] ")


def waits_of(store: Store, import_: Import) -> list[Wait]:
    """Returns the causes of waiting, the gravest first."""
    if import_.state is ImportState.FINISHED:
        return store.waits(import_.import_id)
    known = store.waits(import_.import_id)
    found = [Wait(what=WaitKind.STORE, why=why)] if (why := store.refusing()) else []
    # Workers that cannot write are not heard of, and outside the hours none is needed.
    shut = found or any(wait.what is WaitKind.WINDOW for wait in known)
    if not shut and import_.state is ImportState.RUNNING and import_.control is Control.RUN and not store.workers():
        found.append(Wait(what=WaitKind.WORKERS))
    codes = store.failure_codes(import_.import_id)
    for side in Side:
        alike = [code for end in _OUTAGES if codes.get(code := f"{side}_{end}")]
        found += _of_servers(side, import_, [pair for code in alike for pair in _failing(store, import_, code)], codes)
    if codes.get(_RATES):
        due = _failing(store, import_, _RATES)
        if due:
            until = max(failure.next_at for _, failure in due)
            why = without_side(due[0][1].sentence)
            found.append(
                Wait(
                    what=WaitKind.RATE,
                    until=until,
                    since=min(f.since for _, f in due),
                    why=why,
                    mailboxes=codes[_RATES],
                )
            )
    if import_.control is not Control.RUN:  # nothing is tried
        return [replace(wait, until=0.0) if wait.what in _TRIED else wait for wait in found + known]
    return found + known


def _failing(store: Store, import_: Import, code: str) -> list[tuple[Mailbox, Failure]]:
    """Returns mailboxes that are tried again after this failure, and that made no progress since."""
    _, rows = store.find_mailboxes(import_.import_id, Search(code=code, count=_READ))
    return [
        (mailbox, mailbox.failure)
        for mailbox, _ in rows
        # A complete one has a failure where it stands, and its look failed.
        if mailbox.failure and mailbox.state not in SETTLED - {MailboxState.COMPLETE} and not mailbox.over_at
    ]


def _of_servers(
    side: Side, import_: Import, failing: list[tuple[Mailbox, Failure]], codes: dict[str, int]
) -> list[Wait]:
    """Returns one wait for each server."""
    servers: dict[str, list[Failure]] = defaultdict(list)
    ends: dict[str, Endpoint] = {}
    for mailbox, failure in failing:
        end = mailbox.source.endpoint if side == Side.SOURCE else mailbox.destination.endpoint
        place = f"{end.host}:{end.port}"
        servers[place].append(failure)
        ends[place] = end
    everyone = sum(codes.get(f"{side}_{end}", 0) for end in _OUTAGES)
    found = []
    for place, failures in servers.items():
        last = max(failures, key=lambda failure: failure.at)
        only = ends[place].url in (import_.source.url, import_.destination.url)
        if only and import_.last_record_at > last.at:
            continue
        due = [failure.next_at for failure in failures if failure.next_at >= last.at]
        many = everyone if len(servers) == 1 else len(failures)
        found.append(
            Wait(
                what=WaitKind(f"{side}_server"),
                key=place,
                since=min(f.since or f.at for f in failures),
                until=min(due, default=0.0),
                why=_reason(last, place),
                mailboxes=many,
            )
        )
    return found


def _reason(failure: Failure, place: str) -> str:
    """Returns what happened there, without repeating the server's name."""
    told = without_side(failure.sentence)
    if isinstance(told, Sentence):
        told = str_of(told, "cause") if told.phrase.code == CANNOT_CONNECT.code else told
    else:  # a store that is older
        _, there, rest = told.partition(f"{place}: ")
        told = _ERRNO.sub("", rest if there else told)
    return TOLD_MORE.says(what=told, said=failure.detail) if told and failure.detail else told or failure.detail
