"""Tests reading whole messages over POP3.

No message is marked as read where TOP shows all of it, and no message is ever cut.
"""

from __future__ import annotations

import imaplib
import re
import tempfile
from collections.abc import Iterator

import pytest

from shared.content.maildrop import Identities, ListingIdentities, SessionIdentities
from shared.mail.answers import bounds
from shared.mail.auth.sasl import Proof
from shared.mail.pop3 import pop3_conversation as pop3
from shared.mail.pop3 import pop3_reading, pop3_signing_in
from shared.mail.pop3.pop3_conversation import WHOLE_BYTES
from shared.mail.pop3.pop3_reading import BY_RETR, LINE_COUNTS, Pop3Read, Readings
from shared.mail.pop3.pop3_source import INBOX, Pop3Source
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.errors import MailError, ProtocolViolation, ServerRefused
from shared.model.uids import UidSet
from shared.runtime.secret import Secret
from tests import mail
from tests.contract.mail_kit import mail as small
from tests.mail import Mail
from tests.servers.dovecot import Dovecot
from tests.servers.pop3_server import Pop3Server

EVERY = UidSet.parse("1:10000")


def ways(chosen: Pop3Read = "auto") -> Ways:
    return Ways(connect_timeout_seconds=5, command_timeout_seconds=5, readings=Readings(chosen))


def sign_in(port: int, through: Ways | None = None, identities: Identities | None = None) -> Pop3Source:
    end = Endpoint(protocol="pop3", host="127.0.0.1", port=port, tls=Tls.NONE)
    proof = Proof(login="u@example.org", secret=Secret("s3cret"))
    source = (through or ways()).source(end, proof, identities or SessionIdentities())
    assert isinstance(source, Pop3Source)
    source.open(INBOX)
    return source


def bodies(source: Pop3Source) -> dict[int, bytes]:
    found = {m.uid: m.body if m.body is not None else b"".join(m.stream or ()) for m in source.fetch(EVERY)}
    source.close()
    return found


def as_sent(messages: list[bytes]) -> dict[int, bytes]:
    return dict(enumerate(messages, 1))


def counts(server: Pop3Server) -> list[int]:
    """Returns the numbers of lines that were requested, without requests for the head alone."""
    return [int(c.split()[2]) for c in server.commands if c.startswith(b"TOP ") and not c.endswith(b" 0")]


def lines(number: int, width: int = 20) -> bytes:
    """Returns a message with this number of lines in its body."""
    return b"Subject: %d lines\r\n\r\n" % number + (b"x" * width + b"\r\n") * number


@pytest.fixture(scope="module")
def dovecot() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        yield server


def unread(server: Dovecot, login: str) -> int:
    with imaplib.IMAP4(server.host, server.port) as imap:
        imap.login(login, "s3cret")
        imap.select("INBOX", readonly=True)
        return len(imap.search(None, "UNSEEN")[1][0].split())


@pytest.mark.parametrize(("chosen", "left"), [("auto", 4), ("top", 4), ("retr", 0)])
def test_dovecot_leaves_unread_what_is_read_by_top(dovecot: Dovecot, chosen: Pop3Read, left: int) -> None:
    # The control: with RETR it does not hold.
    login = f"{chosen}@example.org"
    dovecot.add_user(login, "s3cret")
    several = [small(1), lines(30_000, 60), b"Subject: no line end\r\n\r\nlast", lines(3)]
    mail.populate(dovecot.host, dovecot.port, login, "s3cret", {"INBOX": [Mail(body) for body in several]})
    assert unread(dovecot, login) == 4
    end = Endpoint(protocol="pop3", host="127.0.0.1", port=dovecot.pop3_port, tls=Tls.NONE)
    source = ways(chosen).source(end, Proof(login=login, secret=Secret("s3cret")), SessionIdentities())
    assert isinstance(source, Pop3Source)
    assert source.caution() == ("" if left else BY_RETR)
    several[2] += b"\r\n"  # as POP3 ends every message
    assert [s.size_bytes for s in source.sightings(EVERY, full=True)] == list(map(len, several))
    assert bodies(source) == as_sent(several)
    assert unread(dovecot, login) == left


@pytest.mark.parametrize("taken", LINE_COUNTS)
def test_a_server_that_counts_in_fewer_bits_is_asked_for_fewer_lines(taken: int) -> None:
    many = [lines(n) for n in range(60)]
    with Pop3Server(list(many), most_asked=taken) as server:
        through = ways()
        assert bodies(sign_in(server.port, through)) == as_sent(many)
        refused = LINE_COUNTS.index(taken)
        asked = counts(server)
        assert sum(count != taken for count in asked) == refused, "each is tried with one message alone"
        assert bodies(sign_in(server.port, through)) == as_sent(many)
        asked = counts(server)
        assert sum(count != taken for count in asked) == refused, "another session knows"
        assert not server.marked


@pytest.mark.parametrize("capabilities", [(b"TOP", b"UIDL", b"PIPELINING"), (b"TOP", b"UIDL")])
@pytest.mark.parametrize("more", [0, 3, 5000, -1, -25])
@pytest.mark.parametrize("most_lines", [0, 10, 25])
def test_a_message_that_top_cuts_comes_whole_by_retr(
    capabilities: tuple[bytes, ...], more: int, most_lines: int
) -> None:
    many = [lines(n) for n in (3, 8, 60, 12, 24, 26, 25, 11, 10, 9)] + [lines(40_000)]
    with Pop3Server(list(many), capabilities=capabilities, most_lines=most_lines, more=more) as server:
        through = ways()
        for _ in range(2):
            assert bodies(sign_in(server.port, through)) == as_sent(many)


def test_believed_without_proof_cut_messages_would_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3_reading.ServerReading, "shows_whole", lambda *_: True)
    many = [lines(3), lines(60)]
    with Pop3Server(list(many), most_lines=10) as server:
        assert bodies(sign_in(server.port)) != as_sent(many)


@pytest.mark.parametrize("more", [-40, -1, 1, 700])
def test_where_list_counts_otherwise_few_messages_are_marked(more: int) -> None:
    many = [lines(100 + n * 37 % 101) for n in range(150)]
    with Pop3Server(list(many), more=more) as server:
        through = ways()
        for _ in range(2):
            assert bodies(sign_in(server.port, through)) == as_sent(many)
        assert len(server.marked) <= 5, "only those that are longer than what is proved"


def test_a_server_without_top_is_read_by_retr_and_said_to_mark() -> None:
    with Pop3Server([small(1), small(1)], capabilities=(b"UIDL",), unique_ids=None) as server:
        source = sign_in(server.port, identities=ListingIdentities())
        assert source.caution() == BY_RETR
        assert not server.marked, "said before anything is read"
        assert bodies(source) == as_sent(server.messages)


@pytest.mark.parametrize(
    ("most_lines", "most_asked", "said"),
    [
        (None, None, ""),
        (None, 9_999_999, ""),
        (0, None, BY_RETR),
        (None, 100, BY_RETR),
    ],
)
def test_what_a_rehearsal_says_is_what_happens(most_lines: int | None, most_asked: int | None, said: str) -> None:
    with Pop3Server([lines(5), lines(9)], most_lines=most_lines, most_asked=most_asked) as server:
        source = sign_in(server.port)
        assert source.caution() == said
        assert not server.marked
        assert bodies(source) == as_sent(server.messages)
        assert bool(server.marked) == bool(said)


def test_an_empty_maildrop_needs_no_caution() -> None:
    with Pop3Server([], capabilities=()) as server:
        assert sign_in(server.port).caution() == ""


def test_a_message_that_top_refuses_alone_is_read_by_retr() -> None:
    with Pop3Server([small(1), small(2), small(3)]) as server:
        answer = server._answer
        server._answer = lambda command, session: (  # type: ignore[method-assign]
            iter([b"-ERR no\r\n"]) if command.startswith(b"TOP 2 ") else answer(command, session)
        )
        assert bodies(sign_in(server.port)) == as_sent(server.messages)
        assert server.marked == {2}


def test_a_message_that_nothing_brings_is_refused_and_the_others_come() -> None:
    with Pop3Server([small(1), small(2), small(3)], unreadable={1}) as server:
        found: dict[int, bytes | None] = {}
        with pytest.raises(ServerRefused) as caught:
            found.update((message.uid, message.body) for message in sign_in(server.port).fetch(EVERY))
        assert caught.value.uids == UidSet.parse("1")
        assert found == {2: small(2), 3: small(3)}


def test_by_top_only_a_cut_message_is_refused_and_nothing_is_marked() -> None:
    with Pop3Server([lines(3), lines(60)], most_lines=10) as server:
        found: dict[int, bytes | None] = {}
        with pytest.raises(ServerRefused, match="RETR is not to be used"):
            found.update((message.uid, message.body) for message in sign_in(server.port, ways("top")).fetch(EVERY))
        assert found == {1: lines(3)}
        assert not server.marked


def test_a_server_that_breaks_at_top_is_read_by_retr() -> None:
    with Pop3Server([small(1)], breaks_at_top=True) as server:
        through = ways()
        for _ in range(2):
            with pytest.raises(MailError):
                bodies(sign_in(server.port, through))
        assert bodies(sign_in(server.port, through)) == {1: small(1)}


# -- no server fills the disk


def endless(server: Pop3Server, number: int = 2) -> None:
    """Makes this message endless."""
    answer = server._answer

    def forever() -> Iterator[bytes]:
        yield b"+OK\r\n"
        while True:
            yield (b"x" * 70 + b"\r\n") * 1000

    server._answer = lambda command, session: (  # type: ignore[method-assign]
        forever() if re.match(rb"(TOP %d [1-9]|RETR %d$)" % (number, number), command) else answer(command, session)
    )


@pytest.mark.parametrize("chosen", ["auto", "retr"])
def test_a_message_that_never_ends_is_given_up(chosen: Pop3Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3, "LISTED_SLACK_BYTES", WHOLE_BYTES)
    with Pop3Server([small(1), small(2)]) as server:
        endless(server)
        with pytest.raises(ProtocolViolation, match="of a message that LIST gives"):
            bodies(sign_in(server.port, ways(chosen)))


def test_what_list_says_is_not_believed_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bounds, "LARGEST_BYTES", 2 * WHOLE_BYTES)
    with Pop3Server([small(1), small(2)], more=10**15) as server:
        endless(server)
        with pytest.raises(ProtocolViolation, match="sent more than"):
            bodies(sign_in(server.port, ways("retr")))


@pytest.mark.parametrize(
    ("command", "line"),
    [
        (b"CAPA", b"X-NOISE\r\n"),
        (b"LIST", b"1 2\r\n"),
        (b"UIDL", b"1 x\r\n"),
        (b"LIST", b"1 " + b"2" * 3_000 + b"\r\n"),
    ],
    ids=["capabilities", "messages", "unique-ids", "a long line"],
)
def test_no_answer_is_kept_without_end(command: bytes, line: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    """All of an answer is held in memory: each has a number of bytes, of lines, and of bytes in a line."""
    monkeypatch.setattr(pop3, "MAILDROP_MESSAGES", 20_000)
    monkeypatch.setattr(pop3_signing_in, "OPENING_BYTES", 100_000)
    with Pop3Server([small(1)]) as server:
        answer = server._answer

        def forever() -> Iterator[bytes]:
            yield b"+OK\r\n"
            while True:
                yield line * 100

        server._answer = lambda said, session: (  # type: ignore[method-assign]
            forever() if said == command else answer(said, session)
        )
        with pytest.raises(ProtocolViolation, match=r"without end|sent more than|longer than"):
            bodies(sign_in(server.port))


def test_a_listing_is_bounded_in_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pop3, "MAILDROP_BYTES", 20_000)
    with Pop3Server([small(1)] * 400, unique_ids=lambda _, place: b"%d" % place + b"x" * 100) as server:
        with pytest.raises(ProtocolViolation, match="without end"):
            bodies(sign_in(server.port))
        monkeypatch.setattr(pop3, "MAILDROP_BYTES", 80_000)
        assert len(bodies(sign_in(server.port))) == 400


def test_an_honest_message_twice_as_long_as_listed_comes() -> None:
    large = lines(40_000, 0)
    with Pop3Server([large], more=-40_000) as server:
        assert bodies(sign_in(server.port)) == {1: large}


def test_a_full_temporary_folder_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full:
        def write(self, _: bytes) -> int:
            raise OSError(28, "No space left on device")

        def close(self) -> None:
            pass

    monkeypatch.setattr(tempfile, "TemporaryFile", lambda: Full())
    with Pop3Server([lines(40_000)]) as server:
        with pytest.raises(MailError, match="No space left on device") as caught:
            bodies(sign_in(server.port))
        assert "TMPDIR" in caught.value.advice


@pytest.mark.parametrize("mended", [True, False], ids=["mended", "control: taken for the last line end"])
def test_a_blank_line_that_top_puts_before_the_text_is_not_copied(
    monkeypatch: pytest.MonkeyPatch, mended: bool
) -> None:
    """GNU Mailutils: what TOP gives is two bytes longer than LIST says, as if POP3 had added the last line end."""
    if not mended:
        monkeypatch.setattr(pop3_reading, "_begins_blank", lambda body: False)
    sent = [lines(3), lines(9), lines(5)]
    with Pop3Server(list(sent), blank_at_top=True) as server:
        assert (bodies(sign_in(server.port)) == as_sent(sent)) is mended


def test_a_blank_line_of_the_message_itself_is_proved_once() -> None:
    sent = [b"Subject: s\r\n\r\n\r\n" + b"x" * n for n in (5, 9, 7)]
    listed = [one + b"\r\n" for one in sent]  # POP3 adds the last line end, and LIST does not count it
    with Pop3Server(listed, more=-2) as server:
        through = ways()
        for _ in range(2):
            assert bodies(sign_in(server.port, through)) == as_sent(listed)
        assert server.marked == {1}  # the first is read alone
