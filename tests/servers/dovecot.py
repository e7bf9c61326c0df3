"""Runs a Dovecot of our own: rootless, on free ports, with its mail in a temporary folder.

Most installations use it, so the tests rely on it most. It runs as the user who runs the tests, or as `nobody` when
that is root (Dovecot keeps no mail as root). It does not delay: a wrong password is refused at once.
"""

from __future__ import annotations

import base64
import hashlib
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from dataclasses import replace
from itertools import count
from pathlib import Path
from types import TracebackType
from typing import Literal, Self

from tests.servers.certificate import certificate_and_key
from tests.servers.dovecot_conf import Settings, render
from tests.servers.process import (
    SEARCH_PATH,
    ServerDied,
    await_ready,
    end,
    free_port,
    kill,
    refuses,
    spawn,
    until_greeting,
)

_START_ATTEMPTS = 4
_NOBODY = "nobody"
_ROOMS = ("mail", "run", "state", "users")
#: Longest path of the server's folder: paths of Unix sockets below it have at most 107 bytes.
_LONGEST_HOME = 60


def available() -> bool:
    """Tells whether Dovecot is installed."""
    return shutil.which("dovecot", path=SEARCH_PATH) is not None


class Dovecot:
    """A Dovecot server; a context manager. Accounts are added while it runs."""

    host = "127.0.0.1"

    def __init__(
        self,
        root: Path | None = None,
        *,
        separator: str = "/",
        prefix: str = "",
        mail_format: Literal["maildir", "sdbox", "mdbox", "mbox"] = "maildir",
        layout: Literal["maildir++", "fs"] = "maildir++",
        user_connections: int = 100,
        quota_bytes: int | None = None,
        special_use: bool = True,
        fsync: bool = False,
        any_login_password: str | None = None,
        capability: str | None = None,
        certificate: tuple[bytes, bytes] | None = None,
        pop3: bool = False,
        extra: str = "",
    ) -> None:
        """Sets up the server; with `pop3` it also serves POP3, on `pop3_port` and `pop3s_port`."""
        self._settings = Settings(
            separator=separator,
            prefix=prefix,
            mail_format=mail_format,
            layout=layout,
            user_connections=user_connections,
            quota_bytes=quota_bytes,
            special_use=special_use,
            fsync=fsync,
            any_login_password=any_login_password,
            capability=capability,
            extra=extra,
        )
        self._owner = pwd.getpwnam(_NOBODY) if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.home = _home(root, self._owner.pw_uid)
        for name in _ROOMS:
            (self.home / name).mkdir()
        self.certificate, self._key = certificate or certificate_and_key()
        self.port = 0
        self.tls_port = 0
        self._pop3 = pop3
        self.pop3_port = self.pop3s_port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._accounts: dict[str, tuple[str, Path]] = {}
        self._markers = count(1)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()  # an orderly stop takes a second and writes nothing that a test reads
        shutil.rmtree(self.home, ignore_errors=True)

    # -- life

    def start(self) -> None:
        """Starts the server and returns when it greets. A restart keeps the ports."""
        for attempt in range(_START_ATTEMPTS):
            fresh = self.port == 0
            if fresh:
                self.port, self.tls_port = free_port(), free_port()
                if self._pop3:
                    self.pop3_port, self.pop3s_port = free_port(), free_port()
            try:
                return self._run()
            except ServerDied:
                if not fresh or attempt == _START_ATTEMPTS - 1:
                    raise
                self.port = 0  # another process took a port: try other ports

    def stop(self) -> None:
        """Stops the server as an administrator would."""
        if self._process is not None:
            end(self._process)
            self._process = None

    def kill(self) -> None:
        """Ends all its processes at once, as a crash would."""
        if self._process is not None:
            kill(self._process)
            self._process = None
            # Its child processes listen too, until the kernel ends them.
            await_ready(lambda: refuses(self.port), what="the end")

    def restart(self) -> None:
        """Stops the server if it runs, and starts it again on the same ports with the same mail."""
        self.stop()
        self.start()

    def _run(self) -> None:
        self._write("cert.pem", self.certificate)
        self._write("key.pem", self._key)
        configuration = self._write_configuration()
        binary = shutil.which("dovecot", path=SEARCH_PATH)
        if binary is None:
            raise ServerDied("Dovecot is not installed")
        drop = os.geteuid() == 0
        log = self.home / "stdout"
        self._process = spawn(
            [binary, "-F", "-c", configuration],
            log=log,
            uid=self._owner.pw_uid if drop else None,
            gid=self._owner.pw_gid if drop else None,
        )
        try:
            until_greeting(self._process, self.port, log)
            if self._pop3:
                until_greeting(self._process, self.pop3_port, log)
        except BaseException:
            self.kill()
            raise

    def _write_configuration(self) -> Path:
        conf = render(
            self._settings,
            self.home,
            self._owner.pw_name,
            self._owner.pw_gid,
            self.port,
            self.tls_port,
            self.pop3_port,
            self.pop3s_port,
        )
        return self._write("dovecot.conf", conf.encode())

    def _write(self, name: str, content: bytes) -> Path:
        path = self.home / name
        fresh = path.with_name(path.name + ".new")
        fresh.write_bytes(content)
        fresh.chmod(0o600)
        if os.geteuid() == 0:
            for place in (fresh, self.home, *(self.home / name for name in _ROOMS)):
                os.chown(place, self._owner.pw_uid, self._owner.pw_gid)
        fresh.rename(path)
        return path

    # -- accounts

    def add_user(self, login: str, password: str) -> None:
        """Creates the account. Raises `ValueError` where it exists: another test of the module or session may have filled it.

        All characters are allowed, except line breaks, and a colon in the login.
        """
        if set(login) & set("\r\n:\0") or not login:
            raise ValueError("a login of Dovecot's passwd-file has no colon and no line break")
        if login in self._accounts:
            raise ValueError(f"{login} exists, and may hold mail of another test: take a login of your own")
        self._accounts[login] = (password, self.home / "mail" / str(len(self._accounts)))
        self._write_user(login)

    def change_password(self, login: str, password: str) -> None:
        """Changes the password of an account."""
        self._accounts[login] = (password, self._accounts[login][1])
        self._write_user(login)
        if self._process is not None:
            # Dovecot checks a known file for changes once in each second of the clock.
            second = int(time.time())
            await_ready(lambda: int(time.time()) > second, what="the next second")

    def _write_user(self, login: str) -> None:
        password, folder = self._accounts[login]
        secret = base64.b64encode(password.encode()).decode()
        line = f"{login}:{{PLAIN.b64}}{secret}:{self._owner.pw_uid}:{self._owner.pw_gid}::{folder}::\n"
        name = hashlib.md5(login.encode(), usedforsecurity=False).hexdigest()
        path = self._write(f"users/{name}", line.encode())
        # Dovecot reads the file again when its size or time differ, so each time is used once.
        stamp = 1_000_000_000 + next(self._markers)
        os.utime(path, (stamp, stamp))

    def mail_folder(self, login: str, folder: str = "INBOX") -> Path:
        """Returns the folder's place on disk, for a maildir account.

        `folder` is spelled as on disk (modified UTF-7).
        """
        home = self._accounts[login][1]
        inner = folder.removeprefix(self._settings.prefix)
        if self._settings.layout == "fs":
            return home / "Inbox" if folder.upper() == "INBOX" else home / "Maildir" / inner
        root = home / "Maildir"
        return root if folder.upper() == "INBOX" else root / ("." + inner.replace(self._settings.separator, "."))

    def wipe_uidlist(self, login: str, folder: str = "INBOX", *, uidvalidity: int = 0) -> None:
        """Removes UIDs and indexes, so that the folder has this UIDVALIDITY when it is next opened; a new one for 0.

        Works with maildir only.
        """
        if self._settings.mail_format != "maildir":
            raise ValueError("only a maildir has a uidlist")
        place, root = self.mail_folder(login, folder), self._accounts[login][1] / "Maildir"
        uidlist = place / "dovecot-uidlist"
        validity = re.match(r"3 V(\d+) ", uidlist.read_text("utf-8", "replace"))
        if validity is None:
            raise ValueError(f"{uidlist} is not of version 3")
        for path in [*place.glob("dovecot.index*"), *root.glob("dovecot.list.index*")]:
            path.unlink()
        # Without the file Dovecot takes the current second as UIDVALIDITY, which may be the old value again.
        uidlist.write_text(f"3 V{uidvalidity or int(validity[1]) + 1} N1 G{secrets.token_hex(16)}\n")

    def back_up(self, login: str, place: Path) -> None:
        """Copies all that the account has on disk to `place`, which must not exist. Nobody may be signed in."""
        subprocess.run(["cp", "-a", str(self._accounts[login][1]), str(place)], check=True)

    def restore(self, login: str, place: Path) -> None:
        """Puts back what `back_up` copied; what changed since is lost."""
        home = self._accounts[login][1]
        shutil.rmtree(home)
        subprocess.run(["cp", "-a", str(place), str(home)], check=True)

    def configure(self, *, extra: str) -> None:
        """Changes the settings beside those of `Settings`, for sessions opened from now on."""
        self._settings = replace(self._settings, extra=extra)
        self._write_configuration()
        self.restart()

    def set_quota(self, quota_bytes: int) -> None:
        """Changes the quota, for sessions opened from now on. The server must have been made with one."""
        if self._settings.quota_bytes is None:
            raise ValueError("made without a quota")
        self._settings = self._settings.with_quota(quota_bytes)
        self._write_configuration()
        self.restart()

    # -- counts of sign-ins

    def login_attempts(self, login: str | None = None) -> int:
        """Returns how often a sign-in was refused (of one login, or of all) since the folder was made."""
        return self._auth_outcomes("FAIL", login)

    def logins(self, login: str | None = None) -> int:
        """Returns how often a sign-in was accepted."""
        return self._auth_outcomes("OK", login)

    def _auth_outcomes(self, outcome: str, login: str | None) -> int:
        # The log comes through a pipe. Once a refused sign-in of our own is seen there, everything before it is there
        # too.
        marker = f"log-marker-{os.getpid()}-{next(self._markers)}"
        with socket.create_connection((self.host, self.port), timeout=60) as sock, sock.makefile("rb") as answers:
            sock.sendall(f"a LOGIN {marker} x\r\nb LOGOUT\r\n".encode())
            answers.read()
        await_ready(lambda: f"\tuser={marker}" in self._log(), what="the log")
        found = re.findall(rf"client passdb out: {outcome}\t\d+\tuser=([^\t\n]*)", self._log())
        return sum(1 for name in found if not name.startswith("log-marker-") and login in (None, name))

    def _log(self) -> str:
        path = self.home / "log"
        return path.read_text("utf-8", "replace") if path.exists() else ""

    @property
    def master_pid(self) -> int:
        """The id of the main process."""
        if self._process is None:
            raise ServerDied("not running")
        return self._process.pid

    def freeze(self) -> None:
        """Stops all its processes, as on a machine without CPU time; `thaw` continues them."""
        os.killpg(self.master_pid, signal.SIGSTOP)

    def thaw(self) -> None:
        """Ends a `freeze`."""
        os.killpg(self.master_pid, signal.SIGCONT)


def _home(root: Path | None, uid: int) -> Path:
    """Makes a new folder below `root`.

    It is in the temporary folder instead where `root` is too deep or closed to the server's user.
    """
    fits = root is not None and len(str(root)) < _LONGEST_HOME and _open_to(root, uid)
    home = Path(tempfile.mkdtemp(prefix="dovecot-", dir=root if fits else None))
    home.chmod(0o755)
    return home


def _open_to(folder: Path, uid: int) -> bool:
    places = [folder, *folder.parents]
    return all(place.stat().st_uid == uid or place.stat().st_mode & 0o001 for place in places)
