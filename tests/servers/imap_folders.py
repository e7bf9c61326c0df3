"""The scripted server's answers about folders: LIST with the extensions in use, LSUB, STATUS."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from tests.servers.imap_fetch import search
from tests.servers.imap_model import Account, Folder
from tests.servers.imap_syntax import Bad, as_string


def answer_list(account: Account, words: list[object]) -> Iterator[bytes]:
    """Answers `LIST [(SUBSCRIBED)] reference pattern|(patterns) [RETURN (... STATUS (...))]`."""
    subscribed = isinstance(words[0], list) and b"SUBSCRIBED" in [as_word(word).upper() for word in words[0]]
    if isinstance(words[0], list):
        words = words[1:]
    patterns = words[1] if isinstance(words[1], list) else [words[1]]
    returned = words[3] if len(words) > 3 and isinstance(words[3], list) else []
    wanted = next((item for item in returned if isinstance(item, list)), None)
    if patterns == [b""]:
        yield b'* LIST (\\Noselect) %b ""\r\n' % _separator(account)
        return
    matching = [_pattern(as_word(words[0]) + as_word(pattern), account.separator) for pattern in patterns]
    for folder in list(account.folders.values()):
        if not any(pattern.fullmatch(folder.name) for pattern in matching) or (subscribed and not folder.subscribed):
            continue
        attributes = (*folder.attributes, *((b"\\Subscribed",) if subscribed else ()))
        yield b"* LIST (%b) %b %b\r\n" % (b" ".join(attributes), _separator(account), as_string(folder.name))
        if wanted is not None and folder.selectable and b"\\Noselect" not in folder.attributes:
            yield answer_status(folder, [as_word(item).upper() for item in wanted])


def answer_lsub(account: Account, words: list[object]) -> Iterator[bytes]:
    """Answers LSUB with the subscribed folders."""
    pattern = _pattern(as_word(words[0]) + as_word(words[1]), account.separator)
    for folder in list(account.folders.values()):
        if folder.subscribed and pattern.fullmatch(folder.name):
            yield b"* LSUB () %b %b\r\n" % (_separator(account), as_string(folder.name))


def as_word(word: object) -> bytes:
    """Returns a word; raises `Bad` where the argument is none."""
    if not isinstance(word, bytes):
        raise Bad("a word was expected")
    return word


def uidnext(folder: Folder) -> int:
    """Returns the UIDNEXT that the folder announces."""
    return folder.uidnext if folder.announced_uidnext is None else folder.announced_uidnext


def answer_status(folder: Folder, items: list[bytes]) -> bytes:
    """Returns the answer to STATUS."""
    known: dict[bytes, Callable[[], int]] = {
        b"MESSAGES": lambda: len(folder.uids),
        b"RECENT": lambda: 0,
        b"UIDNEXT": lambda: uidnext(folder),
        b"UIDVALIDITY": lambda: folder.uidvalidity,
        b"UNSEEN": lambda: len(search(folder, [b"UNSEEN"])),
        b"SIZE": lambda: sum(len(message.body) for message in folder.messages),
        b"HIGHESTMODSEQ": lambda: folder.uidnext,
    }
    if not set(items) <= {*known, b"APPENDLIMIT"}:
        raise Bad("unknown item")
    told = {item: b"%d" % known[item]() for item in items if item in known}
    limit = folder.append_limit_bytes
    told[b"APPENDLIMIT"] = b"NIL" if limit is None else b"%d" % limit
    values = b" ".join(b"%b %b" % (item, told[item]) for item in items)
    return b"* STATUS %b (%b)\r\n" % (as_string(folder.name), values)


def _pattern(text: bytes, separator: bytes) -> re.Pattern[bytes]:
    inner = b"[^" + re.escape(separator) + b"]*" if separator else b".*"
    words = [
        b".*" if piece == b"*" else inner if piece == b"%" else re.escape(piece) for piece in re.split(rb"([*%])", text)
    ]
    return re.compile(b"".join(words), re.DOTALL)


def _separator(account: Account) -> bytes:
    return as_string(account.separator) if account.separator else b"NIL"
