"""A text that must not be shown: a password, a key, a token, a URL that holds one."""

from __future__ import annotations

import contextlib
import hmac
from typing import Final, NoReturn

from shared.content.json_text import read_json

#: Fields of the keys of Google and Microsoft that are no secret, and tell people which key it is.
_KNOWN_FIELDS: Final = frozenset(
    {
        "type",
        "project_id",
        "client_id",
        "client_email",
        "auth_uri",
        "token_uri",
        "auth_provider_x509_cert_url",
        "client_x509_cert_url",
        "universe_domain",
        "authority",
        "thumbprint",
    }
)


class Secret:
    """A text that must not be shown. Only `reveal()` gives it out."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """Returns the text itself: call it where the text is sent, and keep the result nowhere."""
        return self._text

    @property
    def parts(self) -> tuple[str, ...]:
        """The texts that are as secret as the whole: what follows a login and a colon, and the values of a JSON object."""
        found = [self._text, self._text.partition(":")[2]]
        if self._text.lstrip().startswith("{"):
            with contextlib.suppress(ValueError):
                values = read_json(self._text)
                found += [
                    value for name, value in values.items() if isinstance(value, str) and name not in _KNOWN_FIELDS
                ]
        return tuple(one for one in found if one)

    def __repr__(self) -> str:
        return "***"

    __str__ = __repr__

    def __format__(self, format_spec: str) -> str:
        return "***"

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._bytes(), other._bytes())

    def __hash__(self) -> int:
        return hash((Secret, self._text))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret is not to be pickled or copied: seal it in a Vault")

    def _bytes(self) -> bytes:
        return self._text.encode("utf-8", "surrogatepass")
