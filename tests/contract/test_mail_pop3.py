"""Tests POP3 as a source: the port's rules, over pop3d and over a server that breaks its promises."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path

import pytest

from shared.content.fingerprint import header_fingerprint
from shared.content.maildrop import SessionIdentities
from shared.mail.auth.sasl import Proof
from shared.mail.pop3 import pop3_signing_in
from shared.mail.pop3.pop3_conversation import WHOLE_BYTES
from shared.mail.pop3.pop3_source import INBOX, received_at
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.errors import (
    AuthenticationRefused,
    FolderRefused,
    MailError,
    ProtocolViolation,
    ServerRefused,
    Throttled,
    TlsFailed,
    Unreachable,
)
from shared.model.uids import UidSet
from shared.runtime.secret import Secret
from tests import mail
from tests.contract.mail_kit import mail as small
from tests.contract.pop3_kit import EVERY, WAYS, bodies, end, sign_in, whole
from tests.leaks import leaks
from tests.mail import Mail
from tests.servers.certificate import certificate_and_key, fingerprint
from tests.servers.dovecot import Dovecot
from tests.servers.pop3_server import Pop3Server, stuffed
from tests.servers.process import await_ready

# -- a real server


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        server.add_user("u@example.org", "s3cret, pässword")
        large = end(b"." * 80_000 + b"\r\n", (b"..x" * 30_000 + b"\r\n") * 8, b".\r\n", b"end\r\n")
        assert len(large) > WHOLE_BYTES
        odd = [small(1), end(b".\r\n..\r\n...\r\n"), large, end(), end(b"x" * 200_000 + b"\r\n")]
        mail.populate("127.0.0.1", server.port, "u@example.org", "s3cret, pässword", {"INBOX": [Mail(b) for b in odd]})
        server.odd = odd  # type: ignore[attr-defined]
        yield server


def test_every_byte_comes_as_it_was(dovecot: Dovecot) -> None:
    source = sign_in(dovecot.pop3_port)
    status = source.open(INBOX)
    assert (status.messages, status.uidnext, status.uidvalidity) == (5, 6, 1)
    found = {each.uid: (each.size_bytes, whole(each), each.flags) for each in source.fetch(EVERY)}
    assert found == {n: (len(body), body, ()) for n, body in enumerate(dovecot.odd, 1)}  # type: ignore[attr-defined]
    assert [uid for uid, _ in source.sizes(status)] == [1, 2, 3, 4, 5]
    assert source.existing() == UidSet.parse("1:5")
    assert [s.size_bytes for s in source.sightings(EVERY, full=True)] == [found[n][0] for n in range(1, 6)]
    source.noop()
    source.close()


def test_numbers_stay_whatever_goes_and_comes(dovecot: Dovecot) -> None:
    dovecot.add_user("v@example.org", "s3cret, pässword")
    place = ("127.0.0.1", dovecot.port, "v@example.org", "s3cret, pässword")
    identities = SessionIdentities()
    mail.populate(*place, {"INBOX": [Mail(small(n)) for n in range(3)]})
    proof = Proof(login="v@example.org", secret=Secret("s3cret, pässword"))
    there = Endpoint(protocol="pop3", host="127.0.0.1", port=dovecot.pop3_port, tls=Tls.NONE)
    first = WAYS.source(there, proof, identities)
    assert {m.uid: m.body for m in first.fetch(EVERY)} == {n + 1: small(n) for n in range(3)}
    first.close()
    for path in sorted(Path(dovecot.mail_folder("v@example.org")).glob("[cn][ue][rw]/*"))[:1]:
        path.unlink()
    mail.populate(*place, {"INBOX": [Mail(small(7))]})
    again = WAYS.source(there, proof, identities)
    assert again.open(INBOX).uidvalidity == 1
    found = {m.uid: m.body for m in again.fetch(EVERY)}
    assert found[4] == small(7)  # type: ignore[index]
    assert len(found) == 3
    assert all(found[uid] == small(uid - 1) for uid in found if uid < 4)
    again.close()


@pytest.mark.parametrize("tls", [Tls.IMPLICIT, Tls.STARTTLS])
def test_it_is_encrypted_and_the_certificate_counts(dovecot: Dovecot, tls: Tls) -> None:
    port = dovecot.pop3s_port if tls is Tls.IMPLICIT else dovecot.pop3_port
    pin = fingerprint(dovecot.certificate)
    assert sign_in(port, tls=tls, certificate_sha256=pin).open(INBOX).messages == 5
    with pytest.raises(TlsFailed):
        sign_in(port, tls=tls)
    with pytest.raises(TlsFailed):
        sign_in(port, tls=tls, certificate_sha256="0" * 64)


def test_without_stls_nothing_goes_on() -> None:
    with Pop3Server([]) as server:
        server._answer = lambda command, session: iter([b"-ERR no\r\n"])  # type: ignore[method-assign,assignment]
        with pytest.raises(TlsFailed, match="STLS"):
            sign_in(server.port, tls=Tls.STARTTLS)
        assert server.commands == [b"STLS"], "not a word of the credentials"


def test_a_wrong_password_is_refused_once(dovecot: Dovecot) -> None:
    proof = Proof(login="u@example.org", secret=Secret("wrong"))
    there = Endpoint(protocol="pop3", host="127.0.0.1", port=dovecot.pop3_port, tls=Tls.NONE)
    before = dovecot.login_attempts("u@example.org")
    with pytest.raises(AuthenticationRefused):
        WAYS.source(there, proof, SessionIdentities())
    assert dovecot.login_attempts("u@example.org") == before + 1


# -- identities


# -- faults of servers


@pytest.mark.parametrize("capabilities", [None, (), (b"UIDL",), (b"TOP", b"PIPELINING")])
def test_whatever_it_is_capable_of(capabilities: tuple[bytes, ...] | None) -> None:
    many = [small(n) for n in range(130)]
    with Pop3Server(many, capabilities=capabilities) as server:
        source = sign_in(server.port)
        assert list(bodies(source).values()) == many
        assert [s.message_id for s in source.sightings(UidSet.parse("2:3"))] == ["<1@example.org>", "<2@example.org>"]
        assert not any(command.startswith(b"DELE") for command in server.commands)


@pytest.mark.parametrize("size", [100_000, 700_000], ids=["in memory", "by way of a file"])
def test_fields_behind_a_long_one_count_too(size: int) -> None:
    """A server at the other end gives the fields alone, wherever they stand: without them it is another message."""
    fields = b"Message-ID: <late@example.org>\r\nSubject: s\r\nDate: Mon, 1 Jan 2024 00:00:00 +0000\r\n"
    long = b"To: " + b"a@example.org,\r\n " * (size // 17) + b"b@example.org\r\n"
    with Pop3Server([long + fields + b"\r\ntext\r\n"]) as server:
        source = sign_in(server.port)
        source.open(INBOX)
        for full in (False, True):
            (seen,) = source.sightings(EVERY, full=full)
            assert (seen.message_id, seen.fingerprint) == ("<late@example.org>", header_fingerprint(fields))
        (message,) = source.fetch(EVERY)
        assert message.fingerprint == header_fingerprint(fields)


NOTICE = b"From: postmaster\r\nSubject: Cannot display Unicode content\r\n\r\nsorry\r\n"
UNICODE = "Subject: привет\r\n\r\nMail.\r\n".encode()


@pytest.mark.parametrize(
    ("capabilities", "answer", "given"),
    [
        ((b"TOP", b"UIDL", b"UTF8 USER"), b"+OK", UNICODE),
        ((b"TOP", b"UIDL", b"UTF8"), b"-ERR not now", NOTICE),
        ((b"TOP", b"UIDL", b"UTF8"), b"what?", NOTICE),
        ((b"TOP", b"UIDL"), b"+OK", NOTICE),
    ],
    ids=["announced", "refused", "answered oddly", "control: not announced"],
)
def test_a_server_that_hides_unicode_mail_is_asked_for_it(
    capabilities: tuple[bytes, ...], answer: bytes, given: bytes
) -> None:
    """RFC 6856: without UTF8 a server may give a notice in place of the message."""
    with Pop3Server([UNICODE], capabilities=capabilities, notice=NOTICE, to_utf8=answer) as server:
        assert list(bodies(sign_in(server.port)).values()) == [given]
        announced = any(one.startswith(b"UTF8") for one in capabilities)
        assert server.commands.count(b"UTF8") == announced
        if announced:
            assert server.commands.index(b"UTF8") < server.commands.index(b"USER u@example.org")


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "control: asked again"])
def test_a_server_that_goes_away_at_utf8_is_not_asked_for_it_again(
    monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """The client sends no credentials on the connection that is lost."""
    opened = pop3_signing_in._opened
    if not mended:
        monkeypatch.setattr(pop3_signing_in, "_opened", lambda *a, in_utf8: opened(*a, in_utf8=True))
    with Pop3Server([UNICODE], capabilities=(b"TOP", b"UIDL", b"UTF8"), to_utf8=None) as server:
        if mended:
            assert list(bodies(sign_in(server.port)).values()) == [UNICODE]
        else:
            with pytest.raises(pop3_signing_in._LostAtUtf8):
                sign_in(server.port)
        assert server.commands.count(b"UTF8") == (1 if mended else 2)
        assert server.commands.count(b"USER u@example.org") == mended


@pytest.mark.parametrize(
    "said",
    [
        b"-ERR [IN-USE] no",
        b"-ERR [LOGIN-DELAY] wait",
        b"-ERR [SYS/TEMP] later",
        b"-ERR maildrop already locked",
        b"-ERR Mailbox in use, try again",
    ],
)
def test_a_busy_maildrop_is_waited_for(said: bytes) -> None:
    with Pop3Server([], refusals=[said]) as server:
        with pytest.raises(Throttled) as caught:
            sign_in(server.port)
        assert caught.value.wait_seconds
        assert sign_in(server.port).open(INBOX).messages == 0


@pytest.mark.parametrize(
    ("greeting", "kind"),
    [
        (b"-ERR too many connections", Throttled),
        (b"-ERR [SYS/TEMP] down for maintenance", Throttled),
        (b"-ERR access denied", Unreachable),
        (b"-ERR [AUTH] go away", Unreachable),
    ],
)
@pytest.mark.parametrize("tls", list(Tls))
def test_a_greeting_that_turns_us_away_says_nothing_of_the_password(
    greeting: bytes, kind: type[MailError], tls: Tls
) -> None:
    certificate, key = certificate_and_key()
    with Pop3Server([], greeting=greeting, secured=(certificate, key) if tls is Tls.IMPLICIT else None) as server:
        pin = {} if tls is Tls.NONE else {"certificate_sha256": fingerprint(certificate)}
        with pytest.raises(kind) as caught:
            sign_in(server.port, tls=tls, **pin)
        assert type(caught.value) is kind
        assert not server.commands


def test_a_list_that_is_refused_leaves_nothing_on_the_line() -> None:
    with Pop3Server([small(1)], no_list=True) as server:
        source = sign_in(server.port)
        with pytest.raises(ServerRefused):
            source.open(INBOX)
        server.no_list = False
        assert source.open(INBOX).messages == 1


def test_the_answer_to_quit_is_waited_for() -> None:
    """Waits for the answer to QUIT: until then the maildrop is locked."""
    with Pop3Server([], lets_go=threading.Event()) as server:
        source = sign_in(server.port)
        closing = threading.Thread(target=source.close)
        closing.start()
        await_ready(lambda: b"QUIT" in server.commands, what="QUIT")
        assert closing.is_alive()
        assert server.lets_go
        server.lets_go.set()
        closing.join(180)
        assert not closing.is_alive()


@pytest.mark.parametrize(("marked", "ended"), [({1}, False), ({2}, False), (set[int](), True)])
def test_what_others_marked_as_deleted_is_not_removed(marked: set[int], ended: bool) -> None:
    """Sends no QUIT, by which it would be removed, where LIST leaves messages out. The last case is the control."""
    with Pop3Server([small(1), small(2), small(3)], left_out=marked) as server:
        source = sign_in(server.port)
        assert source.open(INBOX).messages == 3 - len(marked)
        source.close()
        with Pop3Server([]) as after:
            sign_in(after.port).close()  # what came before it has arrived
        assert (b"QUIT" in server.commands) == ended


@pytest.mark.parametrize(
    "said",
    [
        b"-ERR [AUTH] try again later",
        b"-ERR [SYS/PERM] gone",
        b"-ERR no such user",
        b"-ERR Authentication failed, try again",
        b"-ERR Invalid login or password, account will be locked",
        b"-ERR too many failed login attempts",
        b"-ERR Access denied, try again later",
    ],
)
def test_a_refusal_is_a_refusal(said: bytes) -> None:
    with Pop3Server([], refusals=[said]) as server, pytest.raises(AuthenticationRefused):
        sign_in(server.port)


def test_what_is_unreadable_costs_its_neighbours_nothing() -> None:
    with Pop3Server([small(n) for n in range(1, 6)], unreadable={2, 4}) as server:
        source = sign_in(server.port)
        source.open(INBOX)
        found: dict[int, bytes | None] = {}
        coming = source.fetch(EVERY)
        found |= {each.uid: each.body for each in islice(coming, 3)}
        with pytest.raises(ServerRefused) as caught:
            next(coming)
        assert found == {n: small(n) for n in (1, 3, 5)}
        assert caught.value.uids == UidSet.parse("2,4")
        source.noop()


@pytest.mark.parametrize(
    ("sent", "body"),
    [
        (b".\r\n", b""),
        (b"..\r\n.\r\n", b".\r\n"),
        (b"a\n.\nb\r\n.\r\n", b"a\n.\nb\r\n"),
        (b"a\r\n.unstuffed\r\n.\r\n", b"a\r\nunstuffed\r\n"),
        (b"\r\n\r\n.\r\n", b"\r\n\r\n"),
        (b"." * 600_000 + b"\r\n..\r\n.\r\n", b"." * 599_999 + b"\r\n.\r\n"),
        (
            b"x" * 65_535 + b"\r\n..y\r\n" + b"z" * 600_000 + b"\r\n.\r\n",
            b"x" * 65_535 + b"\r\n.y\r\n" + b"z" * 600_000 + b"\r\n",
        ),
    ],
)
def test_dots_and_line_ends(sent: bytes, body: bytes) -> None:
    with Pop3Server([small(1), small(2)], raw={1: b"+OK\r\n" + sent}, more=7) as server:
        assert bodies(sign_in(server.port)) == {1: body, 2: small(2)}


def test_stuffing_is_undone_for_any_body() -> None:
    many = [b"", b".", b"..\r\n", b"\r\n.", b".\r\n.\r\n", b"\r\n..\r\n", b"a.\r\n.b\r\n..c\r\n"]
    full = [body if body.endswith(b"\r\n") or not body else body + b"\r\n" for body in many]
    with Pop3Server(full, raw={n: b"+OK\r\n" + stuffed(body) for n, body in enumerate(full, 1)}) as server:
        assert list(bodies(sign_in(server.port)).values()) == full


def test_a_server_that_makes_no_sense_or_stops_is_given_up() -> None:
    for raw in (b"hello\r\n", b"+OK\r\nSubject: x\r\n\r\nno end"):
        with Pop3Server([small(1)], raw={1: raw}) as server:
            ways = Ways(connect_timeout_seconds=5, command_timeout_seconds=1)
            there = Endpoint(protocol="pop3", host="127.0.0.1", port=server.port, tls=Tls.NONE)
            source = ways.source(there, Proof(login="u", secret=Secret("p")), SessionIdentities())
            source.open(INBOX)
            with pytest.raises(MailError):
                list(source.fetch(EVERY))


def test_it_has_one_folder() -> None:
    with Pop3Server([small(1)]) as server:
        source = sign_in(server.port)
        assert [folder.name for folder in source.listing().folders] == [INBOX]
        with pytest.raises(FolderRefused):
            source.open(b"Sent")
        assert isinstance(source.statuses([b"Sent"])[0], FolderRefused)


@pytest.mark.parametrize("bad", ["u\r\nDELE 1", "u\nx", "u\0x"])
def test_a_login_or_password_never_becomes_a_command(bad: str) -> None:
    with Pop3Server([small(1)]) as server:
        there = Endpoint(protocol="pop3", host="127.0.0.1", port=server.port, tls=Tls.NONE)
        for proof in (Proof(login=bad, secret=Secret("p")), Proof(login="u", secret=Secret(bad))):
            with pytest.raises(AuthenticationRefused):
                WAYS.source(there, proof, SessionIdentities())
        assert server.commands == []


def test_without_the_check_it_would_be_a_command(monkeypatch: pytest.MonkeyPatch) -> None:
    """The control of the test above."""
    monkeypatch.setattr(Proof, "fault", "")
    with Pop3Server([small(1)]) as server:
        there = Endpoint(protocol="pop3", host="127.0.0.1", port=server.port, tls=Tls.NONE)
        with contextlib.suppress(MailError):
            WAYS.source(there, Proof(login="u\r\nDELE 1", secret=Secret("p")), SessionIdentities())
        assert b"DELE 1" in server.commands


def test_a_server_that_speaks_something_else_is_named() -> None:
    with (
        Pop3Server([], greeting=b"* OK imap") as server,
        pytest.raises((ProtocolViolation, MailError), match="POP3"),
    ):
        sign_in(server.port)


@pytest.mark.parametrize(
    ("header", "when", "zone"),
    [
        (
            b"Received: a; Thu, 18 Jul 1996 02:44:25 +0300\r\nReceived: b; Wed, 17 Jul 1996 00:00:00 +0000",
            837_647_065,
            180,
        ),
        (b"Received: no date here\r\nDate: Wed, 17 Jul 1996 02:44:25 -0700", 837_596_665, -420),
        (b"Received: a;\r\n\tThu, 18 Jul 1996\r\n 02:44:25 +0300 (MSK)", 837_647_065, 180),
        (b"Date: Thu, 99 Xyz 1996 02:44:25 +0300", None, 0),
        (b"Date: Wed, 17 Jul 1996 09:44:25 +9900", 837_596_665, 0),
        (b"Subject: none", None, 0),
    ],
)
def test_the_date_is_that_of_the_topmost_received(header: bytes, when: int | None, zone: int) -> None:
    assert received_at(header) == (when, zone)


# -- secrets in the server's words


def _echoing(command: bytes, after: bytes) -> Callable[[bytes, int], Iterator[bytes]]:
    """Returns an answer that refuses this command and repeats its words and those of `after`."""
    said: list[bytes] = []

    def answer(line: bytes, session: int) -> Iterator[bytes]:
        said.extend([line] if line.startswith(after) else [])
        if line.startswith(command):
            yield b"-ERR you said <%b>, and then <%b>\r\n" % (b" ".join(said), line)
        elif line == b"CAPA":
            yield b"+OK\r\nSASL PLAIN\r\nUSER\r\n.\r\n" if after == b"AUTH" else b"-ERR what?\r\n"
        else:
            yield b"+OK\r\n"

    return answer


@pytest.mark.parametrize(
    ("command", "after", "tls"),
    [(b"PASS", b"PASS", False), (b"AUTH", b"AUTH", True), (b"LIST", b"PASS", False), (b"LIST", b"AUTH", True)],
)
def test_a_server_that_repeats_what_it_was_told_is_not_believed_aloud(command: bytes, after: bytes, tls: bool) -> None:
    issued, key = certificate_and_key()
    with Pop3Server([small(1)], secured=(issued, key) if tls else None) as server:
        server._answer = _echoing(command, after)  # type: ignore[method-assign]
        with pytest.raises(MailError) as told:  # noqa: PT012 - which of the two steps refuses is the case
            mode, pin = (Tls.IMPLICIT, fingerprint(issued)) if tls else (Tls.NONE, "")
            sign_in(server.port, tls=mode, certificate_sha256=pin).open(INBOX)
        assert any(line.startswith(after) for line in server.commands)
    text = f"{told.value} {told.value.detail}"
    assert "you said" in text, "the server's words are lost"
    assert leaks({"password": "s3cret, pässword"}, text.encode()) == []
