"""Runs Courier (courier-imap and courier-pop): folders below `INBOX.`, a mailbox in Maildir++ format, no LITERAL+.

Courier's programs ask its authentication daemon on a Unix socket with a fixed path below /run. The copy of the library
in `.tools` asks on a path of the test's own instead, where a thread of the test answers with the test's accounts.
"""

from __future__ import annotations

import shutil
import socketserver
import subprocess
import threading
from pathlib import Path

from tests.servers.real import unpacked

ROOT = unpacked.TOOLS / "courier"
_LIBRARY = "libcourierauth.so.0"
_SOCKET = b"/run/courier/authdaemon/socket\0"
#: The extensions that Debian's configuration announces.
_CAPABILITY = (
    "IMAP4rev1 UIDPLUS CHILDREN NAMESPACE THREAD=ORDEREDSUBJECT THREAD=REFERENCES SORT QUOTA IDLE ACL ACL2=UNION"
)


def missing() -> str:
    """Returns why it cannot run here, or nothing."""
    return "" if (ROOT / "usr/sbin/couriertcpd").exists() else "Courier's packages cannot be had here"


def version() -> str:
    """Returns the version of its packages."""
    return unpacked.version(ROOT / "usr/bin/couriertls", "--version", env=unpacked.environment(ROOT)) or "1.0.16"


class Courier(unpacked.Unpacked):
    """A Courier with IMAP and POP3."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts: dict[str, tuple[str, Path]] = {}
        self._daemon = _Daemon(self.home / "s", self)

    def kill(self) -> None:
        super().kill()
        self._daemon.end()

    def add_user(self, login: str, password: str) -> None:
        """Creates the account with an empty Maildir."""
        home = self.home / "mail" / str(len(self._accounts))
        home.mkdir(parents=True)
        self._make(home / "Maildir")
        self._accounts[login] = (password, home)

    def set_quota(self, login: str, quota_bytes: int) -> None:
        """Sets the quota of this account."""
        self._make(self._accounts[login][1] / "Maildir", "-q", f"{quota_bytes}S")

    def _make(self, *arguments: str | Path) -> None:
        maker = ROOT / "usr/bin/maildirmake.courier"
        options = sorted(map(str, arguments), key=lambda part: part.startswith("/"))
        subprocess.run([maker, *options], env=unpacked.environment(ROOT), check=True)
        self._own(self.home / "mail")

    def answer(self, login: str, password: str | None) -> bytes:
        """Returns what the authentication daemon says; without a password it only looks the login up."""
        known, home = self._accounts.get(login, ("", Path()))
        if not known or password not in (None, known):
            return b"FAIL\n"
        return (
            f"UID={self._owner.pw_uid}\nGID={self._owner.pw_gid}\nHOME={home}\nADDRESS={login}\nMAILDIR=Maildir\n.\n"
        ).encode()

    def _run(self) -> None:
        (self.home / "mail").mkdir(exist_ok=True)
        libraries = self.home / "lib"
        libraries.mkdir(exist_ok=True)
        shutil.copy(ROOT / "usr/lib" / _LIBRARY, libraries / _LIBRARY)
        _redirect(libraries / _LIBRARY, self.home / "s")
        self._daemon.begin()
        env = unpacked.environment(ROOT)
        env["LD_LIBRARY_PATH"] = f"{libraries}:{env['LD_LIBRARY_PATH']}"
        env |= {"TLS_CACHEFILE": "", "AUTHMODULES": "authdaemon", "MAXDAEMONS": "100"}
        # Each command that opens a folder asks Gamin for news of it, and waits 1.2 s for a Gamin that is not there.
        client = f"mailhaul-{self.port}"
        self._spawn(ROOT / "usr/libexec/gam_server", "--notimeout", client, env=env)
        env["GAM_CLIENT_ID"] = client
        options = ["-address=127.0.0.1", "-maxprocs=100", "-maxperip=100", "-nodnslookup", "-noidentlookup"]
        tcpd, login = ROOT / "usr/sbin/couriertcpd", ROOT / "usr/lib/courier/courier"
        imap = env | {
            "IMAP_CAPABILITY": _CAPABILITY,
            "IMAP_KEYWORDS": "1",
            "IMAP_ACL": "1",
            "IMAP_USELOCKS": "1",
            "IMAP_MAILBOX_SANITY_CHECK": "1",
            "IMAP_TLS_REQUIRED": "0",
            "IMAP_STARTTLS": "NO",
            "IMAP_UMASK": "022",
            "IMAP_EMPTYTRASH": "",
            "IMAP_IDLE_TIMEOUT": "60",
        }
        self._spawn(
            tcpd,
            *options,
            str(self.port),
            login / "imaplogin",
            ROOT / "usr/bin/imapd",
            "Maildir",
            port=self.port,
            env=imap,
        )
        pop3 = env | {"POP3_TLS_REQUIRED": "0", "POP3_STARTTLS": "NO"}
        self._spawn(
            tcpd,
            *options,
            str(self.pop3_port),
            login / "courierpop3login",
            login / "courierpop3d",
            "Maildir",
            port=self.pop3_port,
            env=pop3,
        )


def _redirect(library: Path, socket: Path) -> None:
    """Replaces the path of the daemon's socket in the library.

    The compiler copies the 31 bytes as two overlapping blocks of 16, so they lie in the file as two blocks.
    """
    path = bytes(socket)
    path = path.replace(b"/", b"/" * (len(_SOCKET) - len(path)), 1) + b"\0"
    if len(path) != len(_SOCKET):
        raise ValueError(f"{socket} is longer than the path that it replaces")
    content = library.read_bytes()
    for part in (slice(0, 16), slice(15, 31)):
        if content.count(_SOCKET[part]) != 1:
            raise ValueError(f"{library} has its socket elsewhere")
        content = content.replace(_SOCKET[part], path[part])
    library.write_bytes(content)


class _Daemon:
    """Answers on the socket of Courier's authentication daemon."""

    def __init__(self, place: Path, courier: Courier) -> None:
        class Handler(socketserver.StreamRequestHandler):
            def handle(self) -> None:
                # Facts about the connection (NAME=VALUE) precede the request.
                word, *rest = next(line.decode().split() for line in self.rfile if b"=" not in line)
                if word == "AUTH":  # AUTH BYTES, then service, kind, login and password, each on a line
                    _, kind, login, password = self.rfile.read(int(rest[0])).decode().split("\n")[:4]
                    self.wfile.write(courier.answer(login, password) if kind == "login" else b"FAIL\n")
                elif word == "PRE":  # PRE . SERVICE LOGIN
                    self.wfile.write(courier.answer(rest[2], None))
                else:
                    self.wfile.write(b"FAIL\n")

        self._place, self._handler = place, Handler
        self._server: socketserver.ThreadingUnixStreamServer | None = None

    def begin(self) -> None:
        """Starts to answer."""
        self._server = socketserver.ThreadingUnixStreamServer(str(self._place), self._handler)
        self._server.daemon_threads = True
        self._place.chmod(0o777)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def end(self) -> None:
        """Stops answering."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._place.unlink(missing_ok=True)
            self._server = None
