"""Reads what a server's NO, BAD or BYE means (RFC 5530 response codes, and the texts of servers that know none)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final, Literal

from shared.mail.answers.grammar import clean_text
from shared.mail.answers.hints import CODES, hint_in, hint_of
from shared.model.errors import (
    AuthenticationRefused,
    AuthorizationRefused,
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    OverQuota,
    ProtocolViolation,
    ServerRefused,
    Throttled,
)
from shared.model.sides import Limited, Side
from shared.wording.often_said import AUTHENTICATION_FAILED, CLOSED_CONNECTION, DOES_NOT_TAKE_ANOTHER_LOGIN
from shared.wording.phrases import Phrase

REFUSED: Final = Phrase("refused", "refused")

ADMINISTRATOR_MUST_ACT: Final = Phrase(
    "administrator_must_act", "does not let this account in until its administrator acts"
)
ASK_ADMINISTRATOR_ABOUT_THE_ACCOUNT: Final = Phrase(
    "ask_administrator_about_the_account",
    "ask the administrator of this server about the account (it may be locked); the password need not be wrong",
)
OWNER_MUST_SIGN_IN_ON_THE_WEB: Final = Phrase(
    "owner_must_sign_in_on_the_web",
    "does not let this account in until its owner has signed in on the web",
)
LET_OWNER_SIGN_IN_ONCE: Final = Phrase(
    "let_owner_sign_in_once", "let the owner sign in once on the provider's web page and do what it asks"
)
LOGIN_NEEDS_TLS: Final = Phrase("login_needs_tls", "does not take this login without TLS")
USE_IMAPS_OR_IMAP_STARTTLS: Final = Phrase(
    "use_imaps_or_imap_starttls", "use imaps:// or imap+starttls:// for this server"
)
ASKED_TO_WAIT: Final = Phrase("asked_to_wait", "asked to wait")
TRAFFIC_ALLOWANCE_IS_USED_UP: Final = Phrase("traffic_allowance_is_used_up", "the traffic allowance is used up")
CLOSED_AND_ASKED_TO_WAIT: Final = Phrase("closed_and_asked_to_wait", "closed the connection and asked to wait")
DID_NOT_UNDERSTAND_COMMAND: Final = Phrase("did_not_understand_command", "did not understand a command")
COULD_NOT_GIVE_MESSAGES: Final = Phrase("could_not_give_messages", "could not give these messages")
REFUSED_FOLDER: Final = Phrase("refused_folder", "refused the folder")
DID_NOT_UNDERSTAND_LOGIN: Final = Phrase("did_not_understand_login", "did not understand the login")
AUTHORIZATION_FAILED_FOR_THIS_ACCOUNT: Final = Phrase(
    "authorization_failed_for_this_account", "authorization failed for this account"
)
TAKES_NO_MESSAGE_INTO: Final = Phrase("takes_no_message_into", "takes no message into this folder")
MAILBOX_IS_FULL: Final = Phrase("mailbox_is_full", "the mailbox is full")

#: The kind of command that the server refused.
Asked = Literal["greeting", "login", "folder", "append", "fetch", "command"]

_CODE = re.compile(rb"\s*\[([A-Za-z][A-Za-z0-9-]*)")
# a quota, or the disk under it: Dovecot "Not enough disk space", Cyrus "over quota", Courier "You exceeded your mail
# quota", ENOSPC and EDQUOT as they are written
_FULL = re.compile(
    rb"over\s?quota|quota (?:has been |is )?exceeded|(?:mailbox|mail ?box|disk|storage|file ?system) (?:is )?full|"
    rb"exceed(?:s|ed)? .{0,40}quota|no space left|"
    rb"(?:not enough|insufficient|out of|lack of|low on) (?:free )?(?:disk |storage |system )?"
    rb"(?:space|storage|quota)|ENOSPC|EDQUOT|disk quota",
    re.I,
)
#: Codes by which a server says that the message itself, or the folder, is at fault: whatever words follow, room is not
#: the problem.
_ABOUT_THE_MESSAGE = frozenset({"TOOBIG", "CANNOT", "BADCHARSET", "UNKNOWN-CTE"})
_NOT_CONNECTED = re.compile(rb"authenticated but not connected", re.IGNORECASE)
#: A BAD that refuses the credentials all the same: sent again, they may lock the account.
_CREDENTIALS = re.compile(
    rb"(?:authenticat\w+|login|logon|sign[ -]?in) (?:has |was )?(?:failed|failure|denied|incorrect|rejected)|"
    rb"(?:invalid|incorrect|wrong|bad) (?:user|login|account|password|credential)|password (?:is )?(?:invalid|incorrect|wrong)",
    re.IGNORECASE,
)
# Dovecot ends its texts with how long it took: the same refusal should read the same.
_TIMING = re.compile(rb" ?\(\d+\.\d+(?: \+ \d+\.\d+)+ secs\)\.?\s*\Z")

_BACKOFF = re.compile(rb"suggested backoff time:", re.IGNORECASE)
_NAMED = frozenset(
    {"AUTHENTICATIONFAILED", "AUTHORIZATIONFAILED", "EXPIRED", "WEBALERT", "PRIVACYREQUIRED", "CONTACTADMIN"}
)
_NO_FOLDER = frozenset({"TRYCREATE", "NONEXISTENT", "NOPERM", "READ-ONLY"})


def response_code(text: bytes) -> str:
    """Returns the response code in upper case ("OVERQUOTA"), or "" where there is none."""
    found = _CODE.match(text)
    return found[1].decode("ascii").upper() if found else ""


#: Codes of a NO that may be about how the command was written (RFC 5530, RFC 9051 §7.1).
_FORM_CODES = frozenset({"", "CANNOT", "CLIENTBUG", "PARSE"})


def about_the_form(error: MailError, status: str, text: bytes) -> bool:
    """Tells whether another form of the same command may fare better.

    That is so after a BAD, or a NO that gives no reason by its code.
    """
    return not isinstance(error, Throttled | OverQuota) and (status == "BAD" or response_code(text) in _FORM_CODES)


def failure(
    side: Side, status: str, text: bytes, *, asked: Asked = "command", what: str = "", secrets: Iterable[str] = ()
) -> MailError:
    """Returns the error for a tagged NO or BAD, or for a BYE; `what` begins its sentence.

    `status` is "NO", "BAD" or "BYE".
    """
    detail = clean_text(_TIMING.sub(b"", text), secrets=secrets)
    code, hint = response_code(text), hint_in(text, greeting=asked == "greeting")

    def throttled(usual: str, scope: Limited | None = None) -> Throttled:
        said = hint or hint_of(code, text, greeting=asked == "greeting")
        # Who names a time is waited for. Else, where a connection is refused, those that are there may go on.
        crowded = said.crowded and said.seconds is None and asked in ("login", "greeting")
        return Throttled(side, what or usual, detail, said.seconds, scope or said.scope, crowded=crowded)

    if _BACKOFF.search(text):
        return throttled(ASKED_TO_WAIT.says())
    if status == "BYE":
        if code in CODES or hint:
            return throttled(CLOSED_AND_ASKED_TO_WAIT.says())
        return ConnectionLost(side, what or CLOSED_CONNECTION.says(), detail)
    if asked == "login":
        # a named refusal counts as one even if its text asks to try later: trying again may lock the account
        if code not in _NAMED and (code in CODES or hint):
            return throttled(DOES_NOT_TAKE_ANOTHER_LOGIN.says())
        return _login_failure(side, status, code, text, what, detail)
    if status != "NO":
        if hint and b"throttl" in text.lower():
            return throttled(ASKED_TO_WAIT.says())
        return ProtocolViolation(side, what or DID_NOT_UNDERSTAND_COMMAND.says(), detail)
    named = code in _ABOUT_THE_MESSAGE | _NO_FOLDER
    if code == "OVERQUOTA" or (side == Side.DESTINATION and not named and _FULL.search(text)):
        if side == Side.DESTINATION:
            return OverQuota(side, what or MAILBOX_IS_FULL.says(), detail)
        return throttled(TRAFFIC_ALLOWANCE_IS_USED_UP.says())  # Gmail says so of bandwidth
    if asked == "append":
        # [LIMIT] says that the message is too big
        if code in CODES - {"LIMIT"} or (not code and hint):
            return throttled(ASKED_TO_WAIT.says())
        return _append_failure(side, code, what, detail)
    if asked == "fetch" and code in ("UNAVAILABLE", "SERVERBUG"):
        return ServerRefused(side, what or COULD_NOT_GIVE_MESSAGES.says(), detail)  # one faulty message (Yahoo)
    if code in CODES or (not code and hint):
        return throttled(ASKED_TO_WAIT.says())
    if asked == "folder":
        return FolderRefused(side, what or REFUSED_FOLDER.says(), detail)
    return ServerRefused(side, what or REFUSED.says(), detail)


def _login_failure(side: Side, status: str, code: str, text: bytes, what: str, detail: str) -> MailError:
    refuses = code in _NAMED or _NOT_CONNECTED.search(text) or _CREDENTIALS.search(text)
    if status == "BAD" and not refuses:
        return ProtocolViolation(side, what or DID_NOT_UNDERSTAND_LOGIN.says(), detail)
    if code == "AUTHORIZATIONFAILED":  # RFC 5530: the login is right, and may not act for the other
        return AuthorizationRefused(side, what or AUTHORIZATION_FAILED_FOR_THIS_ACCOUNT.says(), detail)
    refused = AuthenticationRefused(side, what or BEYOND.get(code, (AUTHENTICATION_FAILED.says(), ""))[0], detail)
    refused.advice = BEYOND.get(code, ("", ""))[1]
    return refused


#: Refusals that another password does not help against (RFC 5530): what the server does, and what to do.
BEYOND: Final = {
    "CONTACTADMIN": (
        ADMINISTRATOR_MUST_ACT.says(),
        ASK_ADMINISTRATOR_ABOUT_THE_ACCOUNT.says(),
    ),
    "WEBALERT": (
        OWNER_MUST_SIGN_IN_ON_THE_WEB.says(),
        LET_OWNER_SIGN_IN_ONCE.says(),
    ),
    "PRIVACYREQUIRED": (
        LOGIN_NEEDS_TLS.says(),
        USE_IMAPS_OR_IMAP_STARTTLS.says(),
    ),
}

#: The same: what the server does → what to do.
NO_PASSWORD: Final = dict(BEYOND.values())


def _append_failure(side: Side, code: str, what: str, detail: str) -> MailError:
    if code in _NO_FOLDER:
        return FolderRefused(side, what or TAKES_NO_MESSAGE_INTO.says(), detail)
    # [LIMIT] and [TOOBIG] say that the message is too big, [CANNOT] that it or a keyword can never be stored
    refused = MessagesRefused(side, what or REFUSED.says(), detail)
    refused.of_itself = code in _ABOUT_THE_MESSAGE or code == "LIMIT"
    refused.of_the_server = code in ("SERVERBUG", "CONTACTADMIN")
    return refused
