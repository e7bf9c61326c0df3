"""The scripted server's APPEND and MULTIAPPEND: parsing, storing, refusing and altering messages."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.servers.imap_model import Folder, Message
from tests.servers.imap_syntax import Bad, Quoted, is_date, is_sendable_flag


class No(Exception):
    """Raised when the server refuses; holds the text of the NO."""

    def __init__(self, text: bytes) -> None:
        super().__init__(text)
        self.text = text


@dataclass
class Incoming:
    """A message of an APPEND."""

    body: bytes
    flags: tuple[bytes, ...] = ()
    internaldate: bytes | None = None


@dataclass
class AppendPolicy:
    """The destination's treatment of messages; the defaults are those of a good server."""

    #: Returns the text of a NO for a message that is refused (`b"[CANNOT] bad message"`), None for another one.
    refuse: Callable[[Incoming], bytes | None] | None = None
    #: Whether a keyword outside PERMANENTFLAGS gives NO [CANNOT]; otherwise it is silently dropped.
    refuse_keywords: bool = False
    #: Returns the date that is stored.
    alter_date: Callable[[bytes | None], bytes | None] | None = None
    #: Returns the body that is stored.
    alter_body: Callable[[bytes], bytes] | None = None
    #: Returns the flags that are stored.
    alter_flags: Callable[[tuple[bytes, ...]], tuple[bytes, ...]] | None = None
    #: Tells whether a message gets an OK without being stored.
    drop: Callable[[Incoming], bool] | None = None
    #: Whether an OK comes without APPENDUID or COPYUID, although UIDPLUS is announced.
    without_appenduid: bool = False
    #: Whether COPY keeps dates, as RFC 9051 §6.4.7 says it should.
    copy_dates: bool = True
    #: Text of a NO to every COPY; b"" for none.
    refuse_copy: bytes = b""
    #: Number by which the UIDs in APPENDUID are too high.
    wrong_appenduid: int = 0
    #: Largest message; a larger one is refused with NO [TOOBIG], before a synchronising literal is sent.
    limit_bytes: int | None = None
    #: Most bytes of the account; more is refused with NO [OVERQUOTA].
    quota_bytes: int | None = None


NOW = b"01-Jan-2026 00:00:00 +0000"


def parse(tokens: list[object], *, multi: bool) -> tuple[bytes, list[Incoming]]:
    """Returns (folder, messages) of an APPEND's words.

    Raises `Bad` when they are not one, or more than one without MULTIAPPEND.
    """
    words = list(tokens)
    name = words.pop(0) if words else None
    if not isinstance(name, bytes):
        raise Bad("folder missing")
    messages: list[Incoming] = []
    while words:
        messages.append(_one(words))
    if not messages or (len(messages) > 1 and not multi):
        raise Bad("wrong number of messages")
    return name, messages


def _one(words: list[object]) -> Incoming:
    flags: tuple[bytes, ...] = ()
    date: bytes | None = None
    word = words.pop(0)
    if isinstance(word, list):
        flags = tuple(flag for flag in word if isinstance(flag, bytes) and not isinstance(flag, Quoted))
        if len(flags) != len(word) or not all(is_sendable_flag(flag) for flag in flags):
            raise Bad("invalid flag")
        word = words.pop(0) if words else None
    if isinstance(word, Quoted) and words and isinstance(words[0], Quoted):
        if not is_date(word):
            raise Bad("invalid date")
        date = bytes(word)
        word = words.pop(0)
    if not isinstance(word, Quoted):
        raise Bad("message missing")
    return Incoming(bytes(word), flags, date)


def store(folder: Folder, messages: list[Incoming], policy: AppendPolicy, used_bytes: int) -> list[int]:
    """Stores all messages, or raises `No` and stores none. Returns the UIDs (0 for a message that was dropped)."""
    for message in messages:
        if not message.body:
            raise No(b"Can't save a zero byte message")
        if policy.limit_bytes is not None and len(message.body) > policy.limit_bytes:
            raise No(b"[TOOBIG] Message is too large")
        text = policy.refuse(message) if policy.refuse else None
        if text is not None:
            raise No(text)
        if policy.refuse_keywords and any(not _kept(folder, flag) for flag in message.flags):
            raise No(b"[CANNOT] Keywords not allowed here")
    if policy.quota_bytes is not None and used_bytes + sum(len(one.body) for one in messages) > policy.quota_bytes:
        raise No(b"[OVERQUOTA] Quota exceeded")
    with folder.lock:
        return [_add(folder, message, policy).uid for message in messages]


def _kept(folder: Folder, flag: bytes) -> bool:
    allowed = {mine.lower() for mine in folder.flags_kept}
    return flag.lower() in allowed or (not flag.startswith(b"\\") and b"\\*" in allowed)


def _add(folder: Folder, message: Incoming, policy: AppendPolicy) -> Message:
    if policy.drop is not None and policy.drop(message):
        return Message(uid=0, body=b"")
    flags = tuple(flag for flag in message.flags if _kept(folder, flag))
    date = message.internaldate if policy.alter_date is None else policy.alter_date(message.internaldate)
    body = message.body if policy.alter_body is None else policy.alter_body(message.body)
    return folder.add(body, flags if policy.alter_flags is None else policy.alter_flags(flags), date or NOW)


def appenduid(folder: Folder, uids: list[int], policy: AppendPolicy) -> bytes:
    """Returns `[APPENDUID …] `, or nothing."""
    if policy.without_appenduid or 0 in uids:
        return b""
    shown = b",".join(b"%d" % (uid + policy.wrong_appenduid) for uid in uids)
    return b"[APPENDUID %d %b] " % (folder.uidvalidity, shown)
