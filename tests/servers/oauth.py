"""The token endpoints like Google's and Microsoft's, and an introspection endpoint that Dovecot asks about them.

All refusals have the vendors' own words.
"""

from __future__ import annotations

import base64
import itertools
import json
import ssl
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.servers.http_api import Asked, HttpApi, Said

TENANT = "contoso.example"
CLIENT, CLIENT_SECRET = "0b0b0b0b-app", "s3cret~of.the-app"
GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


def form(asked: Asked) -> dict[str, str]:
    """Returns the fields of a posted form."""
    return {name: values[-1] for name, values in parse_qs(asked.body.decode()).items()}


def _claims(jwt: str) -> dict[str, object]:
    part = jwt.split(".")[1]
    found: dict[str, object] = json.loads(base64.urlsafe_b64decode(part + "=" * (-len(part) % 4)))
    return found


@dataclass(frozen=True)
class Issued:
    """A token that was issued."""

    #: User whose mailbox the token opens; "" for every mailbox.
    user: str
    #: Scope of the token.
    scope: str


class TokenServer(HttpApi):
    """A server that issues tokens and tells Dovecot whose they are."""

    def __init__(self, certificate: Path | None = None) -> None:
        """Sets up the server; it uses TLS when `certificate` names a file with certificate and key."""
        super().__init__()
        self._secure = certificate is not None
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        #: Issued tokens; removing one withdraws it.
        self.issued: dict[str, Issued] = {}
        #: Lifetime of tokens, in seconds.
        self.lifetime = 3600
        #: Scopes that the super admin has delegated.
        self.delegated = {"https://www.googleapis.com/auth/gmail.imap_admin", "https://mail.google.com/"}
        #: Users that Google knows; None for all.
        self.users: set[str] | None = None
        self._numbers = itertools.count(1)

    @property
    def url(self) -> str:
        """The base URL of the server."""
        return super().url.replace("http:", "https:") if self._secure else super().url

    def give(self, user: str, scope: str = "imap") -> str:
        """Issues a token as the endpoint would."""
        token = f"ya29.{next(self._numbers)}-t0ken-of-{user or 'all'}"
        self.issued[token] = Issued(user, scope)
        return token

    @property
    def service_account(self) -> str:
        """The key of a service account, as Google's console makes it."""
        pem = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return json.dumps(
            {
                "type": "service_account",
                "project_id": "move",
                "private_key_id": "1",
                "private_key": pem.decode(),
                "client_email": "mover@move.iam.gserviceaccount.com",
                "client_id": "112233",
                "token_uri": f"{self.url}/token",
            }
        )

    @property
    def tokens_asked(self) -> int:
        """The number of tokens that were requested."""
        return sum(asked.path.endswith("/token") for asked in self.asked)

    def answer(self, asked: Asked) -> Said:
        if asked.path == "/introspect":
            found = self.issued.get(asked.query.get("token", ""))
            # A token for every mailbox is valid for any user. Dovecot compares names, so it is told the name that it
            # asks for.
            return Said(body={"active": found is not None, "username": found.user if found else ""})
        if asked.path == "/token":
            return self._google(form(asked))
        if asked.path == f"/{TENANT}/oauth2/v2.0/token":
            return self._microsoft(form(asked))
        if asked.path.endswith("/.well-known/openid-configuration"):
            here = f"https://{asked.headers['host']}/{TENANT}"
            places = {
                name: f"{here}/oauth2/v2.0/{name.partition('_')[0]}"
                for name in ("token_endpoint", "authorization_endpoint", "device_authorization_endpoint")
            }
            if f"/{TENANT}/" not in asked.path:
                return Said(
                    status=400, body={"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found."}
                )
            return Said(body={**places, "issuer": here})
        return Said(status=404, body={})

    def _google(self, given: dict[str, str]) -> Said:
        claims = _claims(given["assertion"])
        signed, _, mark = given["assertion"].rpartition(".")
        signature = base64.urlsafe_b64decode(mark + "=" * (-len(mark) % 4))
        try:
            self.key.public_key().verify(signature, signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        except InvalidSignature:
            return Said(status=400, body={"error": "invalid_grant", "error_description": "Invalid JWT Signature."})
        assert given["grant_type"] == GRANT
        if claims["scope"] not in self.delegated:
            words = (
                "Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of "
                "the scopes requested."
            )
            return Said(status=401, body={"error": "unauthorized_client", "error_description": words})
        user = str(claims["sub"])
        if self.users is not None and user not in self.users:
            return Said(status=400, body={"error": "invalid_grant", "error_description": "Invalid email or User ID"})
        token = self.give(user, str(claims["scope"]))
        return Said(body={"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"})

    def _microsoft(self, given: dict[str, str]) -> Said:
        if given.get("client_id") != CLIENT:
            words = (
                f"AADSTS700016: Application with identifier '{given.get('client_id')}' was not found in the directory."
            )
            return Said(status=400, body={"error": "unauthorized_client", "error_description": words})
        if "client_assertion" not in given and given.get("client_secret") != CLIENT_SECRET:
            words = f"AADSTS7000215: Invalid client secret provided: {given.get('client_secret')}."
            return Said(status=401, body={"error": "invalid_client", "error_description": words})
        token = self.give("", given["scope"])
        return Said(body={"access_token": token, "expires_in": self.lifetime, "token_type": "Bearer"})


def dovecot_oauth2(server: TokenServer, place: Path) -> str:
    """Returns Dovecot's settings that make it accept the server's tokens. `place` is a folder that it can read."""
    place.chmod(0o755)
    rules = place / "oauth2.conf"
    rules.write_text(
        f"introspection_mode = get\nintrospection_url = {server.url}/introspect?token=\nusername_attribute = username\n"
        "active_attribute = active\nactive_value = true\nopenid_configuration_url = http://openid.example/\n"
    )
    rules.chmod(0o644)
    return (
        "auth_mechanisms = plain login xoauth2 oauthbearer\n"
        f"passdb {{\n  driver = oauth2\n  mechanisms = xoauth2 oauthbearer\n  args = {rules}\n}}\n"
    )
