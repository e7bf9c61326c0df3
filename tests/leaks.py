"""Tells whether an answer holds a secret, in any encoding.

A secret to be found has characters that each encoding changes, as in "s3cret+/&<>".
"""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import unquote_to_bytes

_ESCAPE = re.compile(r"\\u([0-9a-fA-F]{4})")


def leaks(secrets: Mapping[str, str], answer: bytes) -> list[str]:
    """Returns the names of the secrets that stand in the answer.

    It finds them plain, percent-encoded, as HTML or JSON, in hexadecimal, or in Base64 (both alphabets). It also finds
    them amid a longer text that was encoded as a whole.
    """
    readings = list(_readings(answer))
    return [name for name, secret in secrets.items() if any(_stands(secret.encode(), text) for text in readings)]


def _readings(answer: bytes) -> Iterator[bytes]:
    yield answer
    yield unquote_to_bytes(answer.replace(b"+", b" "))
    yield unquote_to_bytes(answer)
    text = answer.decode(errors="replace")
    yield html.unescape(text).encode()
    yield _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text).replace("\\/", "/").encode(errors="replace")


def _stands(secret: bytes, text: bytes) -> bool:
    return any(form in text for form in _forms(secret)) or secret.hex().encode() in text.lower()


def _forms(secret: bytes) -> Iterator[bytes]:
    yield secret
    yield json.dumps(secret.decode())[1:-1].encode()
    for before in range(3):
        # In a longer text, only the groups that belong to the secret alone are certain.
        whole = base64.b64encode(b"\0" * before + secret)
        first, last = (0, 2, 3)[before], len(secret) + before
        sure = whole[first : last // 3 * 4 + (0, 1, 2)[last % 3]]
        yield sure
        yield sure.replace(b"+", b"-").replace(b"/", b"_")
