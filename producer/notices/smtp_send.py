"""Sends one e-mail by the operator's SMTP server (RFC 5321, RFC 6409), with TLS from the first byte or by STARTTLS.

Its secret is `server` (smtps://host, smtp://host:587), `login`, `password`, `from` and `to`.
"""

from __future__ import annotations

import smtplib
import socket
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from io import BufferedReader
from typing import Any, Final
from urllib.parse import urlsplit

from producer.notices.sending import OF_HOST, ConversationLimit, NotSent, answered, spoken
from producer.notices.wording import Wording
from shared.sign_in.reach import Reach
from shared.wording.often_said import SENT_ANSWERS_WITHOUT_END
from shared.wording.phrases import Phrase

#: Scheme → usual port: submission with TLS at once (RFC 8314), submission with STARTTLS.
PORTS: Final[Mapping[str, int]] = {"smtps": 465, "smtp": 587}
NO_STARTTLS: Final = Phrase(
    "notice_no_starttls", "{host} offers no STARTTLS, and nothing is sent in plain text: give smtps://{host}"
)
ASCII_ONLY: Final = Phrase("notice_ascii_only", "its login and password may hold ASCII letters only")

#: Names of this machine: nobody else sees what goes to them without TLS.
LOCAL: Final = ("localhost", "127.0.0.1", "::1")
#: Bytes of all answers of one conversation; a sending brings a few hundred.
_MOST_BYTES: Final = 256 * 1024


class _BoundedAnswers:
    """The answers of a conversation, as smtplib reads them: no more than `_MOST_BYTES` of them."""

    def __init__(self, answers: BufferedReader) -> None:
        self._answers, self._left = answers, _MOST_BYTES

    def readline(self, most: int) -> bytes:
        """Returns the next line. Raises OSError."""
        line = self._answers.readline(most)
        self._left -= len(line)
        if self._left < 0:
            raise OSError(SENT_ANSWERS_WITHOUT_END.says())
        return line

    def close(self) -> None:
        """Closes the stream."""
        self._answers.close()


class _Submission(smtplib.SMTP):
    """A conversation over a connection that was opened and guarded here."""

    def __init__(self, host: str, port: int, secure: bool, reach: Reach | None, limit: ConversationLimit) -> None:
        self._secure, self._reach, self._limit = secure, reach, limit
        super().__init__(host, port)

    def getreply(self) -> tuple[int, bytes]:
        """Returns the server's answer. Raises `SMTPServerDisconnected` where answers have no end, which smtplib would keep."""
        if self.file is None and self.sock is not None:
            self.file = _BoundedAnswers(self.sock.makefile("rb"))
        return super().getreply()

    def _get_socket(self, host: str, port: int, timeout: Any) -> socket.socket:
        line = self._limit.connected(host, port, self._reach)
        if self._secure:
            return ssl.create_default_context().wrap_socket(line, server_hostname=host)
        return line


def mailed(secret: Mapping[str, str], key: str, wording: Wording, at: float, reach: Reach | None) -> None:
    """Sends the mail. Raises `NotSent`."""
    with ConversationLimit() as limit:
        _mailed(secret, mail_of(secret, key, wording, at), reach, limit)


def _mailed(secret: Mapping[str, str], mail: EmailMessage, reach: Reach | None, limit: ConversationLimit) -> None:
    parts = urlsplit(secret["server"])
    host, secure = parts.hostname or "", parts.scheme == "smtps"
    try:
        with _Submission(host, parts.port or PORTS[parts.scheme], secure, reach, limit) as server:
            if not secure:
                server.ehlo_or_helo_if_needed()
                if server.has_extn("starttls"):
                    server.starttls(context=ssl.create_default_context())
                elif host not in LOCAL:
                    raise NotSent(NO_STARTTLS.says(host=host))
            if secret.get("login"):
                server.login(secret["login"], secret["password"])
            refused = server.send_message(mail)
    except smtplib.SMTPRecipientsRefused as error:
        raise _refused(host, list(error.recipients.values())) from None
    except smtplib.SMTPResponseException as error:
        said = error.smtp_error.decode("utf-8", "replace") if isinstance(error.smtp_error, bytes) else error.smtp_error
        forever = error.smtp_code >= 500 and not isinstance(
            error, smtplib.SMTPAuthenticationError | smtplib.SMTPConnectError
        )
        raise NotSent(answered(host, error.smtp_code, spoken(Exception(said))), forever=forever) from None
    except UnicodeError:
        raise NotSent(OF_HOST.says(host=host, cause=ASCII_ONLY.says())) from None
    except (OSError, smtplib.SMTPException) as error:
        raise NotSent(OF_HOST.says(host=host, cause=limit.said(error))) from None
    if refused:  # others were told: another attempt would tell them twice
        raise NotSent(_refused(host, list(refused.values())).why, forever=True)


def mail_of(secret: Mapping[str, str], key: str, wording: Wording, at: float) -> EmailMessage:
    """Returns the mail. Its Message-ID is the same in a repeat."""
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = secret["from"], secret["to"], wording.subject
    mail["Date"] = format_datetime(datetime.fromtimestamp(at, UTC))
    mail["Message-ID"] = f"<{key.replace(':', '.')}@{secret['from'].rpartition('@')[2].strip('> ') or 'mailhaul'}>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no vacation notice answers it
    mail["X-Mailhaul-Id"] = key
    mail.set_content("\n".join(wording.lines or (wording.subject,)) + "\n")
    return mail


def _refused(host: str, answers: list[tuple[int, bytes]]) -> NotSent:
    code, said = answers[0]
    words = spoken(Exception(said.decode("utf-8", "replace")))
    return NotSent(answered(host, code, words), forever=code >= 500)
