"""Tests the 81 cases of a later pass on Dovecot, with and without CONDSTORE, and on Cyrus."""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterator

import pytest

from tests.integration import both_sides
from tests.integration.both_sides import AT_DESTINATION, AT_SOURCE, CHANGES, expected
from tests.integration.in_process_import import PASSWORD, InProcessImport, plain
from tests.integration.test_delta import BODY, WITHOUT_CONDSTORE
from tests.integration.test_missing import exit_code
from tests.mail import Mail, populate, snapshot
from tests.servers import cyrus, dovecot
from tests.servers.cyrus import Cyrus
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

_logins = itertools.count(1)
#: Digest of a message → its number.
NUMBERS = {hashlib.sha256(plain(number)).hexdigest(): number for number in range(1, 10)}


def new_at(there: str, here: str) -> bool:
    """Tells whether the pass finds a message at the source that it has to read."""
    return there in ("copied", "new mail") or expected(there, here)[1].startswith("copied")


class People:
    """A person with mail on both sides after a first pass."""

    def __init__(self, source: Dovecot | Cyrus, destination: Dovecot | Cyrus) -> None:
        self.source, self.destination, self.password, self.login = source, destination, PASSWORD, f"user{next(_logins)}"
        for server in (source, destination):
            server.add_user(self.login, self.password)
        for number, folder in ((1, "Work"), (2, "Work"), (3, "Other"), (4, "INBOX")):
            self.deliver(self.source, folder, number)
        self.in_process = InProcessImport(self.source, self.destination, logins=(self.login,), password=self.password)
        self.in_process.to_the_end()

    def deliver(self, server: Dovecot | Cyrus, folder: str, number: int) -> None:
        """Puts a message into a folder."""
        populate(
            server.host, server.port, self.login, self.password, {folder: [Mail(plain(number), ("\\Seen",), None)]}
        )

    def change(self, there: str, here: str) -> None:
        """Makes a change on each side."""
        for server, commands in ((self.source, AT_SOURCE[there]), (self.destination, AT_DESTINATION[here])):
            with Wire(server.host, server.port, self.login, self.password) as wire:
                for command in commands:
                    wire.command(command)
        if there == "new mail":
            self.deliver(self.source, "Work", both_sides.NEW_AT_SOURCE)
        if here == "new mail":
            self.deliver(self.destination, "Work", both_sides.NEW_AT_DESTINATION)

    def again(self) -> None:
        """Runs another pass."""
        self.in_process.told.sessions.clear()
        self.in_process.later(3600)
        self.in_process.to_the_end()

    def seen(self) -> tuple[tuple[tuple[str, int], ...], dict[str, frozenset[str]]]:
        """Returns what stands where at the destination, and the flags of message 1 by folder."""
        held = snapshot(self.destination.host, self.destination.port, self.login, self.password)
        places = tuple(sorted((one.folder.decode(), NUMBERS[one.sha256]) for one in held.elements()))
        return places, {one.folder.decode(): one.flags for one in held if NUMBERS[one.sha256] == 1}


@pytest.fixture(scope="module", params=["Dovecot", "Dovecot without CONDSTORE", "Cyrus"])
def pair(request: pytest.FixtureRequest) -> Iterator[tuple[Dovecot | Cyrus, Dovecot | Cyrus]]:
    """Yields a source and a destination of one kind, for all tests of the module."""
    if request.param == "Cyrus":
        if not cyrus.available():
            pytest.skip("Cyrus cannot be had here" if (cyrus.UNPACKED.parent / "no-cyrus").exists() else "needs Cyrus")
        with Cyrus(munge8bit=False) as source, Cyrus(munge8bit=False) as destination:
            yield source, destination
        return
    if not dovecot.available():
        pytest.skip("needs Dovecot")
    extra = f"imap_capability = {WITHOUT_CONDSTORE} MOVE" if "without" in request.param else ""
    with Dovecot(extra=extra) as source, Dovecot(extra=extra) as destination:
        yield source, destination


@pytest.mark.parametrize("here", CHANGES)
@pytest.mark.parametrize("there", CHANGES)
def test_each_change_with_each(pair: tuple[Dovecot | Cyrus, Dovecot | Cyrus], there: str, here: str) -> None:
    people = People(*pair)
    people.change(there, here)
    right, _ = expected(there, here)
    for number in range(2):
        people.again()
        places, flags = people.seen()
        assert places == right.places
        if right.flags is not None:
            assert flags["Other" if there == "moved" else right.work] == right.flags
        assert exit_code(people.in_process) == 0
        assert people.in_process.tally().missing == 0
        if number or not new_at(there, here):
            assert people.in_process.told.count(BODY) == 0, "no body is read that is not new"


def test_the_page_has_the_table() -> None:
    """`python -m tests.integration.both_sides` writes it."""
    page = both_sides.PAGE.read_text()
    assert both_sides.written(page) == page
