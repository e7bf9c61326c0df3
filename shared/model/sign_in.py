"""The ways to sign in to the accounts of one side. No secret stands here: secrets are sealed (`shared.runtime.credentials`)."""

from __future__ import annotations

import json
import re
from enum import StrEnum
from typing import Final, Self

from shared.content.json_text import read_json
from shared.nouns import dataclass


class Way(StrEnum):
    """The kinds of proof that a server is shown for an account."""

    #: The account's own login and password (an app password is one).
    PASSWORD = "password"  # noqa: S105
    #: An administrator's password, with a login made of both names: Dovecot's ``user*admin``, Exchange's ``admin\user``.
    MASTER = "master"
    #: An administrator's login and password, and the account as PLAIN's authorization identity (RFC 4616).
    AUTHZID = "authzid"
    #: An administrator's login and password, then ``PROXYAUTH user`` (Sun, Oracle, Courier).
    PROXYAUTH = "proxyauth"
    #: An OAuth 2 access token that was given.
    TOKEN = "token"  # noqa: S105
    #: Tokens of a Google service account with domain-wide delegation.
    GOOGLE = "google"
    #: Tokens of a Microsoft 365 app registration (client credentials).
    MICROSOFT = "microsoft"
    #: Tokens that a program prints.
    COMMAND = "command"


#: Ways that need an administrator's login.
BY_ADMIN: Final = frozenset({Way.MASTER, Way.AUTHZID, Way.PROXYAUTH})
#: Ways that end in an OAuth 2 token.
BY_TOKEN: Final = frozenset({Way.TOKEN, Way.GOOGLE, Way.MICROSOFT, Way.COMMAND})
#: Ways whose tokens expire and are fetched anew.
BY_ISSUER: Final = BY_TOKEN - {Way.TOKEN}

#: The login that a master user has in Dovecot with ``auth_master_user_separator = *``.
USUAL_TEMPLATE: Final = "{user}*{admin}"

_BLANK = re.compile(r"\{(user|local|domain|admin)\}")


@dataclass(frozen=True, kw_only=True, slots=True)
class SignIn:
    """The way to sign in to one side, where a row of the manifest gives no password of its own."""

    #: The way.
    way: Way = Way.PASSWORD
    #: The administrator's login; "" for ways without one.
    admin: str = ""
    #: The way's own parameter: a SASL mechanism (password), the login's template (master), a scope (google), a tenant
    #: (microsoft), a command line (command); "" for the usual one.
    detail: str = ""

    @property
    def text(self) -> str:
        """Returns all fields as text, to which the secret that belongs to them is bound."""
        return json.dumps([self.way, self.admin, self.detail])

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads what `text` wrote. Raises ValueError."""
        way, admin, detail = read_json(text)
        return cls(way=Way(way), admin=str(admin), detail=str(detail))

    @property
    def shared(self) -> bool:
        """Tells whether one password is for all accounts, so that its refusal concerns them all."""
        return self.way in BY_ADMIN

    @property
    def own(self) -> SignIn:
        """Returns the way to sign in for an account that was given a password or a token of its own.

        It is a token of its own where the import uses given tokens.
        """
        return self if self.way in (Way.PASSWORD, Way.TOKEN) else SignIn()

    def login_of(self, user: str) -> str:
        """Returns the login that is sent for `user`."""
        if self.way is Way.MASTER:
            local, _, domain = user.rpartition("@") if "@" in user else (user, "", "")
            blanks = {"user": user, "local": local, "domain": domain, "admin": self.admin}
            # One pass over the template: braces inside a login are not filled in.
            return _BLANK.sub(lambda found: blanks[found[1]], self.detail or USUAL_TEMPLATE)
        return self.admin if self.way in BY_ADMIN else user


class TurnState(StrEnum):
    """The answers to whether a login may be tried now. The store's scripts give the same words."""

    #: It let in before, so every lane may.
    PROVED = "proved"
    #: Only this holder may.
    TRIAL = "trial"
    #: Another holder tries it just now.
    WAIT = "wait"
    #: It was refused, and is not tried before a person acts.
    REFUSED = "refused"
    #: The first logins of its server were all refused, so this one is not tried either.
    STOPPED = "stopped"


class LoginResult(StrEnum):
    """The ways in which a try to sign in ends."""

    #: The server let in. Mailboxes that were stopped at that server go on.
    IN = "in"
    #: The server refused the login.
    REFUSED = "refused"
    #: The server refused it for a reason that says nothing of others' logins.
    ALONE = "alone"
    #: It is not known.
    UNKNOWN = "unknown"


class RefusalMeaning(StrEnum):
    """The meanings of a login's refusal."""

    #: The try was no refusal.
    NONE = ""
    #: This login is not tried again.
    REFUSED = "refused"
    #: A shared login that let others in was refused for one mailbox; after `MOST_DOUBTS` in a row it is refused too.
    ONE = "one"
    #: It let in before, and other connections of the account are open: one more try decides.
    DOUBTED = "doubted"


@dataclass(frozen=True, kw_only=True, slots=True)
class LoginTurn:
    """The answer to whether a login may be tried now."""

    #: The answer.
    state: TurnState
    #: For `WAIT`: how long the other holder has time at most, seconds from now.
    wait_seconds: float = 0.0
    #: For `REFUSED`: the server's words.
    words: str = ""
