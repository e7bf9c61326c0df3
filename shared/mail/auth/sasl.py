"""SASL mechanisms, the client's side (RFC 4422): the answers to challenges.

Protocol and transport belong to other modules.

IMAP's AUTHENTICATE and POP3's AUTH carry the same answers. A mechanism object is made for one exchange: `initial` is
what may be sent with the command (None: the server speaks first), `answer` gives the reply to each challenge, and an OK
counts only while `proved` says that the server knows what it must.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Protocol

from shared.content.json_text import read_json
from shared.mail.answers.grammar import clean_text
from shared.nouns import dataclass
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase, text_of

LOGIN_OR_PASSWORD_IS_EMPTY: Final = Phrase("login_or_password_is_empty", "login or password is empty")
LOGIN_OR_PASSWORD_HOLDS_CONTROL_CHARACTER: Final = Phrase(
    "login_or_password_holds_control_character",
    "login or password holds CR, LF, NUL or another control character, which no server takes",
)
ASKED_FOR_MORE_THAN_PLAIN_HAS: Final = Phrase("asked_for_more_than_plain_has", "asked for more than PLAIN has")
ASKED_FOR_MORE_THAN_LOGIN_HAS: Final = Phrase("asked_for_more_than_login_has", "asked for more than LOGIN has")
SENT_NO_CRAM_MD5_CHALLENGE: Final = Phrase("sent_no_cram_md5_challenge", "sent no challenge that CRAM-MD5 could answer")
LOGIN_OR_PASSWORD_DO_NOT_FIT: Final = Phrase(
    "login_or_password_do_not_fit", "login or password do not fit SCRAM: {said}"
)
DOES_NOT_SPEAK_SCRAM_AS_IT_SHOULD: Final = Phrase(
    "does_not_speak_scram_as_it_should", "does not speak SCRAM as it should: {said}"
)
TOO_MANY_ROUNDS_OF_SCRAM: Final = Phrase("too_many_rounds_of_scram", "asked for more than {num} rounds of SCRAM")

#: Most rounds of PBKDF2 that a server may ask for: more would only keep a lane busy. RFC 7677 asks for 4,096 at least.
MOST_ROUNDS: Final = 1_000_000
_ROUNDS = re.compile(r"(?:\A|,)i=(\d+)")
_UNWRITABLE = re.compile(r"[\r\n\x00]")
#: XOAUTH2 and OAUTHBEARER separate their fields by ^A.
_UNWRITABLE_BEARER = re.compile(r"[\x00-\x1f\x7f]")


class SaslFailed(Exception):
    """Raised when the server's side of the exchange makes no sense, or does not prove that it knows the password."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Proof:
    """The credentials with which a session signs in as one account."""

    #: The login as sent to the server.
    login: str
    #: A password, or with `bearer` an OAuth 2 access token.
    secret: Secret
    #: Whether the secret is a token.
    bearer: bool = False
    #: The owner of the mailbox, where PLAIN is to name one beside the login; "" for the login's own.
    authzid: str = ""
    #: The owner of the mailbox, where PROXYAUTH is to follow; "" where not.
    proxy: str = ""
    #: The only mechanism to use; "" for the best that the server offers.
    mechanism: str = ""
    #: The server's host and port, as OAUTHBEARER tells them.
    host: str = ""
    port: int = 0

    @property
    def fault(self) -> str:
        """The reason why the credentials cannot be sent at all; "" when they can.

        A text that could become a second command or field is never sent.
        """
        text = self.login + self.secret.reveal() + self.authzid + self.proxy
        if not self.login or not self.secret:
            return LOGIN_OR_PASSWORD_IS_EMPTY.says()
        if _UNWRITABLE.search(text) or (self.bearer and _UNWRITABLE_BEARER.search(text)):
            return LOGIN_OR_PASSWORD_HOLDS_CONTROL_CHARACTER.says()
        return ""


class Mechanism(Protocol):
    """An exchange of challenges and answers."""

    #: The name as the server offers it.
    name: str
    #: The bytes sent first; None: the server speaks first.
    initial: bytes | None
    #: The server's words on a refusal inside the exchange, for the operator.
    said: str

    def answer(self, challenge: bytes) -> bytes:
        """Returns the reply to a challenge; both decoded. Raises `SaslFailed`."""

    @property
    def proved(self) -> bool:
        """Tells whether an OK may be believed."""


class _Said:
    """The default attributes of all mechanisms."""

    name = ""
    initial: bytes | None = None
    said = ""
    proved = True


class Plain(_Said):
    """PLAIN (RFC 4616): authorization identity, login and password in UTF-8."""

    name = "PLAIN"

    def __init__(self, proof: Proof) -> None:
        self.initial = f"{proof.authzid}\0{proof.login}\0{proof.secret.reveal()}".encode()

    def answer(self, challenge: bytes) -> bytes:
        raise SaslFailed(ASKED_FOR_MORE_THAN_PLAIN_HAS.says())


class Login(_Said):
    """LOGIN (draft-murchison-sasl-login): the server asks for the login, then for the password."""

    name = "LOGIN"

    def __init__(self, proof: Proof) -> None:
        self._left = [proof.secret.reveal().encode(), proof.login.encode()]

    def answer(self, challenge: bytes) -> bytes:
        if not self._left:
            raise SaslFailed(ASKED_FOR_MORE_THAN_LOGIN_HAS.says())
        return self._left.pop()


class CramMd5(_Said):
    """CRAM-MD5 (RFC 2195): a digest of the server's challenge, keyed by the password."""

    name = "CRAM-MD5"

    def __init__(self, proof: Proof) -> None:
        self._proof: Proof | None = proof

    def answer(self, challenge: bytes) -> bytes:
        if self._proof is None or not challenge:
            raise SaslFailed(SENT_NO_CRAM_MD5_CHALLENGE.says())
        proof, self._proof = self._proof, None
        digest = hmac.new(proof.secret.reveal().encode(), challenge, "md5").hexdigest()
        return f"{proof.login} {digest}".encode()


class ScramSha256(_Said):
    """The mechanism SCRAM-SHA-256 (RFC 5802 and 7677), without channel binding.

    Both ends prove that they know the password, and none sends it.
    """

    name = "SCRAM-SHA-256"

    def __init__(self, proof: Proof) -> None:
        from scramp import ScramClient, ScramException  # few imports need it, and it brings a parser of certificates

        self._errors = (ScramException, ValueError)
        try:
            self._client = ScramClient([self.name], proof.login, proof.secret.reveal())
            self.initial = self._client.get_client_first().encode()
        except self._errors as error:  # characters that SASLprep forbids
            raise SaslFailed(LOGIN_OR_PASSWORD_DO_NOT_FIT.says(said=text_of(error))) from None
        self._asked = 0
        self.proved = False

    def answer(self, challenge: bytes) -> bytes:
        self._asked += 1
        text = challenge.decode("utf-8", "replace")
        try:
            if self._asked == 1:
                if (rounds := _ROUNDS.search(text)) and int(rounds[1][:12]) > MOST_ROUNDS:
                    raise SaslFailed(TOO_MANY_ROUNDS_OF_SCRAM.says(num=f"{MOST_ROUNDS:,}"))
                self._client.set_server_first(text)
                return str(self._client.get_client_final()).encode()
            if text.startswith("e="):  # RFC 5802 §7: the reason of the refusal; a NO follows
                self.said = clean_text(text.removeprefix("e="))
                return b""
            self._client.set_server_final(text)
        except self._errors as error:
            raise SaslFailed(DOES_NOT_SPEAK_SCRAM_AS_IT_SHOULD.says(said=clean_text(text_of(error)))) from None
        self.proved = True
        return b""


class XOAuth2(_Said):
    """XOAUTH2, Google's and Microsoft's: an access token. A refusal comes as a challenge of JSON, then NO."""

    name = "XOAUTH2"
    _over = b""

    def __init__(self, proof: Proof) -> None:
        self.initial = f"user={proof.login}\1auth=Bearer {proof.secret.reveal()}\1\1".encode()

    def answer(self, challenge: bytes) -> bytes:
        self.said = refusal_in(challenge)
        return self._over


class OAuthBearer(XOAuth2):
    """OAUTHBEARER (RFC 7628): an access token in GS2's syntax."""

    name = "OAUTHBEARER"
    _over = b"\1"

    def __init__(self, proof: Proof) -> None:
        login = proof.login.replace("=", "=3D").replace(",", "=2C")  # RFC 5801 §4
        place = f"host={proof.host}\1port={proof.port}\1" if proof.host else ""
        self.initial = f"n,a={login},\1{place}auth=Bearer {proof.secret.reveal()}\1\1".encode()


def refusal_in(challenge: bytes) -> str:
    """Returns the JSON of a refused token in words: ``status 401, scope https://mail.google.com/``."""
    try:
        found = read_json(challenge)
    except ValueError:
        found = None
    if not isinstance(found, Mapping):
        return clean_text(challenge)
    return clean_text(", ".join(f"{name} {value}" for name, value in found.items() if value))


_KNOWN: Final[Mapping[str, Callable[[Proof], Mechanism]]] = {
    known.name: known for known in (Plain, Login, CramMd5, ScramSha256, XOAuth2, OAuthBearer)
}
#: Mechanisms that the operator may ask for instead of the best one.
PASSWORD_MECHANISMS: Final = (Plain.name, ScramSha256.name, CramMd5.name, Login.name)
_BEARER: Final = (XOAuth2.name, OAuthBearer.name)
#: The order over TLS: the simplest first, since it takes every password and one round trip.
_SECURE: Final = (Plain.name, ScramSha256.name, Login.name, CramMd5.name)
#: The order without TLS: first those that do not show the password.
_BARE: Final = (ScramSha256.name, CramMd5.name, Plain.name, Login.name)


def mechanisms(proof: Proof, offered: Iterable[str], *, encrypted: bool, clear: bool) -> tuple[str, ...]:
    """Returns those of the mechanisms `offered` ("PLAIN", …) that can carry this proof, best first.

    `clear`: whether the protocol's own LOGIN or USER may be used after them. Under TLS it goes before CRAM-MD5, which
    many servers offer and cannot check, since they do not have the password itself.
    """
    there = {name.upper() for name in offered}
    if proof.bearer:
        order: tuple[str, ...] = _BEARER
    elif proof.authzid:
        order = (Plain.name,)
    elif proof.mechanism:
        order = (proof.mechanism,)
    else:
        order = _SECURE[: -1 if clear else None] if encrypted else _BARE
    return tuple(name for name in order if name in there)


def begin(name: str, proof: Proof) -> Mechanism:
    """Returns the mechanism, ready for one exchange. Raises `SaslFailed`."""
    return _KNOWN[name](proof)
