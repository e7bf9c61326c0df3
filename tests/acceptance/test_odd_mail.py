"""The mail that servers store in their own way, by IMAP and POP3 to Dovecot and Cyrus, by the command line.

The tests check that each message is there once however often the ledger is lost, and that the words are true in every
run.

Each message is small and has one property:

- raw 8-bit bytes in a field that the fingerprint reads or in one that it does not;
- NUL behind bare LFs;
- no line end at the end;
- bare CRs;
- all that headers tell equal to another message that the destination holds.
"""

from __future__ import annotations

import csv
import imaplib
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests import mail
from tests.acceptance.conftest import AdminEnvironment
from tests.mail import Mail
from tests.servers.cyrus import Cyrus
from tests.servers.faulty import FaultyServer
from tests.servers.pop3_server import Pop3Server

KOI8 = "Привет".encode("koi8-r")
_HEAD = b"From: x@example.org\r\nMessage-ID: <%b@odd.example>\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n"
_BANK = b"From: bank@example.org\r\nTo: b@example.org\r\nSubject: Your code\r\nDate: Thu, 01 Jan 2015 00:00:00 +0000\r\n\r\n"

#: What is odd → the message; its words occur in no other one.
SENT = {
    "8-bit Subject": _HEAD % b"1" + b"Subject: " + KOI8 + b"\r\n\r\nmark-one\r\n",
    "8-bit To": _HEAD % b"2" + b"Subject: s\r\nTo: " + KOI8 + b" <b@e>\r\n\r\nmark-two\r\n",
    "looks like another": _BANK + b"mark: 1234\r\n",
    "NUL behind bare LF": b"From: a@b\nSubject: nul\n\nmark-four \0 \n",
    "no final line end": _HEAD % b"5" + b"Subject: s\r\n\r\nmark-five",
    "bare CR": b"Received: from a by b\rX-Mac: 1\r\rmark-six\r",
    "plain": _HEAD % b"7" + b"Subject: s\r\n\r\nmark-seven\r\n",
}
#: What the destination holds beside, equal to "looks like another" in From, To, Subject, Date, size and internal date.
OTHER = _BANK + b"mark: 9876\r\n"
#: Destination and protocol of the source → what it refuses; POP3 adds the line end that Cyrus misses behind a header.
REFUSED: dict[tuple[str, str], set[str]] = {
    ("dovecot", "imap"): set(),
    ("dovecot", "pop3"): set(),
    ("cyrus", "imap"): {"NUL behind bare LF", "bare CR"},
    ("cyrus", "pop3"): {"NUL behind bare LF"},
}
#: Destination → what it stores with other bytes.
CHANGED = {"dovecot": {"NUL behind bare LF"}, "cyrus": {"8-bit Subject", "8-bit To"}}
PASSWORD = "pw-odd"
WHEN = datetime(2015, 1, 1, tzinfo=UTC)


def mark(body: bytes) -> bytes:
    found = re.search(rb"mark[-:] ?\w+", body)
    assert found is not None
    return found[0]


def text(body: bytes) -> bytes:
    """Without what is only form: line ends, and how the message ends."""
    return re.sub(rb"\r*\n|\r", b"\n", body).rstrip(b"\n")


def held(server: Any, login: str) -> list[bytes]:
    """Every message of INBOX, as it is."""
    client = imaplib.IMAP4(server.host, server.port)
    client.login(login, PASSWORD)
    client.select("INBOX", readonly=True)
    parts = client.uid("FETCH", "1:*", "(BODY.PEEK[])")[1]
    client.logout()
    return [part[1] for part in parts if isinstance(part, tuple)]


@contextmanager
def source_of(protocol: str, login: str) -> Iterator[str]:
    """URL of a server that gives these messages byte by byte."""
    if protocol == "pop3":
        # As any POP3 server does: the line that ends a message stands by itself.
        with Pop3Server([body if body.endswith(b"\r\n") else body + b"\r\n" for body in SENT.values()]) as maildrop:
            yield f"pop3://127.0.0.1:{maildrop.port}"
        return
    with FaultyServer() as server:
        inbox = server.add_account(login, PASSWORD).folder(b"INBOX")
        for body in SENT.values():
            inbox.add(body, internaldate=b"01-Jan-2015 00:00:00 +0000")
        yield f"imap://127.0.0.1:{server.port}"


def told(admin_env: AdminEnvironment, folder: Path) -> dict[str, set[str]]:
    """Returns what the report says of each odd message."""
    admin_env.run("report", "people", "--out", folder)
    found: dict[str, set[str]] = {name: set() for name in SENT}
    for file in ("failures.csv", "notes.csv"):
        for row in csv.DictReader((folder / file).open()):
            if row["uid"]:
                found[list(SENT)[int(row["uid"]) - 1]].add(row["what"])
    return found


@pytest.mark.parametrize("protocol", ["imap", "pop3"])
@pytest.mark.parametrize("place", ["dovecot", "cyrus"])
def test_each_message_is_there_once_and_every_word_is_true(
    admin_env: AdminEnvironment, request: pytest.FixtureRequest, tmp_path: Path, place: str, protocol: str
) -> None:
    server: Cyrus | Any = request.getfixturevalue("cyrus") if place == "cyrus" else admin_env.destination
    login, refused = f"odd{protocol}", REFUSED[place, protocol]
    server.add_user(login, PASSWORD)
    mail.populate(server.host, server.port, login, PASSWORD, {"INBOX": [Mail(OTHER, (), WHEN)]})
    manifest = admin_env.manifest({login: PASSWORD})
    with source_of(protocol, login) as url:
        for run in range(3):
            admin_env.variables |= {
                "MAILHAUL_STATE_DIR": str(tmp_path / f"state{run}"),
                "MAILHAUL_SETTLE_SECONDS": "0.2",
            }
            ends = ["--source", url, "--destination", f"imap://127.0.0.1:{server.port}", "--same-mailbox", "--json"]
            ended = admin_env.run("import", manifest, *ends, code=None)
            counted = json.loads(ended.out)["import"]
            words, here = told(admin_env, tmp_path / f"report{run}"), held(server, login)
            assert len(here) == len(SENT) - len(refused) + 1, run
            assert OTHER in here, "what was there is as it was"
            for name, body in SENT.items():
                copies = [one for one in here if mark(one) == mark(body)]
                if name in refused:
                    assert (copies, "refused" in words[name]) == ([], True), (run, name)
                    continue
                assert len(copies) == 1, (run, name)
                assert (text(copies[0]) != text(body)) is (name in CHANGED[place]), (run, name)
                assert ("altered" in words[name]) is (name in CHANGED[place]), (run, name, words[name])
            first = "copied" if run == 0 else "already_present"
            assert counted[first] == len(SENT) - len(refused), counted
            assert counted["altered"] == len(CHANGED[place])
            assert ended.code == 3, "something is refused or altered"
