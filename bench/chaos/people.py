"""Faults that are no faults: people who move, delete, flag and rename in both mailboxes while an import runs."""

from __future__ import annotations

import contextlib
import hashlib
import re
from collections.abc import Iterator

from bench.chaos.changes import TOUCHED, Changes
from bench.chaos.scene import Scene
from tests.integration.process_cluster import Person
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Refused, Wire, quote

INBOX, TRASH = "INBOX", "Folder 1"


@contextlib.contextmanager
def _at(scene: Scene, server: Dovecot) -> Iterator[tuple[Wire, Changes]]:
    """Signs a person in at one server; does nothing where the folder or the server is away for the moment."""
    person: Person = scene.person()
    with contextlib.suppress(Refused, OSError), Wire(server.host, server.port, person.login, person.password) as wire:
        yield wire, scene.changes[person.login]
    if server is scene.source:
        scene.note_source()


def _some(scene: Scene, wire: Wire, folder: str) -> list[tuple[int, str]]:
    """Opens a folder. Returns UIDs and digests of some of its messages."""
    wire.command(b"SELECT " + quote(folder.encode()))
    answers, _ = wire.command(b"UID SEARCH ALL")
    uids = [int(n) for line in answers for n in re.findall(rb"\d+", line.line) if line.line.startswith(b"* SEARCH")]
    found = []
    for uid in scene.chance.sample(uids, min(len(uids), scene.chance.randint(1, 5))):
        body = wire.command(b"UID FETCH %d (BODY.PEEK[])" % uid)[0][0].literals[0]
        found.append((uid, hashlib.sha256(body.replace(b"\r\n", b"\n")).hexdigest()))
    return found


def source_moves(scene: Scene) -> None:
    """Moves some messages into another folder at the source."""
    with _at(scene, scene.source) as (wire, changes):
        for uid, digest in _some(scene, wire, INBOX):
            changes.moved.add(digest)
            changes.spare[digest] += 1
            wire.command(b"UID MOVE %d " % uid + quote(TRASH.encode()))


def source_deletes(scene: Scene) -> None:
    """Deletes some messages at the source: the copies stay."""
    with _at(scene, scene.source) as (wire, changes):
        for uid, digest in _some(scene, wire, INBOX):
            changes.moved.add(digest)
            changes.spare[digest] += 1
            _delete(wire, uid)


def source_renames(scene: Scene) -> None:
    """Renames a folder at the source."""
    with _at(scene, scene.source) as (wire, changes):
        _rename(scene, wire, changes, "there")


def destination_moves(scene: Scene) -> None:
    """Moves some copies into another folder."""
    with _at(scene, scene.destination) as (wire, changes):
        for uid, digest in _some(scene, wire, INBOX):
            changes.moved.add(digest)
            changes.spare_if_forgotten[digest] += 1
            wire.command(b"UID MOVE %d " % uid + quote(TRASH.encode()))


def destination_deletes(scene: Scene) -> None:
    """Deletes some copies."""
    with _at(scene, scene.destination) as (wire, changes):
        for uid, digest in _some(scene, wire, INBOX):
            changes.moved.add(digest)
            changes.away[digest] += 1
            _delete(wire, uid)


def destination_flags(scene: Scene) -> None:
    """Sets a keyword on some copies."""
    with _at(scene, scene.destination) as (wire, changes):
        for uid, digest in _some(scene, wire, INBOX):
            changes.flagged.add(digest)
            wire.command(b"UID STORE %d +FLAGS.SILENT (%b)" % (uid, TOUCHED.encode()))


def destination_renames(scene: Scene) -> None:
    """Renames a folder at the destination."""
    with _at(scene, scene.destination) as (wire, changes):
        _rename(scene, wire, changes, "here")


def _delete(wire: Wire, uid: int) -> None:
    wire.command(b"UID STORE %d +FLAGS.SILENT (\\Deleted)" % uid)
    wire.command(b"UID EXPUNGE %d" % uid)


def _rename(scene: Scene, wire: Wire, changes: Changes, where: str) -> None:
    """Gives the folder whose first name is "Folder 2" or "Folder 3" a new name, unless it has one already.

    Whoever was never told of it fills a folder of the old name again, whatever comes into the other one later.
    """
    old = f"Folder {scene.chance.randint(2, 3)}"
    new = f"{old} {where}"
    wire.command(b"SELECT " + quote(old.encode()))
    login = next(login for login, theirs in scene.changes.items() if theirs is changes)
    for kept, count in scene.at_source[login].items():
        if old in (kept.folder, changes.names.get(kept.folder)):
            changes.spare_if_forgotten[kept.sha256] += count
    wire.command(b"UNSELECT")
    changes.names[new] = old
    wire.command(b"RENAME " + quote(old.encode()) + b" " + quote(new.encode()))
