"""Signing in by an identity provider: OpenID Connect, authorization code with PKCE.

Authlib speaks the protocol and checks signature, nonce and times. This module adds further checks and decides who is
let in.

Signing in begins with a link and not with a form: the page's policy (`form-action 'self'`) would block a form that
leads to another site. State, nonce and verifier are in the browser, sealed, for ten minutes and one return: nothing of a
stranger is kept, however many begin. The cookie is "lax", since the provider sends the browser back from another site.
"""

from __future__ import annotations

import base64
import json
import secrets
import time
from collections.abc import Mapping
from typing import Any, Final

import httpx2
from authlib.integrations.starlette_client import OAuth, OAuthError
from fastapi import APIRouter, Request
from fastapi.responses import Response
from joserfc.errors import JoseError
from starlette.concurrency import run_in_threadpool

from producer.web.pages.drawing import saying
from producer.web.pages.sign_in_page import NotSignedIn, To, door, is_secure, welcome
from producer.web.problems import Refused
from producer.web.security.access import Known, missed
from producer.web.web_context import WebContext
from shared.content.json_text import read_json
from shared.model.errors import CredentialsError
from shared.runtime.config import Settings
from shared.runtime.credentials import Credentials
from shared.runtime.logs import get_logger
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal
from shared.store.records.sessions import WAY_SECONDS
from shared.wording.often_said import MAILHAUL_WEB_ROLES_GIVES_NO_ROLE, TOO_MANY_WRONG_GUESSES
from shared.wording.phrases import Phrase

CLAIM_NOT_GIVEN: Final = Phrase(
    "claim_not_given", "the identity provider says nothing as {claim}; see MAILHAUL_WEB_OIDC_NAME_CLAIM"
)
ADDRESS_NOT_VERIFIED: Final = Phrase(
    "address_not_verified",
    "the identity provider does not say that your address is verified; MAILHAUL_WEB_OIDC_NAME_CLAIM "
    "can name another claim, as preferred_username or sub",
)
THE_IDENTITY_PROVIDER_DOES_NOT_ANSWER: Final = Phrase(
    "the_identity_provider_does_not_answer", "The identity provider does not answer; the log says more."
)
IDENTITY_PROVIDER_REFUSED: Final = Phrase(
    "identity_provider_refused", "The identity provider did not let you in, or it took too long: try again."
)

routes = APIRouter(prefix="/oidc", include_in_schema=False)
_COOKIE: Final = "mailhaul-oidc"
#: The place that the cookie is sealed for.
_PLACE: Final = "oidc"
_SECONDS: Final = 15.0
#: Signatures that only the provider can make. The other algorithms need the public key only, or no key.
_SIGNED: Final = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA")


class IdentityProvider:
    """The identity provider that the settings name."""

    def __init__(self, settings: Settings) -> None:
        self.issuer = (settings.web_oidc_issuer or "").rstrip("/")
        self._client_id = settings.web_oidc_client_id
        secret = settings.web_oidc_client_secret
        self._app = OAuth().register(
            "mailhaul",
            client_id=self._client_id,
            client_secret=secret.reveal() if secret else None,
            server_metadata_url=f"{self.issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.web_oidc_scope,
                "code_challenge_method": "S256",
                "timeout": _SECONDS,
                **({} if secret else {"token_endpoint_auth_method": "none"}),
            },
        )

    async def begin(self, request: Request) -> Response:
        """Redirects to the provider. State, nonce and verifier are put into `request.session`."""
        await self._metadata()
        answer: Response = await self._app.authorize_redirect(request, request.url_for("back"))
        return answer

    async def claims(self, request: Request) -> Mapping[str, Any]:
        """Returns the claims of whoever the provider sent back. Raises what Authlib, joserfc and httpx2 raise."""
        metadata = await self._metadata()
        wanted = {
            "iss": {"essential": True, "values": [metadata["issuer"]]},
            "aud": {"essential": True, "value": self._client_id},
        }
        found = (await self._app.authorize_access_token(request, claims_options=wanted)).get("userinfo")
        if not found:
            raise OAuthError(
                "invalid_request", "the provider gave no id_token: is `openid` in MAILHAUL_WEB_OIDC_SCOPE?"
            )
        claims: Mapping[str, Any] = found
        return claims

    async def _metadata(self) -> dict[str, Any]:
        found: dict[str, Any] = await self._app.load_server_metadata()
        if str(found.get("issuer", "")).rstrip("/") != self.issuer:  # OpenID Connect Discovery 1.0, 4.3
            said = str(found.get("issuer"))[:200]
            raise OAuthError("invalid_issuer", f"MAILHAUL_WEB_OIDC_ISSUER is {self.issuer}, the provider's is {said}")
        offered = found.get("id_token_signing_alg_values_supported") or ["RS256"]
        found["id_token_signing_alg_values_supported"] = [one for one in offered if one in _SIGNED]
        return found


def principal_of(claims: Mapping[str, Any], known: WebContext) -> Principal:
    """Returns the principal with its role, from the provider's claims. Raises `Refused`."""
    claim = known.settings.web_oidc_name_claim
    name = claims.get(claim)
    if not isinstance(name, str) or not name.isprintable() or not 0 < len(name) <= 200:
        raise Refused(403, CLAIM_NOT_GIVEN.says(claim=claim))
    if claim == "email" and claims.get("email_verified") not in (True, "true"):
        raise Refused(
            403,
            ADDRESS_NOT_VERIFIED.says(),
        )
    role = known.roles.of(name, groups_of(claims, known))
    if role is None:
        raise Refused(403, MAILHAUL_WEB_ROLES_GIVES_NO_ROLE.says())
    return Principal(principal_id=f"oidc:{claims['sub']}", name=name, role=role)


def groups_of(claims: Mapping[str, Any], known: WebContext) -> list[str]:
    """A person's groups, as the provider tells them."""
    groups = claims.get(known.settings.web_oidc_groups_claim) or []
    return [groups] if isinstance(groups, str) else [group for group in groups if isinstance(group, str)]


@routes.get("/begin")
async def begin(request: Request, known: Known, to: To = "") -> Response:
    """Redirects to the identity provider."""
    kept: dict[str, Any] = {}
    request.scope["session"] = kept
    try:
        answer = await _provider(request).begin(request)
    except (OAuthError, JoseError, httpx2.HTTPError, ValueError) as error:
        return await _failed(request, known, error)
    answer.set_cookie(
        _COOKIE,
        _sealed(known, {"session": kept, "to": to, "until": time.time() + WAY_SECONDS}),
        max_age=WAY_SECONDS,
        path=routes.prefix,
        httponly=True,
        samesite="lax",
        secure=is_secure(request),
    )
    return answer


def _sealed(known: WebContext, begun: Mapping[str, Any]) -> str:
    """Returns the cookie's text: the sign-in that began, under a number of its own."""
    held = Credentials(login=secrets.token_hex(16), password=Secret(json.dumps(begun)))
    return base64.urlsafe_b64encode(known.vault.seal(_PLACE, "source", held)).decode()


def _begun(known: WebContext, text: str) -> tuple[str, Mapping[str, Any]]:
    """Returns the sign-in that began in this browser, and its number; nothing where there is none, or its time is over."""
    try:
        held = known.vault.open(_PLACE, "source", base64.urlsafe_b64decode(text))
    except (CredentialsError, ValueError):
        return "", {}
    begun = read_json(held.password.reveal())
    return (held.login, begun) if begun["until"] > time.time() else ("", {})


@routes.get("/back")
async def back(request: Request, known: Known) -> Response:
    """Handles the return from the provider. A number lets in once."""
    number, begun = _begun(known, request.cookies.get(_COOKIE, ""))
    request.scope["session"] = begun.get("session", {})
    try:
        claims = await _provider(request).claims(request)
        who = principal_of(claims, known)
        if not await run_in_threadpool(known.sessions.comes_back, number):
            raise OAuthError("came_back_twice")
    except (OAuthError, JoseError, httpx2.HTTPError, ValueError, Refused) as error:
        return await _failed(request, known, error)
    groups = groups_of(claims, known)
    answer = await run_in_threadpool(welcome, known, request, who, "oidc", begun.get("to", ""), groups=groups)
    answer.delete_cookie(_COOKIE, path=routes.prefix)
    return answer


def _provider(request: Request) -> IdentityProvider:
    provider: IdentityProvider | None = request.app.state.provider
    if provider is None:
        raise NotSignedIn("")
    return provider


async def _failed(request: Request, known: WebContext, error: Exception) -> Response:
    """Shows the page on which one signs in, with a sentence. The details are in the log."""
    get_logger("mailhaul.web").warning("oidc_failed", error=f"{type(error).__name__}: {str(error)[:500]}")
    say = saying(request).word
    if isinstance(error, Refused):
        wrong, status = say(error.detail), error.status
    elif isinstance(error, httpx2.HTTPError):
        wrong, status = say(THE_IDENTITY_PROVIDER_DOES_NOT_ANSWER.says()), 502
    else:
        wrong, status = say(IDENTITY_PROVIDER_REFUSED.says()), 401
        try:
            await run_in_threadpool(missed, known, request, "oidc")
        except Refused as refused:
            wrong, status = say(TOO_MANY_WRONG_GUESSES.says()), refused.status
    return await run_in_threadpool(door, request, known, wrong, "", status)
