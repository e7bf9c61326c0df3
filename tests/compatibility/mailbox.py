"""Fills and reads an account with the standard library's clients: what the contract is judged by.

No code of the product runs here. A server takes what it takes: what it refuses is counted and sent in a plainer form.
"""

from __future__ import annotations

import contextlib
import imaplib
import poplib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime

from tests.mail import Mail, render_date

#: No answer is too long for the oracle.
imaplib._MAXLINE = poplib._MAXLINE = 64 << 20  # type: ignore[attr-defined]
_TIMEOUT_SECONDS = 120


@dataclass(frozen=True)
class Account:
    """An account of a server, as a client knows it."""

    #: Address of the server.
    host: str
    #: Port of IMAP.
    port: int
    #: Login of the account.
    login: str
    #: Password of the account.
    password: str = field(repr=False)
    #: Port of POP3, or 0.
    pop3_port: int = 0


@dataclass(frozen=True)
class Message:
    """A message as the server gives it."""

    #: Folder, as on the wire.
    folder: bytes
    #: UID of the message; 0 over POP3.
    uid: int
    #: Bytes of the message.
    body: bytes
    #: Flags without `\\Recent`, in lower case.
    flags: frozenset[str]
    #: INTERNALDATE in seconds since 1970; None where the server gives none that can be read.
    instant: int | None


@contextmanager
def signed_in(account: Account) -> Iterator[imaplib.IMAP4]:
    """Yields a client of the account."""
    client = imaplib.IMAP4(account.host, account.port, timeout=_TIMEOUT_SECONDS)
    try:
        client.login(account.login, account.password)
        yield client
    finally:
        client.shutdown()


def fill(account: Account, folders: dict[tuple[str, ...], list[Mail]]) -> Counter[str]:
    """Creates the folders and appends the messages. Returns how often the server refused which form of a message.

    A name is the parts of a path in modified UTF-7. The mail of a folder that the server refuses goes to INBOX.
    """
    refused: Counter[str] = Counter()
    with signed_in(account) as client:
        separator, prefix = _naming(client)
        for path, messages in folders.items():
            name = "INBOX" if path == ("INBOX",) else prefix + separator.join(path)
            if name != "INBOX" and (separator in "".join(path) or not _created(client, name)):
                refused["a folder"] += 1
                name = "INBOX"
            for mail in messages:
                _append(client, name, mail, refused)
    return refused


def naming(account: Account) -> tuple[str, str]:
    """Returns the separator and the prefix of the account's own folders."""
    with signed_in(account) as client:
        return _naming(client)


def _naming(client: imaplib.IMAP4) -> tuple[str, str]:
    separator, prefix = "/", ""
    for line in client.list()[1]:
        if isinstance(line, bytes) and (found := re.match(rb'\([^)]*\) "(.)"', line)):
            separator = found[1].decode()
    if "NAMESPACE" in client.capabilities:
        found = re.match(rb'\(\("([^"]*)" "(.)"', client.namespace()[1][0])
        if found:
            prefix, separator = found[1].decode(), found[2].decode()
    return separator, prefix


def _created(client: imaplib.IMAP4, name: str) -> bool:
    """Creates the folder and tells whether it is there: a server may say OK and not mean it."""
    try:
        client.create(quoted(name))
        found: bool = client.status(quoted(name), "(MESSAGES)")[0] == "OK"
    except imaplib.IMAP4.error:
        return False
    return found


def _append(client: imaplib.IMAP4, name: str, mail: Mail, refused: Counter[str]) -> None:
    """Appends the message, in a plainer form each time that the server refuses."""
    system = tuple(flag for flag in mail.flags if flag.startswith("\\"))
    plain = re.sub(rb"\r?\n|\r", b"\r\n", mail.body.replace(b"\0", b""))
    utc = mail.internaldate.astimezone(UTC) if mail.internaldate else None
    forms = [("", mail), ("a zone", mail._replace(internaldate=utc))]
    forms.append(("keywords", forms[-1][1]._replace(flags=system)))
    forms.append(("bytes", forms[-1][1]._replace(body=plain)))
    forms.append(("a date", forms[-1][1]._replace(internaldate=None)))
    for number, (left_out, form) in enumerate(forms):
        if number and form == forms[number - 1][1]:
            continue
        date = render_date(form.internaldate).decode() if form.internaldate else ""
        client.literal = form.body  # its own `append` would change the ends of lines
        words = [quoted(name), "(" + " ".join(form.flags) + ")", f'"{date}"' if date else ""]
        try:
            taken = client._simple_command("APPEND", *filter(None, words))[0] == "OK"
        except imaplib.IMAP4.abort:
            raise
        except imaplib.IMAP4.error:
            taken = False
        if taken:
            refused.update([left_out] if left_out else [])
            return
    refused["a message"] += 1


def read(account: Account) -> list[Message]:
    """Returns every message of the account's own folders."""
    with signed_in(account) as client:
        names = folder_names(client)
    return [message for name in names for message in _of_folder(account, name)]


def _of_folder(account: Account, name: str) -> list[Message]:
    """Returns the messages of a folder. One at which the server's process ends is left out: nobody can read it."""
    try:
        with signed_in(account) as client:
            if client.select(quoted(name), readonly=True)[0] != "OK":
                return []
            return list(_messages(client, name, "1:*"))
    except imaplib.IMAP4.abort:
        pass
    with signed_in(account) as client:
        client.select(quoted(name), readonly=True)
        uids = client.uid("SEARCH", "ALL")[1][0].decode().split()
    found = []
    for uid in uids:
        with contextlib.suppress(imaplib.IMAP4.abort), signed_in(account) as client:
            client.select(quoted(name), readonly=True)
            found += _messages(client, name, uid)
    return found


def count(account: Account) -> int:
    """Returns how many messages the account has, in all of its folders."""
    with signed_in(account) as client:
        total = 0
        for name in folder_names(client):
            answer, (said, *_) = client.select(quoted(name), readonly=True)
            total += int(said) if answer == "OK" and said else 0
        return total


def folder_names(client: imaplib.IMAP4) -> list[str]:
    """Returns the names of the folders that can be opened, as on the wire."""
    names = []
    for line in client.list()[1]:
        flags, name = _listed(line)
        if not re.search(rb"\\(Noselect|NonExistent)", flags, re.IGNORECASE) and not name.startswith(
            (b"#", b"shared.")
        ):
            names.append(name.decode("latin-1"))
    return names


def _listed(line: object) -> tuple[bytes, bytes]:
    if isinstance(line, tuple):  # the name came as a literal
        return line[0], line[1]
    found = re.match(rb'(\([^)]*\)) (?:"(?:\\.|[^"])*"|NIL) (.*)', line if isinstance(line, bytes) else b"")
    if found is None:
        return b"\\Noselect", b""
    name = found[2]
    return found[1], re.sub(rb"\\(.)", rb"\1", name[1:-1]) if name.startswith(b'"') else name


def _messages(client: imaplib.IMAP4, name: str, uids: str) -> Iterator[Message]:
    folder = name.encode("latin-1")
    status, answers = client.uid("FETCH", uids, "(FLAGS INTERNALDATE BODY.PEEK[])")
    if status != "OK":
        raise imaplib.IMAP4.error(f"{name}: {answers}")
    parts: list[tuple[bytes, bytes]] = []
    for answer in answers:
        if isinstance(answer, tuple):
            parts.append((answer[0], answer[1]))
        elif isinstance(answer, bytes):
            if answer.startswith(b")") or (parts and not re.match(rb"\d+ \(", answer)):
                parts[-1] = (parts[-1][0] + answer, parts[-1][1])
            else:
                parts.append((answer, _inline(answer)))
    for line, body in parts:
        uid = re.search(rb"[( ]UID (\d+)", line)
        if uid:
            yield Message(folder, int(uid[1]), body, _flags(line), _instant(line))


def _inline(line: bytes) -> bytes:
    found = re.search(rb'BODY\[\] "((?:\\.|[^"])*)"', line)
    return re.sub(rb"\\(.)", rb"\1", found[1]) if found else b""


def _flags(line: bytes) -> frozenset[str]:
    found = re.search(rb"[( ]FLAGS \(([^)]*)\)", line)
    return frozenset(found[1].decode("latin-1").lower().split()) - {"\\recent"} if found else frozenset()


def _instant(line: bytes) -> int | None:
    found = re.search(rb'INTERNALDATE "([^"]*)"', line)
    try:
        return int(datetime.strptime(found[1].decode().strip(), "%d-%b-%Y %H:%M:%S %z").timestamp()) if found else None
    except (ValueError, OverflowError):
        return None


def maildrop(account: Account) -> list[Message]:
    """Returns every message of the maildrop, as POP3 gives it: lines that end with CRLF, without flags and dates."""
    drop = poplib.POP3(account.host, account.pop3_port, timeout=_TIMEOUT_SECONDS)
    try:
        if "UTF8" in drop.capa():  # RFC 6856: without it Courier gives notices in place of messages
            drop.utf8()
        drop.user(account.login)
        drop.pass_(account.password)
        numbers = [int(line.split()[0]) for line in drop.list()[1]]
        bodies: Iterable[list[bytes]] = [drop.retr(number)[1] for number in numbers]
        return [Message(b"INBOX", 0, b"".join(line + b"\r\n" for line in lines), frozenset(), None) for lines in bodies]
    finally:
        drop.close()


def quoted(name: str) -> str:
    """Returns the name as a quoted string."""
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"') + '"'
