"""Detection without a network: presets, the autoconfig format, guessed servers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.intake.detect import candidates, detect
from producer.intake.detect_autoconfig import ISPDB, OWN, AutoconfigServer, place, read_config, way
from producer.intake.detect_probe import Network
from shared.model.errors import UsageError

ADDRESS = "anna@example.org"


def config(*servers: str) -> bytes:
    inner = "".join(servers)
    return f'<clientConfig version="1.1"><emailProvider id="x">{inner}</emailProvider></clientConfig>'.encode()


def server(
    kind: str = "imap", host: str = "imap.example.org", port: str = "993", tls: str = "SSL", user: str = ""
) -> str:
    return (
        f'<incomingServer type="{kind}"><hostname>{host}</hostname><port>{port}</port><socketType>{tls}</socketType>'
        f"<username>{user}</username></incomingServer>"
    )


def _nobody(host: str, port: int, seconds: float) -> None:
    raise AssertionError("the network was asked")


@pytest.mark.parametrize(
    ("address", "gives", "login"),
    [
        ("anna@gmail.com", ["gmail", "gmail:pop3"], "anna@gmail.com"),
        (" anna@GMX.de ", ["gmx", "gmx:pop3"], "anna@gmx.de"),
        ("anna@web.de", ["webde", "webde:pop3"], "anna"),
        ("anna@me.com", ["icloud"], "anna"),
        ("anna@yahoo.co.uk", ["yahoo", "yahoo:pop3"], "anna@yahoo.co.uk"),
        ("anna@acme.onmicrosoft.com", ["microsoft365", "microsoft365:pop3"], "anna@acme.onmicrosoft.com"),
    ],
)
@pytest.mark.parametrize("offline", [True, False])
def test_a_preset_answers_and_nobody_is_asked(address: str, gives: list[str], login: str, offline: bool) -> None:
    found = detect(address, offline=offline, network=Network(connect=_nobody))  # type: ignore[arg-type]
    assert found.how == "preset"
    assert [one.give for one in found.ways] == gives
    assert {one.login for one in found.ways} == {login}
    assert found.provider is not None


def test_offline_an_unknown_domain_is_said_to_be_one() -> None:
    found = detect("anna@example.org", offline=True, network=Network(connect=_nobody))  # type: ignore[arg-type]
    assert not found.ways
    assert found.tried == ("no preset claims example.org",)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "anna",
        "@example.org",
        "anna@",
        "anna@host",
        "anna@ex ample.org",
        "anna@a/b.org",
        "an na@example.org",
        "anna\r\n@example.org",
        "anna@example.org?x=1",
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(UsageError):
        detect(text, offline=True)


def test_an_international_domain_is_asked_for_in_ascii() -> None:
    assert detect("иван@почта.рф", offline=True).address == "иван@xn--80a1acny.xn--p1ai"


# -- the format


def test_the_first_encrypted_server_of_each_kind_is_taken() -> None:
    text = config(
        server(tls="plain", port="143"),
        server(host="one.example.org", user="%EMAILADDRESS%"),
        server(host="two.example.org", port="143", tls="STARTTLS"),
        server("pop3", host="pop.%EMAILDOMAIN%", port="110", tls="STARTTLS", user="%EMAILLOCALPART%"),
        server("exchange", host="owa.example.org", port="443"),
    )
    assert read_config(text, ADDRESS) == [
        AutoconfigServer(url="imaps://one.example.org:993", login=ADDRESS),
        AutoconfigServer(url="pop3+starttls://pop.example.org:110", login="anna"),
    ]


@pytest.mark.parametrize(
    ("host", "port"),
    [
        ("", "993"),
        ("-x.example.org", "993"),
        ("a b", "993"),
        ("imap.example.org\r\nA1 LOGIN", "993"),
        ("user@host", "993"),
        ("host/path", "993"),
        ("x" * 64 + "..org", "993"),
        ("imap.example.org", "0"),
        ("imap.example.org", "65536"),
        ("imap.example.org", "x"),
        ("imap.example.org", ""),
        ("imap.example.org", "²"),
        ("%REALNAME%", "993"),
    ],
)
def test_what_is_no_server_is_left_out(host: str, port: str) -> None:
    assert read_config(config(server(host=host, port=port)), ADDRESS) == []
    assert way("imaps", host, port) is None


def test_what_cannot_be_filled_in_is_no_login() -> None:
    for user in ("%REALNAME%", "%EMAILADDRESS%%X%", "a\tb"):
        assert read_config(config(server(user=user)), ADDRESS)[0].login == ""


BOMB = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"<html></html>",
        b"<clientConfig>",
        b"\xff\xfe\x00",
        b'<?xml version="1.0" encoding="nonsense"?><clientConfig/>',
        BOMB + config(server(host="&b;")),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + config(server()),
        b'<!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]>' + config(server(user="&e;")),
    ],
)
def test_what_is_no_such_file(content: bytes) -> None:
    with pytest.raises(ValueError, match="no autoconfig file"):
        read_config(content, ADDRESS)


@given(st.binary(max_size=300) | st.text(max_size=80).map(lambda text: config(server(host=text, user=text))))
def test_any_bytes_give_ways_or_a_value_error(content: bytes) -> None:
    try:
        found = read_config(content, ADDRESS)
    except ValueError:
        return
    for one in found:
        assert one.url.isascii()
        assert one.url.isprintable()
        assert one.login.isprintable()


def test_only_the_domain_is_told_the_address() -> None:
    assert place(OWN[0], "a&b@example.org").endswith(
        "autoconfig.example.org/mail/config-v1.1.xml?emailaddress=a%26b%40example.org"
    )
    assert all(template.startswith("https://") for template in (*OWN, ISPDB))
    assert "anna" not in place(ISPDB, ADDRESS)


def test_the_likeliest_is_tried_first_and_nothing_twice() -> None:
    found = candidates("example.org", ["mx.example.org", "mail.example.org", "third.example.org"])
    assert found[0] == ("imaps", "imap.example.org")
    assert len(found) == len(set(found))
    hosts = [host for _, host in found]
    assert "mx.example.org" in hosts
    assert "third.example.org" not in hosts, "two mail exchangers are enough"
    assert not [one for one in found if one[1].startswith("pop") and one[0].startswith("imap")]
