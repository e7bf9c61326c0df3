"""A POP3 conversation over one `Wire`: opening and signing in by poplib, reading by our own (RFC 1939, 2449, 2595).

poplib knows no pipelining, holds whole messages in memory and gives up on lines over 2,048 bytes. So it greets, asks for
capabilities and signs in; what is listed and read goes over the same buffer without it. Nothing here ever sends DELE.
"""

from __future__ import annotations

import base64
import poplib
import re
import ssl
import tempfile
from collections.abc import Iterator, Sequence
from itertools import islice
from typing import IO, Final

from shared.errors import (
    AuthenticationRefused,
    ConnectionLost,
    MailError,
    ProtocolViolation,
    ServerRefused,
    Throttled,
    TlsFailed,
    Unreachable,
)
from shared.mail.dialing import connect
from shared.mail.grammar import clean_text
from shared.mail.sasl import Mechanism, Proof, SaslFailed, begin, mechanisms
from shared.mail.tls import Door
from shared.mail.wire import LINE_LIMIT, Wire

#: Commands on their way at once, where the server says PIPELINING (RFC 2449 §6.6).
DEPTH: Final = 50
#: A message up to this size is read in one piece; a larger one goes by way of a file, since POP3 does not tell how long it is.
WHOLE_BYTES: Final = 512 * 1024
#: Lines of a listing at most.
_LISTING_LINES: Final = 5_000_000
_PIECE: Final = 64 * 1024
#: An initial response must fit into a command of 255 octets (RFC 5034 §4).
_INITIAL_BYTES: Final = 170
_MOST_CHALLENGES: Final = 8
_END: Final = b"\r\n.\r\n"
#: Another session has the maildrop, or had it a moment ago: it is free again in minutes (RFC 2449 §8.1.2).
_BUSY_SECONDS: Final = 60.0
_WAIT: Final = frozenset({"IN-USE", "LOGIN-DELAY", "SYS/TEMP", "UNAVAILABLE", "THROTTLED", "LIMIT"})
_BUSY: Final = re.compile(
    rb"\b(?:in use|locked|lock|busy|another (?:pop3? )?(?:session|user|client)|try again|temporar|too many|rate.?limit"
    rb"|throttl)", re.IGNORECASE
)  # fmt: skip
_CODE: Final = re.compile(rb"\s*\[([A-Za-z][A-Za-z0-9/-]*)")


class _Lines(poplib.POP3):
    """poplib's client with a `Wire` for a socket."""

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        self._wire = wire
        self.host, self.port = host, port
        self._debugging = 0
        self._tls_established = wire.encrypted
        self.welcome = self._getresp()  # type: ignore[attr-defined]

    def _putline(self, line: bytes) -> None:
        self._wire.send([line + b"\r\n"])

    def _getline(self) -> tuple[bytes, int]:
        line = self._wire.readline(LINE_LIMIT)
        return line.rstrip(b"\r\n"), len(line)


class Pop3Session:
    """One signed-in connection; used by one thread, but for `abort`."""

    def __init__(self, wire: Wire, capabilities: frozenset[str]) -> None:
        self.side = wire.side
        self.wire = wire
        #: What CAPA told after signing in, upper case.
        self.capabilities = capabilities
        self._depth = DEPTH if "PIPELINING" in capabilities else 1

    # -- listings

    def listing(self) -> tuple[list[tuple[int, int]], dict[int, bytes]]:
        """(message number, size in bytes) of LIST, and number → unique-id of UIDL, empty where there is none."""
        asked = [b"LIST", b"UIDL"]
        if self._depth > 1:
            self._send(asked)
        else:
            self._send(asked[:1])
        sizes = []
        for line in self._lines("would not list its messages"):
            number, _, size = line.partition(b" ")
            size = size.split(b" ")[0]
            if not (number.isdigit() and size.isdigit()):
                raise self._violation("listed something that is no message", line)
            sizes.append((int(number), int(size)))
        if self._depth == 1:
            self._send(asked[1:])
        try:
            # Tried whether it is announced or not: some servers have it and do not say so.
            ids = [line.partition(b" ") for line in self._lines("has no UIDL")]
        except ServerRefused:
            return sizes, {}
        return sizes, {int(number): one.strip() for number, _, one in ids if number.isdigit() and one.strip()}

    def _lines(self, what: str) -> Iterator[bytes]:
        self._status(what)
        for _ in range(_LISTING_LINES):
            line = self.wire.readline()
            if line in (b".\r\n", b".\n"):
                return
            self.wire.progress()
            yield line.rstrip(b"\r\n").removeprefix(b".") if line.startswith(b"..") else line.rstrip(b"\r\n")
        raise self._violation("listed messages without end")

    # -- messages

    def messages(
        self, commands: Sequence[bytes], refused: dict[int, MailError]
    ) -> Iterator[tuple[int, bytes | IO[bytes]]]:
        """The answers to RETR or TOP commands, in order: (place in `commands`, the message). A large one is a file, at its
        beginning, which is gone when the next one is asked for. What the server refuses is put into `refused`. Left before
        its end, it shuts the connection."""
        waiting = iter(commands)
        flying = self._send(list(islice(waiting, self._depth)))
        try:
            for place in range(len(commands)):
                self.wire.begin()
                try:
                    self._status("would not give a message")
                except ServerRefused as error:
                    refused[place] = error
                else:
                    body = self._body()
                    self.wire.progress()
                    yield place, body
                    if not isinstance(body, bytes):
                        body.close()
                flying -= 1
                if flying <= self._depth // 2:
                    flying += self._send(list(islice(waiting, self._depth - flying)))
        finally:
            if flying:
                self.wire.abort()

    def _body(self) -> bytes | IO[bytes]:
        """Up to the dot that stands alone in its line; of other lines' first dots one is taken away (RFC 1939 §3). A line
        ends with CRLF: what stands behind a bare LF was never stuffed."""
        if self.wire.comes(b".\r\n"):
            self.wire.read(3)
            return b""
        whole = self.wire.read_through(_END, WHOLE_BYTES)
        if whole is None:
            return self._filed()
        body = whole[:-3].replace(b"\r\n.", b"\r\n")
        return body[1:] if body.startswith(b".") else body

    def _filed(self) -> IO[bytes]:
        file = tempfile.TemporaryFile()  # noqa: SIM115 - whoever asked for the message closes it
        begins, last = True, b""
        while True:
            piece = self.wire.read_piece(_PIECE)
            if begins and piece.startswith(b"."):
                if piece == b".\r\n":
                    break
                piece = piece[1:]
            file.write(piece)
            begins = (last + piece[-2:])[-2:] == b"\r\n"
            last = piece[-1:] or last
        file.seek(0)
        return file

    # -- the end

    def noop(self) -> None:
        """A round trip."""
        self._send([b"NOOP"])
        self._status("refused NOOP")

    def close(self) -> None:
        """QUIT, unanswered, so that the maildrop is not locked until some time-out. Never raises."""
        try:
            self.wire.timeout_seconds = min(1.0, self.wire.timeout_seconds)
            self._send([b"QUIT"])
        except Exception:  # noqa: S110 - it is over either way
            pass
        self.wire.close()

    def _send(self, commands: Sequence[bytes]) -> int:
        if commands:
            self.wire.begin()
            self.wire.send([b"".join(command + b"\r\n" for command in commands)])
        return len(commands)

    def _status(self, what: str) -> bytes:
        line = self.wire.readline()
        if line.startswith(b"+OK"):
            return line
        if line.startswith(b"-ERR"):
            raise ServerRefused(self.side, what, clean_text(line[4:].strip()))
        raise self._violation("sent something that is no answer", line)

    def _violation(self, what: str, line: bytes = b"") -> ProtocolViolation:
        self.wire.abort()
        return ProtocolViolation(self.side, what, clean_text(line))


def open_pop3(door: Door, proof: Proof, *, command_timeout_seconds: float) -> Pop3Session:
    """Connects and signs in. Raises Unreachable, TlsFailed, AuthenticationRefused, Throttled, ProtocolViolation."""
    side = door.side
    if proof.fault:
        raise AuthenticationRefused(side, proof.fault)
    if proof.proxy:
        raise AuthenticationRefused(side, "POP3 knows no PROXYAUTH: sign in as master user by template or by PLAIN")
    context = door.context() if door.tls != "none" else None
    wire = _dial(door)
    greeted = False
    try:
        lines = _greet(wire, door, context)
        greeted = True
        wire.timeout_seconds = max(door.timeout_seconds, min(command_timeout_seconds, 60.0))
        _sign_in(lines, wire, proof)
        capabilities = _capabilities(lines)
    except ConnectionLost as error:
        wire.abort()
        if not greeted and door.tls == "none" and door.expects_tls():
            raise Unreachable(
                side, f"{door.place} speaks TLS from the first byte: give pop3s://{door.place}", error.detail
            ) from None
        raise Unreachable(side, f"{door.place} closed the connection before signing in", error.detail) from None
    except (ssl.SSLError, OSError) as error:
        wire.abort()
        if door.tls != "none" and not greeted:
            raise door.failed(error) from None
        raise Unreachable(side, f"lost the connection to {door.place}", clean_text(str(error))) from None
    except BaseException:
        wire.abort()
        raise
    wire.timeout_seconds = command_timeout_seconds
    wire.begin()
    return Pop3Session(wire, capabilities)


def _dial(door: Door) -> Wire:
    try:
        sock = connect(door.host, door.port, timeout=door.timeout_seconds)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise Unreachable(door.side, f"cannot connect to {door.place}: {clean_text(reason)}") from None
    return Wire(sock, door.side, timeout_seconds=door.timeout_seconds)


def _greet(wire: Wire, door: Door, context: ssl.SSLContext | None) -> _Lines:
    try:
        if door.tls == "tls" and context is not None:
            wire.start_tls(context, door.host)
            door.check_pin(wire.sock)
        lines = _Lines(wire, door.host, door.port)
        if door.tls == "starttls" and context is not None:
            # Not announced everywhere: asked for, and without it nothing goes on.
            lines._shortcmd("STLS")  # type: ignore[attr-defined]
            wire.start_tls(context, door.host)
            door.check_pin(wire.sock)
    except poplib.error_proto as error:
        said = _said(error)
        if (
            said.upper().startswith(b"-ERR")
            and b"STLS" not in said.upper()
            and not wire.encrypted
            and door.tls != "starttls"
        ):
            raise _login_failure(wire.side, said) from None
        if door.tls == "starttls" and said.upper().startswith(b"-ERR"):
            raise TlsFailed(
                wire.side, f"{door.place} offers no STLS; mailhaul does not go on without encryption", clean_text(said),
                advice="give a pop3s:// URL, usually port 995",
            ) from None  # fmt: skip
        raise ProtocolViolation(wire.side, f"{door.place} does not speak POP3", clean_text(said)) from None
    return lines


def _capabilities(lines: _Lines) -> frozenset[str]:
    """CAPA's names, upper case, and "SASL=PLAIN" for each mechanism; none where there is no CAPA (RFC 2449)."""
    try:
        told = lines.capa()
    except poplib.error_proto:
        return frozenset()
    names = {name.upper() for name in told}
    return frozenset(names | {f"SASL={one.upper()}" for one in told.get("SASL", ())})


def _sign_in(lines: _Lines, wire: Wire, proof: Proof) -> None:
    """One refusal, whatever it says; another mechanism is tried only before anything of the credentials was sent."""
    offered = [name.removeprefix("SASL=") for name in _capabilities(lines) if name.startswith("SASL=")]
    plain_user = not (proof.bearer or proof.authzid or proof.mechanism)
    try:
        for name in mechanisms(proof, offered, encrypted=wire.encrypted, clear=plain_user):
            mechanism = begin(name, proof)
            said = _exchange(lines, wire, mechanism)
            if not said.startswith(b"+OK"):
                raise _login_failure(wire.side, said, mechanism.said)
            if not mechanism.proved:
                wire.abort()
                raise ProtocolViolation(wire.side, f"let us in by {name} without proving that it knows the password")
            return
        if not plain_user:
            raise AuthenticationRefused(
                wire.side, "offers no way to sign in that fits these credentials", clean_text(" ".join(offered))
            )
        for command in ("USER " + proof.login, "PASS " + proof.secret.reveal()):
            lines._putline(command.encode())
            said = wire.readline().rstrip(b"\r\n")
            if not said.startswith(b"+OK"):
                raise _login_failure(wire.side, said)
    except SaslFailed as error:
        wire.abort()
        raise AuthenticationRefused(wire.side, str(error)) from None


def _exchange(lines: _Lines, wire: Wire, mechanism: Mechanism) -> bytes:
    """AUTH (RFC 5034); the last line."""
    first = mechanism.initial
    at_once = first is not None and len(first) < _INITIAL_BYTES
    command = b"AUTH " + mechanism.name.encode()
    if at_once and first is not None:
        command += b" " + (base64.b64encode(first) or b"=")
    lines._putline(command)
    for _ in range(_MOST_CHALLENGES):
        line = wire.readline().rstrip(b"\r\n")
        if not line.startswith(b"+ ") and line != b"+":
            return line
        if first is not None and not at_once:
            answer, at_once = first, True
        else:
            try:
                answer = mechanism.answer(base64.b64decode(line[2:]))
            except ValueError:
                raise SaslFailed("sent a challenge that is no base64") from None
        lines._putline(base64.b64encode(answer))
    raise SaslFailed("asked for more and more")


def _said(error: poplib.error_proto) -> bytes:
    text = error.args[0] if error.args else b""
    return text if isinstance(text, bytes) else str(text).encode()


def _login_failure(side: str, said: bytes, more: str = "") -> MailError:
    """What an -ERR to signing in means (RFC 2449 §8, RFC 3206)."""
    text = said.removeprefix(b"-ERR").strip()
    detail = ", ".join(filter(None, (clean_text(text), more)))
    found = _CODE.match(text)
    code = found[1].decode("ascii").upper() if found else ""
    if code in _WAIT or (not code and _BUSY.search(text)):
        what = "the maildrop is in use" if code == "IN-USE" else "does not take another login now"
        return Throttled(side, what, detail, wait_seconds=_BUSY_SECONDS)
    if not said.startswith(b"-ERR"):
        return ProtocolViolation(side, "sent something that is no answer", clean_text(said))
    return AuthenticationRefused(side, "refused the login", detail)
