"""Headers of a proxy in front: the client's address and, if the proxy authenticates people, the user's name.

These headers are believed only from an address in `MAILHAUL_WEB_PROXIES`. A user name that is given twice is refused,
since one of the two came from a browser.
"""

from __future__ import annotations

import ipaddress
from typing import Any, Final

from fastapi import Request
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from producer.web.problems import Refused
from producer.web.web_context import WebContext
from shared.store.records.principals import Principal
from shared.wording.often_said import MAILHAUL_WEB_ROLES_GIVES_NO_ROLE
from shared.wording.phrases import Phrase

HEADER_WAS_GIVEN_TWICE_PROXY: Final = Phrase(
    "header_was_given_twice_proxy", "the header {header} was given twice: the proxy must remove what browsers send"
)

NO_NETWORK: Final = Phrase(
    "web_proxies",
    "MAILHAUL_WEB_PROXIES: {text} is no address or network, as in 10.0.0.7 or 10.0.0.0/24",
)

_TRUSTED: Final = "mailhaul.trusted"
Networks = tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]


class Proxied:
    """ASGI middleware, outermost. Afterwards a request's client and scheme are those that the proxies name."""

    def __init__(self, app: ASGIApp, networks: Networks) -> None:
        self._networks = networks
        names = [str(network) for network in networks]
        self._app: Any = ProxyHeadersMiddleware(app, trusted_hosts=names) if names else app  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Notes whether the peer is trusted, and passes the request on."""
        if scope["type"] == "http":
            scope[_TRUSTED] = within(self._networks, scope["client"][0] if scope["client"] else "")
        await self._app(scope, receive, send)


def within(networks: Networks, peer: str) -> bool:
    """Tells whether the address `peer` is in one of these networks."""
    try:
        address = ipaddress.ip_address(peer)
    except ValueError:
        return False
    return any(address in network for network in networks)


def networks_of(text: str) -> Networks:
    """Reads addresses and networks, separated by commas. Raises `UsageError`."""
    found = []
    for part in filter(None, (part.strip() for part in text.split(","))):
        try:
            found.append(ipaddress.ip_network(part))
        except ValueError:
            raise NO_NETWORK.error(text=f"{part[:60]!r}") from None
    return tuple(found)


def vouched(request: Request, known: WebContext) -> Principal | None:
    """Returns the user whom the proxy names; None if it names nobody. Raises `Refused` for somebody without a role."""
    header = known.settings.web_proxy_user_header
    if not header or not request.scope.get(_TRUSTED):
        return None
    names = request.headers.getlist(header)
    if not names or not names[0].strip():
        return None
    if len(names) > 1:
        raise Refused(400, HEADER_WAS_GIVEN_TWICE_PROXY.says(header=header))
    name = names[0].strip()[:200]
    groups: list[str] = []
    if known.settings.web_proxy_groups_header:
        for line in request.headers.getlist(known.settings.web_proxy_groups_header):
            groups += [group.strip() for group in line.split(",")]
    role = known.roles.of(name, groups)
    if role is None:
        raise Refused(403, MAILHAUL_WEB_ROLES_GIVES_NO_ROLE.says())
    return Principal(principal_id=f"proxy:{name}", name=name, role=role)
