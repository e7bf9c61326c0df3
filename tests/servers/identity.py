"""An OpenID Connect provider as a relying party sees it: discovery, authorization code with PKCE, keys.

It asks no questions: every visitor is the user that the test names. A test can make it lie.
"""

from __future__ import annotations

import base64
import hashlib
import itertools
import time
from typing import Any
from urllib.parse import urlencode

from joserfc import jwt
from joserfc.jwk import RSAKey

from tests.servers.http_api import Asked, HttpApi, Said
from tests.servers.oauth import form

CLIENT, CLIENT_SECRET = "mailhaul-client", "s3cret-of-the-client"


class IdentityProvider(HttpApi):
    """A context manager for the provider."""

    def __init__(self) -> None:
        super().__init__()
        self.key = RSAKey.generate_key(2048, {"kid": "one"})
        #: Key that signs; a test may replace it.
        self.signs_with: Any = self.key
        self.alg = "RS256"
        #: Claims of the visitor: `sub` and the rest.
        self.person: dict[str, Any] = {"sub": "7", "email": "anna@corp.example", "email_verified": True}
        #: Claims that override the right ones.
        self.lies: dict[str, Any] = {}
        #: Fields that override the right ones in the discovery document.
        self.metadata: dict[str, Any] = {}
        self._codes: dict[str, dict[str, str]] = {}
        self._numbers = itertools.count(1)

    def answer(self, asked: Asked) -> Said:
        """Answers as OpenID Connect Core 1.0 and RFC 7636 demand."""
        match asked.path:
            case "/.well-known/openid-configuration":
                return Said(body=self._discovered() | self.metadata)
            case "/keys":
                return Said(body={"keys": [self.key.as_dict(private=False)]})
            case "/authorize":
                return self._authorized(asked.query)
            case "/token":
                return self._token(asked)
        return Said(status=404, body={})

    def _discovered(self) -> dict[str, Any]:
        return {
            "issuer": self.url,
            "authorization_endpoint": f"{self.url}/authorize",
            "token_endpoint": f"{self.url}/token",
            "jwks_uri": f"{self.url}/keys",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256", "HS256", "none"],
        }

    def _authorized(self, query: dict[str, str]) -> Said:
        if query["client_id"] != CLIENT or "openid" not in query["scope"].split():
            return Said(status=400, body={"error": "invalid_request"})
        code = f"code-{next(self._numbers)}"
        self._codes[code] = query
        back = urlencode({"code": code, "state": query["state"]})
        return Said(status=302, headers={"Location": f"{query['redirect_uri']}?{back}"}, body={})

    def _token(self, asked: Asked) -> Said:
        given = form(asked)
        begun = self._codes.pop(given.get("code", ""), None)
        basic = base64.b64encode(f"{CLIENT}:{CLIENT_SECRET}".encode()).decode()
        challenge = base64.urlsafe_b64encode(hashlib.sha256(given.get("code_verifier", "").encode()).digest())
        if (
            begun is None
            or asked.headers.get("authorization") != f"Basic {basic}"
            or begun["redirect_uri"] != given["redirect_uri"]
            or begun["code_challenge"] != challenge.decode().rstrip("=")
        ):
            return Said(status=400, body={"error": "invalid_grant"})
        now = int(time.time())
        claims = {
            "iss": self.url,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": begun["nonce"],
            **self.person,
            **self.lies,
        }
        header = {"alg": self.alg, "kid": "one"}
        token = jwt.encode(
            header, {name: value for name, value in claims.items() if value is not None}, self.signs_with
        )
        return Said(body={"access_token": "at", "token_type": "Bearer", "expires_in": 300, "id_token": token})
