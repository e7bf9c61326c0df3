"""Tests detection with a DNS server, an HTTP server and real mail servers, all on loopback."""

from __future__ import annotations

import ipaddress
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import dns.resolver
import pytest

from producer.intake.detect import Detection, detect
from producer.intake.detect_autoconfig import MOST_BYTES
from producer.intake.detect_probe import Network
from producer.web.api.general_routes import NETWORK
from shared.mail.transport import dialing
from shared.sign_in.reach import Reach
from tests.servers import dovecot as dovecot_server
from tests.servers.certificate import Authority
from tests.servers.dns_server import DnsServer
from tests.servers.dovecot import Dovecot
from tests.servers.http_pages import HttpPages
from tests.servers.process import free_port
from tests.unit.intake.test_detect import config, server

ADDRESS = "anna@example.test"
AUTHORITY = Authority()


@pytest.fixture
def names() -> Iterator[DnsServer]:
    with DnsServer({("example.test", "MX"): ["10 mx.example.test."]}) as running:
        yield running


@pytest.fixture
def web() -> Iterator[HttpPages]:
    with HttpPages() as running:
        yield running


@pytest.fixture(scope="module")
def ca_file(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("ca") / "ca.pem"
    path.write_bytes(AUTHORITY.certificate)
    return str(path)


@pytest.fixture(scope="module")
def imap() -> Iterator[Dovecot]:
    if not dovecot_server.available():
        pytest.skip("needs Dovecot (tests/install-servers)")
    with Dovecot(certificate=AUTHORITY.issue("imap.example.test")) as running:
        yield running


@pytest.fixture
def network(names: DnsServer, web: HttpPages) -> Network:
    """Returns a network of local servers.

    Names are resolved by the same DNS server; no server listens at the ports.
    """

    def connect(host: str, port: int, seconds: float) -> socket.socket:
        try:
            (address, *_) = names.resolver().resolve(host, "A", lifetime=seconds, search=False)
        except (dns.resolver.NXDOMAIN, dns.resolver.NoAnswer):
            raise OSError("no such host") from None
        return socket.create_connection((str(address), port), timeout=seconds)

    return Network(
        seconds=5,
        resolver=names.resolver(),
        connect=connect,
        own=(web.url + "/own/{domain}.xml?emailaddress={address}", web.url + "/well-known/{domain}.xml"),
        ispdb=web.url + "/ispdb/{domain}",
        ports={scheme: free_port() for scheme in ("imaps", "imap+starttls", "pop3s", "pop3+starttls")},
    )


def urls(found: Detection) -> list[str]:
    return [one.url for one in found.ways]


def xml(*servers: str) -> tuple[int, dict[str, str], bytes]:
    return 200, {"Content-Type": "text/xml"}, config(*servers)


def test_the_mail_exchanger_gives_the_preset_away(names: DnsServer, network: Network, web: HttpPages) -> None:
    names.records["example.test", "MX"] = ["5 alt1.aspmx.l.google.com.", "1 ASPMX.L.Google.COM."]
    found = detect(ADDRESS, network=network)
    assert found.how == "mx"
    assert found.why == "mail for example.test goes to aspmx.l.google.com: Gmail and Google Workspace"
    assert [one.give for one in found.ways] == ["gmail", "gmail:pop3"]
    assert found.ways[0].login == ADDRESS
    assert not web.asked, "nobody else is asked"
    assert names.asked == [("example.test", "MX")]


def test_offline_asks_nobody(names: DnsServer, network: Network, web: HttpPages) -> None:
    assert not detect(ADDRESS, offline=True, network=network).ways
    assert not names.asked
    assert not web.asked


def test_the_domains_own_autoconfig(network: Network, web: HttpPages) -> None:
    web.pages["/own/example.test.xml"] = xml(
        server(host="in.example.test", user="%EMAILADDRESS%"), server("pop3", port="995")
    )
    web.pages["/ispdb/example.test"] = xml(server(host="wrong.example"))
    found = detect(ADDRESS, network=network)
    assert found.how == "autoconfig"
    assert urls(found) == ["imaps://in.example.test:993", "pop3s://imap.example.org:995"]
    assert found.ways[0].login == ADDRESS
    assert {"emailaddress": "anna@example.test"} in [
        one.query for one in web.asked if one.path == "/own/example.test.xml"
    ]
    assert not [path for path in web.paths if path.startswith("/ispdb")], "the database was not needed"


def test_where_the_domain_itself_is_not_asked_the_others_are(network: Network, web: HttpPages) -> None:
    """Detects as web requests do: they do not ask the domain itself, since its place is a stranger's URL."""
    web.pages["/own/example.test.xml"] = xml(server(host="wrong.example"))
    alone = replace(network, own=())
    assert not detect(ADDRESS, network=alone).ways
    web.pages["/ispdb/example.test"] = xml(server(host="in.example.test"))
    found = detect(ADDRESS, network=alone)
    assert (found.how, urls(found)) == ("ispdb", ["imaps://in.example.test:993"])
    assert not [path for path in web.paths if path.startswith("/own")]


def test_the_well_known_place(network: Network, web: HttpPages) -> None:
    web.pages["/well-known/example.test.xml"] = xml(server())
    assert detect(ADDRESS, network=network).how == "autoconfig"


def test_the_public_database_by_domain_and_by_mail_exchanger(
    names: DnsServer, network: Network, web: HttpPages
) -> None:
    names.records["example.test", "MX"] = ["10 mx1.mail.hoster.test."]
    web.pages["/ispdb/hoster.test"] = xml(server(host="imap.hoster.test"))
    found = detect(ADDRESS, network=network)
    assert (found.how, urls(found)) == ("ispdb", ["imaps://imap.hoster.test:993"])
    database = [one for one in web.asked if one.path.startswith("/ispdb")]
    assert not [one for one in database if "anna" in one.path or one.query], "it learns the domain only"
    web.pages["/ispdb/example.test"] = xml(server(host="own.example.test"))
    assert urls(detect(ADDRESS, network=network)) == ["imaps://own.example.test:993"]


def test_a_provider_behind_an_autoconfig_is_recognised(network: Network, web: HttpPages) -> None:
    web.pages["/own/example.test.xml"] = xml(server(host="imap.gmail.com"))
    found = detect(ADDRESS, network=network)
    assert found.provider is not None
    assert found.provider.name == "gmail"


def test_srv_records_in_the_order_of_their_priority(names: DnsServer, network: Network) -> None:
    names.records |= {
        ("_imaps._tcp.example.test", "SRV"): ["20 1 993 late.example.test.", "10 1 1993 first.example.test."],
        ("_imap._tcp.example.test", "SRV"): ["0 1 143 clear.example.test."],
        ("_pop3s._tcp.example.test", "SRV"): ["0 0 0 ."],
        ("_pop3._tcp.example.test", "SRV"): ["0 1 110 pop.example.test."],
    }
    found = detect(ADDRESS, network=network)
    assert found.how == "srv"
    # Implicit TLS comes first; "." means that the service is not offered.
    assert urls(found) == ["imaps://first.example.test:1993", "pop3+starttls://pop.example.test:110"]


def test_a_guess_is_really_tried(names: DnsServer, network: Network, imap: Dovecot, ca_file: str) -> None:
    names.records["imap.example.test", "A"] = ["127.0.0.1"]
    ports = {**network.ports, "imaps": imap.tls_port}
    found = detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file))
    assert found.how == "guess"
    assert urls(found) == [f"imaps://imap.example.test:{imap.tls_port}"]
    assert not found.ways[0].doubt
    assert any("no SRV" in line for line in found.tried), "says what it looked at before"


def test_a_guess_by_starttls(names: DnsServer, network: Network, imap: Dovecot, ca_file: str) -> None:
    names.records["imap.example.test", "A"] = ["127.0.0.1"]
    ports = {**network.ports, "imap+starttls": imap.port}
    found = detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file))
    assert urls(found) == [f"imap+starttls://imap.example.test:{imap.port}"]


@pytest.mark.parametrize("scheme", ["pop3s", "pop3+starttls"])
def test_a_guess_of_pop3(names: DnsServer, network: Network, ca_file: str, scheme: str) -> None:
    port = free_port()
    plain, secure = (0, port) if scheme == "pop3s" else (port, 0)
    extra = f"""protocols = imap pop3
service pop3-login {{
  chroot =
  inet_listener pop3 {{
    port = {plain}
  }}
  inet_listener pop3s {{
    port = {secure}
    ssl = yes
  }}
}}
"""
    names.records["pop.example.test", "A"] = ["127.0.0.1"]
    with Dovecot(certificate=AUTHORITY.issue("pop.example.test"), extra=extra):
        ports = {**network.ports, scheme: port}
        found = detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file))
    assert urls(found) == [f"{scheme}://pop.example.test:{port}"]
    assert not found.ways[0].doubt


def test_a_guess_whose_certificate_proves_nothing_is_told_with_its_doubt(
    names: DnsServer, network: Network, imap: Dovecot
) -> None:
    names.records["mail.example.test", "A"] = ["127.0.0.1"]
    ports = {**network.ports, "imaps": imap.tls_port}
    found = detect(ADDRESS, network=replace(network, ports=ports))
    assert urls(found) == [f"imaps://mail.example.test:{imap.tls_port}"]
    assert "subject CN=imap.example.test" in found.ways[0].doubt
    assert "SHA-256" in found.ways[0].doubt


@pytest.mark.parametrize("networks", [(), ("127.0.0.0/8",)], ids=["public", "allowed"])
def test_the_page_guesses_at_no_private_address(
    names: DnsServer, network: Network, imap: Dovecot, networks: tuple[str, ...]
) -> None:
    """Uses a visitor's domain, whose names may point to machines of the internal network."""
    names.records["imap.example.test", "A"] = ["127.0.0.1"]

    def resolve(host: str, port: int) -> list[str]:
        found = names.records.get((host, "A"), [])
        if not found:
            raise OSError("no such host")
        return found

    allowed = tuple(map(ipaddress.ip_network, networks))
    reach = Reach(networks=allowed, ports=frozenset({imap.tls_port}), resolve=resolve)
    page = replace(NETWORK, resolver=network.resolver, ispdb=network.ispdb, seconds=5)
    dialing.restrict(reach.addresses)
    try:
        found = detect(ADDRESS, network=replace(page, ports={**network.ports, "imaps": imap.tls_port}))
    finally:
        dialing.restrict(None)
    assert urls(found) == ([f"imaps://imap.example.test:{imap.tls_port}"] if networks else [])


def test_one_that_proves_who_it_is_goes_before_one_that_does_not(
    names: DnsServer, network: Network, imap: Dovecot, ca_file: str
) -> None:
    # One name works with STARTTLS and a matching certificate, another with implicit TLS: the likelier one is not
    # trusted.
    names.records |= {("mail.example.test", "A"): ["127.0.0.1"], ("imap.example.test", "A"): ["127.0.0.1"]}
    ports = {**network.ports, "imaps": free_port(), "imap+starttls": imap.port}
    found = detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file))
    assert urls(found) == [f"imap+starttls://imap.example.test:{imap.port}"]
    names.records["example.test", "MX"] = ["1 imap.example.test."]
    del names.records["imap.example.test", "A"]
    found = detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file))
    assert urls(found) == [f"imap+starttls://mail.example.test:{imap.port}"]
    assert found.ways[0].doubt


def test_what_does_not_greet_is_no_server(names: DnsServer, network: Network, imap: Dovecot, ca_file: str) -> None:
    """The control: IMAP at the POP3 ports is no POP3 server, with TLS or without."""
    names.records |= {(f"{name}.example.test", "A"): ["127.0.0.1"] for name in ("imap", "mail", "pop")}
    ports = {**network.ports, "pop3s": imap.tls_port, "pop3+starttls": imap.port}
    assert not detect(ADDRESS, network=replace(network, ports=ports, ca_file=ca_file)).ways


def test_a_domain_that_is_not_there_is_not_guessed_at(names: DnsServer, network: Network, web: HttpPages) -> None:
    found = detect("anna@nothing.invalid", network=network)
    assert not found.ways
    assert "there is no domain nothing.invalid" in found.tried
    assert not web.asked


def test_silent_dns_is_said_and_does_not_hang(names: DnsServer, network: Network, web: HttpPages) -> None:
    names.silent = True
    web.pages["/own/example.test.xml"] = xml(server())
    began = time.monotonic()
    found = detect(ADDRESS, network=replace(network, seconds=1.0))
    assert found.how == "autoconfig", "the others are asked all the same"
    assert any("DNS does not answer" in line for line in found.tried)
    assert time.monotonic() - began < 120


@pytest.mark.parametrize(
    ("page", "said"),
    [
        ((200, {}, b"x" * (MOST_BYTES + 1)), "larger than"),
        ((200, {}, b"<html>no such page</html>"), "no autoconfig file"),
        ((500, {}, b""), "HTTP 500"),
        ((302, {"Location": "/own/example.test.xml"}, b""), "too many redirects"),
        ((302, {"Location": "ftp://127.0.0.1/x"}, b""), "redirected away"),
        ((302, {"Location": "http://[nonsense"}, b""), "no answer"),
        ((200, {}, config(server(tls="plain"))), "nothing encrypted"),
    ],
)
def test_what_is_not_taken_for_a_file(
    network: Network, web: HttpPages, page: tuple[int, dict[str, str], bytes], said: str
) -> None:
    web.pages["/own/example.test.xml"] = page
    found = detect(ADDRESS, network=network)
    assert not found.ways
    assert any(said in line for line in found.tried), found.tried


def test_a_redirect_is_followed(network: Network, web: HttpPages) -> None:
    web.pages["/own/example.test.xml"] = (301, {"Location": "/moved"}, b"")
    web.pages["/moved"] = xml(server())
    assert detect(ADDRESS, network=network).how == "autoconfig"


def test_from_https_there_is_no_way_to_http(web: HttpPages, tmp_path: Path, ca_file: str) -> None:
    web.pages["/file"] = xml(server())
    pem = tmp_path / "server.pem"
    pem.write_bytes(b"".join(AUTHORITY.issue("127.0.0.1")))
    with HttpPages(pem) as secure:
        secure.pages |= {
            "/down": (302, {"Location": web.url + "/file"}, b""),
            "/along": (302, {"Location": "/file"}, b""),
            "/file": xml(server()),
        }
        network = Network(ca_file=ca_file)
        assert network.fetch(secure.url + "/along") == config(server()), "the control: https to https"
        with pytest.raises(OSError, match="redirected away from https"):
            network.fetch(secure.url + "/down")
        assert not web.asked
        with pytest.raises(OSError, match="no answer"):
            Network().fetch(secure.url + "/file")  # a certificate that no authority vouches for
