"""Runs Perdition, a proxy for IMAP and POP3, before a Dovecot: sign-ins pass through it, then it only forwards."""

from __future__ import annotations

from contextlib import ExitStack

from tests.servers import dovecot
from tests.servers.dovecot import Dovecot
from tests.servers.real import unpacked

ROOT = unpacked.TOOLS / "perdition"


def missing() -> str:
    """Returns why it cannot run here, or nothing."""
    if not dovecot.available():
        return "Dovecot is not installed"
    return "" if (ROOT / "usr/sbin/perdition").exists() else "Perdition's packages cannot be had here"


def version() -> str:
    """Returns its version."""
    return unpacked.version(ROOT / "usr/sbin/perdition", "--version", env=unpacked.environment(ROOT)) or "2.2"


class Perdition(unpacked.Unpacked):
    """A Perdition, and the Dovecot behind it."""

    def __init__(self) -> None:
        super().__init__()
        self._behind = ExitStack()
        self._dovecot: Dovecot | None = None

    def kill(self) -> None:
        super().kill()
        self._behind.close()

    def add_user(self, login: str, password: str) -> None:
        """Creates the account at the Dovecot."""
        if self._dovecot is None:
            raise ValueError("start it first")
        self._dovecot.add_user(login, password)

    def _run(self) -> None:
        self._dovecot = self._behind.enter_context(Dovecot(pop3=True))
        for protocol, port, behind in (
            ("IMAP4", self.port, self._dovecot.port),
            ("POP3", self.pop3_port, self._dovecot.pop3_port),
        ):
            self._spawn(
                ROOT / "usr/sbin/perdition",
                "--no_daemon",
                "--protocol",
                protocol,
                "--ssl_mode",
                "none",
                "--bind_address",
                self.host,
                "--listen_port",
                str(port),
                "--map_library",
                "",
                "--outgoing_server",
                f"127.0.0.1:{behind}",
                "--username",
                self._owner.pw_name,
                "--group",
                "nogroup",
                "--pid_file",
                self.home / f"pid-{port}",
                "--log_facility",
                "-",
                "--config_file",
                "/dev/null",
                port=port,
                env=unpacked.environment(ROOT),
            )
