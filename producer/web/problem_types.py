"""The kinds of problems that the API answers: stable names, which programs compare (RFC 9457 §3.1.1)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Name → what it means. A name is never changed or used for something else.
PROBLEMS: Final[Mapping[str, str]] = {
    "malformed": "The body is no JSON.",
    "unauthenticated": "No token was given, or it is unknown or has ended.",
    "forbidden": "The role of the token does not allow this.",
    "not-found": "There is no such thing, or no such address.",
    "method-not-allowed": "The address has no such method; the header Allow names those that it has.",
    "conflict": "The state of the import does not allow this now.",
    "import-exists": "An import of this name between these servers is there; `import_id` names it.",
    "mailboxes-exist": "Some rows are in the import already; `logins` names them.",
    "under-way": "The import is under way: it must be finished or cancelled first.",
    "too-large": "The body is larger than its address takes.",
    "wrong-name": "The server goes by another name.",
    "invalid": "A value cannot be so; `detail` or `errors` says which, and what to write.",
    "manifest-invalid": "Rows of the manifest are wrong; `errors` names each.",
    "unknown-parameter": "The address has no such query parameter; `errors` names it.",
    "too-many": "Too many requests, guesses or rehearsals at once; Retry-After says when to come again, if it is known.",
    "internal": "An internal error; the log says more.",
    "store-away": "The state store does not answer; Retry-After says when to come again.",
    "other": "Anything else; `status` says what.",
}
_BY_STATUS: Final[Mapping[int, str]] = {
    400: "malformed",
    401: "unauthenticated",
    403: "forbidden",
    404: "not-found",
    405: "method-not-allowed",
    409: "conflict",
    413: "too-large",
    421: "wrong-name",
    422: "invalid",
    429: "too-many",
    500: "internal",
    503: "store-away",
}


def uri_of(name: str) -> str:
    """Returns the `type` of this problem."""
    return f"urn:mailhaul:problem:{name}"


def type_of(status: int, name: str = "") -> str:
    """Returns the `type` of a problem by its name, or by its status where it has none of its own."""
    return uri_of(name or _BY_STATUS.get(status, "other"))
