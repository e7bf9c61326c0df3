"""A submission server (RFC 6409) in a process of its own: STARTTLS or TLS at once, AUTH PLAIN, scripted refusals.

`python -m tests.servers.smtp_server FOLDER` prints nothing; it writes its port into FOLDER/port, each mail into FOLDER/N.eml with
its envelope, and reads what it is to refuse from FOLDER/refuse ("RCPT 550 no such user", one line for one command).
"""

from __future__ import annotations

import base64
import contextlib
import itertools
import os
import socketserver
import ssl
import subprocess
import sys
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.servers.certificate import Authority
from tests.servers.process import await_ready, end, spawn


class SmtpServer:
    """The server as a test sees it; a context manager."""

    def __init__(self, folder: Path, *, tls: str = "starttls", login: str = "", password: str = "") -> None:
        """`tls`: "starttls", "at once" or "none"."""
        self.folder = folder
        folder.mkdir(exist_ok=True)
        authority = Authority()
        certificate, key = authority.issue("localhost", "127.0.0.1")
        (folder / "pem").write_bytes(certificate + key)
        self.ca = folder / "ca.pem"
        self.ca.write_bytes(authority.certificate)
        self._arguments = [str(folder), tls, login, password]
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self._process = spawn(
            [sys.executable, "-m", "tests.servers.smtp_server", *self._arguments], log=self.folder / "log"
        )
        await_ready(lambda: (self.folder / "port").exists() and bool(self.port), 180, "the SMTP server")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._process:
            end(self._process)

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int((self.folder / "port").read_text() or 0)

    @property
    def mails(self) -> list[EmailMessage]:
        """The mails that it took, in their order."""
        paths = sorted(self.folder.glob("*.eml"), key=lambda path: int(path.stem))
        return [message_from_bytes(path.read_bytes(), policy=policy.default) for path in paths]  # type: ignore[misc]

    def refuse(self, *answers: str) -> None:
        """Has the next commands of these kinds refused, one each."""
        (self.folder / "refuse").write_text("\n".join(answers))

    @property
    def said(self) -> str:
        """The commands that clients sent, one a line."""
        path = self.folder / "said"
        return path.read_text() if path.exists() else ""


class _Session(socketserver.StreamRequestHandler):
    server: _Listener

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            if self.server.tls == "at once":
                self._secure()
            self._converse()

    def _secure(self) -> None:
        self.request = self.connection = self.server.context.wrap_socket(self.request, server_side=True)
        self.rfile, self.wfile = self.connection.makefile("rb"), self.connection.makefile("wb", buffering=0)

    def _answer(self, text: str) -> None:
        self.wfile.write(text.encode() + b"\r\n")

    def _converse(self) -> None:
        self._answer("220 localhost ESMTP")
        secure, known, to = self.server.tls == "at once", not self.server.login, list[str]()
        while line := self.rfile.readline():
            word, _, rest = line.decode("utf-8", "replace").strip().partition(" ")
            self.server.note(word.upper() + (f" {rest}" if word.upper() in ("MAIL", "RCPT") else ""))
            if refusal := self.server.refusal(word.upper()):
                if refusal == "hang up":
                    return
                self._answer(refusal)
            elif word.upper() == "EHLO":
                names = ["localhost"] + ["STARTTLS"] * (self.server.tls == "starttls" and not secure)
                names += ["AUTH PLAIN"] * (bool(self.server.login) and (secure or self.server.tls == "none"))
                for at, name in enumerate(names):
                    self._answer(f"250{' ' if at == len(names) - 1 else '-'}{name}")
            elif word.upper() == "STARTTLS":
                self._answer("220 go ahead")
                self._secure()
                secure = True
            elif word.upper() == "AUTH":
                given = base64.b64decode(rest.partition(" ")[2]).decode().split("\0")[1:]
                known = given == [self.server.login, self.server.password]
                self._answer("235 in" if known else "535 wrong")
            elif word.upper() == "MAIL":
                self._answer("250 ok" if known else "530 sign in first")
            elif word.upper() == "RCPT":
                to.append(rest)
                self._answer("250 ok")
            elif word.upper() == "DATA":
                self._answer("354 go")
                lines = list(
                    itertools.takewhile(lambda line: line not in (b".\r\n", b""), iter(self.rfile.readline, b""))
                )
                if refusal := self.server.refusal("BODY"):
                    if refusal == "hang up":
                        return
                    self._answer(refusal)
                    continue
                self.server.keep(b"".join(line[1:] if line.startswith(b"..") else line for line in lines))
                if self.server.refusal("SENT"):  # taken, and the answer is lost
                    return
                self._answer("250 taken")
            elif word.upper() == "QUIT":
                self._answer("221 bye")
                return
            else:
                self._answer("250 ok")


class _Listener(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True

    def __init__(self, folder: Path, tls: str, login: str, password: str) -> None:
        super().__init__(("127.0.0.1", 0), _Session)
        self._folder, self.tls, self.login, self.password = folder, tls, login, password
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.load_cert_chain(folder / "pem")

    def refusal(self, word: str) -> str:
        """Returns what this command is refused with, once; "" for nothing."""
        path = self._folder / "refuse"
        lines = path.read_text().splitlines() if path.exists() else []
        for line in lines:
            if line.partition(" ")[0] == word:
                lines.remove(line)
                path.write_text("\n".join(lines))
                return line.partition(" ")[2]
        return ""

    def note(self, line: str) -> None:
        """Notes a command."""
        with (self._folder / "said").open("a") as file:
            file.write(line + "\n")

    def keep(self, mail: bytes) -> None:
        """Keeps a mail that was taken."""
        number = len(list(self._folder.glob("*.eml")))
        draft = self._folder / "draft"
        draft.write_bytes(mail)
        os.replace(draft, self._folder / f"{number}.eml")


def main(folder: str, *options: Any) -> None:
    """Serves until it is ended."""
    server = _Listener(Path(folder), *options)
    draft = Path(folder) / "port.draft"
    draft.write_text(str(server.server_address[1]))
    os.replace(draft, Path(folder) / "port")
    server.serve_forever(0.05)


if __name__ == "__main__":
    main(*sys.argv[1:])
