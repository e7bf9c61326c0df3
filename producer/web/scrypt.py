"""Hashes of users' passwords: scrypt (RFC 7914) with the parameters of OWASP's password storage cheat sheet, 32 MiB each.

A hash names its parameters, so that they can be raised later. At most two are computed at once, and few wait for that; the others
are refused. So guessing takes neither memory nor cores nor threads from those who are signed in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from typing import Final

from shared.errors import UsageError

#: Characters of a password, at least.
LEAST: Final = 10
#: … and at most.
MOST: Final = 200
_N, _R, _P = 2**15, 8, 3
_MEMORY: Final = 128 * _N * _R * 2
_TURNS: Final = threading.BoundedSemaphore(2)
#: Hashes that are computed or wait for it. Each holds one of the 40 threads of the page.
PLACES: Final = 8
_PLACES: Final = threading.BoundedSemaphore(PLACES)


class Crowded(Exception):
    """Too many passwords wait to be looked at."""


def checked(password: str) -> str:
    """A new password. Raises `UsageError` for one that is too short or too long; nothing else makes it better."""
    if not LEAST <= len(password) <= MOST:
        raise UsageError(f"a password has {LEAST} to {MOST} characters; this one has {len(password)}")
    return password


def hashed(password: str) -> str:
    """As it is kept. Raises `Crowded`."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_derived(password, salt, _N, _R, _P))}"


def fits(password: str, known: str) -> bool:
    """Whether this is the password; takes as long for `known` empty (nobody of that name), where it never is. Raises `Crowded`."""
    _, n, r, p, salt, key = (known or _NOBODY).split("$")
    derived = _derived(password[:MOST], base64.b64decode(salt), int(n), int(r), int(p))
    return hmac.compare_digest(derived, base64.b64decode(key)) and bool(known)


def _derived(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    if not _PLACES.acquire(blocking=False):
        raise Crowded
    try:
        with _TURNS:
            return _scrypt(password, salt, n, r, p)
    finally:
        _PLACES.release()


def _scrypt(password: str, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=n, r=r, p=p, maxmem=_MEMORY, dklen=32)


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()


_NOBODY: Final = f"scrypt${_N}${_R}${_P}${_text(bytes(16))}${_text(bytes(32))}"
