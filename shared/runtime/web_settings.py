"""The settings of the page and the API; a part of `shared.runtime.config.Settings`."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

from shared.runtime.secret import Secret
from shared.runtime.setting_kinds import positive, secret, setting, text, whole


@dataclass(frozen=True, kw_only=True)
class WebSettings:
    """The settings of the page and the API. The description of each is its line in `docs/settings.md`."""

    web_host: str = setting(
        text, "127.0.0.1", "Address of the API. Another than loopback only once there is a way to sign in."
    )
    web_port: int = setting(whole(0, 65_535), 9480, "Port of the API; 0 for none with `mailhaul up`.")
    web_names: str | None = setting(
        text, None, "Host names under which the API is reached, separated by commas, beside localhost and its address."
    )
    web_allow: str | None = setting(
        text,
        None,
        "Mail servers in private networks that the API may be given, also for workers: names, addresses and networks, "
        "separated by commas. Without it only public addresses.",
    )
    web_ports: str = setting(
        text, "143,993,110,995", "Ports of mail servers that the API may be given, separated by commas."
    )
    web_metrics_port: int = setting(
        whole(0, 65_535), 0, "Port of the web process's /metrics, /healthz and /readyz; 0 for none."
    )
    web_first_token: Secret | None = setting(
        secret,
        None,
        "A token with the role admin that lets in while nobody has made another; `deploy/make_secrets.py` makes one.",
    )
    web_accounts: str | None = setting(
        text,
        None,
        "Account services that the API knows by name, separated by blanks: `office=scim+https://scim.example/v2` "
        "(docs/accounts.md). Workers must reach them.",
    )
    web_accounts_secret_files: str | None = setting(
        text, None, "The files with their tokens, keys or passwords: `office=/run/secrets/scim`."
    )
    web_session_seconds: float = setting(
        positive(86_400),
        43_200,
        "A browser is signed in so long, at most; ended earlier by its user or an administrator.",
    )
    web_session_idle_seconds: float = setting(
        positive(86_400), 7_200, "… and so long without a request; a page that was left open makes none."
    )
    web_roles: str | None = setting(
        text,
        None,
        "Who of those that the identity provider or the proxy vouches for may do what: "
        "`anna@corp.example=admin,@mail-ops=operator,*=viewer` (a name, a group, everybody else).",
    )
    web_oidc_issuer: str | None = setting(
        text, None, "URL of the OpenID Connect provider that signs people in, as its discovery document names itself."
    )
    web_oidc_client_id: str | None = setting(text, None, "What mailhaul is called there.")
    web_oidc_client_secret: Secret | None = setting(
        secret, None, "The secret that goes with it; none for a public client."
    )
    web_oidc_scope: str = setting(text, "openid email profile", "What is asked for there.")
    web_oidc_name_claim: str = setting(
        text,
        "email",
        "The claim that `MAILHAUL_WEB_ROLES` names people by; an `email` counts only when the provider says that it is "
        "verified.",
    )
    web_oidc_groups_claim: str = setting(text, "groups", "The claim that holds a person's groups.")
    web_proxies: str | None = setting(
        text,
        None,
        "Addresses and networks of proxies in front of the page, separated by commas: what they say in "
        "`X-Forwarded-For` and `X-Forwarded-Proto` is believed.",
    )
    web_proxy_user_header: str | None = setting(
        text, None, "The header in which these proxies, and nobody else, say who is signed in, e.g. `X-Forwarded-User`."
    )
    web_proxy_groups_header: str | None = setting(
        text, None, "The header in which they name that person's groups, separated by commas."
    )
    web_upload_bytes: int = setting(whole(1024), 20 * 1024**2, "Bytes of one request to the API, at most.")

    def faults(self) -> Iterator[str]:
        """Says which settings do not go together."""
        if bool(self.web_oidc_issuer) != bool(self.web_oidc_client_id):
            yield "MAILHAUL_WEB_OIDC_ISSUER and MAILHAUL_WEB_OIDC_CLIENT_ID go together: set both or none"
        if self.web_oidc_issuer:
            url = urlsplit(self.web_oidc_issuer)
            if url.scheme != "https" and url.hostname not in ("localhost", "127.0.0.1", "::1"):
                yield "MAILHAUL_WEB_OIDC_ISSUER must be an https URL: who is let in depends on it"
        if self.web_proxy_user_header and not self.web_proxies:
            yield "MAILHAUL_WEB_PROXY_USER_HEADER is set without MAILHAUL_WEB_PROXIES: anybody could say who they are"
        if (self.web_oidc_issuer or self.web_proxy_user_header) and not self.web_roles:
            yield "set MAILHAUL_WEB_ROLES, or nobody may do anything: anna@corp.example=admin,*=viewer"
