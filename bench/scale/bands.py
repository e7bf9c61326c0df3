"""Measures claims by age band: a thousand mailboxes of 20,000 messages, all planned, in a real Redis."""

from __future__ import annotations

import time
from dataclasses import replace

from bench.scale.page import Section
from shared.model import Account, Endpoint, Folder, FolderPlan, Import, Mailbox, Settled, Tls, Unit, UnitKind
from shared.model.errors import StoreError
from shared.model.ids import batch_id, folder_id, import_id, mailbox_id
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.store import SCOPES
from shared.store.redis.redis_store import RedisStore, connect
from tests.servers.redis_server import RedisServer

#: Batches of a mailbox by age band, each of as many messages as `--newest-first` takes at once.
BATCHES = {0: 1, 1: 9, 2: 90}
MESSAGES = 200
#: Number of lanes that claim by turns; each prefers the mailbox that it served last.
LANES = 16


def run(mailboxes: int) -> Section:
    """Claims until the archive of the first mailbox begins, and a thousand batches more."""
    with RedisServer() as redis:
        store = RedisStore(connect(redis.url(1)), limits=dict.fromkeys(SCOPES, 1000))
        _plan(store, mailboxes)
        waiting = mailboxes * sum(BATCHES.values())
        recent = mailboxes * (BATCHES[0] + BATCHES[1])
        found, bands = _claims(store, recent + 1000)
    found.sort()
    early = sum(bands[n] > 0 for n in range(mailboxes)) + sum(bands[n] > 1 for n in range(mailboxes, recent))
    percentile = {share: 1000 * found[int(share * len(found))] for share in (0.5, 0.99)}
    return Section(
        name="bands",
        title="Claims by age band",
        lines=(
            f"{mailboxes:,} mailboxes of {MESSAGES * sum(BATCHES.values()):,} messages with `--newest-first`, all planned: "
            f"{waiting:,} batches wait.",
            f"{LANES} lanes claim by turns, each with the mailbox that it served last as its preference. *Early*: batches of an",
            "older band that were claimed while a younger one of any mailbox waited.",
            "",
            "| batches that wait | claims | early | claim p50, ms | p99 |",
            "|---|---|---|---|---|",
            f"| {waiting:,} | {len(found):,} | {early} | {percentile[0.5]:.2f} | {percentile[0.99]:.2f} |",
        ),
        facts={"early_claims": early, "claim_p99_seconds": round(percentile[0.99] / 1000, 6)},
    )


def _plan(store: RedisStore, mailboxes: int) -> None:
    ends = [Endpoint(host=f"{side}.simulated.example", port=993, tls=Tls.IMPLICIT) for side in ("old", "new")]
    name = import_id("bands", *ends)
    people = [
        Mailbox(
            mailbox_id=mailbox_id(name, f"{n}", f"{n}"),
            import_id=name,
            row=n,
            source=Account(endpoint=ends[0], login=f"{n}"),
            destination=Account(endpoint=ends[1], login=f"{n}"),
        )
        for n in range(1, mailboxes + 1)
    ]
    store.open_import(Import(import_id=name, name="bands", source=ends[0], destination=ends[1]), people, 14)
    store.submit(name)
    for one in people:
        lease = store.claim("planner", prefer=one.mailbox_id)
        if lease is None or lease.unit.kind is not UnitKind.PLAN:
            raise StoreError("no plan to claim")
        store.plan_folders(lease, [(_folder(one), 1)])
        store.finish(lease)
        store.leave("planner", one.mailbox_id)


def _folder(mailbox: Mailbox) -> FolderPlan:
    total = sum(BATCHES.values())
    folder = Folder(
        folder_id=folder_id(mailbox.mailbox_id, b"INBOX"),
        mailbox_id=mailbox.mailbox_id,
        source_name=b"INBOX",
        destination_name=b"INBOX",
        display="INBOX",
        uidvalidity=7,
        destination_uidvalidity=9,
        uidnext=total * MESSAGES + 1,
    )
    batches, high = [], total * MESSAGES
    for band, count in BATCHES.items():
        for _ in range(count):
            uids = UidSet.span(high - MESSAGES + 1, high)
            unit = Unit(
                unit_id=batch_id(folder.folder_id, 7, uids),
                kind=UnitKind.COPY,
                mailbox_id=mailbox.mailbox_id,
                folder_id=folder.folder_id,
                uids=uids,
                size_bytes=1000 * MESSAGES,
            )
            batches.append(replace(unit, band=band))
            high -= MESSAGES
    return FolderPlan(
        folder=folder, batches=tuple(batches), messages=total * MESSAGES, size_bytes=1000 * total * MESSAGES
    )


def _claims(store: RedisStore, count: int) -> tuple[list[float], list[int]]:
    """Returns the seconds of each claim, and its age band, in order."""
    found, bands = [], []
    near: dict[int, str] = {}
    for n in range(count):
        lane = n % LANES
        prefer = near.get(lane, "")
        began = time.perf_counter()
        lease = store.claim(f"lane.{lane}", prefer=prefer, held=prefer)
        found.append(time.perf_counter() - began)
        if lease is None:
            raise StoreError("nothing to claim, although batches wait")
        near[lane] = lease.mailbox.mailbox_id
        if lease.unit.kind is UnitKind.COPY:
            bands.append(lease.unit.band)
            gone = Settled(others={Outcome.VANISHED: lease.unit.uids}, size_bytes=lease.unit.size_bytes)
            store.progress(lease, settled=[gone])
        store.finish(lease)
    return found, bands
