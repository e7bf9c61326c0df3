"""The settings of the page and the API; a part of `shared.runtime.config.Settings`."""

from __future__ import annotations

from typing import Annotated, Self
from urllib.parse import urlsplit

from pydantic import BaseModel, Field, SecretStr, model_validator

_Port = Annotated[int, Field(ge=0, le=65_535)]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_Bytes = Annotated[int, Field(ge=1024)]


class WebSettings(BaseModel):
    """The settings of the page and the API. The description of each is its line in `docs/settings.md`."""

    web_host: str = Field(
        default="127.0.0.1",
        description="Address of the API. Another than loopback only once there is a way to sign in.",
    )
    web_port: _Port = Field(default=9480, description="Port of the API; 0 for none with `mailhaul up`.")
    web_names: str | None = Field(
        default=None,
        description="Host names under which the API is reached, separated by commas, beside localhost and its address.",
    )
    web_allow: str | None = Field(
        default=None,
        description="Mail servers in private networks that the API may be given, also for workers: names, addresses and networks, "
        "separated by commas. Without it only public addresses.",
    )
    web_ports: str = Field(
        default="143,993,110,995", description="Ports of mail servers that the API may be given, separated by commas."
    )
    web_metrics_port: _Port = Field(
        default=0, description="Port of the web process's /metrics, /healthz and /readyz; 0 for none."
    )
    web_first_token: SecretStr | None = Field(
        default=None,
        description="A token with the role admin that lets in while nobody has made another; `deploy/make_secrets.py` makes one.",
    )
    web_accounts: str | None = Field(
        default=None,
        description="Account services that the API knows by name, separated by blanks: `office=scim+https://scim.example/v2` "
        "(docs/accounts.md). Workers must reach them.",
    )
    web_accounts_secret_files: str | None = Field(
        default=None, description="The files with their tokens, keys or passwords: `office=/run/secrets/scim`."
    )
    web_session_seconds: _Seconds = Field(
        default=43_200,
        description="A browser is signed in so long, at most; ended earlier by its user or an administrator.",
    )
    web_session_idle_seconds: _Seconds = Field(
        default=7_200, description="… and so long without a request; a page that was left open makes none."
    )
    web_roles: str | None = Field(
        default=None,
        description="Who of those that the identity provider or the proxy vouches for may do what: "
        "`anna@corp.example=admin,@mail-ops=operator,*=viewer` (a name, a group, everybody else).",
    )
    web_oidc_issuer: str | None = Field(
        default=None,
        description="URL of the OpenID Connect provider that signs people in, as its discovery document names itself.",
    )
    web_oidc_client_id: str | None = Field(default=None, description="What mailhaul is called there.")
    web_oidc_client_secret: SecretStr | None = Field(
        default=None, description="The secret that goes with it; none for a public client."
    )
    web_oidc_scope: str = Field(default="openid email profile", description="What is asked for there.")
    web_oidc_name_claim: str = Field(
        default="email",
        description="The claim that `MAILHAUL_WEB_ROLES` names people by; an `email` counts only when the provider says that it is "
        "verified.",
    )
    web_oidc_groups_claim: str = Field(default="groups", description="The claim that holds a person's groups.")
    web_proxies: str | None = Field(
        default=None,
        description="Addresses and networks of proxies in front of the page, separated by commas: what they say in "
        "`X-Forwarded-For` and `X-Forwarded-Proto` is believed.",
    )
    web_proxy_user_header: str | None = Field(
        default=None,
        description="The header in which these proxies, and nobody else, say who is signed in, e.g. `X-Forwarded-User`.",
    )
    web_proxy_groups_header: str | None = Field(
        default=None, description="The header in which they name that person's groups, separated by commas."
    )
    web_upload_bytes: _Bytes = Field(default=20 * 1024**2, description="Bytes of one request to the API, at most.")

    @model_validator(mode="after")
    def _vouching(self) -> Self:
        if bool(self.web_oidc_issuer) != bool(self.web_oidc_client_id):
            raise ValueError("MAILHAUL_WEB_OIDC_ISSUER and MAILHAUL_WEB_OIDC_CLIENT_ID go together: set both or none")
        if self.web_oidc_issuer:
            url = urlsplit(self.web_oidc_issuer)
            if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
                raise ValueError("MAILHAUL_WEB_OIDC_ISSUER must be an https URL: who is let in depends on it")
        if self.web_proxy_user_header and not self.web_proxies:
            raise ValueError(
                "MAILHAUL_WEB_PROXY_USER_HEADER is set without MAILHAUL_WEB_PROXIES: anybody could say who they are"
            )
        if (self.web_oidc_issuer or self.web_proxy_user_header) and not self.web_roles:
            raise ValueError("set MAILHAUL_WEB_ROLES, or nobody may do anything: anna@corp.example=admin,*=viewer")
        return self
