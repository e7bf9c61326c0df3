"""Tests real and odd mail: every message arrives unchanged, or is in the report with its reason."""

from __future__ import annotations

import hashlib
import random
import re
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import cache

import pytest

from shared.model import Options
from tests.conftest import DovecotPair
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport
from tests.mail import Kept, Mail, canon_dovecot, corpus_messages, populate, snapshot
from tests.servers.faulty import FaultyServer
from tests.servers.pymap_server import PymapServer
from worker.copying.copy import CopyRules

#: Twenty folders as Dovecot's Maildir++ holds them with the separator "/": nested, with spaces, quotes, and seven
#: scripts.
FOLDERS = [
    "INBOX",
    "Sent",
    "Drafts",
    "Work",
    "Work/2020",
    "Work/2020/Q1",
    "Work/2020/Q1/deep",
    "R&AOk-sum&AOk-s",
    "&BBgENAQ1BDg-",
    "&BBgENAQ1BDg-/&BB0EPgQyBD4ENQ-",
    "&ZeVnLIqe-",
    "&U,BTFw-",
    "&BeEF3gXZBd0-",
    "with space",
    " lead",
    'quo"te',
    "per%cent",
    "star*",
    "&2D3cAA-",
    "R&AOk-sum&AOk-s/&AOQA9gD8-",
]
#: System flags only: pymap has no keywords, and these tests do not need any.
FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted"]


def spread(messages: Iterator[bytes]) -> dict[str, list[Mail]]:
    """Spreads messages over the folders, with various flags and dates; every tenth message is in its folder twice."""
    rnd = random.Random(20)
    folders: dict[str, list[Mail]] = {name: [] for name in FOLDERS}
    for number, body in enumerate(messages):
        when = datetime(1999, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(800_000_000))
        mail = Mail(body, tuple(flag for flag in FLAGS if rnd.random() < 0.3), when)
        folder = folders[FOLDERS[number % len(FOLDERS)]]
        folder += [mail] * (2 if number % 10 == 0 else 1)
    return folders


@cache
def well_formed() -> dict[str, list[Mail]]:
    return spread(
        re.sub(rb"(?<!\r)\n|\r(?!\n)", b"\r\n", body.replace(b"\0", b""))
        for _, body in corpus_messages()
        if body != b"\0"
    )


@cache
def as_they_are() -> dict[str, list[Mail]]:
    return spread(body for _, body in corpus_messages())


def reasons(in_process: InProcessImport, *kinds: str) -> Counter[str]:
    """Returns, by display name, how many messages are in the report as one of these kinds. Each must have a reason."""
    found: Counter[str] = Counter()
    for display, folder in in_process.folders().items():
        for note in in_process.store.notes(folder.folder_id):
            assert note.reason
            found[display] += note.what in kinds
    return +found


def by_folder(kept: Counter[Kept], in_process: InProcessImport) -> Counter[str]:
    displays = {folder.destination_name: name for name, folder in in_process.folders().items()}
    found: Counter[str] = Counter()
    for message, count in kept.items():
        found[displays[message.folder]] += count
    return found


def test_to_dovecot_exactly(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, well_formed())
    in_process = InProcessImport(source, dovecot_pair.destination, logins=(login,), copy_rules=CopyRules())
    before, held = in_process.marks(), in_process.held("source")
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": held.total()}
    assert held.total() == sum(map(len, well_formed().values()))
    assert in_process.held("destination") == held
    assert in_process.marks() == before, "the source was changed"
    assert not reasons(in_process, "altered", "normalised", "missing", "refused", "failed")
    assert {folder.source_name for folder in in_process.folders().values()} == {name.encode() for name in FOLDERS}


def test_to_pymap_exactly(dovecot_pair: DovecotPair, pymap_server: PymapServer) -> None:
    login = dovecot_pair.account()
    source = dovecot_pair.source
    populate(source.host, source.port, login, dovecot_pair.password, well_formed())
    pymap_server.add_user(login, dovecot_pair.password)
    in_process = InProcessImport(source, pymap_server, logins=(login,), copy_rules=CopyRules())
    before, held = in_process.marks(), in_process.held("source")
    in_process.to_the_end()
    there = in_process.held("destination")
    names = {folder.source_name: folder.destination_name for folder in in_process.folders().values()}
    wanted = Counter({kept._replace(folder=names[kept.folder]): n for kept, n in held.items()})
    lost, more = wanted - there, there - wanted
    # Every message that Dovecot refused or altered stands in the report.
    assert by_folder(lost, in_process) == reasons(in_process, "altered", "normalised", "missing", "refused", "failed")
    assert by_folder(more, in_process) == reasons(in_process, "altered", "normalised")
    assert sum(in_process.outcomes().values()) == held.total()
    assert lost.total() < held.total() / 20
    assert in_process.marks() == before


@pytest.fixture
def raw_source() -> Iterator[FaultyServer]:
    """Starts a server that shows every byte unchanged."""
    with FaultyServer() as server:
        account = server.add_account(LOGIN, PASSWORD)
        for name, messages in as_they_are().items():
            for mail in messages:
                assert mail.internaldate is not None
                date = mail.internaldate.strftime("%d-%b-%Y %H:%M:%S +0000").encode()
                account.folder(name).add(mail.body, [flag.encode() for flag in mail.flags], date)
        yield server


def test_raw_bytes_to_a_server_that_keeps_them(raw_source: FaultyServer) -> None:
    with FaultyServer() as destination:
        destination.add_account(LOGIN, PASSWORD)
        in_process = InProcessImport(raw_source, destination, copy_rules=CopyRules())
        before, held = in_process.marks(), in_process.held("source")
        in_process.to_the_end()
        assert in_process.held("destination") == held
        assert in_process.outcomes() == {"copied": held.total()}
        assert not reasons(in_process, "altered", "normalised", "missing", "refused", "failed")
        assert in_process.marks() == before


@pytest.mark.parametrize("verify", ["default", "full"])
def test_raw_bytes_to_dovecot_as_far_as_it_holds_them(
    raw_source: FaultyServer, dovecot_pair: DovecotPair, verify: str
) -> None:
    destination = dovecot_pair.destination
    destination.add_user(LOGIN + verify, PASSWORD)
    account = raw_source.behaviour.accounts.pop(LOGIN)
    raw_source.behaviour.accounts[LOGIN + verify] = account
    in_process = InProcessImport(
        raw_source, destination, logins=(LOGIN + verify,), options=Options(verify=verify), copy_rules=CopyRules()
    )
    in_process.to_the_end()
    place = (raw_source.host, raw_source.port, LOGIN + verify, PASSWORD)
    there = in_process.held("destination")
    # Nothing is lost, and the destination holds only what Dovecot makes of the messages.
    assert snapshot(*place, canon=canon_dovecot) == there
    assert in_process.outcomes() == {"copied": there.total()}
    # The report lists each message that Dovecot holds with other bytes, by the kind of the change, and no other
    # message. A message whose size stays the same, since as many line ends became longer as shorter, is harmless, and
    # seen only in a full verification.
    changed = (
        (lambda stored, sent: stored != sent) if verify == "full" else lambda stored, sent: len(stored) != len(sent)
    )
    altered: Counter[str] = Counter()
    normalised: Counter[str] = Counter()
    for name, messages in as_they_are().items():
        displays = [f.display for f in in_process.folders().values() if f.source_name == name.encode()]
        for display in displays[: len(messages)]:
            altered[display] += sum(b"\0" in mail.body for mail in messages)
            normalised[display] += sum(
                b"\0" not in mail.body and changed(canon_dovecot(mail.body), mail.body) for mail in messages
            )
    assert reasons(in_process, "altered") == +altered
    assert reasons(in_process, "normalised") == +normalised
    assert altered.total()
    assert normalised.total()
    assert not reasons(in_process, "watched"), "each was read back"
    assert not reasons(in_process, "missing", "refused", "failed")


def test_identical_twins_are_all_copied(dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    when = datetime(2020, 2, 2, tzinfo=UTC)
    twin = Mail(b"Message-ID: <t@example.org>\r\nSubject: twin\r\n\r\nthe same\r\n", ("\\Seen",), when)
    nameless = Mail(b"\r\nno header at all\r\n", (), when)
    source = dovecot_pair.source
    populate(
        source.host,
        source.port,
        login,
        dovecot_pair.password,
        {"INBOX": [twin] * 25 + [nameless] * 25, "A": [twin] * 3},
    )
    in_process = InProcessImport(source, dovecot_pair.destination, logins=(login,))
    in_process.to_the_end()
    held = in_process.held("destination")
    assert held == in_process.held("source")
    digest = hashlib.sha256(twin.body).hexdigest()
    assert [n for kept, n in held.items() if kept.sha256 == digest and kept.folder == b"INBOX"] == [25]
    assert len(in_process.pairs()) == 50
