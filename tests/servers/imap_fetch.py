"""The scripted server's FETCH with all its faults, SEARCH and STORE."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from datetime import datetime

from tests.servers.imap_model import Folder, Message, Quirk
from tests.servers.imap_syntax import Bad, as_string, compress, number_set

_SECTION = re.compile(rb"BODY(?:\.PEEK)?\[(.*?)\](?:<(\d+)\.(\d+)>)?\Z", re.IGNORECASE | re.DOTALL)
_MACROS = {
    b"ALL": [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"],
    b"FAST": [b"FLAGS", b"INTERNALDATE", b"RFC822.SIZE"],
}
#: FETCH items of X-GM-EXT-1.
GMAIL_ITEMS = (b"X-GM-MSGID", b"X-GM-THRID", b"X-GM-LABELS")
#: Announced size of a literal that no client may read to its end.
FOUR_GIB = 4_294_967_296


class Hang(Exception):
    """Raised to send what was yielded and then nothing until the server stops; `close` ends the connection instead."""

    def __init__(self, *, close: bool) -> None:
        super().__init__("hang")
        self.close = close


def fetch_items(tokens: list[object]) -> list[bytes]:
    """Returns the items of a FETCH command, in upper case but for sections. Raises `Bad` for an unknown one."""
    words = tokens[0] if tokens and isinstance(tokens[0], list) else tokens[:1]
    items: list[bytes] = []
    for word in words if isinstance(words, list) else []:
        if not isinstance(word, bytes):
            raise Bad("not an item")
        items += _MACROS.get(word.upper(), [word])
    if not items:
        raise Bad("no items")
    for item in items:
        known = item.upper() in (
            b"FLAGS",
            b"UID",
            b"INTERNALDATE",
            b"RFC822.SIZE",
            b"MODSEQ",
            b"RFC822",
            b"RFC822.HEADER",
            *GMAIL_ITEMS,
        )
        if not known and not _SECTION.match(item):
            raise Bad(f"unknown item {item!r}")
    return items


def answer_fetch(folder: Folder, uids: list[int], items: list[bytes], *, by_uid: bool) -> Iterator[bytes]:
    """Yields the untagged answers, one for each message."""
    numbers = {uid: number for number, uid in enumerate(folder.uids, 1)} if len(uids) > 50 else None
    if by_uid and b"UID" not in [item.upper() for item in items]:
        items = [b"UID", *items]
    for uid in uids:
        message = folder.get(uid)
        if message is None or Quirk.MISSING in message.quirks:
            continue
        number = numbers[uid] if numbers is not None else folder.uids.index(uid) + 1
        if Quirk.UNSOLICITED in message.quirks:
            yield b"* %d FETCH (FLAGS (\\Deleted unsolicited))\r\n" % number
        for _ in range(2 if Quirk.TWICE in message.quirks else 1):
            yield from _one(message, number, items)


def _one(message: Message, number: int, items: list[bytes]) -> Iterator[bytes]:
    words: list[bytes] = []
    for item in items:
        word = _item(message, item)
        if word is None:
            continue
        if item.upper().startswith(b"BODY") and item.endswith(b"[]"):
            before = b"* %d FETCH (%b" % (number, b"".join(known + b" " for known in words))
            if Quirk.HUGE_LITERAL in message.quirks:
                yield before + b"BODY[] {%d}\r\n%b" % (FOUR_GIB, message.body[:1000])
                raise Hang(close=False)
            if Quirk.BODY_CUT in message.quirks:
                yield before + b"BODY[] {%d}\r\n%b" % (len(message.body), message.body[: len(message.body) // 2])
                raise Hang(close=True)
            if Quirk.ENDLESS_LINE in message.quirks:
                yield before + b"BODY[] "
                while True:
                    yield b'"' + b"x" * 65_536
        words.append(word)
    yield b"* %d FETCH (%b)\r\n" % (number, b" ".join(words))


def _item(message: Message, item: bytes) -> bytes | None:
    name = item.upper()
    if name == b"UID":
        if Quirk.WITHOUT_UID in message.quirks:
            return None
        return b"UID %d" % (message.uid + 1_000_000 if Quirk.WRONG_UID in message.quirks else message.uid)
    if name == b"FLAGS":
        literals = [b"{%d}\r\n%b" % (len(flag), flag) for flag in message.literal_flags]
        return b"FLAGS (%b)" % b" ".join([*message.flags, *literals])
    if name == b"INTERNALDATE":
        return b"INTERNALDATE " + (b"NIL" if message.internaldate is None else b'"%b"' % message.internaldate)
    if name == b"RFC822.SIZE":
        size = len(message.body) if message.size is None else message.size
        return None if Quirk.SIZE_ABSENT in message.quirks else b"RFC822.SIZE %d" % size
    if name in message.extra:
        return name + b" " + message.extra[name]
    if name in GMAIL_ITEMS:
        return None
    if name == b"MODSEQ":
        return b"MODSEQ (%d)" % message.uid
    return _body(message, item)


def _body(message: Message, item: bytes) -> bytes | None:
    found = _SECTION.match(item)
    section = found[1].upper() if found else (b"HEADER" if item.upper().endswith(b"HEADER") else b"")
    whole = section == b""
    if whole and Quirk.BODY_ABSENT in message.quirks:
        return None
    label = b"BODY[%b]" % found[1] if found else item.upper()
    if found and found[2] is not None:
        label += b"<%b>" % found[2]
    if whole and Quirk.BODY_NIL in message.quirks:
        return label + b" NIL"
    content = _section(message.body, section)
    if found and found[2] is not None:
        content = content[int(found[2]) : int(found[2]) + int(found[3])]
    if whole and Quirk.BODY_QUOTED in message.quirks:
        return label + b" " + as_string(content)
    tilde = b"~" if whole and Quirk.BODY_LITERAL8 in message.quirks else b""
    return label + b" %b{%d}\r\n%b" % (tilde, len(content), content)


def _section(body: bytes, section: bytes) -> bytes:
    header, blank, text = body.partition(b"\r\n\r\n")
    header += blank
    if section == b"":
        return body
    if section == b"HEADER":
        return header
    if section == b"TEXT":
        return text
    wanted = re.match(rb"HEADER\.FIELDS(\.NOT)? \((.*)\)\Z", section, re.DOTALL)
    if not wanted:
        raise Bad(f"unknown section {section!r}")
    names = {name.strip(b'"').upper() for name in wanted[2].split()}
    fields = re.findall(rb"([^\r\n:]+:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*)", header)
    kept = [field for field in fields if (field.split(b":")[0].strip().upper() in names) != bool(wanted[1])]
    return b"".join(kept) + b"\r\n"


_FLAG_KEYS = {
    b"SEEN": b"\\seen",
    b"DELETED": b"\\deleted",
    b"ANSWERED": b"\\answered",
    b"FLAGGED": b"\\flagged",
    b"DRAFT": b"\\draft",
}


def search(folder: Folder, keys: list[object]) -> list[int]:
    """Returns the UIDs that all keys match. Raises `Bad` for an unknown key."""
    words = list(keys)
    found = list(folder.uids)
    while words:
        chosen = _key(folder, words)
        found = [uid for uid in found if chosen(uid)]
    return found


def _key(folder: Folder, words: list[object]) -> Callable[[int], bool]:
    word = words.pop(0)
    if not isinstance(word, bytes):
        raise Bad("unknown key")
    name = word.upper()
    if name == b"ALL":
        return lambda uid: True
    if name == b"NOT":
        inner = _key(folder, words)
        return lambda uid: not inner(uid)
    if name in (b"SINCE", b"BEFORE"):
        day = _day(_word(words.pop(0)))
        # The date is compared as it is written, without time and zone (RFC 3501 §6.4.4).
        return lambda uid: (_day(_message(folder, uid).internaldate or b"") < day) == (name == b"BEFORE")
    if name in (b"UID", b"LARGER", b"SMALLER", b"KEYWORD", b"UNKEYWORD"):
        argument = words.pop(0)
        if not isinstance(argument, bytes):
            raise Bad("argument missing")
        if name == b"UID":
            chosen = set(number_set(argument, folder.uids))
            return lambda uid: uid in chosen
        if name in (b"LARGER", b"SMALLER"):
            sign = 1 if name == b"LARGER" else -1
            return lambda uid: (len(_message(folder, uid).body) - int(argument)) * sign > 0
        return lambda uid: _has(folder, uid, argument.lower()) == (name == b"KEYWORD")
    if name == b"HEADER":
        field, text = words.pop(0), words.pop(0)
        pattern = re.compile(rb"^%b:[^\r]*%b" % (re.escape(_word(field)), re.escape(_word(text))), re.I | re.M)
        return lambda uid: pattern.search(_section(_message(folder, uid).body, b"HEADER")) is not None
    wanted = not name.startswith(b"UN")
    flag = _FLAG_KEYS.get(name.removeprefix(b"UN"))
    if flag is not None:
        return lambda uid: _has(folder, uid, flag) == wanted
    if re.match(rb"[\d*]", word):
        numbers = set(number_set(word, list(range(1, len(folder.uids) + 1))))
        uids = {folder.uids[number - 1] for number in numbers}
        return lambda uid: uid in uids
    raise Bad(f"unknown key {word!r}")


def _day(text: bytes) -> datetime:
    try:
        return datetime.strptime(text.decode().strip().split(" ")[0], "%d-%b-%Y")
    except ValueError:
        raise Bad("not a date") from None


def _word(token: object) -> bytes:
    if not isinstance(token, bytes):
        raise Bad("argument missing")
    return token


def _message(folder: Folder, uid: int) -> Message:
    message = folder.get(uid)
    if message is None:
        raise KeyError(uid)
    return message


def _has(folder: Folder, uid: int, flag: bytes) -> bool:
    return flag in [mine.lower() for mine in _message(folder, uid).flags]


def answer_search(tag: bytes, found: list[int], options: list[bytes] | None) -> bytes:
    """Returns `* SEARCH …`, or `* ESEARCH …` when options were given."""
    if options is None:
        return b"* SEARCH" + b"".join(b" %d" % uid for uid in found) + b"\r\n"
    answer = b'* ESEARCH (TAG "%b") UID' % tag
    wanted = [option.upper() for option in options] or [b"ALL"]
    if found and b"MIN" in wanted:
        answer += b" MIN %d" % found[0]
    if found and b"MAX" in wanted:
        answer += b" MAX %d" % found[-1]
    if b"COUNT" in wanted:
        answer += b" COUNT %d" % len(found)
    if b"PARTIAL" in wanted:
        answer += b" PARTIAL " + _page(found, wanted)
    elif found and b"ALL" in wanted:
        answer += b" ALL " + compress(found)
    return answer + b"\r\n"


def _page(found: list[int], wanted: list[bytes]) -> bytes:
    """Returns the requested range and its content, or NIL (RFC 9394 §3.1)."""
    span = re.fullmatch(rb"([1-9]\d*):([1-9]\d*)", b"".join(wanted[wanted.index(b"PARTIAL") + 1 :][:1]))
    if span is None or b"ALL" in wanted:
        raise Bad("PARTIAL takes a range, and no ALL beside it")
    low, high = sorted((int(span[1]), int(span[2])))
    page = found[low - 1 : high]
    return b"(%b %b)" % (span[0], compress(page) if page else b"NIL")


def stored_flags(message: Message, operation: bytes, flags: list[bytes]) -> list[bytes]:
    """Returns a message's flags after a STORE."""
    lower = {flag.lower() for flag in flags}
    if operation.startswith(b"+"):
        return [
            *message.flags,
            *(flag for flag in flags if flag.lower() not in {mine.lower() for mine in message.flags}),
        ]
    if operation.startswith(b"-"):
        return [flag for flag in message.flags if flag.lower() not in lower]
    return list(flags)
