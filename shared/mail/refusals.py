"""What a server's NO, BAD or BYE means (RFC 5530 response codes, and the texts of servers that know none)."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from shared.errors import (
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
from shared.mail.grammar import clean_text

#: What was asked when the server refused.
Asked = Literal["login", "folder", "append", "fetch", "command"]

_CODE = re.compile(rb"\s*\[([A-Za-z][A-Za-z0-9-]*)")
_BACKOFF = re.compile(rb"suggested backoff time:\s*(\d{1,12})\s*milliseconds", re.IGNORECASE)
_CROWDED = re.compile(
    rb"too many (?:simultaneous |concurrent |open )?(?:connections|logins|sessions)|maximum number of connections"
    rb"|connection limit|too many bad|rate.?limit|throttl|command or bandwidth limits|try again later|temporar(?:il)?y",
    re.IGNORECASE,
)
_FULL = re.compile(
    rb"over\s?quota|quota (?:has been )?exceeded|mailbox (?:is )?full|exceeds? .{0,40}quota|no space left", re.I
)
_NOT_CONNECTED = re.compile(rb"authenticated but not connected", re.IGNORECASE)
# Dovecot ends its texts with how long it took: the same refusal should read the same
_TIMING = re.compile(rb" ?\(\d+\.\d+(?: \+ \d+\.\d+)+ secs\)\.?\s*\Z")

_WAIT = frozenset({"THROTTLED", "INUSE", "UNAVAILABLE", "LIMIT"})
_NO_FOLDER = frozenset({"TRYCREATE", "NONEXISTENT", "NOPERM", "READ-ONLY"})


def response_code(text: bytes) -> str:
    """The response code in upper case ("OVERQUOTA"), or "" where there is none."""
    found = _CODE.match(text)
    return found[1].decode("ascii").upper() if found else ""


def failure(
    side: str, status: str, text: bytes, *, asked: Asked = "command", what: str = "", secrets: Iterable[str] = ()
) -> MailError:
    """The error for a tagged NO or BAD, or for a BYE; `what` begins its sentence. `status` is "NO", "BAD" or "BYE"."""
    detail = clean_text(_TIMING.sub(b"", text), secrets=secrets)
    wait = _BACKOFF.search(text)
    if wait:
        return Throttled(side, what or "asked to wait", detail, wait_seconds=int(wait[1]) / 1000)
    code = response_code(text)
    if status == "BYE":
        if code in _WAIT or _CROWDED.search(text):
            return Throttled(side, what or "closed the connection and asked to wait", detail)
        return ConnectionLost(side, what or "closed the connection", detail)
    if asked == "login":
        return _login_failure(side, status, code, text, what, detail)
    if status != "NO":
        if _CROWDED.search(text) and b"throttl" in text.lower():
            return Throttled(side, what or "asked to wait", detail)
        return ProtocolViolation(side, what or "did not understand a command", detail)
    if code == "OVERQUOTA" or (side == "destination" and not code and _FULL.search(text)):
        if side == "destination":
            return OverQuota(side, what or "the mailbox is full", detail)
        return Throttled(side, what or "the traffic allowance is used up", detail)  # Gmail says so of bandwidth
    if asked == "append":
        return _append_failure(side, code, text, what, detail)
    if asked == "fetch" and code in ("UNAVAILABLE", "SERVERBUG"):
        return ServerRefused(side, what or "could not give these messages", detail)  # one rotten message (Yahoo)
    if code in _WAIT or (not code and _CROWDED.search(text)):
        return Throttled(side, what or "asked to wait", detail)
    if asked == "folder":
        return FolderRefused(side, what or "refused the folder", detail)
    return ServerRefused(side, what or "refused", detail)


def _login_failure(side: str, status: str, code: str, text: bytes, what: str, detail: str) -> MailError:
    # a named refusal counts as one even if its text asks to try later: trying again may lock the account
    named = code in (
        "AUTHENTICATIONFAILED",
        "AUTHORIZATIONFAILED",
        "EXPIRED",
        "WEBALERT",
        "PRIVACYREQUIRED",
        "CONTACTADMIN",
    )
    if not named and (code in _WAIT or _CROWDED.search(text)):
        return Throttled(side, what or "does not take another login now", detail)
    if status == "BAD" and not named and not _NOT_CONNECTED.search(text):
        return ProtocolViolation(side, what or "did not understand the login", detail)
    if code == "AUTHORIZATIONFAILED":  # RFC 5530: the login is right, and may not act for the other
        return AuthorizationRefused(side, what or "refused the login for this account", detail)
    return AuthenticationRefused(side, what or "refused the login", detail)


def _append_failure(side: str, code: str, text: bytes, what: str, detail: str) -> MailError:
    if code in ("THROTTLED", "INUSE", "UNAVAILABLE") or (not code and _CROWDED.search(text)):
        return Throttled(side, what or "asked to wait", detail)
    if code in _NO_FOLDER:
        return FolderRefused(side, what or "takes no message into this folder", detail)
    # [LIMIT] and [TOOBIG] say that the message is too big, [CANNOT] that it or a keyword can never be stored
    return MessagesRefused(side, what or "refused", detail)
