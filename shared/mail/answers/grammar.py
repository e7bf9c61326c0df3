"""Writes folder names, flags and strings into commands (RFC 3501 §9, RFC 9051 §9).

Strict, since a hostile source chooses flags and names, and one stray CRLF would be a command at the destination.

Nothing here decodes a folder name. A value that cannot be written safely raises ValueError; it is never repaired in
silence.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Final

from shared.mail.answers.bounds import KEYWORDS_BYTES
from shared.wording.masking import masked
from shared.wording.often_said import FLAG_NOT_ATOM_DROPPED
from shared.wording.phrases import Phrase, Sentence

CR_LF_OR_NUL_CANNOT_BE_SENT: Final = Phrase("cr_lf_or_nul_cannot_be_sent", "CR, LF or NUL cannot be part of a command")
FOLDER_NAME_CANNOT_BE_EMPTY: Final = Phrase("folder_name_cannot_be_empty", "a folder name cannot be empty")
NOT_FLAG: Final = Phrase("not_flag", "not a flag: {said}")
UNKNOWN_SYSTEM_FLAG_DROPPED: Final = Phrase("unknown_system_flag_dropped", "unknown system flag, dropped: {said}")
MORE_FLAGS_DROPPED: Final = Phrase("more_flags_dropped", "more flags, dropped: {n}")
TOO_MANY_KEYWORDS_DROPPED: Final = Phrase("too_many_keywords_dropped", "one keyword too many, dropped: {said}")

#: Longest keyword that is passed on. Dovecot takes 50 characters, Cyrus and pymap 300; past this it is not a keyword.
KEYWORD_LIMIT = 255

#: Most characters of a text for people.
TEXT_LIMIT = 300

#: Most odd flags of one message that are named; the others are counted.
NAMED_FLAGS: Final = 8

#: Bytes of the longest list of flags that is remembered.
_CACHED_BYTES: Final = 512

_SYSTEM = {flag.lower(): flag for flag in ("\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted")}

# atom-specials of RFC 3501: ( ) { SP CTL % * " \ ]  and everything that is not ASCII
_ATOM = re.compile(r"[!#$&'+,\-./0-9:;<=>?@A-Z\[^_`a-z|}~]+", re.ASCII)
_UNWRITABLE = re.compile(rb"[\r\n\x00]")
_QUOTED_ONLY = re.compile(rb"[\x01-\x7f]*")


def quoted_string(value: bytes, *, literal_plus: bool = False) -> bytes:
    """Returns `value` as a quoted string, or as a non-synchronising literal.

    It is a literal where the value is not 7-bit and the server takes those.

    Without LITERAL+ an 8-bit value goes into a quoted string all the same: that is how the servers that have such names
    write them. Raises ValueError for CR, LF or NUL, which neither form could carry without risk.
    """
    if _UNWRITABLE.search(value):
        raise ValueError(CR_LF_OR_NUL_CANNOT_BE_SENT.says())
    if literal_plus and not _QUOTED_ONLY.fullmatch(value):
        return b"{%d+}\r\n%b" % (len(value), value)
    return b'"' + value.replace(b"\\", b"\\\\").replace(b'"', b'\\"') + b'"'


def quoted_folder(name: bytes, *, literal_plus: bool = False) -> bytes:
    """Returns a folder name for a command, as `quoted_string` does. Raises ValueError for an empty name."""
    if not name:
        raise ValueError(FOLDER_NAME_CANNOT_BE_EMPTY.says())
    return quoted_string(name, literal_plus=literal_plus)


def is_keyword(flag: str) -> bool:
    """Tells whether the flag is a keyword that can be written: an atom (RFC 9051 §9 flag-keyword), not too long."""
    return len(flag) <= KEYWORD_LIMIT and _ATOM.fullmatch(flag) is not None


def system_flag(flag: str) -> str | None:
    r"""Returns \Seen, \Answered, \Flagged, \Draft or \Deleted in its usual spelling; None for anything else."""
    return _SYSTEM.get(flag.lower())


def clean_flags(found: Iterable[bytes]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    r"""Returns the flags that can be passed on, in order, each once, and what was odd about the others.

    \Recent is dropped without a remark.
    """
    flags: dict[str, str] = {}
    odd: list[tuple[Phrase, bytes]] = []
    room = KEYWORDS_BYTES
    for raw in found:
        text = raw.decode("latin-1")
        if text.startswith("\\"):
            known = system_flag(text)
            if known:
                flags.setdefault(known.lower(), known)
            elif text.lower() != "\\recent":
                odd.append((UNKNOWN_SYSTEM_FLAG_DROPPED, raw))
        elif not is_keyword(text):
            odd.append((FLAG_NOT_ATOM_DROPPED, raw))
        elif len(text) <= room:
            room -= len(text) if text.lower() not in flags else 0
            flags.setdefault(text.lower(), text)
        else:
            odd.append((TOO_MANY_KEYWORDS_DROPPED, raw))
    return tuple(flags.values()), named_few(odd)


def named_few(odd: Sequence[tuple[Phrase, bytes]]) -> tuple[str, ...]:
    """Returns the remarks on dropped flags of one message: the first ones, and how many more there were."""
    named = tuple(what.says(said=clean_text(flag, limit=60)) for what, flag in odd[:NAMED_FLAGS])
    more = len(odd) - len(named)
    return (*named, MORE_FLAGS_DROPPED.says(n=more)) if more else named


def flags_in(raw: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns `clean_flags` of the flags between the parentheses; nearly every message has the flags of another."""
    return _flags_in(raw) if len(raw) <= _CACHED_BYTES else clean_flags(raw.split())


@lru_cache(4096)
def _flags_in(raw: bytes) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return clean_flags(raw.split())


def flag_list(flags: Iterable[str]) -> bytes:
    r"""Returns the flags as `(\Seen Work)`.

    Raises ValueError for anything that is not one of the five system flags or a keyword.
    """
    for flag in flags:
        if system_flag(flag) is None and not is_keyword(flag):
            raise ValueError(NOT_FLAG.says(said=clean_text(flag, limit=60)))
    return b"(" + " ".join(flags).encode("ascii") + b")"


def clean_text(text: bytes | str, *, limit: int = TEXT_LIMIT, secrets: Iterable[str] = ()) -> str:
    """Returns a server's words, fit to be shown, at most `limit` characters of them.

    They are UTF-8 as far as the server's words are, without control or invisible characters, and with secrets as ***.
    A sentence of mailhaul stays: its places hold words that were cleaned.
    """
    if isinstance(text, Sentence):
        return text
    shown = text.decode("utf-8", "replace") if isinstance(text, bytes) else text
    hidden = [secret for secret in secrets if secret]
    shown = masked(shown[: limit * 40], hidden)
    shown = shown[: limit * 20]
    if not shown.isprintable():
        # categories Cc, Cf (bidi marks), Cs, Co, Cn: nothing a person could read, much that could deceive a terminal
        shown = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in shown)
    shown = masked(" ".join(shown.split()), hidden)
    return shown if len(shown) <= limit else shown[: limit - 1] + "…"
