"""Tests what a first pass costs in flights: the plan, and the folder that a lane copies next, which is opened before its turn."""

from __future__ import annotations

import pytest

from shared.mail import KnownStatus
from shared.mail.imap.imap_destination import ImapDestination
from tests.conftest import DovecotPair
from tests.integration.in_process_import import InProcessImport
from tests.mail import make_mailbox, populate
from tests.servers.relay import Relay
from worker.copying.forgotten_flags import ForgottenFlags
from worker.planning.plan import MailboxPlan

#: Of the same size, so that the second of two runs asks what the first asked.
COUNTS = {"INBOX": 4, **{f"Folder{n}": 4 for n in range(1, 8)}}


def _flights(pair: DovecotPair) -> list[int]:
    """Returns the flights at both sides of an import of eight folders."""
    login = pair.account()
    populate(pair.source.host, pair.source.port, login, pair.password, make_mailbox(1, COUNTS))
    relays = [Relay(server.port, wire_seconds=0.01) for server in (pair.source, pair.destination)]
    stage = InProcessImport(*relays, logins=(login,), password=pair.password)
    stage.to_the_end()
    assert stage.outcomes() == {"copied": sum(COUNTS.values())}
    for relay in relays:
        relay.await_end()
        relay.close()
    return [len(relay.asked) for relay in relays]


@pytest.mark.parametrize("known", [True, False], ids=["ahead", "control: in their turn"])
def test_a_plan_costs_three_round_trips_at_the_source(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch, known: bool
) -> None:
    if not known:
        monkeypatch.setattr(MailboxPlan, "_first_opened", lambda plan, mapped: [])
    # Signing in, the listing, the numbers with the folders; each folder once more to be copied; LOGOUT.
    expected = 3 + len(COUNTS) + 1
    # A busy machine may write one flight in two pieces, and never two in one.
    assert (min(_flights(dovecot_pair)[0] for _ in range(3)) <= expected) is known


def test_the_next_folder_costs_no_flight_of_its_own(dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch) -> None:
    ahead = _flights(dovecot_pair)
    monkeypatch.setattr(MailboxPlan, "coming", lambda plan, below: {})
    in_turn = _flights(dovecot_pair)
    # A busy machine may write one flight in two pieces; of seven saved ones that hides no more than some.
    assert in_turn[1] - ahead[1] >= 4, (ahead, in_turn)


def test_a_folder_that_is_opened_anew_costs_no_flight(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each folder has keywords that are new to it (`worker.copying.forgotten_flags`)."""
    unsure, asked = ForgottenFlags.unsure, list[bool]()

    def counted(self: ForgottenFlags, status: KnownStatus) -> bool:
        asked.append(unsure(self, status))
        return asked[-1]

    monkeypatch.setattr(ForgottenFlags, "unsure", counted)
    anew = min(_flights(dovecot_pair)[1] for _ in range(2))
    assert sum(asked) >= len(COUNTS), "at least half of the folders of two runs"
    monkeypatch.setattr(ForgottenFlags, "unsure", lambda *_: False)
    # A busy machine may write one flight in two pieces; a flight for each folder would be eight.
    assert anew <= min(_flights(dovecot_pair)[1] for _ in range(2)) + 3


def test_a_folder_that_was_opened_for_nothing_is_left_as_it_is(
    dovecot_pair: DovecotPair, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Opens each time another folder ahead than the one that comes."""
    selecting = ImapDestination._selecting
    opened: list[bytes] = []

    def another(self: ImapDestination, name: bytes) -> list[bytes]:
        if name == self._opened:  # opened anew
            return selecting(self, name)
        opened.append(name)
        return selecting(self, b"INBOX")

    monkeypatch.setattr(ImapDestination, "_selecting", another)
    login = dovecot_pair.account()
    place = dovecot_pair.source.host, dovecot_pair.source.port, login, dovecot_pair.password
    populate(*place, make_mailbox(1, COUNTS))
    stage = InProcessImport(
        dovecot_pair.source, dovecot_pair.destination, logins=(login,), password=dovecot_pair.password
    )
    stage.to_the_end()
    assert len(opened) == 7
    assert stage.outcomes() == {"copied": sum(COUNTS.values())}
    assert stage.held("destination") == stage.held("source")
