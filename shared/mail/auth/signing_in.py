"""Signs in over IMAP: AUTHENTICATE (RFC 9051 §6.2.2, RFC 4959), LOGIN (§6.2.3), PROXYAUTH. Logs nothing.

The first refusal of the credentials counts. Another mechanism is tried only where the server says that it does not know
the one before; an answer that leaves that open counts as a refusal.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable
from typing import Final

from shared.mail.answers.grammar import clean_text, quoted_string
from shared.mail.answers.refusals import response_code
from shared.mail.answers.responses import capabilities_in
from shared.mail.auth.sasl import Mechanism, Proof, SaslFailed, begin, mechanisms
from shared.mail.transport.conversation import Conversation, Tagged
from shared.model.errors import (
    AuthenticationRefused,
    AuthorizationRefused,
    ConnectionLost,
    MailError,
    ProtocolViolation,
    Throttled,
)
from shared.model.sides import Side
from shared.wording.often_said import LET_US_IN_WITHOUT_PROVING
from shared.wording.phrases import Phrase, text_of

NO_TOKEN: Final = Phrase("no_token", "takes no OAuth 2 token: offers neither XOAUTH2 nor OAUTHBEARER")
NO_TOKEN_BUT: Final = Phrase(
    "no_token_but", "takes no OAuth 2 token: offers neither XOAUTH2 nor OAUTHBEARER (it offers {names})"
)
NO_MECHANISM: Final = Phrase("no_mechanism", "does not offer {mechanism}")
NO_MECHANISM_BUT: Final = Phrase("no_mechanism_but", "does not offer {mechanism} (it offers {names})")
NO_PASSWORD_HERE: Final = Phrase("no_password_here", "takes no password on this connection (LOGINDISABLED)")
NO_PASSWORD_HERE_BUT: Final = Phrase(
    "no_password_here_but", "takes no password on this connection (LOGINDISABLED) (it offers {names})"
)
USE_TLS: Final = Phrase("use_tls", "{what}; use imaps:// or imap+starttls://")

ASKS_FOR_EVER_MORE: Final = Phrase("asks_for_ever_more", "asks for ever more")
DOES_NOT_KNOW_PROXYAUTH: Final = Phrase("does_not_know_proxyauth", "does not know PROXYAUTH")
OFFERS_NO_AUTHENTICATE_PLAIN: Final = Phrase(
    "offers_no_authenticate_plain", "offers no AUTHENTICATE PLAIN, which signing in for another account needs"
)
CHALLENGE_NOT_BASE64: Final = Phrase("challenge_not_base64", "sent a challenge that is not base64")
ADMINISTRATOR_MAY_NOT_ACT_FOR_ACCOUNT: Final = Phrase(
    "administrator_may_not_act_for_account", "let the administrator in, but not act for this account"
)

#: Most challenges of one exchange; SCRAM has two.
_MOST_CHALLENGES: Final = 8
_PLAIN_ASTRING = re.compile(rb"[\x20-\x7e]{0,1000}")
# Adjective and noun side by side: texts of refused credentials name mechanisms too ("SASL(-13): authentication failure:
# invalid password"), and a password that is sent again by the next mechanism may lock the account.
_NO_SUCH_MECHANISM = re.compile(
    rb"\b(?:unsupported|unknown|unrecogni[sz]ed) (?:authentication |sasl |auth )*mechanism\b"
    rb"|\bmechanism (?:is )?not (?:supported|available)\b",
    re.IGNORECASE,
)
#: A NO that is about the initial response itself and not about its content.
_NO_INITIAL = re.compile(rb"\binitial[ -](?:client )?response|\bSASL-IR\b", re.IGNORECASE)
_REFUSALS: Final = frozenset({"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "WEBALERT", "CONTACTADMIN"})

_Take = Callable[[list[bytes]], None]


def sign_in(talk: Conversation, offered: frozenset[str], proof: Proof, *, encrypted: bool) -> frozenset[str]:
    """Signs in, and returns the capabilities from then on.

    Raises AuthenticationRefused, AuthorizationRefused, Throttled, ProtocolViolation, ConnectionLost.
    """
    known: list[frozenset[str]] = []

    def take(pieces: list[bytes]) -> None:
        if (found := capabilities_in(pieces[0])) is not None:
            known.append(found)

    talk.secrets += (proof.secret.reveal(),)
    text = _shown(talk, offered, proof, take, encrypted=encrypted)
    told = capabilities_in(text)
    if told is not None:
        known.append(told)
    if proof.proxy:
        _act_for(talk, proof.proxy)
    if not known:
        talk.asked = "command"
        talk.expect(talk.send(b"CAPABILITY"), take)
    return known[-1] if known else offered


def _shown(talk: Conversation, offered: frozenset[str], proof: Proof, take: _Take, *, encrypted: bool) -> bytes:
    """Shows the credentials to the server, and returns the text of the OK."""
    sasl = [name.removeprefix("AUTH=") for name in offered if name.startswith("AUTH=")]
    clear = "LOGINDISABLED" not in offered and not (proof.bearer or proof.authzid or proof.mechanism)
    last: MailError | None = None
    for name in mechanisms(proof, sasl, encrypted=encrypted, clear=clear):
        ended, mechanism, shown = _in_either_form(talk, name, proof, take, "SASL-IR" in offered)
        if ended.status == "OK":
            if not mechanism.proved:
                raise talk.violation(LET_US_IN_WITHOUT_PROVING.says(name=name))
            return ended.text
        last = _refusal(talk, ended, mechanism.said)
        if not _unavailable(ended, last, shown):
            raise last
    if clear:
        return _log_in(talk, proof, take, announced="LITERAL+" in offered)
    raise last or _nothing_fits(talk.side, offered, proof, sasl, encrypted=encrypted)


def _in_either_form(
    talk: Conversation, name: str, proof: Proof, take: _Take, announced: bool
) -> tuple[Tagged, Mechanism, bool]:
    """Runs `_exchange` with an initial response where the server announces that (SASL-IR, RFC 4959).

    It runs once more without where the server does not understand the response. An answer that may refuse the
    credentials is not followed by another attempt.
    """
    at_once = announced and not talk.broken.lacks("SASL-IR")
    try:
        ended, mechanism, shown = _exchange(talk, name, proof, take, at_once=at_once)
    except ConnectionLost as error:
        if announced:
            talk.broken.lost(["SASL-IR"], error.detail or error.what, several=False)
        raise
    speaks_first = mechanism.initial is not None
    if ended.status == "OK" and speaks_first:
        talk.broken.keeps("SASL-IR") if at_once else talk.broken.done_without(["SASL-IR"])
    if ended.status == "OK" or not (at_once and speaks_first and _about_the_form(talk, ended)):
        return ended, mechanism, shown
    words = talk.refusal(ended).detail
    again, mechanism, shown = _exchange(talk, name, proof, take, at_once=False)
    if again.status == "OK":
        talk.broken.leave_out("SASL-IR", words)
    return again, mechanism, shown


def _about_the_form(talk: Conversation, ended: Tagged) -> bool:
    """Tells whether the server refused the initial response as such."""
    if _NO_SUCH_MECHANISM.search(ended.text):
        return False
    if isinstance(talk.refusal(ended), ProtocolViolation):
        return True
    return response_code(ended.text) not in _REFUSALS and _NO_INITIAL.search(ended.text) is not None


def _exchange(
    talk: Conversation, name: str, proof: Proof, take: _Take, *, at_once: bool
) -> tuple[Tagged, Mechanism, bool]:
    """Runs one exchange. Returns how it ended, and whether anything of the credentials was sent."""
    try:
        mechanism = begin(name, proof)
        first = mechanism.initial
        command = b"AUTHENTICATE " + name.encode()
        shown = at_once and first is not None
        if shown and first is not None:
            command += b" " + (_encoded(talk, first) or b"=")
            first = None
        tag = talk.send(command)
        talk.forgive([tag])
        for _ in range(_MOST_CHALLENGES):
            challenge = talk.challenge(tag)
            if challenge is None:
                return talk.finish(tag, take), mechanism, shown
            reply, first = mechanism.answer(_decoded(challenge)) if first is None else first, None
            talk.wire.send([_encoded(talk, reply) + b"\r\n"])
            shown = True
        raise SaslFailed(ASKS_FOR_EVER_MORE.says())
    except SaslFailed as error:
        raise talk.violation(text_of(error)) from None


def _encoded(talk: Conversation, reply: bytes) -> bytes:
    """Returns the reply in base64, which the server's words must not show either."""
    text = base64.b64encode(reply)
    if len(text) >= 8:
        talk.secrets += (text.decode("ascii"),)
    return text


def _decoded(challenge: bytes) -> bytes:
    try:
        return base64.b64decode(challenge.strip(), validate=True)
    except binascii.Error:
        raise SaslFailed(CHALLENGE_NOT_BASE64.says()) from None


def _refusal(talk: Conversation, ended: Tagged, said: str) -> MailError:
    error = talk.refusal(ended)
    if said and isinstance(error, AuthenticationRefused):
        words = (error.detail, clean_text(said, secrets=talk.secrets))
        return type(error)(error.side, error.what, "; ".join(filter(None, words)))
    return error


def _unavailable(ended: Tagged, error: MailError, shown: bool) -> bool:
    """Tells whether the server refused the mechanism rather than the credentials."""
    code = response_code(ended.text)
    if isinstance(error, Throttled) or code in _REFUSALS:
        return False
    return not shown or code == "CANNOT" or _NO_SUCH_MECHANISM.search(ended.text) is not None


def _act_for(talk: Conversation, user: str) -> None:
    """Makes the session that user's from here on, by PROXYAUTH."""
    tag = talk.send(b"PROXYAUTH " + quoted_string(user.encode(), literal_plus=False))
    talk.forgive([tag])
    ended = talk.finish(tag)
    if ended.status == "BAD":
        raise AuthorizationRefused(talk.side, DOES_NOT_KNOW_PROXYAUTH.says(), talk.refusal(ended).detail)
    if ended.status != "OK":
        error = talk.refusal(ended)
        if isinstance(error, AuthenticationRefused):
            error = AuthorizationRefused(talk.side, ADMINISTRATOR_MAY_NOT_ACT_FOR_ACCOUNT.says(), error.detail)
        raise error


def _nothing_fits(
    side: Side, offered: frozenset[str], proof: Proof, sasl: list[str], *, encrypted: bool
) -> AuthenticationRefused:
    names = ", ".join(sorted(sasl))
    if proof.bearer:
        return AuthenticationRefused(side, NO_TOKEN_BUT.says(names=names) if names else NO_TOKEN.says())
    if proof.authzid:
        return AuthenticationRefused(side, OFFERS_NO_AUTHENTICATE_PLAIN.says())
    if proof.mechanism:
        lacks = NO_MECHANISM_BUT if names else NO_MECHANISM
        return AuthenticationRefused(side, lacks.says(mechanism=proof.mechanism, names=names))
    what = NO_PASSWORD_HERE_BUT.says(names=names) if names else NO_PASSWORD_HERE.says()
    return AuthenticationRefused(side, what if encrypted else USE_TLS.says(what=what))


def _log_in(talk: Conversation, proof: Proof, take: _Take, *, announced: bool) -> bytes:
    """Sends LOGIN, and returns the text of the OK.

    `announced`: whether literals need not wait (LITERAL+). Where the server does not understand that, the literals of
    the next session wait.
    """
    hurried = announced and not talk.broken.lacks("LITERAL+")
    try:
        return talk.expect(_send_login(talk, proof, hurried), take)
    except ProtocolViolation as error:
        if hurried and not all(map(_PLAIN_ASTRING.fullmatch, _shown_by(proof))):
            talk.broken.suspect("LITERAL+", error.detail)
        raise


def _shown_by(proof: Proof) -> tuple[bytes, bytes]:
    return proof.login.encode(), proof.secret.reveal().encode()


def _send_login(talk: Conversation, proof: Proof, literal_plus: bool) -> bytes:
    tag = talk.new_tag()
    parts = [tag + b" LOGIN"]
    for value in _shown_by(proof):
        if _PLAIN_ASTRING.fullmatch(value):
            parts.append(b" " + quoted_string(value))
        elif literal_plus:
            parts.append(b" {%d+}\r\n%b" % (len(value), value))
        else:
            talk.wire.send([*parts, b" {%d}\r\n" % len(value)])
            if not talk.proceed(tag):
                return tag
            parts = [value]
    talk.wire.send([*parts, b"\r\n"])
    return tag
