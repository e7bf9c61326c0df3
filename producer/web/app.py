"""The application: its routes, its middleware and its error pages."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from fastapi import Depends, FastAPI
from fastapi.routing import APIRoute

from producer.web import pages, problems
from producer.web.api import (
    account_services,
    auditing,
    credential_routes,
    cutover_routes,
    edit_routes,
    general_routes,
    imports,
    live,
    mailboxes,
    principals,
    reach_routes,
    rehearsals,
    report_routes,
    spooling,
    steering_routes,
    target_routes,
)
from producer.web.api.described import describe
from producer.web.api.rehearsals import Rehearsals
from producer.web.api.strange_parameters import no_strange_parameters
from producer.web.gate import Gate
from producer.web.pages.glance import Sampler
from producer.web.pages.oidc import IdentityProvider
from producer.web.security.guard import Guard
from producer.web.security.proxied import Proxied, networks_of
from producer.web.security.streams import Streams
from producer.web.security.turns import Turns
from producer.web.unsure import ActsTold
from producer.web.web_context import WebContext
from shared.runtime.config import Settings

#: The path under which the API is served.
ROOT = "/api/v1"


def make_app(known: WebContext) -> FastAPI:
    """Builds the application with all routes on top of `known`."""

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        sampler, notifier = Sampler(known), known.notifier()
        sampler.start()
        notifier.start()
        yield
        sampler.stop()
        notifier.stop()
        app.state.rehearsals.close()

    app = FastAPI(
        title="mailhaul",
        version="1",
        description="Moves mailboxes from any IMAP or POP3 server into your own. See docs/api.md.",
        openapi_url=f"{ROOT}/openapi.json",
        docs_url=None,  # the page that FastAPI serves loads its script from another site
        redoc_url=None,
        max_body_size=known.settings.web_upload_bytes,
        lifespan=life,
        generate_unique_id_function=_operation_id,
    )
    app.state.web_context = known
    app.state.rehearsals = Rehearsals(known)
    app.state.streams = Streams()
    app.state.provider = IdentityProvider(known.settings) if known.settings.web_oidc_issuer else None
    for part in (
        imports,
        steering_routes,
        edit_routes,
        cutover_routes,
        credential_routes,
        mailboxes,
        rehearsals,
        report_routes,
        live,
        general_routes,
        account_services,
        principals,
        auditing,
        spooling,
        target_routes,
        reach_routes,
    ):
        app.include_router(
            part.routes, prefix=ROOT, responses=problems.ANSWERS, dependencies=[Depends(no_strange_parameters)]
        )

    describe(app)
    pages.install(app)

    @app.get("/healthz", include_in_schema=False)
    async def healthz() -> dict[str, str]:
        """Tells that the process is alive.

        It needs no thread and no Redis: an outage of Redis is no reason to restart.
        """
        return {"status": "ok"}

    @app.get("/readyz", include_in_schema=False)
    def readyz() -> dict[str, str]:
        """Asks the store for its limits, and fails if the store does not answer."""
        known.store.limits()
        return {"status": "ok"}

    problems.install(app)
    app.add_middleware(ActsTold)
    app.add_middleware(Gate, known=known)
    app.add_middleware(Turns, told=lambda number: known.at_work.told(number))
    app.add_middleware(Guard, names=names_of(known.settings))
    app.add_middleware(Proxied, networks=networks_of(known.settings.web_proxies or ""))  # added last, so passed first
    return app


def _operation_id(route: APIRoute) -> str:
    """Returns the name of an operation, by which generated clients call it: "imports_pause"."""
    return "_".join((str(route.tags[0]) if route.tags else "page", route.name))


def names_of(settings: Settings) -> set[str]:
    """Returns the host names under which a request may ask for this server."""
    given = {name.strip().lower() for name in (settings.web_names or "").split(",") if name.strip()}
    return given | {"localhost", "127.0.0.1", "::1", settings.web_host.lower()}
