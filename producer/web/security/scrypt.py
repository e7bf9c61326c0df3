"""Hashes of users' passwords: scrypt (RFC 7914).

The parameters are those of OWASP's password storage cheat sheet; each hash takes 32 MiB. A hash names its parameters,
so that they can be raised later. At most two are computed at once and few may wait; the others are refused. So guessing
takes neither memory nor cores nor threads from those who are signed in.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import threading
from typing import Final

from shared.wording.phrases import Phrase

PASSWORD_LENGTH: Final = Phrase(
    "password_length",
    "a password has {least_num} to {most_num} characters; this one has {num}",
)

#: Minimum number of characters of a password.
LEAST: Final = 10
#: Maximum number of characters of a password.
MOST: Final = 200
_N, _R, _P = 2**15, 8, 3
_MEMORY: Final = 128 * _N * _R * 2
_TURNS: Final = threading.BoundedSemaphore(2)
#: Maximum number of hashes that are being computed or wait for it. Each holds one of the page's 40 threads.
PLACES: Final = 8
_PLACES: Final = threading.BoundedSemaphore(PLACES)


class Crowded(Exception):
    """An error: too many passwords wait to be checked."""


def checked(password: str) -> str:
    """Returns a new password. Raises `UsageError` if it is too short or too long; there are no other rules."""
    if not LEAST <= len(password) <= MOST:
        raise PASSWORD_LENGTH.error(least_num=LEAST, most_num=MOST, num=len(password))
    return password


def hashed(password: str) -> str:
    """Returns the hash of a password in the form in which it is stored. Raises `Crowded`."""
    salt = secrets.token_bytes(16)
    return f"scrypt${_N}${_R}${_P}${_text(salt)}${_text(_derived(password, salt, _N, _R, _P))}"


def fits(password: str, known: str) -> bool:
    """Tells whether `known` is the hash of this password. Raises `Crowded`.

    An empty `known` (no user of that name) fits nothing, and takes as long.
    """
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
