"""Runs the server that `tests/install-servers --more` builds from `go_imap/main.go`: the go-imap library of Debian.

Its mail is in memory. Each folder has the UIDVALIDITY 1; it has no UIDPLUS and no LITERAL+.
"""

from __future__ import annotations

from tests.servers.real import unpacked

PROGRAM = unpacked.TOOLS / "go-imap" / "server"


def missing() -> str:
    """Returns why it cannot run here, or nothing."""
    return "" if PROGRAM.exists() else "Debian's golang and go-imap cannot be had here"


def version() -> str:
    """Returns the version of Debian's package that it is built from."""
    return "1.2.0"


class GoImap(unpacked.Unpacked):
    """A go-imap server with its memory backend."""

    def add_user(self, login: str, password: str) -> None:
        """Creates the account; the server reads the file at each sign-in."""
        with (self.home / "accounts").open("a") as file:
            file.write(f"{login}\t{password}\n")

    def _run(self) -> None:
        (self.home / "accounts").touch()
        self._spawn(PROGRAM, str(self.port), self.home / "accounts", port=self.port)
