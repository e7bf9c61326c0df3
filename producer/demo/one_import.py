"""Runs `mailhaul demo`: two sample servers, three mailboxes, a real import from one to the other, the report.

Everything runs as in production: real IMAP over sockets, the embedded Redis, a coordinator, worker processes. All files
are in a temporary folder that is removed at the end.
"""

from __future__ import annotations

import contextlib
import imaplib
import json
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from email.message import EmailMessage
from pathlib import Path

from producer.cli.command_context import open_context
from producer.cli.following import report_files, run_status
from producer.cli.importing import run_import
from producer.cli.local_processes import environment, last_line, python_module
from producer.cli.option_groups import ServerOptions
from producer.cli.request import read_request
from producer.cli.signals import interruptible
from producer.cli.verb import COMPLETE, say
from producer.intake.specification import ImportSpecification
from producer.operations.finding import find_import
from shared.folders.mapping import encode_name
from shared.model.errors import MailhaulError
from shared.nouns import dataclass
from shared.runtime.supervise import Command, spawn

#: Longest start of a server, in seconds.
_START_SECONDS = 20.0
#: Folders and numbers of messages, by login at the source.
_SOURCE_FOLDERS = {
    "anna@old.example": (
        ("INBOX", 60),
        ("Sent", 30),
        ("Projects", 10),
        ("Projects/2024", 25),
        ("Projects/2024/Q3 & Q4", 15),
    ),
    "ivan@old.example": (
        ("INBOX", 45),
        ("Отправленные", 20),
        ("Проекты", 10),
        ("Проекты/Смета 2024", 20),
        ("Empty", 0),
    ),
    "li@old.example": (("INBOX", 40), ("归档", 15), ("Lists/dovecot", 20), ("Drafts", 5)),
}
_KEYWORDS = ("$Important", "$Label1", "todo")
_FLAGS = ("\\Seen", "\\Answered", "\\Flagged")


@dataclass(frozen=True, kw_only=True, slots=True)
class SampleServer:
    """A running sample server."""

    #: Port on the loopback interface.
    port: int
    #: Passwords by login.
    accounts: dict[str, str]


def run_demo(*, as_json: bool) -> int:
    """Runs the demo. Returns the exit code of the import."""
    for name in [name for name in os.environ if name.startswith("MAILHAUL_") and name != "MAILHAUL_LOG_LEVEL"]:
        del os.environ[name]  # the demo uses no Redis, state folder or keys of the operator
    with tempfile.TemporaryDirectory(prefix="mailhaul-demo-", ignore_cleanup_errors=True) as place:
        home = Path(place)
        chance = random.Random(2024)  # noqa: S311 - the same sample mail every time
        old = {login: f"old-{chance.getrandbits(40):x}" for login in _SOURCE_FOLDERS}
        new = {login.replace("@old.", "@new."): f"new-{chance.getrandbits(40):x}" for login in old}
        say("starting two sample mail servers …")
        with served(home / "source", old) as source, served(home / "destination", new) as destination:
            say("filling three mailboxes …")
            messages = sum(fill(source, login, folders, chance) for login, folders in _SOURCE_FOLDERS.items())
            manifest = home / "demo.csv"
            rows = zip(old.items(), new.items(), strict=True)
            lines = ["login,password,new_login,new_password", *(",".join((*a, *b)) for a, b in rows)]
            manifest.write_text("\n".join(lines) + "\n", encoding="utf-8")
            urls = [f"imap://127.0.0.1:{server.port}" for server in (source, destination)]
            servers = ServerOptions(source=urls[0], destination=urls[1])
            say(f"$ mailhaul import demo.csv --source {urls[0]} --destination {urls[1]}      # {messages} messages")
            code = _imported(read_request(manifest, servers), home / "state", as_json=as_json)
            if code == COMPLETE or not as_json:
                _show(home)
            if code == COMPLETE:
                say("\n$ mailhaul import demo.csv …      # once more: only what is new would be copied")
                code = _imported(read_request(manifest, servers), home / "state", as_json=False)
    return code


def _imported(specification: ImportSpecification, state_dir: Path, *, as_json: bool) -> int:
    with interruptible() as interrupted, open_context(state_dir) as context:
        return run_import(specification, context, interrupted, workers=1, as_json=as_json)


def _show(home: Path) -> None:
    """Prints what `status` and `report` show."""
    with contextlib.redirect_stdout(_StandardError()):
        say("\n$ mailhaul status --mailbox ivan@old.example")
        with open_context(home / "state") as context:
            run_status(context, "demo", "ivan@old.example", as_json=False)
    with open_context(home / "state") as context:
        import_ = find_import(context.store, "demo")
        files = report_files(context, import_, home / "report")
    say("\n$ mailhaul report --out report")
    for path in files:
        lines = path.read_text(encoding="utf-8").splitlines()
        say(f"report/{path.name}: {len(lines)} lines" + (f"\n    {lines[0]}" if path.suffix == ".csv" else ""))


class _StandardError:
    """Redirects standard output, which is for --json only, to standard error."""

    def write(self, text: str) -> int:
        """Writes to standard error."""
        import sys

        return sys.stderr.write(text)

    def flush(self) -> None:
        """Does nothing: standard error is not buffered."""

    def isatty(self) -> bool:
        """Tells whether standard error is a terminal, whose width rows of tables then have."""
        import sys

        return sys.stderr.isatty()


@contextlib.contextmanager
def served(home: Path, accounts: dict[str, str]) -> Iterator[SampleServer]:
    """Runs a sample server with these accounts, passwords by login. Raises `MailhaulError` when it does not start."""
    home.mkdir()
    listing = home / "accounts.json"
    listing.write_text(json.dumps(accounts), encoding="utf-8")
    port = _free_port()
    argv = [*python_module("producer.demo.sample_server"), str(port), str(listing)]
    process = spawn(Command(name=home.name, argv=argv, env=environment({}), log_path=home / "log"))
    try:
        _wait_for(port, process, home / "log")
        yield SampleServer(port=port, accounts=accounts)
    finally:
        process.terminate()
        try:
            process.wait(5)
        except subprocess.TimeoutExpired:
            process.kill()


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            with socket.create_connection(("127.0.0.1", port), 1) as connection:
                if connection.recv(4) == b"* OK":
                    return
        except OSError:
            pass
        if process.poll() is not None or time.monotonic() > deadline:
            raise MailhaulError(
                f"the sample server does not start: {last_line(log)} (it needs: pip install mailhaul[demo])"
            )
        time.sleep(0.05)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fill(server: SampleServer, login: str, folders: Sequence[tuple[str, int]], chance: random.Random) -> int:
    """Appends sample mail. Returns the number of messages."""
    client = imaplib.IMAP4("127.0.0.1", server.port, timeout=20)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # imaplib sends every literal apart
    client.login(login, server.accounts[login])
    total = 0
    for folder, messages in folders:
        name = f'"{encode_name(folder).decode("ascii")}"'
        if folder != "INBOX":
            client.create(name)
            client.subscribe(name)
        for number in range(messages):
            flags = [mark for mark in (*_FLAGS, *_KEYWORDS) if chance.random() < 0.3]
            date = imaplib.Time2Internaldate(1_600_000_000 + chance.randrange(100_000_000))
            client.append(name, f"({' '.join(flags)})", date, _message(login, folder, number, chance))
        total += messages
    client.logout()
    return total


def _message(login: str, folder: str, number: int, chance: random.Random) -> bytes:
    message = EmailMessage()
    message["From"] = f"Sender {number} <sender{number}@elsewhere.example>"
    message["To"] = login
    message["Subject"] = f"{folder}: письмо {number} — sample"
    message["Message-ID"] = f"<{chance.getrandbits(64):x}.{number}@elsewhere.example>"
    message["Date"] = "Mon, 01 Jul 2024 10:00:00 +0300"
    message.set_content("Lorem ipsum dolor sit amet, привет.\n" * chance.randrange(1, 60))
    if number % 20 == 0:
        message.add_attachment(chance.randbytes(60_000), maintype="application", subtype="pdf", filename="счёт.pdf")
    return message.as_bytes().replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
