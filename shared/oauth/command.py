"""A program that prints a token: for every issuer that has no module here. No shell reads its command line.

The program prints the token alone, or JSON as in RFC 6749 §5.1: ``{"access_token": "…", "expires_in": 3600}``. Exit
code 0 means a token, 75 (EX_TEMPFAIL) asks to try again later, and any other is a refusal, whose reason is the last
line of standard error. ``{user}`` in the command line stands for the account.
"""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
from pathlib import Path
from typing import Final

from shared.content.json_text import read_json
from shared.mail.answers.grammar import clean_text
from shared.model.errors import AuthenticationRefused, AuthorizationRefused, MailError, Unreachable
from shared.model.sides import Side
from shared.oauth import AccessToken
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase, text_of

TOKEN_COMMAND_ENDED: Final = Phrase("token_command_ended", "the token command ended with {code}")
TOKEN_COMMAND_NOT_ASKED: Final = Phrase(
    "token_command_not_asked", 'the token command is not asked for a login that begins with "-"'
)
TOKEN_COMMAND_ASKS_TO_TRY_LATER: Final = Phrase(
    "token_command_asks_to_try_later", "the token command asks to try again later"
)
TOKEN_COMMAND_PRINTED_NO_TOKEN: Final = Phrase(
    "token_command_printed_no_token", "the token command printed neither a token nor JSON with access_token"
)
LOGIN_NO_PROGRAM_CAN_BE_GIVEN: Final = Phrase("login_no_program_can_be_given", "a login that no program can be given")
TOKEN_COMMAND_CANNOT_BE_RUN: Final = Phrase("token_command_cannot_be_run", "the token command cannot be run: {cause}")
TOKEN_COMMAND_GAVE_NOTHING: Final = Phrase("token_command_gave_nothing", "the token command gave nothing in {num} s")

FULL_PATH: Final = Phrase("token_command_path", "give the token command with its full path, as in {example}")
NOT_THERE: Final = Phrase("token_command_missing", "the token command {name} is not there or may not be run")
UNREADABLE: Final = Phrase("token_command_unreadable", "the token command cannot be read ({cause})")

_BLANK: Final = "{user}"
_TEMPORARILY: Final = 75
#: The time for which a token may be used that does not say so, seconds.
_USUAL_SECONDS: Final = 300.0
_MOST_BYTES: Final = 64 * 1024


class CommandIssuer:
    """The issuer that runs a token command."""

    def __init__(self, side: Side, command: str, *, timeout_seconds: float = 60.0) -> None:
        """Splits the command line. Raises `UsageError`."""
        self._side, self._timeout = side, timeout_seconds
        try:
            self._argv = shlex.split(command)
        except ValueError as error:
            raise UNREADABLE.error(cause=text_of(error)) from None
        if not self._argv or not Path(self._argv[0]).is_absolute():
            raise FULL_PATH.error(example="command:/usr/local/bin/token {user}")
        self.per_user = any(_BLANK in word for word in self._argv[1:])

    def check(self) -> None:
        """Raises `UsageError` when this machine has no such program."""
        if not os.access(self._argv[0], os.X_OK):
            raise NOT_THERE.error(name=self._argv[0])

    def issue(self, user: str) -> AccessToken:
        # A program reads what begins with "-" as an option, and the user stands in the manifest.
        if user.startswith("-") and any(word.startswith(_BLANK) for word in self._argv):
            raise AuthorizationRefused(self._side, TOKEN_COMMAND_NOT_ASKED.says())
        argv = [self._argv[0], *(word.replace(_BLANK, user) for word in self._argv[1:])]
        # Mailhaul's own settings hold the key to every password.
        environment = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
        try:
            # The program gets a session of its own, so that the processes that it started end with it.
            process = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                env=environment,
                start_new_session=True,
            )
        except (OSError, ValueError) as error:
            why = str(error.strerror) if isinstance(error, OSError) else LOGIN_NO_PROGRAM_CAN_BE_GIVEN.says()
            raise AuthenticationRefused(self._side, TOKEN_COMMAND_CANNOT_BE_RUN.says(cause=why)) from None
        with process:
            try:
                stdout, stderr = process.communicate(timeout=self._timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                raise Unreachable(self._side, TOKEN_COMMAND_GAVE_NOTHING.says(num=f"{self._timeout:g}")) from None
        if process.returncode:
            raise self._refused(process.returncode, stderr)
        return self._token(stdout[:_MOST_BYTES])

    def _refused(self, code: int, stderr: bytes) -> MailError:
        said = clean_text((stderr.strip().splitlines() or [b""])[-1])
        if code == _TEMPORARILY:
            return Unreachable(self._side, TOKEN_COMMAND_ASKS_TO_TRY_LATER.says(), said)
        kind = AuthorizationRefused if self.per_user else AuthenticationRefused
        return kind(self._side, TOKEN_COMMAND_ENDED.says(code=code), said)

    def _token(self, stdout: bytes) -> AccessToken:
        text = stdout.decode("utf-8", "replace").strip()
        seconds = _USUAL_SECONDS
        if text.startswith("{"):
            try:
                found = read_json(text)
                text, seconds = str(found["access_token"]), float(found.get("expires_in") or _USUAL_SECONDS)
            except (ValueError, KeyError, TypeError):
                text = ""
        if not text or not text.isascii() or not text.isprintable() or " " in text:
            raise AuthenticationRefused(self._side, TOKEN_COMMAND_PRINTED_NO_TOKEN.says())
        return AccessToken(secret=Secret(text), seconds=seconds)
