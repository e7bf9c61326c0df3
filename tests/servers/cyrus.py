"""Runs a Cyrus of our own: it changes what it stores in other ways than Dovecot does.

By default it replaces 8-bit bytes of the header by X, and refuses bare LFs and NUL. Debian's packages exclude Dovecot,
so `tests/install-servers` unpacks them into `.tools/cyrus` and installs nothing. As root it runs as `nobody`, as
Dovecot does here.
"""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import subprocess
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self

from tests.servers.process import ServerDied, end, free_port, kill, spawn, until_greeting

#: Folder into which `tests/install-servers` unpacks the packages.
UNPACKED = Path(__file__).resolve().parents[2] / ".tools" / "cyrus"
_START_ATTEMPTS = 4


def available() -> bool:
    """Tells whether Cyrus was unpacked."""
    return (UNPACKED / "usr/lib/cyrus/bin/master").exists()


class Cyrus:
    """A Cyrus server; a context manager. Accounts are added while it runs; their logins are alphanumeric."""

    host = "127.0.0.1"

    def __init__(self, *, munge8bit: bool = True) -> None:
        self._owner = pwd.getpwnam("nobody") if os.geteuid() == 0 else pwd.getpwuid(os.geteuid())
        self.home = Path(tempfile.mkdtemp(prefix="cyrus-"))
        self.home.chmod(0o755)
        self.port = self.pop3_port = 0
        self._munge8bit = munge8bit
        self._process: subprocess.Popen[bytes] | None = None
        self._environment = {
            "PATH": os.environ.get("PATH", os.defpath),
            "LD_LIBRARY_PATH": ":".join(str(UNPACKED / part) for part in _libraries()),
            "SASL_PATH": str(next((UNPACKED / "usr/lib").glob("*/sasl2"), UNPACKED)),
        }

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.home, ignore_errors=True)

    def start(self) -> None:
        """Starts the server and returns when it greets. A restart keeps the ports."""
        for attempt in range(_START_ATTEMPTS):
            fresh = self.port == 0
            if fresh:
                self.port, self.pop3_port = free_port(), free_port()
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

    def add_user(self, login: str, password: str) -> None:
        """Creates the account, or changes its password."""
        if not login.isalnum():
            raise ValueError("a login of this Cyrus is a plain word")
        self._tool("usr/sbin/saslpasswd2", "-p", "-c", "-f", self._users, "-u", "localhost", login, given=password)

    def new_uidvalidity(self, login: str) -> None:
        """Gives the account's INBOX another UIDVALIDITY. The server must be stopped."""
        if self._process is not None:
            raise ValueError("stop it first")
        self._tool("usr/lib/cyrus/bin/mbtool", "-C", self.home / "imapd.conf", "-r", f"user.{login}")

    @property
    def _users(self) -> Path:
        return self.home / "sasldb2"

    def _run(self) -> None:
        for name in ("conf", "spool", "run", "conf/db", "conf/proc", "conf/socket", "conf/log", "conf/lock"):
            (self.home / name).mkdir(exist_ok=True)
        (self.home / "imapd.conf").write_text(self._imapd_conf())
        (self.home / "cyrus.conf").write_text(self._cyrus_conf())
        self._users.touch()
        self._hand_over()
        log = self.home / "stdout"
        self._process = spawn(
            [
                UNPACKED / "usr/lib/cyrus/bin/master",
                "-C",
                self.home / "imapd.conf",
                "-M",
                self.home / "cyrus.conf",
                "-p",
                self.home / "run/master.pid",
            ],
            log=log,
            env=self._environment,
        )
        try:
            until_greeting(self._process, self.port, log)
            until_greeting(self._process, self.pop3_port, log)
        except BaseException:
            self.kill()
            raise

    def _imapd_conf(self) -> str:
        home = self.home
        return f"""
configdirectory: {home}/conf
defaultpartition: default
partition-default: {home}/spool
proc_path: {home}/conf/proc
mboxname_lockpath: {home}/conf/lock
idlesocket: {home}/conf/socket/idle
notifysocket: {home}/conf/socket/notify
lmtpsocket: {home}/conf/socket/lmtp
cyrus_user: {self._owner.pw_name}
servername: localhost
admins: cyrusadmin
autocreate_quota: 0
sasl_pwcheck_method: auxprop
sasl_auxprop_plugin: sasldb
sasl_sasldb_path: {self._users}
sasl_mech_list: PLAIN LOGIN
allowplaintext: yes
munge8bit: {"yes" if self._munge8bit else "no"}
maxlogins_per_host: 0
maxlogins_per_user: 0
popminpoll: 0
"""

    def _cyrus_conf(self) -> str:
        binaries = UNPACKED / "usr/lib/cyrus/bin"
        options = f'-C {self.home}/imapd.conf -U 200" prefork=0 maxchild=100'
        return f"""
START {{
  recover cmd="{binaries}/ctl_cyrusdb -C {self.home}/imapd.conf -r"
}}
SERVICES {{
  imap cmd="{binaries}/imapd {options} listen="127.0.0.1:{self.port}"
  pop3 cmd="{binaries}/pop3d {options} listen="127.0.0.1:{self.pop3_port}"
}}
"""

    def _tool(self, program: str, *arguments: str | Path, given: str = "") -> None:
        subprocess.run(
            [str(UNPACKED / program), *map(str, arguments)],
            input=given.encode(),
            env=self._environment,
            check=True,
            capture_output=True,
        )
        self._hand_over()

    def _hand_over(self) -> None:
        """Gives all files to the server's user."""
        if os.geteuid() == 0:
            for place in (self.home, *self.home.rglob("*")):
                with contextlib.suppress(FileNotFoundError):  # it makes and removes files while it runs
                    os.chown(place, self._owner.pw_uid, self._owner.pw_gid)


def _libraries() -> list[str]:
    folders = [path.parent for path in UNPACKED.rglob("*.so*") if "sasl2" not in path.parts]
    return sorted({str(folder.relative_to(UNPACKED)) for folder in folders})
