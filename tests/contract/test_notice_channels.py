"""Tests every way in which a target is told, with real receivers: an SMTP server and an HTTP server."""

from __future__ import annotations

import contextlib
import json
import socket
import socketserver
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import ClassVar

import pytest

from producer.notices.channels import NoticeTold, send
from producer.notices.sending import NotSent
from producer.notices.setup import TargetAsked, target_of
from producer.notices.wording import Wording
from shared.accounts.webhook import signature
from shared.model.errors import UsageError
from shared.model.notices import Delivery, Notice
from shared.runtime.secret import Secret
from shared.sign_in.reach import Reach, reach_of
from shared.store.records.targets import Target
from tests.servers.http_api import Asked, HttpApi, Said
from tests.servers.listener import Listener
from tests.servers.smtp_server import SmtpServer

NOTICE = Notice(
    notice_id="n1",
    kind="person",
    at=1_800_000_000.0,
    import_id="i",
    name="office",
    wave="pilot",
    values={"code": "source_auth_refused", "mailboxes": 2, "sentence": "source: no for anna@old.example"},
)
TOLD = NoticeTold(
    delivery=Delivery(notice=NOTICE, target_id="t1"),
    wording=Wording(subject="офис: 2 ящика <ждут> & человека", lines=("line one", ".", "две")),
)


class Receiver(HttpApi):
    """A receiver that takes everything."""

    def answer(self, asked: Asked) -> Said:
        return Said(body={"ok": True})


class Endless:
    """A server that says one thing again and again; a context manager."""

    def __init__(self, said: bytes) -> None:
        self._said = said
        #: Set as soon as the client has gone.
        self.refused = threading.Event()
        self._listener = Listener(self._serve)
        self.port = self._listener.port

    def __enter__(self) -> Endless:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def _serve(self, visitor: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                visitor.sendall(self._said)
        self.refused.set()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with Receiver() as receiver:
        yield receiver


def _mail(server: SmtpServer, **fields: str) -> Target:
    scheme = fields.pop("scheme", "smtp")
    return target_of(
        TargetAsked(
            way="email",
            to="boss@corp.example",
            server=f"{scheme}://localhost:{server.port}",
            sender="mailhaul@corp.example",
            **fields,  # type: ignore[arg-type]
        )
    )


def _tell(target: Target, reach: Reach | None = None) -> None:
    send(target, TOLD, 1_800_000_001.0, reach)


def _why(target: Target, reach: Reach | None = None) -> NotSent:
    with pytest.raises(NotSent) as failure:
        _tell(target, reach)
    return failure.value


@pytest.mark.parametrize(("tls", "scheme"), [("starttls", "smtp"), ("at once", "smtps")])
def test_a_mail_is_sent_over_tls_after_signing_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tls: str, scheme: str
) -> None:
    with SmtpServer(tmp_path / "s", tls=tls, login="mailhaul", password="pass-canary") as server:
        monkeypatch.setenv("SSL_CERT_FILE", str(server.ca))
        _tell(_mail(server, scheme=scheme, login="mailhaul", secret="pass-canary"))
        (mail,) = server.mails
        assert (mail["Subject"], mail["To"], mail["From"]) == (
            TOLD.wording.subject,
            "boss@corp.example",
            "mailhaul@corp.example",
        )
        assert mail.get_content().split() == ["line", "one", ".", "две"]
        assert mail["Message-ID"] == "<n1.t1@corp.example>"
        assert mail["Auto-Submitted"] == "auto-generated"
        assert mail["X-Mailhaul-Id"] == "n1:t1"


def test_without_a_known_certificate_nothing_is_sent(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "s", login="mailhaul", password="pass-canary") as server:
        found = _why(_mail(server, login="mailhaul", secret="pass-canary"))
        assert "certificate" in found.why.lower()
        assert not found.forever, "the operator may mend it within a day"
        assert (server.mails, "AUTH" in server.said) == ([], False)


@pytest.mark.parametrize(
    ("refusal", "forever"),
    [
        ("RCPT 550 no such user", True),
        ("RCPT 450 later", False),
        ("BODY 451 later", False),
        ("BODY 554 spam", True),
        ("MAIL hang up", False),
        ("BODY hang up", False),
    ],
)
def test_a_refusal_says_whether_another_attempt_is_worth_it(tmp_path: Path, refusal: str, forever: bool) -> None:
    with SmtpServer(tmp_path / "s", tls="none") as server:
        server.refuse(refusal)
        assert _why(_mail(server)).forever is forever
        assert server.mails == []
        _tell(_mail(server))
        assert len(server.mails) == 1


def test_a_wrong_password_is_told_and_may_be_mended(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "s", tls="none", login="mailhaul", password="right") as server:
        found = _why(_mail(server, login="mailhaul", secret="wrong"))
        assert ("535" in found.why, found.forever) == (True, False)


def test_a_server_that_answers_without_end_is_left(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Leaves a server that would take memory as fast as it sends, for a minute."""
    with Endless(b"220-one moment\r\n" * 1_000) as server:
        target = target_of(TargetAsked(way="email", to="a@x.example", server=f"smtp://127.0.0.1:{server.port}"))
        found = _why(target)
    assert (server.refused.wait(180), found.forever) == (True, False)


def test_a_repeat_has_the_same_id(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "s", tls="none") as server:
        server.refuse("SENT yes")
        assert not _why(_mail(server)).forever, "the answer was lost"
        _tell(_mail(server))
        assert [mail["Message-ID"] for mail in server.mails] == ["<n1.t1@corp.example>"] * 2


def test_a_webhook_is_signed_and_names_nobody(receiver: Receiver) -> None:
    target = target_of(TargetAsked(way="webhook", to=f"{receiver.url}/hook?k=1", secret="sign-canary"))
    _tell(target)
    (asked,) = receiver.asked
    stamp = asked.headers["mailhaul-timestamp"]
    assert asked.headers["mailhaul-signature"] == "v1=" + signature(Secret("sign-canary"), stamp, asked.body)
    assert (asked.headers["idempotency-key"], asked.json["id"]) == ("n1:t1", "n1:t1")
    assert (asked.method, asked.path, asked.query) == ("POST", "/hook", {"k": "1"})
    assert (asked.json["kind"], asked.json["import"], asked.json["wave"]) == ("person", "office", "pilot")
    assert asked.json["values"] == {"code": "source_auth_refused", "mailboxes": 2}
    assert b"anna" not in asked.body


def test_slack_and_teams_get_their_forms(receiver: Receiver) -> None:
    _tell(target_of(TargetAsked(way="slack", to=f"{receiver.url}/s")))
    _tell(target_of(TargetAsked(way="teams", to=f"{receiver.url}/t")))
    slack, teams = (asked.json for asked in receiver.asked)
    assert slack["text"].splitlines()[0] == "*офис: 2 ящика &lt;ждут&gt; &amp; человека*", "no mention, no link"
    assert slack["text"].endswith("_n1:t1_")
    card = teams["attachments"][0]["content"]
    assert (teams["type"], card["type"]) == ("message", "AdaptiveCard")
    blocks = card["body"]
    assert blocks[0]["inlines"][0]["text"] == TOLD.wording.subject
    # In a TextBlock a server's words could be a link: [your mailbox](https://evil.example).
    assert {block["type"] for block in blocks} == {"RichTextBlock"}
    assert {run["type"] for block in blocks for run in block["inlines"]} == {"TextRun"}


@pytest.mark.parametrize(
    ("status", "forever"),
    [(400, True), (404, True), (410, True), (301, True), (408, False), (429, False), (503, False)],
)
def test_an_answer_says_whether_another_attempt_is_worth_it(receiver: Receiver, status: int, forever: bool) -> None:
    receiver.instead.append(Said(status=status, headers={"Retry-After": "77", "Location": f"{receiver.url}/other"}))
    found = _why(target_of(TargetAsked(way="slack", to=receiver.url)))
    assert (found.forever, found.after_seconds) == (forever, 0.0 if forever else 77.0)
    assert len(receiver.asked) == 1, "no redirect is followed"


def test_nobody_answers(receiver: Receiver) -> None:
    with HttpApi() as gone:
        url = gone.url
    assert not _why(target_of(TargetAsked(way="slack", to=url))).forever


class _Dripping(socketserver.StreamRequestHandler):
    """A server that drips its answer: each byte comes in time, and the last one never does."""

    said: ClassVar[bytes] = b""

    def handle(self) -> None:
        never = threading.Event()
        with contextlib.suppress(OSError):
            for byte in self.said:
                self.wfile.write(bytes([byte]))
                never.wait(0.01)


@pytest.mark.parametrize("way", ["webhook", "email"])
def test_who_drips_an_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch, way: str) -> None:
    monkeypatch.setattr("producer.notices.sending.WHOLE_SECONDS", 0.3)
    monkeypatch.setattr(_Dripping, "said", b"HTTP/1.1 " + b" " * 500 if way == "webhook" else b"220 h" + b"o" * 500)
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), _Dripping) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        at = f"127.0.0.1:{server.server_address[1]}"
        target = (
            target_of(TargetAsked(way="webhook", to=f"http://{at}/x", secret="s"))
            if way == "webhook"
            else target_of(TargetAsked(way="email", to="a@b.example", server=f"smtp://{at}"))
        )
        found = _why(target)
        server.shutdown()
    assert (found.why, found.forever) == ("127.0.0.1: the conversation did not end within 0.3 seconds", False)


def test_letters_that_smtp_cannot_carry_are_told(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "s", tls="none", login="mailhaul", password="pass") as server:
        found = _why(_mail(server, login="mailhaul", secret="пароль"))
        assert "ASCII" in found.why
        assert "пароль" not in found.why


def test_letters_in_the_path_of_a_webhook_are_escaped(receiver: Receiver) -> None:
    _tell(target_of(TargetAsked(way="slack", to=f"{receiver.url}/крючок%2Fa b?к=1&l=%20")))
    (asked,) = receiver.asked
    assert (asked.path, asked.query) == ("/крючок/a b", {"к": "1", "l": " "})


def test_what_is_no_host_name_is_told() -> None:
    assert "no host name" in _why(target_of(TargetAsked(way="slack", to="https://a..b/x"))).why


def test_what_came_by_the_page_reaches_no_private_address_unless_it_is_allowed(receiver: Receiver) -> None:
    asked = TargetAsked(way="webhook", to=receiver.url, guarded=True)
    refusing, allowing = (reach_of(allow, str(receiver.port)) for allow in ("", "127.0.0.0/8"))
    assert "not public" in _why(target_of(asked), refusing).why
    assert receiver.asked == []
    _tell(target_of(asked), allowing)
    assert len(receiver.asked) == 1
    # The control: what came by the command line of this machine is not guarded.
    _tell(target_of(TargetAsked(way="webhook", to=receiver.url)), refusing)
    assert len(receiver.asked) == 2


def test_the_guard_counts_for_mail_too(tmp_path: Path) -> None:
    with SmtpServer(tmp_path / "s", tls="none") as server:
        asked = TargetAsked(way="email", to="a@b.example", server=f"smtp://localhost:{server.port}", guarded=True)
        assert "not public" in _why(target_of(asked), reach_of("", str(server.port))).why
        assert server.said == ""


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (TargetAsked(way="pigeon", to="x"), "no way to tell"),
        (TargetAsked(way="email", to="nobody", server="smtp://h"), "no address of mail"),
        (TargetAsked(way="email", to="a@b.example\r\nBcc: c@d.example", server="smtp://h"), "say where"),
        (TargetAsked(way="email", to="a@b.example", server=""), "by which server"),
        (TargetAsked(way="email", to="a@b.example", server="ftp://h"), "by which server"),
        (TargetAsked(way="email", to="a@b.example", server="smtp://h", login="x"), "needs its password"),
        (TargetAsked(way="slack", to="http://hooks.example/x"), "begins with https"),
        (TargetAsked(way="slack", to="https://user:pw@hooks.example/x"), "begins with https"),
        (TargetAsked(way="slack", to="https://h/x", kinds=("all",)), "no kind of notice"),
        (TargetAsked(way="slack", to="https://h/x", zone="Mars"), "no time zone"),
        (TargetAsked(way="slack", to="https://h/x", digest="8"), "no time of day"),
        (TargetAsked(way="slack", to="https://h/x", language="xx"), "no language"),
    ],
)
def test_a_target_that_cannot_be_is_refused(asked: TargetAsked, why: str) -> None:
    with pytest.raises(UsageError, match=why):
        target_of(asked)


def test_of_a_webhook_only_the_host_is_shown() -> None:
    target = target_of(TargetAsked(way="slack", to="https://hooks.slack.example/services/T0/secret-canary"))
    assert target.shown == "hooks.slack.example"
    assert "secret-canary" not in repr(target)
    assert json.dumps(dict(target.secret))
    said = NotSent(f"{target.shown}: refused {target.secret['url']} and /services/T0/secret-canary")
    assert said.without(target.hidden).why == f"{target.shown}: refused https://{target.shown}*** and ***"
