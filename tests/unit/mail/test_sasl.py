"""The client's side of SASL mechanisms, by the examples of their RFCs."""

from __future__ import annotations

import base64
import json

import pytest
from scramp import ScramMechanism

from shared.mail.auth.sasl import MOST_ROUNDS, CramMd5, Proof, SaslFailed, ScramSha256, begin, mechanisms, refusal_in
from shared.runtime.secret import Secret

ALL = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER", "GSSAPI")


def proof(login: str = "user", secret: str = "pencil", **more: object) -> Proof:
    return Proof(login=login, secret=Secret(secret), **more)  # type: ignore[arg-type]


def test_plain_names_whom_it_is_for() -> None:
    assert begin("PLAIN", proof("Ursel", "xipj3plmq")).initial == b"\0Ursel\0xipj3plmq"
    assert begin("PLAIN", proof("Kurt", "pä", authzid="Ursel")).initial == "Ursel\0Kurt\0pä".encode()
    with pytest.raises(SaslFailed):
        begin("PLAIN", proof()).answer(b"")


def test_login_is_asked_twice() -> None:
    login = begin("LOGIN", proof("ä", "b c"))
    assert login.initial is None
    assert [login.answer(b"Username:"), login.answer(b"Password:")] == ["ä".encode(), b"b c"]
    with pytest.raises(SaslFailed):
        login.answer(b"Again:")


def test_cram_md5_of_rfc_2195() -> None:
    cram = begin("CRAM-MD5", proof("tim", "tanstaaftanstaaf"))
    said = cram.answer(b"<1896.697170952@postoffice.reston.mci.net>")
    assert said == b"tim b913a602c7eda7a495b4e6e7334d3890"
    with pytest.raises(SaslFailed):
        cram.answer(b"again")
    with pytest.raises(SaslFailed):
        CramMd5(proof()).answer(b"")


def _scram(secret: str = "pencil", known: str = "pencil") -> tuple[ScramSha256, object]:
    mechanism = ScramMechanism("SCRAM-SHA-256")
    salt, stored, server, rounds = mechanism.make_auth_info(known, iteration_count=4096)
    return ScramSha256(proof("us,e=r", secret)), mechanism.make_server(lambda user: (salt, stored, server, rounds))


def test_scram_proves_both_ends() -> None:
    client, server = _scram()
    server.set_client_first(client.initial.decode())  # type: ignore[attr-defined, union-attr]
    final = client.answer(server.get_server_first().encode())  # type: ignore[attr-defined]
    assert b"pencil" not in (client.initial or b"") + final
    server.set_client_final(final.decode())  # type: ignore[attr-defined]
    assert not client.proved
    assert client.answer(server.get_server_final().encode()) == b""  # type: ignore[attr-defined]
    assert client.proved


def test_scram_with_a_server_that_does_not_know_the_password() -> None:
    client, server = _scram()
    server.set_client_first(client.initial.decode())  # type: ignore[attr-defined, union-attr]
    client.answer(server.get_server_first().encode())  # type: ignore[attr-defined]
    with pytest.raises(SaslFailed):
        client.answer(b"v=" + base64.b64encode(b"x" * 32))
    assert not client.proved


def test_scram_says_why_it_was_refused() -> None:
    client, server = _scram("wrong")
    server.set_client_first(client.initial.decode())  # type: ignore[attr-defined, union-attr]
    client.answer(server.get_server_first().encode())  # type: ignore[attr-defined]
    assert client.answer(b"e=invalid-proof") == b""
    assert client.said == "invalid-proof"
    assert not client.proved


@pytest.mark.parametrize(
    "challenge",
    [b"", b"r=x", b"\xff", b"r=fresh,s=AAAAAAAAAAAAAAAAAAAAAA==,i=4096", b"r={n}x,s=AAAAAAAAAAAAAAAAAAAAAA==,i=1"],
)
def test_scram_takes_no_nonsense(challenge: bytes) -> None:
    client = ScramSha256(proof())
    nonce = (client.initial or b"").partition(b"r=")[2]
    with pytest.raises(SaslFailed):
        client.answer(challenge.replace(b"{n}", nonce))


def test_scram_does_not_work_for_a_server_all_day() -> None:
    client = ScramSha256(proof())
    nonce = (client.initial or b"").partition(b"r=")[2]
    with pytest.raises(SaslFailed, match="rounds"):
        client.answer(b"r=%bx,s=AAAAAAAAAAAAAAAAAAAAAA==,i=%d" % (nonce, MOST_ROUNDS + 1))


def test_tokens_as_google_and_rfc_7628_write_them() -> None:
    shown = proof("someuser@example.com", "ya29.x", bearer=True, host="server.example.com", port=143)
    assert begin("XOAUTH2", shown).initial == b"user=someuser@example.com\1auth=Bearer ya29.x\1\1"
    bearer = begin("OAUTHBEARER", shown)
    assert bearer.initial == (b"n,a=someuser@example.com,\1host=server.example.com\1port=143\1auth=Bearer ya29.x\1\1")
    said = json.dumps({"status": "invalid_token", "scope": "example_scope", "openid-configuration": ""}).encode()
    assert bearer.answer(said) == b"\1"
    assert bearer.said == "status invalid_token, scope example_scope"
    assert begin("XOAUTH2", shown).answer(said) == b""
    assert b"a=a=3Db=2Cc," in (begin("OAUTHBEARER", proof("a=b,c", bearer=True)).initial or b"")


@pytest.mark.parametrize(
    "challenge", [b"", b"\xff\x00", b"[1]", b'"x"', b"{" * 99, b"[" * 40_000, b'{"status": "\\u001b[31m401"}']
)
def test_a_refusal_may_be_anything(challenge: bytes) -> None:
    assert refusal_in(challenge).isprintable()


@pytest.mark.parametrize(
    ("shown", "offered", "secure", "bare"),
    [
        (proof(), ALL, ("PLAIN", "SCRAM-SHA-256", "LOGIN"), ("SCRAM-SHA-256", "CRAM-MD5", "PLAIN", "LOGIN")),
        (proof(), ("cram-md5",), (), ("CRAM-MD5",)),
        (proof(mechanism="LOGIN"), ALL, ("LOGIN",), ("LOGIN",)),
        (proof(authzid="x"), ALL, ("PLAIN",), ("PLAIN",)),
        (proof(authzid="x"), ("LOGIN", "CRAM-MD5"), (), ()),
        (proof(bearer=True), ALL, ("XOAUTH2", "OAUTHBEARER"), ("XOAUTH2", "OAUTHBEARER")),
        (proof(bearer=True), ("PLAIN",), (), ()),
        (proof(), ("GSSAPI",), (), ()),
    ],
)
def test_the_best_of_what_is_offered(
    shown: Proof, offered: tuple[str, ...], secure: tuple[str, ...], bare: tuple[str, ...]
) -> None:
    assert mechanisms(shown, offered, encrypted=True, clear=True) == secure
    assert mechanisms(shown, offered, encrypted=False, clear=True) == bare


def test_under_tls_a_digest_is_for_servers_that_take_nothing_else() -> None:
    assert mechanisms(proof(), ("CRAM-MD5",), encrypted=True, clear=False) == ("CRAM-MD5",)


@pytest.mark.parametrize("odd", ["\r", "\n", "\0", "a\r\nb"])
@pytest.mark.parametrize("field", ["login", "secret", "authzid", "proxy"])
def test_what_could_be_a_command_is_a_fault(field: str, odd: str) -> None:
    given = {"login": "u", "secret": "p", field: f"x{odd}"}
    assert proof(**given).fault
    assert not proof(**(given | {field: 'x"\\{1+} ä'})).fault


def test_what_could_be_a_field_of_a_token_is_a_fault() -> None:
    assert proof("a\1auth=Bearer x", "t", bearer=True).fault
    assert proof("a", "t\1", bearer=True).fault
    assert proof("", "t").fault
    assert proof("a", "").fault
