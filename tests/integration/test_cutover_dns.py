"""Tests what a cutover asks the DNS, against real answers of two authoritative servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from producer.cutover.dns_records import DnsRecords, joined
from producer.cutover.guards import measure
from producer.cutover.measured import CutoverFacts, DomainFacts, MailboxFacts, MeasuredGuard
from shared.model.cutover import CutoverOptions, MailboxCutover
from shared.model.errors import UsageError
from shared.model.lifecycle import MailboxState
from tests.servers.mail_zone import MailZone

AT = 1_000_000.0
ANNA = MailboxFacts(login="anna", state=MailboxState.COMPLETE, synced_at=AT, mail_at=0.0, known=MailboxCutover())


@pytest.fixture
def zone() -> Iterator[MailZone]:
    with MailZone("example.org") as zone:
        yield zone


def ask(zone: MailZone, at: float = AT) -> DomainFacts:
    """Asks the zone's servers."""
    return DnsRecords(zone.resolver).ask("example.org", at)


def guard(found: DomainFacts, at: float = AT) -> MeasuredGuard:
    """Returns the guard at a longest time of 300 s."""
    facts = CutoverFacts(at=at, mailboxes=[ANNA], domains=[found])
    return measure(CutoverOptions(switch="x", ttl_seconds=300), facts)["ttl"]


def test_all_authoritative_servers_are_asked_and_the_longest_time_counts(zone: MailZone) -> None:
    found = ask(zone)
    assert found == DomainFacts(
        domain="example.org", at=AT, servers=2, mx=("mx.old.example", "backup.example"), mx_ttl=60, spf_ttl=60
    )
    assert guard(joined(None, found, 300)).met
    for server in zone.servers:
        assert ("example.org", "MX") in server.asked
        assert ("example.org", "TXT") in server.asked
    zone.say("mx.old.example", 3600, servers=(1,))
    found = ask(zone)
    assert (found.mx_ttl, found.differ) == (3600, False)
    assert not guard(found).met, "one of two servers is enough to keep mail at the old one"


def test_servers_that_name_other_hosts_differ(zone: MailZone) -> None:
    zone.say("mx.new.example", 60, servers=(1,))
    found = ask(zone)
    assert found.differ
    assert "2 servers, which differ" in guard(found).value


def test_an_old_answer_may_be_kept_for_as_long_as_it_said(zone: MailZone) -> None:
    zone.say("mx.old.example", 3600)
    first = joined(None, ask(zone), 300)
    zone.say("mx.old.example", 60)
    now = joined(first, ask(zone, AT + 60), 300)
    told = guard(now, AT + 60)
    assert not told.met
    assert told.who == (("example.org", "older answers may be kept for another 59 min"),)
    later = joined(now, ask(zone, AT + 3600), 300)
    assert guard(later, AT + 3600).met


def test_it_says_where_mail_goes_now_and_went_before(zone: MailZone) -> None:
    first = joined(None, ask(zone), 300)
    zone.say("mx.new.example", 60)
    now = joined(first, ask(zone, AT + 60), 300)
    assert (now.mx[0], now.mx_before[0]) == ("mx.new.example", "mx.old.example")
    assert "before: mx.old.example" in guard(now, AT + 60).value


def test_a_server_that_is_silent_is_told_and_no_guard_is_met(zone: MailZone) -> None:
    zone.servers[1].silent = True
    found = ask(zone)
    assert found.servers == 1
    assert not guard(found).met
    assert "ns2.example.org (127.0.0.2) does not answer" in guard(found).who[0][1]


def test_a_server_that_closes_its_connection_early_is_told(zone: MailZone) -> None:
    server = zone.servers[1]
    with socket.create_server((server.host, server.port)) as listener:

        def close_early() -> None:
            connection = listener.accept()[0]
            connection.recv(4096)
            connection.close()

        closing = threading.Thread(target=close_early, daemon=True)
        closing.start()
        server.truncated = True
        found = ask(zone)
        closing.join(180)
    assert found.servers == 1
    assert "ns2.example.org (127.0.0.2) does not answer (it closed the connection early)" in found.faults[0]


def test_without_an_mx_record_it_counts_how_long_that_is_kept(zone: MailZone) -> None:
    zone.say("", 60, spf=False)
    found = ask(zone)
    assert (found.mx, found.mx_ttl, found.spf_ttl) == ((), 900, -1)
    assert "no MX record 900 s; no SPF record" in guard(found).value


@pytest.mark.parametrize("domain", ["nowhere.example", "x" * 64 + ".example"])
def test_a_domain_that_is_not_there_is_told(zone: MailZone, domain: str) -> None:
    found = DnsRecords(zone.resolver).ask(domain, AT)
    assert found.servers == 0
    assert len(found.faults) == 1


def test_an_answer_that_is_old_counts_no_more(zone: MailZone) -> None:
    assert not guard(ask(zone), AT + 600).met


def test_the_setting_is_an_address_with_or_without_a_port() -> None:
    for text, read in {
        "": ("", 53),
        "192.0.2.1": ("192.0.2.1", 53),
        "192.0.2.1:5353": ("192.0.2.1", 5353),
        "2001:db8::1": ("2001:db8::1", 53),
        "[2001:db8::1]:5353": ("2001:db8::1", 5353),
    }.items():
        records = DnsRecords(text)
        assert (records._host, records._port) == read
    with pytest.raises(UsageError, match="MAILHAUL_DNS_RESOLVER"):
        DnsRecords("192.0.2.1:x")


def test_a_server_inside_of_the_network_is_not_asked_unless_a_resolver_is_named(
    zone: MailZone, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = DnsRecords()
    resolver = DnsRecords(zone.resolver)._resolver()
    monkeypatch.setattr(records, "_resolver", lambda: resolver)
    found = records.ask("example.org", AT)
    assert found.servers == 0
    assert all("is inside of the network" in fault for fault in found.faults)
    assert ("example.org", "MX") not in zone.servers[1].asked
