"""Runs GNU Mailutils (imap4d and pop3d): mail of mbox format below the home folder of each account."""

from __future__ import annotations

import ctypes
import os

from tests.servers.real import unpacked

ROOT = unpacked.TOOLS / "mailutils"


def missing() -> str:
    """Returns why it cannot run here, or nothing."""
    return "" if (ROOT / "usr/sbin/imap4d").exists() else "GNU Mailutils' packages cannot be had here"


def version() -> str:
    """Returns its version."""
    return unpacked.version(ROOT / "usr/sbin/imap4d", "--version", env=unpacked.environment(ROOT))


class Mailutils(unpacked.Unpacked):
    """imap4d and pop3d. A login is an address: the virtual domains of Mailutils have passwords of their own."""

    def __init__(self) -> None:
        super().__init__()
        self._accounts = 0

    def add_user(self, login: str, password: str) -> None:
        """Creates the account with an empty home folder."""
        user, _, domain = login.partition("@")
        if not domain:
            raise ValueError("a login of this Mailutils is an address")
        home = self.home / "mail" / str(self._accounts)
        self._accounts += 1
        home.mkdir(parents=True)
        (home / "INBOX").touch()
        line = f"{user}:{_hashed(password)}:{self._owner.pw_uid}:{self._owner.pw_gid}::{home}:/bin/false\n"
        with (self.home / "domains" / domain).open("a") as file:
            file.write(line)
        self._own(self.home)

    def _run(self) -> None:
        for name in ("domains", "mail", "locks"):
            (self.home / name).mkdir(exist_ok=True)
        # pop3d takes the group `mail` when it starts, and ends where it may not: only root runs it.
        programs = {"imap4d": self.port} | ({"pop3d": self.pop3_port} if os.geteuid() == 0 else {})
        for program, port in programs.items():
            place = self.home / f"{program}.conf"
            place.write_text(self._configuration(program, port))
            self._spawn(
                ROOT / "usr/sbin" / program,
                "--daemon=100",
                "--foreground",
                f"--config-file={place}",
                port=port,
                env=unpacked.environment(ROOT),
                privileged=program == "pop3d",
            )

    def _configuration(self, program: str, port: int) -> str:
        return f"""
virtdomain {{ passwd-dir {self.home}/domains; }}
auth {{
  authentication clear;
  authentication generic;
  authorization clear;
  authorization virtdomain;
}}
logging {{ syslog no; }}
mode daemon;
foreground yes;
pidfile {self.home}/{program}.pid;
max-children 100;
tcp-wrappers {{ enable no; }}
tls-mode no;
server 127.0.0.1:{port} {{ tls-mode no; }}
"""


def _hashed(password: str) -> str:
    crypt = ctypes.CDLL("libcrypt.so.1").crypt
    crypt.restype = ctypes.c_char_p
    found: bytes = crypt(password.encode(), b"$1$mailhaul$")
    return found.decode()
