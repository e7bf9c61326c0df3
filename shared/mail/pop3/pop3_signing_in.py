"""Opens a POP3 conversation and signs in, by poplib (RFC 1939, 2449, 2595, 5034).

poplib opens the conversation over our `Wire`, under names that it does not promise. Its constructor connects, so ours takes its
place, and fills what it would have (`_debugging`, `_tls_established`, and by `_getresp` the greeting). `_putline` and `_getline`
are the only places in which it can be given another connection, and `_shortcmd` the only way to send what it has no method for.
"""

from __future__ import annotations

import base64
import poplib
import re
import ssl
from collections.abc import Iterable, Sequence
from typing import Final

from shared.mail.answers.bounds import OPENING_BYTES
from shared.mail.answers.grammar import clean_text
from shared.mail.answers.hints import POP3_CODES, hint_of
from shared.mail.auth.sasl import Mechanism, Proof, SaslFailed, begin, mechanisms
from shared.mail.pop3.pop3_conversation import Pop3Session
from shared.mail.transport.dialing import cause_of, connect
from shared.mail.transport.tls import Door
from shared.mail.transport.wire import LINE_LIMIT, Wire
from shared.model.errors import (
    AuthenticationRefused,
    ConnectionLost,
    MailError,
    ProtocolViolation,
    Throttled,
    TlsFailed,
    Unreachable,
)
from shared.model.sides import Side
from shared.wording.often_said import (
    AUTHENTICATION_FAILED,
    CANNOT_CONNECT,
    CLOSED_BEFORE_SIGNING_IN,
    DOES_NOT_SPEAK,
    DOES_NOT_TAKE_ANOTHER_LOGIN,
    LET_US_IN_WITHOUT_PROVING,
    LOST_CONNECTION,
    SENT_FAR_MORE_BYTES_THAN_USUAL,
    SENT_NO_ANSWER,
)
from shared.wording.phrases import Phrase, text_of

ASKED_FOR_MORE_AND_MORE: Final = Phrase("asked_for_more_and_more", "asked for more and more")
POP3_KNOWS_NO_PROXYAUTH: Final = Phrase(
    "pop3_knows_no_proxyauth", "POP3 knows no PROXYAUTH: sign in as master user by template or by PLAIN"
)
TURNED_US_AWAY_BEFORE: Final = Phrase("turned_us_away_before", "{place} turned us away before signing in")
MAILDROP_IS_IN_USE: Final = Phrase("maildrop_is_in_use", "the maildrop is in use")
OFFERS_NO_WAY_TO_SIGN: Final = Phrase("offers_no_way_to_sign", "offers no way to sign in that fits these credentials")
OFFERS_NO_STLS_MAILHAUL: Final = Phrase(
    "offers_no_stls_mailhaul", "{place} offers no STLS; mailhaul does not go on without encryption"
)
GIVE_POP3S_URL_USUALLY: Final = Phrase("give_pop3s_url_usually", "give a pop3s:// URL, usually port 995")
POP3_CHALLENGE_NOT_BASE64: Final = Phrase("pop3_challenge_not_base64", "sent a challenge that is no base64")

#: An initial response must fit into a command of 255 octets (RFC 5034 §4).
_INITIAL_BYTES: Final = 170
_MOST_CHALLENGES: Final = 8
#: Length below which a base64 text is no secret, and may be a word.
_SHORT: Final = 8
#: Seconds to wait while another session has the maildrop, or had it a moment ago: it is free again in minutes (RFC 2449
#: §8.1.2).
_BUSY_SECONDS: Final = 60.0
#: The words of servers without response codes that say so.
_BUSY: Final = re.compile(
    rb"\b(?:in use|locked|lock|busy|another (?:pop3? )?(?:session|user|client)|try again|temporar|too many|rate.?limit"
    rb"|throttl)",
    re.IGNORECASE,
)
#: The words that say that the login is refused, whatever else they say: asked again, the account may be locked.
_REFUSED: Final = re.compile(
    rb"password|passwd|credential|incorrect|invalid|denied|wrong|no such|unknown|disabled|suspended|not (?:allowed|permitted|exist)"
    rb"|(?:auth\w*|log-?[io]n|sign-?[io]n)[ -]+(?:\w+ )?fail|fail\w* (?:\w+ )?(?:auth|log-?[io]n)",
    re.IGNORECASE,
)
_DELAY: Final = "LOGIN-DELAY="
_CODE: Final = re.compile(rb"\s*\[([A-Za-z][A-Za-z0-9/-]*)")


class _Lines(poplib.POP3):
    """poplib's client with a `Wire` for a socket."""

    def __init__(self, wire: Wire, host: str, port: int) -> None:
        self._wire, self._room = wire, OPENING_BYTES
        self.host, self.port = host, port
        self._debugging = 0
        self._tls_established = wire.encrypted
        self.welcome = self._getresp()  # type: ignore[attr-defined]

    def _putline(self, line: bytes) -> None:
        self._wire.send([line + b"\r\n"])

    def _getline(self) -> tuple[bytes, int]:
        line = self._wire.readline(LINE_LIMIT)
        self._room -= len(line)  # poplib keeps every line of an answer
        if self._room < 0:
            self._wire.abort()
            raise ProtocolViolation(self._wire.side, SENT_FAR_MORE_BYTES_THAN_USUAL.says(most=OPENING_BYTES))
        return line.rstrip(b"\r\n"), len(line)


def open_pop3(door: Door, proof: Proof, *, command_timeout_seconds: float) -> Pop3Session:
    """Connects and signs in. Raises Unreachable, TlsFailed, AuthenticationRefused, Throttled, ProtocolViolation."""
    side = door.side
    if proof.fault:
        raise AuthenticationRefused(side, proof.fault)
    if proof.proxy:
        raise AuthenticationRefused(side, POP3_KNOWS_NO_PROXYAUTH.says())
    try:
        return _opened(door, proof, command_timeout_seconds, in_utf8=True)
    except _LostAtUtf8:
        return _opened(door, proof, command_timeout_seconds, in_utf8=False)


class _LostAtUtf8(Exception):
    """Raised when the server closes the connection at UTF8, before it knows any credentials."""


def _opened(door: Door, proof: Proof, command_timeout_seconds: float, *, in_utf8: bool) -> Pop3Session:
    """Connects and signs in. `in_utf8`: asks for UTF8 where it is announced."""
    side = door.side
    context = door.context() if door.tls != "none" else None
    wire = _dial(door)
    greeted = False
    secrets = [proof.secret.reveal()]
    try:
        lines = _greet(wire, door, context)
        greeted = True
        wire.timeout_seconds = max(door.timeout_seconds, min(command_timeout_seconds, 60.0))
        capable = _capabilities(lines)
        if in_utf8 and "UTF8" in capable:
            _ask_for_utf8(lines)
        _sign_in(lines, wire, proof, capable, secrets)
        capabilities = _capabilities(lines)
    except ConnectionLost as error:
        wire.abort()
        if not greeted and door.tls != "tls" and not error.detail and door.expects_tls():
            raise door.wants_tls() from None
        raise Unreachable(side, CLOSED_BEFORE_SIGNING_IN.says(place=door.place), error.detail) from None
    except (ssl.SSLError, OSError) as error:
        wire.abort()
        if door.tls != "none" and not greeted:
            raise door.failed(error) from None
        raise Unreachable(side, LOST_CONNECTION.says(place=door.place), clean_text(text_of(error))) from None
    except BaseException:
        wire.abort()
        raise
    wire.timeout_seconds = command_timeout_seconds
    wire.begin()
    return Pop3Session(wire, capabilities, secrets)


def _dial(door: Door) -> Wire:
    try:
        sock = connect(door.host, door.port, timeout=door.timeout_seconds)
    except (OSError, UnicodeError) as error:
        raise Unreachable(door.side, CANNOT_CONNECT.says(place=door.place, cause=cause_of(error))) from None
    return Wire(sock, door.side, timeout_seconds=door.timeout_seconds)


def _greet(wire: Wire, door: Door, context: ssl.SSLContext | None) -> _Lines:
    try:
        if door.tls == "tls" and context is not None:
            wire.start_tls(context, door.host)
            door.check_pin(wire.sock)
        door.check_silence(wire.sock)
        try:
            lines = _Lines(wire, door.host, door.port)
        except poplib.error_proto as error:
            said = _said(error)
            if said.upper().startswith(b"-ERR"):
                raise _turned_away(door, said) from None
            door.check_greeting(said)
            raise
        if door.tls == "starttls" and context is not None:
            # Not announced everywhere: it is asked for, and without it nothing goes on.
            lines._shortcmd("STLS")  # type: ignore[attr-defined]
            wire.start_tls(context, door.host)
            door.check_pin(wire.sock)
    except poplib.error_proto as error:
        said = _said(error)
        if door.tls == "starttls" and said.upper().startswith(b"-ERR"):
            raise TlsFailed(
                wire.side,
                OFFERS_NO_STLS_MAILHAUL.says(place=door.place),
                clean_text(said),
                advice=GIVE_POP3S_URL_USUALLY.says(),
            ) from None
        raise ProtocolViolation(
            wire.side, DOES_NOT_SPEAK.says(place=door.place, protocol="POP3"), clean_text(said)
        ) from None
    return lines


def _capabilities(lines: _Lines) -> frozenset[str]:
    """Returns CAPA's names, upper case; none where there is no CAPA (RFC 2449).

    Each mechanism is among them in the form of "SASL=PLAIN", and the delay is "LOGIN-DELAY=n".
    """
    try:
        told = lines.capa()
    except (poplib.error_proto, IndexError, UnicodeDecodeError):  # poplib splits and decodes whatever comes
        return frozenset()
    names = {name.upper() for name in told}
    delays = {f"{_DELAY}{one}" for one in told.get("LOGIN-DELAY", ())[:1]}
    return frozenset(names | delays | {f"SASL={one.upper()}" for one in told.get("SASL", ())})


def _ask_for_utf8(lines: _Lines) -> None:
    """Asks for the messages as they are (RFC 6856 §2.1, §4); a refusal changes nothing. Raises `_LostAtUtf8`.

    Otherwise a server may give a notice in place of each message with 8-bit bytes in its header, as Courier does.
    """
    try:
        lines.utf8()
    except poplib.error_proto:
        pass
    except (ConnectionLost, OSError) as error:
        raise _LostAtUtf8 from error


def _sign_in(lines: _Lines, wire: Wire, proof: Proof, capable: frozenset[str], secrets: list[str]) -> None:
    """Signs in.

    The first refusal counts, whatever it says; another mechanism is tried only before anything of the credentials was
    sent. `capable` is what the server can do. `secrets` are the texts that the server's words must not show; what is
    sent in base64 is added to them.
    """
    offered = [name.removeprefix("SASL=") for name in capable if name.startswith("SASL=")]
    plain_user = not (proof.bearer or proof.authzid or proof.mechanism)
    try:
        for name in mechanisms(proof, offered, encrypted=wire.encrypted, clear=plain_user):
            mechanism = begin(name, proof)
            said = _exchange(lines, wire, mechanism, secrets)
            if not said.startswith(b"+OK"):
                raise _login_failure(wire.side, said, mechanism.said, offered=capable, secrets=secrets)
            if not mechanism.proved:
                wire.abort()
                raise ProtocolViolation(wire.side, LET_US_IN_WITHOUT_PROVING.says(name=name))
            return
        if not plain_user:
            raise AuthenticationRefused(wire.side, OFFERS_NO_WAY_TO_SIGN.says(), clean_text(" ".join(offered)))
        for command in ("USER " + proof.login, "PASS " + proof.secret.reveal()):
            lines._putline(command.encode())
            said = wire.readline().rstrip(b"\r\n")
            if not said.startswith(b"+OK"):
                raise _login_failure(wire.side, said, offered=capable, secrets=secrets)
    except SaslFailed as error:
        wire.abort()
        raise AuthenticationRefused(wire.side, text_of(error)) from None


def _exchange(lines: _Lines, wire: Wire, mechanism: Mechanism, secrets: list[str]) -> bytes:
    """Runs AUTH (RFC 5034), and returns the last line."""
    first = mechanism.initial
    at_once = first is not None and len(first) < _INITIAL_BYTES
    command = b"AUTH " + mechanism.name.encode()
    if at_once and first is not None:
        command += b" " + (_encoded(first, secrets) or b"=")
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
                raise SaslFailed(POP3_CHALLENGE_NOT_BASE64.says()) from None
        lines._putline(_encoded(answer, secrets))
    raise SaslFailed(ASKED_FOR_MORE_AND_MORE.says())


def _encoded(reply: bytes, secrets: list[str]) -> bytes:
    text = base64.b64encode(reply)
    if len(text) >= _SHORT:
        secrets.append(text.decode("ascii"))
    return text


def _said(error: poplib.error_proto) -> bytes:
    text = error.args[0] if error.args else b""
    return text if isinstance(text, bytes) else str(text).encode()


def _turned_away(door: Door, said: bytes) -> MailError:
    """Returns the error that an -ERR for a greeting means.

    Nothing of the credentials was sent, so the answer says nothing about them.
    """
    failure = _login_failure(door.side, said, greeting=True)
    if isinstance(failure, AuthenticationRefused):
        return Unreachable(door.side, TURNED_US_AWAY_BEFORE.says(place=door.place), failure.detail)
    return failure


def _login_failure(
    side: Side,
    said: bytes,
    more: str = "",
    *,
    greeting: bool = False,
    offered: Iterable[str] = (),
    secrets: Sequence[str] = (),
) -> MailError:
    """Returns the error that an -ERR to signing in means (RFC 2449 §8, RFC 3206).

    `offered` are the capabilities, which tell the seconds that must lie between two logins.
    """
    text = said.removeprefix(b"-ERR").strip()
    detail = ", ".join(filter(None, (clean_text(one, secrets=secrets) for one in (text, more))))
    found = _CODE.match(text)
    code = found[1].decode("ascii").upper() if found else ""
    busy = not code and _BUSY.search(text) and not _REFUSED.search(text)
    if code in POP3_CODES or busy:
        what = MAILDROP_IS_IN_USE.says() if code == "IN-USE" else DOES_NOT_TAKE_ANOTHER_LOGIN.says()
        hint = hint_of(code, text, greeting=greeting)
        told = [one.removeprefix(_DELAY) for one in offered if one.startswith(_DELAY) and code == "LOGIN-DELAY"]
        delay = max((int(seconds) for seconds in told if seconds.isdecimal()), default=0)
        return Throttled(side, what, detail, hint.seconds or max(delay, _BUSY_SECONDS), hint.scope)
    if not said.startswith(b"-ERR"):
        return ProtocolViolation(side, SENT_NO_ANSWER.says(), clean_text(said, secrets=secrets))
    return AuthenticationRefused(side, AUTHENTICATION_FAILED.says(), detail)
