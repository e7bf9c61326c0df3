"""Fills the sample server of the compose profile `demo`: `python fill.py HOST ACCOUNTS.csv [TIMES]`.

A folder that holds messages already stays as it is. TIMES multiplies the number of messages.
"""

from __future__ import annotations

import csv
import imaplib
import random
import socket
import sys
import time
from email.message import EmailMessage

PORT = 1143
FOLDERS = (("INBOX", 120), ("Sent", 40), ("Projects", 30), ("Projects.2024", 60), ("Empty", 0))
_START_SECONDS = 60.0


def fill(host: str, login: str, password: str, times: int, chance: random.Random) -> int:
    """Appends the sample mail of one account. Returns the number of messages."""
    client = _reach(host)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.login(login, password)
    total = 0
    for folder, messages in FOLDERS:
        client.create(folder)
        if int(client.select(folder, readonly=True)[1][0] or 0):
            continue
        for number in range(messages * times):
            flags = " ".join(flag for flag in ("\\Seen", "\\Flagged", "$Important") if chance.random() < 0.3)
            date = imaplib.Time2Internaldate(1_600_000_000 + chance.randrange(100_000_000))
            client.append(folder, f"({flags})", date, _message(login, folder, number, chance))
        total += messages * times
    client.logout()
    return total


def _reach(host: str) -> imaplib.IMAP4:
    """Connects as soon as the server is up."""
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            return imaplib.IMAP4(host, PORT, timeout=20)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)


def _message(login: str, folder: str, number: int, chance: random.Random) -> bytes:
    message = EmailMessage()
    message["From"] = f"Sender {number} <sender{number}@elsewhere.example>"
    message["To"] = login
    message["Subject"] = f"{folder}: письмо {number}"
    message["Message-ID"] = f"<{chance.getrandbits(64):x}.{number}@elsewhere.example>"
    message["Date"] = "Mon, 01 Jul 2024 10:00:00 +0300"
    message.set_content("Lorem ipsum dolor sit amet, привет.\n" * chance.randrange(1, 60))
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")


def main(host: str, accounts: str, times: str = "1") -> None:
    """Fills every account of the list."""
    chance = random.Random(2024)  # noqa: S311 - the same sample mail every time
    with open(accounts, encoding="utf-8") as file:
        for row in csv.DictReader(file):
            total = fill(host, row["login"], row["password"], int(times), chance)
            print(f"{row['login']}: {total} messages", flush=True)


if __name__ == "__main__":
    main(*sys.argv[1:])
