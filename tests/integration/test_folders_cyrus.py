"""Tests folders between Dovecot and Cyrus: only refused names change, and folders that others share are left alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.integration.in_process_import import PASSWORD, InProcessImport
from tests.integration.test_folders_real import filled, mapping, names_at
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

servers = pytest.importorskip("tests.servers.cyrus")
ANNA, BOB = "anna", "bob"


@pytest.fixture
def cyrus() -> Iterator[Any]:
    if not servers.available():
        pytest.skip("Cyrus was not unpacked: tests/install-servers")
    with servers.Cyrus() as server:
        for login in (ANNA, BOB):
            server.add_user(login, PASSWORD)
        yield server


def test_only_the_name_that_cyrus_refuses_is_another_one(dovecot: Callable[..., Dovecot], cyrus: Any) -> None:
    source = dovecot(layout="fs")
    names = ["INBOX", "R&-D", 'with "quote"', 'with "quote"/child', "plain", "a*b", "v1.2", "&BCEERwQ1BEIEMA-"]
    source.add_user(ANNA, PASSWORD)
    filled(source, names, login=ANNA)
    in_process = InProcessImport(source, cyrus, logins=(ANNA,))
    first = {a.decode(): b.decode() for a, b in mapping(in_process).items()}
    changed = {name: place for name, place in first.items() if name != place}
    assert changed == {'with "quote"': "with _quote_", 'with "quote"/child': "with _quote_/child"}
    assert set(names_at(cyrus, ANNA)) == set(first.values()), "nothing empty"
    again = InProcessImport(source, cyrus, logins=(ANNA,))
    assert {a.decode(): b.decode() for a, b in mapping(again).items()} == first


def test_what_others_share_at_a_cyrus(dovecot: Callable[..., Dovecot], cyrus: Any) -> None:
    destination = dovecot()
    destination.add_user(ANNA, PASSWORD)
    filled(cyrus, ["INBOX"], login=ANNA)
    filled(cyrus, ["INBOX", "Team"], login=BOB)
    with Wire(cyrus.host, cyrus.port, BOB, PASSWORD) as wire:
        wire.command(b"SETACL Team anna lrs")
    assert any("Team" in name for name in names_at(cyrus, ANNA)), "the control: LIST shows it"
    in_process = InProcessImport(cyrus, destination, logins=(ANNA,))
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 1}
    assert in_process.mailbox(ANNA).other_folders == 1
    assert names_at(destination, ANNA) == {"INBOX"}
