"""`python -m producer.web`: the API and the page. Any number of these processes may run; all state is in the store."""

from __future__ import annotations

import gc
import signal
import socket
import sys
import threading
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Final, cast

import uvicorn

from producer.cli.command_context import CommandContext
from producer.web.api.account_services import makers_of
from producer.web.app import make_app
from producer.web.page_health import Counted, PageHealth
from producer.web.security.connections import BACKLOG, HEAD_BYTES, KEEP_ALIVE_SECONDS, PageProtocol, room_of
from producer.web.security.proxied import networks_of, within
from producer.web.security.roles import Roles, roles_of
from producer.web.security.streams import Streams
from producer.web.web_context import WebContext
from shared.mail.transport import dialing
from shared.metrics import WebMetrics, start_http
from shared.model.errors import MailhaulError
from shared.runtime.config import Settings, is_local, load_settings, redis_urls
from shared.runtime.core_dumps import forbid_core_dumps
from shared.runtime.interrupts import let_in
from shared.runtime.logs import configure_logging, get_logger
from shared.runtime.redis_condition import await_redis
from shared.sign_in.allowed_places import AllowedPlaces
from shared.sign_in.reach import reach_of
from shared.store.records.named_services import NamedServices
from shared.store.records.page_state import PageState
from shared.store.records.principals import Principals, Role
from shared.store.records.sessions import BrowserSessions
from shared.store.records.targets import Targets
from shared.store.records.web_records import WebRecords
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase

OPEN_TO_ALL: Final = Phrase(
    "web_host_open",
    "MAILHAUL_WEB_HOST is {host}, which others can connect to, and nobody can sign in yet: make a user first "
    "(mailhaul user set NAME --role admin), and put a proxy with TLS in front",
)
NO_REDIS: Final = Phrase("web_redis_missing", "set MAILHAUL_REDIS_URL, or run `mailhaul up`")
#: Seconds that a process which stops leaves to requests at work. Streams of events end at once.
_GRACE_SECONDS: Final = 5
#: The time for which a thread computes before another has its turn; Python's own 5 ms add up.
_TURN_SECONDS: Final = 0.0005


class PageServer(uvicorn.Server):
    """The server of the page. It ends the streams of events when it stops, or it would wait for them."""

    def __init__(self, config: uvicorn.Config, streams: Streams) -> None:
        super().__init__(config)
        self._streams = streams

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Ends the streams, then waits for the other answers as uvicorn does."""
        self._streams.stop()
        await super().shutdown(sockets)


def main() -> int:
    """Runs the web process until it is told to stop. Returns the exit code."""
    forbid_core_dumps()
    # A forecast of many mailboxes computes for seconds in a thread: whoever asks for a page waits for it at each answer of Redis.
    sys.setswitchinterval(_TURN_SECONDS)
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, log_format=settings.log_format, addresses=settings.log_addresses)
        if settings.redis_url is None:
            raise NO_REDIS.error()
        metrics, health = WebMetrics(), PageHealth(settings)
        _show(settings, metrics, health)
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        let_in()
        if not await_redis(redis_urls(settings, None), stop, "mailhaul.web", health.complain):
            return 0
        with CommandContext(settings) as context:
            return _serve(context, metrics, health)
    except MailhaulError as error:
        print(f"mailhaul web: {error}", file=sys.stderr)
        return 2


def _show(settings: Settings, metrics: WebMetrics, health: PageHealth) -> None:
    if not settings.web_metrics_port:
        return
    try:
        start_http(
            metrics.registry, settings.web_metrics_port, settings.listen_host, health=health.health, ready=health.ready
        )
    except OSError as error:
        where = f"{settings.listen_host}:{settings.web_metrics_port}"
        log = get_logger("mailhaul.web")
        log.error("metrics_not_served", where=where, error=error.strerror, advice="set MAILHAUL_WEB_METRICS_PORT")


def _serve(context: CommandContext, metrics: WebMetrics, health: PageHealth) -> int:
    settings = context.settings
    state = connect(context.urls[1])
    principals = Principals(state, context.vault)
    if settings.web_first_token:
        principals.admit_first(settings.web_first_token.reveal())
    vouched = settings.web_oidc_issuer or settings.web_proxy_user_header
    if not is_local(settings.web_host) and not (vouched or principals.tokens() or principals.users()):
        raise OPEN_TO_ALL.error(host=settings.web_host)
    places = AllowedPlaces(context.store, context.vault)
    reach = replace(reach_of(settings.web_allow or "", settings.web_ports), granted=places.granted)
    # From here on a name from a request is connected to only at an address that passed the check.
    dialing.restrict(reach.addresses)
    roles = roles_of(settings.web_roles or "")
    known = WebContext(
        settings=settings,
        store=context.store,
        vault=context.vault,
        ring=context.ring,
        records=WebRecords(state, settings.audit_days),
        client=state,
        principals=principals,
        sessions=BrowserSessions(state, context.vault, partial(_vouched, settings, roles)),
        targets=Targets(state, context.vault),
        services=NamedServices(state, context.vault),
        page_state=PageState(state),
        reach=reach,
        places=places,
        roles=roles,
        makers=makers_of(settings),
        own_limits=context.own_limits,
    )
    proxies = networks_of(settings.web_proxies or "")
    health.begin(context.store)
    app = make_app(known)
    config = uvicorn.Config(
        Counted(app, metrics),
        host=settings.web_host,
        port=settings.web_port,
        http=cast(Any, partial(PageProtocol, room=room_of(partial(within, proxies)))),
        ws="none",
        backlog=BACKLOG,
        h11_max_incomplete_event_size=HEAD_BYTES,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    gc.collect()
    gc.freeze()  # what is loaded stays: looking for garbage in it would stop every request for a moment
    PageServer(config, app.state.streams).run()
    return 0


def _vouched(settings: Settings, roles: Roles, name: str, groups: Sequence[str]) -> Role | None:
    """The role of somebody whom the identity provider let in, as the settings say now; None without a provider."""
    return roles.of(name, groups) if settings.web_oidc_issuer else None


if __name__ == "__main__":
    sys.exit(main())
