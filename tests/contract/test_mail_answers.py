"""Tests the reading of a source's answers, from a scripted server: spelled oddly, hostile, slow or cut short."""

from __future__ import annotations

import contextlib
import threading
import time
import tracemalloc
from collections.abc import Callable, Iterator

import pytest

from shared.mail import Message
from shared.mail.answers.bounds import LARGEST_BYTES
from shared.mail.answers.divided import DividedText
from shared.mail.imap.imap_source import ImapSource
from shared.mail.transport import wire
from shared.model.errors import ConnectionLost, FolderRefused, MailError, ProtocolViolation, ServerRefused, Throttled
from shared.model.uids import Uid, UidSet
from tests.contract.mail_kit import Scripted, mail, message


def serving(*answers: bytes, **options: object) -> Scripted:
    """Returns a server that gives these answers to any UID FETCH."""

    def reply(tag: bytes, text: bytes) -> bytes | None:
        return b"".join(answers).replace(b"TAG", tag) if text.startswith(b"UID FETCH") else None

    return Scripted(reply=reply, **options)  # type: ignore[arg-type]


def fetched(server: Scripted, uids: str = "1:3") -> list[Message]:
    source = server.source()
    source.open(b"f")
    out = []
    for each in source.fetch(UidSet.parse(uids)):
        if each.stream is not None:
            each = message(b"".join(each.stream), uid=each.uid, flags=each.flags, internaldate=each.internaldate)
        out.append(each)
    return out


DATE = b'INTERNALDATE "17-Jul-1996 02:44:25 -0700"'


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) %b BODY[] {5}\r\nhello)\r\n",
        b"* 1 FETCH (BODY[] {5}\r\nhello UID 1 FLAGS (\\Seen) %b)\r\n",
        b"* 1 FETCH (FLAGS (\\Seen) %b BODY[] {5}\r\nhello UID 1)\r\n",
        b"* 1 FETCH (%b FLAGS (\\SEEN \\Recent) UID 1 MODSEQ (5) BODY[] ~{5}\r\nhello)\r\n",
        b'* 1 fetch (uid 1 flags (\\seen) %b body[] "hello")\r\n',
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) %b BODY[] {5}\r\nhello\r\n)\r\n",
        b"* 1 FETCH (UID 1 FLAGS (\\Seen) %b BODY[]<0> {5}\r\nhello)\r\n",
    ],
)
def test_a_message_is_read_however_it_is_spelled(answer: bytes) -> None:
    with serving(answer % DATE, b"TAG OK\r\n") as server:
        (found,) = fetched(server)
        assert (found.uid, found.body, found.flags) == (1, b"hello", ("\\Seen",))
        assert (found.internaldate, found.zone_minutes) == (837_596_665, -420)


def test_unasked_and_repeated_answers_do_not_count() -> None:
    with serving(
        b"* 3 FETCH (FLAGS (\\Deleted))\r\n",
        b"* 2 FETCH (UID 2 FLAGS () %b BODY[] {3}\r\none)\r\n" % DATE,
        b"* 2 FETCH (UID 2 FLAGS (\\Deleted) %b BODY[] {3}\r\ntwo)\r\n" % DATE,
        b"* 9 FETCH (UID 9 FLAGS () %b BODY[] {4}\r\nlast)\r\n" % DATE,
        b"* 5 EXISTS\r\n* 1 EXPUNGE\r\n* OK still here\r\n",
        b"* 3 FETCH (UID 3 FLAGS (\\Answered))\r\n",
        b"* 1 FETCH (UID 1 FLAGS () %b BODY[] NIL)\r\n" % DATE,
        b"* 3 FETCH (UID 3 FLAGS () %b BODY[] {5}\r\nthree)\r\n" % DATE,
        b"TAG OK [EXPUNGEISSUED] done\r\n",
    ) as server:
        assert [(each.uid, each.body, each.flags) for each in fetched(server)] == [(2, b"one", ()), (3, b"three", ())]


def test_answers_of_commands_in_flight_may_be_mixed() -> None:
    """Mixes answers: whichever tag is being read, a UID that any command in flight requested counts."""
    waiting: list[bytes] = []

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"UID FETCH"):
            return None
        waiting.append(tag)
        if len(waiting) < 3:
            return b""
        body = b"* 1 FETCH (UID %d FLAGS () %b BODY[] {1}\r\nx)\r\n"
        backwards = b"".join(body % (uid, DATE) for uid in range(1200, 0, -1))
        return backwards + b"".join(tag + b" OK done\r\n" for tag in reversed(waiting))

    with Scripted(reply=reply) as server:
        assert sorted(each.uid for each in fetched(server, "1:1200")) == list(range(1, 1201))


def test_hostile_flags_are_dropped_and_told() -> None:
    with serving(
        b"* 1 FETCH (UID 1 FLAGS (\\Seen {20}\r\nx\r\nX9 DELETE INBOX\r\n a%%b \\X-EON [x] Work]x ok) "
        b"%b BODY[] {2}\r\nhi)\r\n" % DATE,
        b"TAG OK\r\n",
    ) as server:
        (found,) = fetched(server)
        assert found.flags == ("\\Seen", "ok")
        assert len(found.oddities) == 5
        assert any("X9 DELETE INBOX" in odd for odd in found.oddities)
        assert all("\r" not in odd and "\n" not in odd for odd in found.oddities)


@pytest.mark.parametrize("date", [b"NIL", b'"00-Jan-0000 00:00:00 +0000"', b'"rubbish"', b'""'])
def test_an_unusable_date_is_none_and_told(date: bytes) -> None:
    with serving(b"* 1 FETCH (UID 1 FLAGS () INTERNALDATE %b BODY[] {2}\r\nhi)\r\n" % date, b"TAG OK\r\n") as server:
        (found,) = fetched(server)
        assert found.internaldate is None
        assert "INTERNALDATE unusable" in found.oddities[0]


def test_a_no_keeps_what_came_and_says_what_did_not() -> None:
    with serving(
        b"* 2 FETCH (UID 2 FLAGS () %b BODY[] {3}\r\none)\r\n" % DATE, b"TAG NO [SERVERBUG] cannot\r\n"
    ) as server:
        source = server.source()
        source.open(b"f")
        found = []
        with pytest.raises(ServerRefused) as caught:
            found += [each.uid for each in source.fetch(UidSet.parse("1:3"))] or found
        assert str(caught.value.uids) == "1,3"  # type: ignore[attr-defined]
        source.noop()


def test_bandwidth_used_up_means_to_wait() -> None:
    with (
        serving(b"TAG NO [OVERQUOTA] Account exceeded command or bandwidth limits.\r\n") as server,
        pytest.raises(Throttled),
    ):
        fetched(server)


def test_a_large_message_whose_flags_come_last_is_asked_for_again() -> None:
    body = mail(1) + b"y" * 700_000
    literal = b"{%d}\r\n%b" % (len(body), body)

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"UID FETCH"):
            return None
        if b"FLAGS" in text:
            return b"* 1 FETCH (BODY[] %b UID 1 FLAGS (Kw) %b)\r\n%b OK\r\n" % (literal, DATE, tag)
        return b"* 1 FETCH (UID 1 BODY[] %b)\r\n%b OK\r\n" % (literal, tag)

    with Scripted(reply=reply) as server:
        (found,) = fetched(server)
        assert (found.body, found.flags) == (body, ("Kw",))


def test_folder_names_of_any_bytes_are_listed_and_opened() -> None:
    listing = (
        b'* LIST (\\HasNoChildren) "/" "Entw\xc3\xbcrfe"\r\n* LIST () "/" &bad\r\n'
        b'* LIST (\\Sent) NIL {4}\r\na"\\b\r\n* LIST (\\Noselect) "\\\\" "a\\"b\\\\c"\r\n'
        b'* LIST () "/" 2024\r\n* LIST () "/" NIL\r\n* LIST () "/" "b\xff"\r\n'
    )

    def reply(tag: bytes, text: bytes) -> bytes | None:
        return listing + tag + b" OK\r\n" if text.startswith(b'LIST "" "*"') else None

    with Scripted(reply=reply) as server:
        source = server.source()
        folders = {folder.name: folder for folder in source.listing().folders}
        listed = [b"Entw\xc3\xbcrfe", b"&bad", b'a"\\b', b'a"b\\c', b"2024", b"NIL", b"b\xff"]
        assert list(folders) == [*listed, b"INBOX"], "which is there whatever LIST shows"
        assert folders[b'a"\\b'].separator is None
        assert folders[b'a"b\\c'].separator == "\\"
        source.open(b"b\xff")
        assert server.commands[-1].endswith(b"EXAMINE {2+}\r\nb\xff")


def test_a_huge_sparse_folder_is_listed_by_a_search() -> None:
    many = UidSet.of(range(1, 4_000_000_000, 400_000))

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"UID SEARCH"):
            listed = b" ".join(b"%d" % uid for uid in many)
            return b"* SEARCH " + listed + b"\r\n" + tag + b" OK\r\n"
        if text.startswith(b"UID FETCH"):
            asked = UidSet.parse(text.split(b" ")[2].decode())
            return b"".join(b"* 1 FETCH (UID %d RFC822.SIZE 5)\r\n" % uid for uid in asked) + tag + b" OK\r\n"
        return None

    selected = b"* 10000 EXISTS\r\n* OK [UIDVALIDITY 7]\r\n* OK [UIDNEXT 4294967295]\r\n"
    with Scripted(reply=reply, selected=selected) as server:
        source = server.source()
        assert [uid for uid, _ in source.sizes(source.open(b"f"))] == list(many)


def test_no_command_line_is_long() -> None:
    with serving(b"TAG OK\r\n") as server:
        fetched(server, str(UidSet.of(range(1, 40_000, 2))))
        assert len(server.commands) > 100
        assert max(map(len, server.commands)) < 4200


@contextlib.contextmanager
def frugal(limit_bytes: int = 3_000_000) -> Iterator[None]:
    """Asserts that the code inside never uses more memory than this."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit_bytes
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    "answer",
    [
        b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {4294967296}\r\n" % DATE,
        b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {99999999999999999999}\r\n" % DATE,
        b"* 1 FETCH (UID 1 FLAGS ({2000000}\r\n",
        b"* LIST () {3000000}\r\n",
        b"x" * 300_000,
        b"nonsense\r\n",
        b"other OK\r\n",
        b"* BAD what\r\n",
        b"+ go on\r\n",
    ],
)
def test_what_no_server_should_say_ends_the_session_at_once(answer: bytes) -> None:
    with serving(answer) as server, frugal(), pytest.raises(ProtocolViolation):
        fetched(server)


def test_answers_that_make_no_sense_are_not_kept_until_the_error_is_raised() -> None:
    """Tests a hundred answers of 30 kB: an error that is kept with its stack keeps the answer too, 1.9 GB of a worker."""
    quotes = b'* 1 FETCH (UID 1 FLAGS ("' + b'\\"' * 15_000 + b"\r\n"

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if text.startswith(b"UID FETCH"):
            for _ in range(100):  # one by one: the server's own memory counts too
                server._socks[-1].sendall(quotes)
            return tag + b" OK\r\n"
        return None

    with Scripted(reply=reply) as server, frugal():
        source = server.source()
        source.open(b"f")
        with pytest.raises(ServerRefused, match="makes no sense"):
            pour(source.fetch(UidSet.parse("1:3")))


def _impatient(server: Scripted, seconds: float) -> ImapSource:
    """Returns a session with an open folder that from now on waits no longer than this; a busy machine signs in slowly."""
    source = server.source()
    source.open(b"f")
    source._wire.timeout_seconds = seconds
    return source


def test_a_literal_of_a_gigabyte_takes_no_memory() -> None:
    with serving(b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {%d}\r\nbeginning" % (DATE, LARGEST_BYTES)) as server:
        source = _impatient(server, 0.5)
        with frugal(), pytest.raises(ConnectionLost):
            pour(source.fetch(UidSet.parse("1"), size_bytes=LARGEST_BYTES))


def test_a_literal_of_four_gigabytes_is_not_read() -> None:
    with serving(b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {4294967295}\r\nbeginning" % DATE) as server:
        source = server.source()
        source.open(b"f")
        with frugal(), pytest.raises(ProtocolViolation, match="announced 4294967295 bytes for a message of at most"):
            pour(source.fetch(UidSet.parse("1"), size_bytes=4294967295))


def pour(messages: Iterator[Message]) -> None:
    """Reads all messages and keeps none."""
    for each in messages:
        for _ in each.stream or ():
            pass


def dripping(drip: bytes) -> Callable[[Scripted], None]:
    def run(server: Scripted) -> None:
        def reply(tag: bytes, text: bytes) -> bytes | None:
            if text.startswith(b"UID FETCH"):
                sock = server._socks[-1]
                # It ends long after a lane has given up, and in order: a lane that goes on waiting would not fail.
                for _ in range(1000):
                    if server.stopped.wait(0.02):
                        break
                    sock.sendall(drip)
                return b"\r\n" + tag + b" OK done\r\n"
            return None

        server.reply = reply

    return run


@pytest.mark.parametrize("drip", [b"x", b"* OK still here\r\n", b"* 1 FETCH (FLAGS ())\r\n"])
def test_a_drip_feed_cannot_hold_a_lane(drip: bytes) -> None:
    with Scripted() as server:
        dripping(drip)(server)
        source = _impatient(server, 0.4)
        with pytest.raises(ConnectionLost):
            list(source.fetch(UidSet.parse("1:3")))


def test_our_own_slowness_is_not_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    passed = [0]
    monkeypatch.setattr(wire, "monotonic", lambda: time.monotonic() + passed[0])
    with serving(b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {5}\r\nhello)\r\n" % DATE, b"TAG OK\r\n") as server:
        source = server.source()
        source.open(b"f")
        for _ in source.fetch(UidSet.parse("1:600")):
            passed[0] += 3600  # time that the destination needs
        source.noop()


def test_abort_from_another_thread_ends_a_wait() -> None:
    with serving(b"") as server:
        source = server.source(command_timeout_seconds=60)
        source.open(b"f")
        timer = threading.Timer(0.1, source.abort)
        timer.start()
        with pytest.raises(ConnectionLost) as lost:
            list(source.fetch(UidSet.parse("1")))
        timer.join()
        assert "no answer" not in str(lost.value), "it waited until its time was over"


def test_leaving_a_fetch_early_ends_the_session() -> None:
    with serving(
        b"* 1 FETCH (UID 1 FLAGS () %b BODY[] {5}\r\nhello)\r\n" % DATE,
        b"* 2 FETCH (UID 2 FLAGS () %b BODY[] {5}\r\nhello)\r\n" % DATE,
        b"TAG OK\r\n",
    ) as server:
        source = server.source()
        source.open(b"f")
        for each in source.fetch(UidSet.parse("1:2")):
            assert each.uid == Uid(1)
            break
        with pytest.raises(MailError):
            source.noop()


@pytest.mark.parametrize("divided", [True, False])
def test_a_refusal_that_repeats_a_name_with_line_breaks_costs_no_other_folder(
    monkeypatch: pytest.MonkeyPatch, *, divided: bool
) -> None:
    """Plays Dovecot, which writes the name as it is. Without the protection the line behind it would be an answer."""
    if not divided:
        monkeypatch.setattr(DividedText, "goes_on", lambda *_, **__: False)
    names = {b'"crlf&AA0ACg-x"': b"crlf\r\nx", b'"nl&AAo-x"': b"nl\nx", b'"inj&AA0ACg-* BYE"': b"inj\r\n* BYE"}

    def reply(tag: bytes, text: bytes) -> bytes | None:
        if not text.startswith(b"STATUS "):
            return None
        name = text.split(b" (")[0].removeprefix(b"STATUS ")
        if name in names:
            return b"%b NO Mailbox doesn't exist: %b (0.001 + 0.000 secs).\r\n" % (tag, names[name])
        return b"* STATUS %b (MESSAGES 1 UIDNEXT 2 UIDVALIDITY 3)\r\n%b OK done\r\n" % (name, tag)

    for one in names:
        with Scripted(reply=reply) as server:
            source = server.source()
            if not divided:
                with pytest.raises(MailError):
                    source.statuses([one.strip(b'"'), b"good"])
                continue
            refused, good = source.statuses([one.strip(b'"'), b"good"])
            assert isinstance(refused, FolderRefused)
            assert not isinstance(good, Exception)
            assert good.messages == 1
            with contextlib.suppress(FolderRefused):
                source.open(one.strip(b'"'))
            assert not isinstance(source.statuses([b"good"])[0], Exception)
