"""Mail for the tests, and the oracle: the content of an account, read by independent code, not by the product's."""

from __future__ import annotations

import email.utils
import hashlib
import os
import random
import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import NamedTuple

from tests.servers.wire import Response, Wire, join, quote

#: The environment names a folder of real mail; one file is one message.
CORPUS_VARIABLE = "MAILHAUL_TEST_CORPUS"
_GROUP_BYTES = 4 * 2**20
_GROUP_MESSAGES = 200
_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]


class Mail(NamedTuple):
    """A message to put somewhere."""

    body: bytes
    flags: Sequence[str] = ()
    internaldate: datetime | None = None


class Kept(NamedTuple):
    """A message as an account holds it, without its UID: two equal messages count as two."""

    folder: bytes
    sha256: str
    flags: frozenset[str]
    instant: int


Snapshot = Counter[Kept]

# -- making mail

_WORDS = [
    "invoice",
    "meeting",
    "report",
    "schedule",
    "quarter",
    "delivery",
    "contract",
    "budget",
    "Rechnung",
    "Angebot",
    "счёт",
    "отчёт",
    "会議",
    "資料",
]


def make_message(seed: int, size: int = 2_000) -> bytes:
    """Returns a well-formed message of about `size` bytes.

    The same seed and size give the same bytes; another seed gives others.
    """
    rnd = random.Random(f"{seed}/{size}")
    when = datetime(2020, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(200_000_000))
    head = (
        f"Received: from mx.example.net by in.example.org id {rnd.getrandbits(44):011X};\r\n"
        f"\t{email.utils.format_datetime(when)}\r\n"
        f"From: Anna Meyer <anna{rnd.randrange(100)}@example.net>\r\nTo: bob@example.org\r\n"
        f"Subject: {rnd.choice(_WORDS[:8])} {rnd.choice(_WORDS[:8])} {seed}\r\n"
        f"Date: {email.utils.format_datetime(when)}\r\n"
        f"Message-ID: <{rnd.getrandbits(64):016x}.{seed}@example.net>\r\n"
        "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
    ).encode()
    lines = [(" ".join(rnd.choices(_WORDS, k=8)) + "\r\n").encode() for _ in range(50)]
    parts, left = [head], size - len(head)
    while left > 0:
        line = rnd.choice(lines)
        parts.append(line)
        left -= len(line)
    return b"".join(parts)


def make_mailbox(seed: int, folders: Mapping[str, int], size: int = 2_000) -> dict[str, list[Mail]]:
    """Returns the given number of messages for each folder, with flags, keywords and dates that differ."""
    rnd = random.Random(f"mailbox/{seed}")
    choices = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "$Forwarded", "work"]
    return {
        folder: [
            Mail(
                make_message(rnd.getrandbits(48), size),
                tuple(flag for flag in choices if rnd.random() < 0.3),
                datetime(2019, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(220_000_000)),
            )
            for _ in range(count)
        ]
        for folder, count in folders.items()
    }


ODD_MESSAGES: dict[str, bytes] = {
    "no header": b"\r\nonly a body\r\n",
    "only a header": b"Subject: nothing more\r\n\r\n",
    "no final newline": b"Subject: ends\r\n\r\nhere",
    "bare LF": b"Subject: unix\n\nline one\nline two\n",
    "mixed line ends": b"Subject: mixed\r\n\r\none\ntwo\r\r\nthree\r\n",
    "final CR": b"Subject: cr\r\n\r\nlast\r",
    "NUL": b"Subject: nul\r\n\r\na\0b\r\n",
    "long lines": b"Subject: long\r\n\r\n" + b"x" * 100_000 + b"\r\n",
    "long header": b"Subject: " + b"y" * 70_000 + b"\r\n\r\nbody\r\n",
    "8-bit header": b"Subject: \xe4\xf6\xfc \xd0\xbf\r\nFrom: J\xf6rg <j@example.org>\r\n\r\nbody\r\n",
    "twin": b"Message-ID: <twin@example.org>\r\nSubject: twin\r\n\r\nthe same\r\n",
    "identical twin": b"Message-ID: <twin@example.org>\r\nSubject: twin\r\n\r\nthe same\r\n",
    "no Message-ID": b"Subject: anonymous\r\n\r\nwho am I\r\n",
    "lone dots": b"Subject: dots\r\n\r\n.\r\n..\r\n.\r\n",
    "mbox From line": b"From me Thu Jan  1 00:00:00 1970\r\nSubject: mbox\r\n\r\nFrom here\r\n",
    "like IMAP": b"Subject: wire\r\n\r\n)\r\nA1 OK done\r\n* 1 FETCH (UID 1 BODY[] {3}\r\nabc)\r\n+ go\r\n{5}\r\n",
    "one byte": b"x",
}


def corpus_messages() -> Iterator[tuple[str, bytes]]:
    """Yields (name, bytes) of odd messages of our own, then of every file of the corpus, if there is one."""
    yield from ODD_MESSAGES.items()
    place = os.environ.get(CORPUS_VARIABLE)
    if place:
        for path in sorted(Path(place).rglob("*")):
            if path.is_file() and (body := path.read_bytes()):
                yield str(path.relative_to(place)), body


# -- putting it somewhere


def populate(host: str, port: int, login: str, password: str, folders: Mapping[str, Iterable[Mail]]) -> None:
    """Creates the folders (names as on the wire: modified UTF-7) and puts the messages there, in order."""
    with Wire(host, port, login, password) as wire:
        existing = set(wire.folders())
        for name, messages in folders.items():
            raw = name.encode()
            if raw not in existing and raw.upper() != b"INBOX":
                wire.command(b"CREATE " + quote(raw))
                wire.command(b"SUBSCRIBE " + quote(raw))
            for group in _groups(messages):
                wire.command(b"APPEND " + quote(raw) + b"".join(_appended(mail) for mail in group))


def _groups(messages: Iterable[Mail]) -> Iterator[list[Mail]]:
    group: list[Mail] = []
    size = 0
    for mail in messages:
        if group and (len(group) == _GROUP_MESSAGES or size + len(mail.body) > _GROUP_BYTES):
            yield group
            group, size = [], 0
        group.append(mail)
        size += len(mail.body)
    if group:
        yield group


def _appended(mail: Mail) -> bytes:
    flags = b"(" + " ".join(mail.flags).encode() + b")" if mail.flags else b""
    date = quote(render_date(mail.internaldate)) if mail.internaldate else b""
    return b" " + join([flags, date, b"{%d+}\r\n" % len(mail.body) + mail.body])


def render_date(when: datetime) -> bytes:
    """Returns the date as IMAP writes it."""
    return f"{when.day:2d}-{_MONTHS[when.month - 1]}-{when.year:04d} {when:%H:%M:%S %z}".encode()


# -- the oracle


def canon_dovecot(body: bytes) -> bytes:
    """Returns the message as Dovecot's maildir stores it.

    LF becomes CRLF, CR CR LF loses a CR, a final CR goes, NUL becomes 0x80.
    """
    stored = body.removesuffix(b"\r").replace(b"\r\n", b"\n").replace(b"\0", b"\x80")
    return re.sub(rb"(?<!\r)\n", b"\r\n", stored)


def canon_exact(body: bytes) -> bytes:
    """Returns the message unchanged, since every byte counts: pymap, the scripted server."""
    return body


def snapshot(
    host: str,
    port: int,
    login: str,
    password: str,
    *,
    canon: Callable[[bytes], bytes] = canon_exact,
    folders: Iterable[bytes] | None = None,
) -> Snapshot:
    """Returns every message of an account as a multiset.

    Flags without `\\Recent`, in lower case; dates as seconds since 1970.

    The expected state of a copy: the source's snapshot with the `canon` of the destination. Its actual state: the
    destination's snapshot without one. (Never on both sides: a canon applied twice is another canon.)
    """
    found: Snapshot = Counter()
    with Wire(host, port, login, password) as wire:
        for name in wire.folders() if folders is None else folders:
            for _, flags, instant, body in _messages(wire, name, bodies=True):
                found[Kept(name, hashlib.sha256(canon(body)).hexdigest(), flags, instant)] += 1
    return found


def uids_and_flags(
    host: str, port: int, login: str, password: str
) -> dict[bytes, tuple[int, dict[int, tuple[frozenset[str], int]]]]:
    """Returns folder → (UIDVALIDITY, UID → (flags, date)): equal before and after means that the source was left alone."""
    with Wire(host, port, login, password) as wire:
        return {name: (validity(wire, name), uids(wire, name)) for name in wire.folders()}


def uids(wire: Wire, name: bytes) -> dict[int, tuple[frozenset[str], int]]:
    """Returns UID → (flags, date) of one folder."""
    return {uid: (flags, instant) for uid, flags, instant, _ in _messages(wire, name, bodies=False)}


def validity(wire: Wire, name: bytes) -> int:
    """Returns the folder's UIDVALIDITY."""
    answers, _ = wire.command(b"STATUS " + quote(name) + b" (UIDVALIDITY)")
    found = re.search(rb"UIDVALIDITY (\d+)", b"".join(answer.line for answer in answers))
    if found is None:
        raise ValueError(f"no UIDVALIDITY in {answers}")
    return int(found[1])


def expected(folders: Mapping[str, Iterable[Mail]], *, canon: Callable[[bytes], bytes] = canon_dovecot) -> Snapshot:
    """Returns the snapshot of an account that was filled with these messages (all with a date) and nothing else."""
    kept: Snapshot = Counter()
    for name, messages in folders.items():
        for mail in messages:
            when = mail.internaldate
            if when is None:
                raise ValueError("without a date nobody knows what to expect")
            flags = frozenset(flag.lower() for flag in mail.flags)
            kept[Kept(name.encode(), hashlib.sha256(canon(mail.body)).hexdigest(), flags, int(when.timestamp()))] += 1
    return kept


def _messages(wire: Wire, name: bytes, *, bodies: bool) -> Iterator[tuple[int, frozenset[str], int, bytes]]:
    wire.command(b"EXAMINE " + quote(name))
    items = b"(UID FLAGS INTERNALDATE BODY.PEEK[])" if bodies else b"(UID FLAGS INTERNALDATE)"
    tag = wire.send(b"UID FETCH 1:* " + items)
    seen: set[int] = set()
    while True:
        answer = wire.read()
        if answer.line.startswith(tag + b" "):
            if not answer.line.startswith(tag + b" OK"):
                raise ValueError(answer.line)
            return
        row = _row(answer, bodies)
        if row is not None and row[0] not in seen:
            seen.add(row[0])
            yield row


def _row(answer: Response, bodies: bool) -> tuple[int, frozenset[str], int, bytes] | None:
    line = answer.line
    uid = re.search(rb"[( ]UID (\d+)", line)
    flags = re.search(rb"[( ]FLAGS \(([^)]*)\)", line)
    date = re.search(rb'[( ]INTERNALDATE "([^"]*)"', line)
    if not (re.match(rb"\* \d+ FETCH ", line) and uid and flags and date and (answer.literals or not bodies)):
        return None
    names = frozenset(flag.lower() for flag in flags[1].decode("latin-1").split()) - {"\\recent"}
    when = datetime.strptime(date[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z")
    return int(uid[1]), names, int(when.timestamp()), answer.literals[0] if bodies else b""
