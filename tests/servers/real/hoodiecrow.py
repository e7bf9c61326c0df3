"""Runs hoodiecrow-imap of npm, a scriptable server for tests, whose mail is in memory and the same for all accounts.

It is started as its own command starts it, with the extensions that a client of mail can use.
"""

from __future__ import annotations

import json
import shutil

from tests.servers.real import unpacked

MODULE = unpacked.TOOLS / "hoodiecrow" / "node_modules" / "hoodiecrow-imap"
_PLUGINS = ["ID", "NAMESPACE", "UNSELECT", "ENABLE", "CONDSTORE", "SPECIAL-USE", "LITERALPLUS", "AUTH-PLAIN", "SASL-IR"]


def missing() -> str:
    """Returns why it cannot run here, or nothing."""
    return "" if MODULE.exists() and shutil.which("node") else "node or hoodiecrow-imap cannot be had here"


def version() -> str:
    """Returns its version."""
    return str(json.loads((MODULE / "package.json").read_text())["version"])


class Hoodiecrow(unpacked.Unpacked):
    """A hoodiecrow-imap with one mailbox: an account can be added before it starts."""

    def __init__(self) -> None:
        super().__init__()
        self._users: dict[str, dict[str, str]] = {}

    def add_user(self, login: str, password: str) -> None:
        """Creates the account and starts the server anew, which is empty then."""
        self._users[login] = {"password": password}
        self.kill()
        self._run()

    def _run(self) -> None:
        options = {"plugins": _PLUGINS, "users": self._users, "storage": {"INBOX": {}}}
        script = (
            f"require({json.dumps(str(MODULE))})({json.dumps(options)}).listen({self.port}, '127.0.0.1');"
            "process.on('uncaughtException', (e) => { console.error(e.stack); process.exit(1); });"
        )
        self._spawn(shutil.which("node") or "node", "-e", script, port=self.port)
