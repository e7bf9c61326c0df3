"""Canary runs: whoever is given a secret repeats it, in every notation, and no word of it is shown.

There is a run for every way to sign in, mechanism and protocol, and for every kind of account service, switch and target. Each
table is held against the registry of its adapters: a new adapter without a run is found here.
"""

from __future__ import annotations

import base64
import json
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, cast
from urllib.parse import quote

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from producer.notices.notifier import word_and_send
from producer.notices.sending import NotSent
from producer.notices.setup import TargetAsked, target_of
from shared.accounts import AccountService, NewAccount
from shared.accounts import kinds as account_kinds
from shared.accounts.address import parse_service
from shared.accounts.api import Api, http_client
from shared.accounts.discreet import Discreet
from shared.accounts.graph import Graph
from shared.accounts.opening import open_service
from shared.accounts.vendor_tokens import Bearer
from shared.content.maildrop import SessionIdentities
from shared.mail.auth import sasl
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.errors import MailError
from shared.model.notices import Delivery, Notice
from shared.model.protocols import protocols
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.oauth.command import CommandIssuer
from shared.oauth.google import GoogleIssuer
from shared.oauth.microsoft import MicrosoftIssuer
from shared.runtime.config import load_settings
from shared.runtime.secret import Secret
from shared.sign_in.admission import Visitor, proof_of
from shared.store import Store
from shared.store.records.targets import WAYS, Target
from shared.switching import SwitchedMailbox
from shared.switching import kinds as switch_kinds
from shared.switching.configured import open_switch
from tests.contract.mail_kit import Scripted
from tests.servers import account_apis, scim, switch_apis
from tests.servers.account_apis import DOMAIN
from tests.servers.http_api import Asked, HttpApi, Said
from tests.servers.listener import Listener
from tests.servers.pop3_server import Pop3Server
from tests.unit.test_masking import DRESSES

#: A password that is written differently in each notation.
CANARY: Final = 'CANARY,pw "88\\&ж'
#: The secret of the services; their doubles know it.
SERVICE: Final = account_apis.SECRET
#: Some notations that fit into a line; `tests.unit.test_masking` has all of them.
ONE_LINE: Final = ("plain", "capitals", "json", "percent", "base64 of SASL PLAIN")


def worn(secret: str = CANARY) -> dict[str, str]:
    """Returns the secret in every notation."""
    return {dress: DRESSES[dress](secret) for dress in ONE_LINE}


def shows(text: str, *secrets: str) -> list[str]:
    """Returns what a text shows of the secrets: one of their notations, or six of their letters in a row."""
    found = [one for secret in secrets for one in worn(secret).values() if one in text]
    plain = text.casefold()
    parts = [secret[at : at + 6] for secret in secrets for at in range(len(secret) - 5)]
    return found + [part for part in parts if part.casefold() in plain]


def test_what_is_shown_is_seen() -> None:
    """The control of all runs below."""
    assert all(shows(f"no {told} to you", CANARY) for told in worn().values())
    assert shows("no canary, this one", CANARY) == ["CANARY", "ANARY,"]
    assert shows("[AUTHENTICATIONFAILED] no", CANARY) == []


# -- signing in

_MECHANISMS: Final = ("PLAIN", "LOGIN", "CRAM-MD5", "SCRAM-SHA-256", "XOAUTH2", "OAUTHBEARER")
#: Way → how it is used, and the mechanisms that the server offers; none: the protocol's own command.
SIGN_INS: Final[dict[Way, list[tuple[SignIn, tuple[str, ...]]]]] = {
    Way.PASSWORD: [(SignIn(), ()), *((SignIn(detail=one), _MECHANISMS) for one in sasl.PASSWORD_MECHANISMS)],
    Way.MASTER: [(SignIn(way=Way.MASTER, admin="chief"), ("PLAIN",))],
    Way.AUTHZID: [(SignIn(way=Way.AUTHZID, admin="chief"), ("PLAIN",))],
    Way.PROXYAUTH: [(SignIn(way=Way.PROXYAUTH, admin="chief"), ("PLAIN",))],
    **{
        way: [(SignIn(way=way), ("XOAUTH2",)), (SignIn(way=way), ("OAUTHBEARER",))]
        for way in Way
        if way in ("token", "google")
    },
    **{way: [(SignIn(way=way), ("XOAUTH2",))] for way in Way if way in ("microsoft", "command")},
}
#: What a server says to whatever is to sign in; {} is what it repeats, TAG the command's tag.
ANSWERS: Final = (
    "TAG NO [AUTHENTICATIONFAILED] {}",
    "TAG NO {}",
    "TAG NO [UNAVAILABLE] try {} later",
    "TAG BAD {}",
    "* BYE {}",
    "{}",
    "+ {}",
)
_IN_TOKENS: Final = "CANARY,pw88&x"


def entering(protocol: str, port: int, sign_in: SignIn, secret: str, side: Side = Side.SOURCE) -> None:
    """Signs in as a worker does."""
    end = Endpoint(protocol=protocol, host="127.0.0.1", port=port, tls=Tls.NONE)
    visitor = Visitor(
        import_id="i",
        mailbox_id="m",
        side=side,
        endpoint=end,
        user="anna@old.example",
        sign_in=sign_in,
        secret=Secret(secret),
        digest="d",
    )
    ways = Ways(connect_timeout_seconds=10, command_timeout_seconds=10)
    ways.source(end, proof_of(visitor), SessionIdentities()).close()


def refused(protocol: str, port: int, sign_in: SignIn, secret: str) -> str:
    """Returns all that is said of the refusal."""
    with pytest.raises(MailError) as caught:
        entering(protocol, port, sign_in, secret)
    error = caught.value
    return " ".join((str(error), repr(error.args), error.what, error.detail, error.advice))


def _spoken(answer: str, told: str, tag: bytes) -> bytes:
    if answer == "+ {}":
        return b"+ " + base64.b64encode(told.encode()) + b"\r\n"
    return answer.replace("TAG", tag.decode()).format(told).encode() + b"\r\n"


def imap_says(answer: str, told: str, offered: tuple[str, ...], heard: set[str]) -> Scripted:
    """Returns a server that gives this answer to everything that signs in."""
    begun: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        words = text.split()
        if words[:1] == [b"AUTHENTICATE"]:
            heard.add(words[1].decode())
        if words[:1] in ([b"AUTHENTICATE"], [b"LOGIN"]):
            begun[:] = [tag]
        return _spoken(answer, told, begun[0]) if begun else None

    auths = "".join(f" AUTH={one}" for one in offered)
    return Scripted(capabilities=f"IMAP4rev1 SASL-IR LITERAL+{auths}", reply=reply)


def pop3_says(answer: str, told: str, offered: tuple[str, ...], heard: set[str]) -> Pop3Server:
    """Returns a server that gives this answer to everything that signs in."""
    lines = [b"USER", b"UIDL", *([b"SASL " + " ".join(offered).encode()] if offered else [])]
    server = Pop3Server([], capabilities=lines)
    usual, begun = server._answer, set[int]()

    def reply(command: bytes, session: int) -> Iterator[bytes]:
        word, *rest = command.split() or [b""]
        if word == b"AUTH":
            heard.add(rest[0].decode())
        if word in (b"AUTH", b"PASS"):
            begun.add(session)
        if session in begun:
            yield _spoken(
                answer.replace("TAG NO", "-ERR").replace("TAG BAD", "-ERR").replace("* BYE", "-ERR"), told, b""
            )
        else:
            yield from usual(command, session)

    server._answer = reply  # type: ignore[method-assign]
    return server


@pytest.mark.parametrize("answer", ANSWERS)
@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("way", Way)
def test_no_way_to_sign_in_shows_what_the_server_repeats(way: Way, protocol: str, answer: str) -> None:
    for sign_in, offered in SIGN_INS[way]:
        secret = _IN_TOKENS if way in ("token", "google", "microsoft", "command") else CANARY
        for told in worn(secret).values():
            opened = imap_says if protocol == "imap" else pop3_says
            with opened(answer, told, offered, set()) as server:
                assert shows(refused(protocol, server.port, sign_in, secret), secret) == []


def test_every_way_protocol_and_mechanism_has_its_run() -> None:
    assert set(SIGN_INS) == set(Way)
    assert set(protocols()) == {"imap", "pop3"}
    heard = set[str]()
    for used in SIGN_INS.values():
        for sign_in, offered in used:
            with imap_says("TAG NO {}", "no", offered, heard) as server:
                refused("imap", server.port, sign_in, "secret")
    assert heard == set(sasl._KNOWN)


@pytest.mark.parametrize("greeting", ["* BYE {}", "* NO {}", "{}", "* PREAUTH {}", "HTTP/1.1 400 {}", "220 {}"])
def test_a_server_that_knows_it_from_before_greets_with_it(greeting: str) -> None:
    for told in worn().values():
        with Scripted(greeting=greeting.format(told).encode() + b"\r\n") as server:
            assert shows(refused("imap", server.port, SignIn(), CANARY), CANARY) == []
        with Pop3Server([], greeting=greeting.replace("* BYE", "-ERR").format(told).encode()) as drop:
            assert shows(refused("pop3", drop.port, SignIn(), CANARY), CANARY) == []


def test_without_the_mask_a_greeting_would_show_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The negative control."""
    monkeypatch.setattr(MailError, "hide", lambda *_: None)
    with Scripted(greeting=f"* BYE {CANARY}\r\n".encode()) as server:
        assert shows(refused("imap", server.port, SignIn(), CANARY), CANARY)


def test_a_destination_that_closes_with_it_in_the_middle() -> None:
    """A connection that breaks is looked at for a last BYE."""
    for told in worn().values():

        def reply(tag: bytes, text: bytes, told: str = told) -> bytes | None:
            return f"* BYE {told}\r\n".encode() if text.startswith(b"SELECT") else None

        with Scripted(reply=reply) as server:
            end = Endpoint(host="127.0.0.1", port=server.port, tls=Tls.NONE)
            proof = sasl.Proof(login="u", secret=Secret(CANARY))
            session = Ways(connect_timeout_seconds=10, command_timeout_seconds=10).destination(end, proof)
            with pytest.raises(MailError) as caught:
                session.open(b"INBOX")
        assert shows(str(caught.value) + caught.value.detail, CANARY) == []


# -- tokens


@pytest.fixture(scope="module")
def private_key() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    kind = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, kind, serialization.NoEncryption()).decode()


class Parrot(HttpApi):
    """A service that repeats this, and all that it was asked, whatever it is asked."""

    def __init__(self, status: int, told: str) -> None:
        super().__init__()
        self.status, self.told = status, told

    def answer(self, asked: Asked) -> Said:
        told = f"{self.told} {asked.path} {asked.query} {asked.headers} {asked.body!r} {base64.b64encode(asked.body)!r}"
        names = ("message", "error", "error_description", "msg", "reason", "detail", "advice", "description", "title")
        return Said(status=self.status, body=dict.fromkeys(names, told))


class _Msal:
    """The network of MSAL: a token endpoint that repeats this."""

    def __init__(self, told: str) -> None:
        self._told = told

    def get(self, url: str, **_: Any) -> Any:
        base = "https://login.microsoftonline.com/acme"
        return self._said(
            {"authorization_endpoint": f"{base}/a", "token_endpoint": f"{base}/t", "issuer": f"{base}/v2.0"}
        )

    def post(self, url: str, **_: Any) -> Any:
        return self._said({"error": "invalid_client", "error_description": self._told})

    @staticmethod
    def _said(body: dict[str, Any]) -> Any:
        class Answer:
            status_code, text, headers = 200, json.dumps(body), {}

            def raise_for_status(self) -> None:
                """Does nothing: the answer is never an HTTP error."""

        return Answer()


def _google_says(told: str, place: Path, key: str) -> str:
    """Has the endpoint repeat the request: the key itself is never sent, and who has the signed part of it is let in."""
    with Parrot(400, "") as endpoint:
        app = {"client_email": "sa@p.example", "private_key": key, "token_uri": f"{endpoint.url}/token"}
        said = _issued(GoogleIssuer(Side.SOURCE, json.dumps(app), "scope"))
    signature = endpoint.asked[-1].body.rpartition(b".")[2].decode()
    assert (len(signature) > 300, signature[:20] in said, key[100:120] in said) == (True, False, False)
    return said


def _microsoft_says(told: str, place: Path, key: str) -> str:
    app = json.dumps({"client_id": "c", "client_secret": CANARY})
    return _issued(MicrosoftIssuer(Side.SOURCE, "acme", app, http_client=_Msal(told), instance_discovery=False))


def _command_says(told: str, place: Path, key: str) -> str:
    """Runs a program that prints its token and fails: what it prints for mailhaul is no reason."""
    script = place / "token.py"
    script.write_text(f"import sys\nprint({told!r})\nsys.exit('no token')")
    return _issued(CommandIssuer(Side.SOURCE, f"{sys.executable} {script}"))


#: Way → what is said when its issuer, which repeats a secret, refuses.
ISSUERS: Final[dict[Way, Callable[[str, Path, str], str]]] = {
    Way.GOOGLE: _google_says,
    Way.MICROSOFT: _microsoft_says,
    Way.COMMAND: _command_says,
}


def _issued(issuer: Any) -> str:
    with pytest.raises(MailError) as caught:
        issuer.issue("anna@old.example")
    return f"{caught.value} {caught.value.detail} {caught.value.advice}"


@pytest.mark.parametrize("way", ISSUERS)
def test_no_issuer_of_tokens_shows_what_it_repeats(way: Way, private_key: str, tmp_path: Path) -> None:
    for told in worn().values():
        assert shows(ISSUERS[way](told, tmp_path, private_key), CANARY) == []


def test_every_issuer_has_its_run() -> None:
    from shared.model.sign_in import BY_ISSUER

    assert set(ISSUERS) == BY_ISSUER


# -- account services

ANNA: Final = NewAccount(login=f"anna@{DOMAIN}", password=Secret(CANARY), first_name="Anna", key="k1")
STATUSES: Final = (200, 400, 401, 409, 500)


@dataclass
class Repeater:
    """An adapter whose service repeats `told` to whatever holds a password."""

    adapter: AccountService
    #: Has the service repeat this with that status.
    say: Callable[[int, str], None]
    #: The secrets that it was given.
    secrets: tuple[str, ...] = (CANARY, SERVICE)


def _by_http(api: Any, adapter: AccountService) -> Repeater:
    usual, parrot = api.answer, Parrot(400, "")

    def answer(asked: Asked) -> Said:
        return parrot.answer(asked) if b"CANARY" in asked.body else usual(asked)

    def say(status: int, told: str) -> None:
        parrot.status, parrot.told = status, told

    api.answer = answer
    return Repeater(adapter, say)


def _opened_service(url: str, secret: str = SERVICE) -> AccountService:
    parsed = parse_service(url)
    assert parsed is not None
    return open_service(parsed, Secret(secret))


def _vendor(kind: str) -> Callable[[ExitStack, Path, str], Repeater]:
    types = {
        "mailcow": account_apis.MailcowApi,
        "stalwart": account_apis.StalwartApi,
        "yandex360": account_apis.Yandex360Api,
        "webhook": account_apis.WebhookApi,
    }

    def opened(stack: ExitStack, place: Path, key: str) -> Repeater:
        api = stack.enter_context(types[kind]())
        url = f"{kind}+{api.url}"
        if kind == "yandex360":
            url = f"yandex360://{account_apis.Yandex360Api.organisation}?api={api.url}&directory={api.url}"
        return _by_http(api, _opened_service(url))

    return opened


def _google_directory(stack: ExitStack, place: Path, key: str) -> Repeater:
    api = stack.enter_context(account_apis.GoogleApi())
    app = json.dumps({"client_email": "sa@p.example", "private_key": key, "token_uri": f"{api.url}/token"})
    return _by_http(api, _opened_service(f"google://admin@{DOMAIN}?api={api.url}&unit=/Sales", app))


def _graph_directory(stack: ExitStack, place: Path, key: str) -> Repeater:
    api = stack.enter_context(account_apis.GraphApi())
    client = http_client(api.url, "graph", {}, auth=Bearer(lambda: SERVICE))
    bare = Graph(Api(client, "graph"), sku=account_apis.GraphApi.sku, location="DE", settling_seconds=1)
    app = json.dumps({"client_id": "c", "client_secret": SERVICE})
    return _by_http(api, cast(AccountService, Discreet(bare, Secret(app))))


def _scim(stack: ExitStack, place: Path, key: str) -> Repeater:
    server = stack.enter_context(scim.ScimServer())

    def say(status: int, told: str) -> None:
        server._refuse = lambda login: told

    return Repeater(_opened_service(f"scim+{server.url}/v2"), say)


def _hook(stack: ExitStack, place: Path, key: str) -> Repeater:
    script, said = place / "hook.py", place / "said"
    script.write_text(
        "import json, os, sys\n"
        f"code, told = json.load(open({str(said)!r}))\n"
        "told += sys.stdin.read() + os.environ['MAILHAUL_HOOK_SECRET']\n"
        "print(json.dumps({'reason': told, 'advice': told}) if code else told)\n"
        "print(told, file=sys.stderr)\n"
        "sys.exit(code)\n"
    )

    def say(status: int, told: str) -> None:
        said.write_text(json.dumps([{400: 20, 401: 30, 403: 99}.get(status, 1), told]))

    return Repeater(_opened_service(f"hook:{sys.executable}?arg={quote(str(script))}"), say)


def _passwd_file(stack: ExitStack, place: Path, key: str) -> Repeater:
    """Returns a table in a folder that is not there: all that can be said of it is the machine's word."""
    return Repeater(_opened_service(f"passwd-file:{place}/none/users", ""), lambda status, told: None)


#: Kind → an adapter whose service repeats what it is given.
ACCOUNTS: Final[dict[str, Callable[[ExitStack, Path, str], Repeater]]] = {
    **{kind: _vendor(kind) for kind in ("mailcow", "stalwart", "yandex360", "webhook")},
    "google": _google_directory,
    "graph": _graph_directory,
    "scim": _scim,
    "hook": _hook,
    "passwd-file": _passwd_file,
}


@pytest.mark.parametrize("kind", ACCOUNTS)
def test_no_account_service_shows_what_it_repeats(kind: str, private_key: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        service = ACCOUNTS[kind](stack, tmp_path, private_key)
        bare = ""
        for status in STATUSES if kind not in ("scim", "passwd-file") else STATUSES[:1]:
            for told in worn().values():
                service.say(status, told)
                assert shows(str(service.adapter.ensure(ANNA, lambda: None)), *service.secrets) == [], (status, told)
            bare += str(cast(Discreet, service.adapter)._service.ensure(ANNA, lambda: None))
        assert bool(shows(bare, *service.secrets)) is (kind != "passwd-file"), "the control: it does repeat them"


def test_every_kind_of_account_service_has_its_run() -> None:
    assert set(ACCOUNTS) == set(account_kinds.kinds())


# -- switches

MAILBOX: Final = SwitchedMailbox(
    address="anna@corp.example", old_login="anna", new_login="anna", old_host="10.0.0.1", new_host="10.0.0.2", key="k1"
)
#: Kind → the URL of a switch that repeats what it is given, in this folder.
SWITCHES: Final[dict[str, Callable[[ExitStack, Path, Parrot], str]]] = {
    "webhook": lambda stack, place, parrot: f"webhook+{parrot.url}/x",
    "stalwart": lambda stack, place, parrot: f"stalwart+{parrot.url}?",
    "hook": lambda stack, place, parrot: f"hook:{sys.executable}?arg={quote(str(place / 'hook.py'))}",
    # These have no secret, and speak to nobody.
    "by-hand": lambda stack, place, parrot: "by-hand:",
    "dovecot": lambda stack, place, parrot: f"dovecot:{place}/none?new=n&old=o",
    "postfix": lambda stack, place, parrot: f"postfix:{place}/none?type=texthash&new=smtp:[n]",
}


@pytest.mark.parametrize("kind", SWITCHES)
@pytest.mark.parametrize("status", [200, 401, 422, 500])
def test_no_switch_shows_what_it_repeats(kind: str, status: int, tmp_path: Path) -> None:
    secretive = switch_kinds.kinds()[kind].secretive or kind == "hook"
    file = tmp_path / "secret"
    file.write_text(SERVICE + "\n")
    codes = {200: 0, 401: 20, 422: 30, 500: 99}
    for told in worn(SERVICE).values():
        (tmp_path / "hook.py").write_text(
            f"import json, os, sys\ntold = {told!r} + os.environ['MAILHAUL_HOOK_SECRET'] + sys.stdin.read()\n"
            f"print(json.dumps({{'reason': told, 'advice': told}}))\nprint(told, file=sys.stderr)\nsys.exit({codes[status]})\n"
        )
        with Parrot(status, f"{told} {SERVICE}") as parrot, ExitStack() as stack:
            url = SWITCHES[kind](stack, tmp_path, parrot)
            files = f"x={file}" if secretive else None
            switch = open_switch(load_settings(switches=f"x={url}", switch_secret_files=files), "x")
            for said in (switch.rehearse(MAILBOX, Side.DESTINATION), switch.turn(MAILBOX, Side.DESTINATION)):
                assert shows(str(said), SERVICE) == []
            switch.close()


def test_every_kind_of_switch_has_its_run() -> None:
    assert set(SWITCHES) == set(switch_kinds.kinds())
    assert switch_apis.SECRET == SERVICE


# -- targets of notices


class SmtpParrot:
    """A submission server that refuses to sign anybody in, and repeats what it was sent; a context manager."""

    def __init__(self, told: str) -> None:
        self._told = told
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> SmtpParrot:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self, visitor: socket.socket) -> None:
        with visitor.makefile("rb") as lines:
            visitor.sendall(b"220 ready\r\n")
            for line in lines:
                heard = line.strip().decode()
                known = heard.upper().startswith("EHLO")
                answer = "250 AUTH PLAIN LOGIN" if known else f"535 no {self._told} to {heard}"
                visitor.sendall(answer.encode() + b"\r\n")


@contextmanager
def _mail_target(told: str) -> Iterator[Target]:
    with SmtpParrot(told) as server:
        asked = TargetAsked(
            way="email",
            to="a@x.example",
            server=f"smtp://127.0.0.1:{server.port}",
            login="bot@x.example",
            secret="CANARY,pw88",
        )
        yield target_of(asked)


def _url_target(way: str) -> Callable[[str], Any]:
    @contextmanager
    def opened(told: str) -> Iterator[Target]:
        with Parrot(400, told) as parrot:
            yield target_of(
                TargetAsked(
                    way=way, to=f"{parrot.url}/services/T0CANARY01/pw88CANARY?key=CANARYpw88", secret="CANARY,pw88"
                )
            )

    return opened


#: Way → a target whose receiver repeats what it is sent, and the secrets of it.
TARGETS: Final[dict[str, tuple[Callable[[str], Any], tuple[str, ...]]]] = {
    "email": (_mail_target, ("CANARY,pw88",)),
    **{way: (_url_target(way), ("T0CANARY01", "pw88CANARY", "CANARYpw88")) for way in ("webhook", "slack", "teams")},
}


def _not_sent(target: Target) -> str:
    delivery = Delivery(notice=Notice(notice_id="n1", kind="test", at=1.8e9, target_id="t1"), target_id="t1")
    with pytest.raises(NotSent) as caught:
        word_and_send(cast(Store, None), target, delivery, 1.8e9, None)
    assert caught.value.__cause__ is None, "a traceback would show it"
    return f"{caught.value} {caught.value.why}"


@pytest.mark.parametrize("way", TARGETS)
def test_no_target_shows_what_its_receiver_repeats(way: str, monkeypatch: pytest.MonkeyPatch) -> None:
    opened, secrets = TARGETS[way]
    for secret in secrets:
        for told in worn(secret).values():
            with opened(told) as target:
                assert shows(_not_sent(target), secret) == []
    with opened(secrets[0]) as target:
        monkeypatch.setattr(Target, "hidden", ())
        assert shows(_not_sent(target), *secrets), "the control: it does repeat them"


def test_every_way_to_tell_has_its_run() -> None:
    assert set(TARGETS) == set(WAYS)
