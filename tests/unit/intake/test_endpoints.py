"""Endpoints: the URLs that are taken, and what the operator is told to write instead of others."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.intake.endpoints import is_loopback, parse_endpoint
from shared.model import Endpoint, Tls
from shared.model.errors import UsageError

PROVIDERS = {"gmail": "imaps://imap.gmail.com", "mailru": "imaps://imap.mail.ru:993"}


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("imaps://mail.example.org", "imaps://mail.example.org:993"),
        (" IMAPS://Mail.Example.ORG.:1993/ ", "imaps://mail.example.org:1993"),
        ("imap+starttls://mail.example.org", "imap+starttls://mail.example.org:143"),
        ("imap://localhost", "imap://localhost:143"),
        ("imap://127.0.0.9:1143", "imap://127.0.0.9:1143"),
        ("imap://[::1]:1143", "imap://[::1]:1143"),
        ("imaps://[2001:DB8::1]", "imaps://[2001:db8::1]:993"),
        ("imaps://почта.рф", "imaps://xn--80a1acny.xn--p1ai:993"),
        ("Gmail", "imaps://imap.gmail.com:993"),
    ],
)
def test_what_is_taken(text: str, url: str) -> None:
    endpoint = parse_endpoint(text, providers=PROVIDERS)
    assert endpoint.url == url
    assert parse_endpoint(endpoint.url) == endpoint


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "empty"),
        ("imap.example.org", "imaps://imap.example.org"),
        ("imap.example.org:993", "imaps://imap.example.org:993"),
        ("imap.example.org:143", r"imap\+starttls://imap.example.org:143"),
        ("gmial", "did you mean gmail"),
        ("a", "is neither a provider nor a URL"),
        ("gm", "is neither a provider nor a URL"),
        ("nobody", "one of: gmail, mailru"),
        ("https://imap.example.org", "imaps://host"),
        ("pop3s://pop.example.org", "mail cannot be put into a POP3 server"),
        ("pop3+starttls://pop.example.org", "mail cannot be put into a POP3 server"),
        ("imap://mail.example.org", "imaps://mail.example.org"),
        ("imap://127.0.0.1.example.org", "plain text"),
        ("imap://2130706433", "no IPv4 address"),
        ("imap://0x7f.1", "no IPv4 address|plain text"),
        ("imaps://", "host is missing"),
        ("imaps://:993", "host is missing"),
        ("imaps://host:", "port"),
        ("imaps://host:0", "port"),
        ("imaps://host:65536", "port"),
        ("imaps://host:99x", "port"),
        ("imaps://host:²", "port"),
        ("imaps://host/INBOX", "nothing may stand behind"),
        ("imaps://host?x=1", "nothing may stand behind"),
        ("imaps://2001:db8::1", "brackets"),
        ("imaps://[2001:db8::1", "brackets"),
        ("imaps://[nonsense]", "no IPv6"),
        ("imaps://ho st", "no host name"),
        ("imaps://host\r\nX", "no host name"),
        ("imaps://-bad-.example", "no host name"),
        ("imaps://a..b", "no host name"),
        ("imaps://1.2.3.999", "no IPv4"),
    ],
)
def test_what_a_person_is_told(text: str, told: str) -> None:
    with pytest.raises(UsageError, match=told) as caught:
        parse_endpoint(text, side="destination", providers=PROVIDERS)
    assert str(caught.value).startswith("--destination: ")


@pytest.mark.parametrize(
    ("text", "tls", "port"),
    [
        ("pop3s://pop.example.org", Tls.IMPLICIT, 995),
        ("pop3+starttls://pop.example.org", Tls.STARTTLS, 110),
        ("pop3://localhost:1110", Tls.NONE, 1110),
    ],
)
def test_pop3_is_a_source(text: str, tls: Tls, port: int) -> None:
    found = parse_endpoint(text, side="source")
    assert (found.protocol, found.tls, found.port) == ("pop3", tls, port)
    assert parse_endpoint(found.url, side="source") == found


def test_pop3_in_plain_text_needs_a_word() -> None:
    with pytest.raises(UsageError, match=r"use pop3s://pop.example.org or pop3\+starttls://pop.example.org"):
        parse_endpoint("pop3://pop.example.org", side="source")


@pytest.mark.parametrize("text", ["imaps://ivan:s3cret@host", "ivan:s3cret@host", "imaps://s3cret@host:993/x"])
def test_logins_in_urls_are_refused_and_not_repeated(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_endpoint(text)
    assert "s3cret" not in str(caught.value)


def test_plain_text_can_be_allowed() -> None:
    assert parse_endpoint("imap://mail.example.org", allow_plaintext=True).tls is Tls.NONE


def test_only_this_machine_is_loopback() -> None:
    for host in ("localhost", "127.0.0.1", "127.255.0.1", "::1", "::ffff:127.0.0.1"):
        assert is_loopback(host)
    for host in ("localhost.example.org", "127.1", "0.0.0.0", "::", "10.0.0.1", "fe80::1", "localtest.me", ""):
        assert not is_loopback(host)


def test_a_pinned_certificate_is_kept_in_one_form() -> None:
    digits = "ab" * 32
    for written in (digits, digits.upper(), ":".join(["AB"] * 32), f"sha256 Fingerprint={':'.join(['AB'] * 32)}"):
        assert parse_endpoint("imaps://host", certificate_sha256=written).certificate_sha256 == digits
    assert parse_endpoint("imaps://host", ca_file=" ca.pem ").ca_file == "ca.pem"


@pytest.mark.parametrize(
    ("url", "ca_file", "pin", "told"),
    [
        ("imaps://host", "", "abc", "64 hexadecimal"),
        ("imaps://host", "", "zz" * 32, "64 hexadecimal"),
        ("imaps://host", "ca.pem", "ab" * 32, "exclude each other"),
        ("imap://localhost", "ca.pem", "", "no certificate"),
        ("imaps://host", "a\nb", "", "control character"),
    ],
)
def test_trust_that_cannot_be(url: str, ca_file: str, pin: str, told: str) -> None:
    with pytest.raises(UsageError, match=told):
        parse_endpoint(url, ca_file=ca_file, certificate_sha256=pin)


@given(st.text(max_size=30), st.sampled_from(["", "imaps://", "imap+starttls://", "imap://[", "imaps://[::1]"]))
def test_any_text_gives_an_endpoint_or_a_usage_error(text: str, start: str) -> None:
    try:
        endpoint = parse_endpoint(start + text)
    except UsageError:
        return
    assert isinstance(endpoint, Endpoint)
    assert endpoint.url.isprintable()
    assert 0 < endpoint.port < 65_536
