"""Sends one POST to a webhook: TLS verified, no redirect followed, no more of the answer read than its beginning."""

from __future__ import annotations

import contextlib
import http.client
import ssl
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import SplitResult, quote, urlsplit

from producer.notices.sending import OF_HOST, ConversationLimit, NotSent, answered
from shared.accounts.api import shortened, wait_of
from shared.sign_in.reach import Reach

_READ_BYTES: Final = 4096
#: Statuses after which another attempt may succeed, beside those of 500 and above.
_LATER: Final = frozenset({408, 425, 429})


def posted(url: str, body: bytes, headers: Mapping[str, str], reach: Reach | None) -> None:
    """Sends the body. Raises `NotSent`."""
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "https"
    port = parts.port or (443 if secure else 80)
    with ConversationLimit() as limit:
        connection = http.client.HTTPConnection(host, port)
        try:
            line = limit.connected(host, port, reach)
            if secure:
                line = ssl.create_default_context().wrap_socket(line, server_hostname=host)
            connection.sock = line
            connection.request("POST", _target(parts), body, {"User-Agent": "mailhaul", **headers})
            answer = connection.getresponse()
            if 200 <= answer.status < 300:  # it was taken, whatever becomes of the rest
                with contextlib.suppress(OSError, http.client.HTTPException):
                    answer.read(_READ_BYTES)
                return
            said = answer.read(_READ_BYTES).decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as error:
            raise NotSent(OF_HOST.says(host=host, cause=limit.said(error))) from None
        finally:
            connection.close()
    why = answered(host, answer.status, shortened(said))
    later = answer.status >= 500 or answer.status in _LATER
    after = wait_of(answer.headers["Retry-After"], time.time()) if "Retry-After" in answer.headers else 0.0
    raise NotSent(why, forever=not later, after_seconds=after if later else 0.0)


def _target(parts: SplitResult) -> str:
    """Returns the path and the query; letters that RFC 3986 does not allow there are escaped."""
    whole = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    return quote(whole, safe="%/:?#[]@!$&'()*+,;=~-._")
