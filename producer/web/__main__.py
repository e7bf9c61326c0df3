"""`python -m producer.web`: the API. Any number may run; all that they know is in the store."""

from __future__ import annotations

import sys

import uvicorn

from producer.cli.ground import Ground
from producer.web.app import is_local, make_app
from producer.web.counter import Counter
from producer.web.reach import reach_of
from shared.config import load_settings
from shared.errors import MailhaulError, UsageError
from shared.logs import configure_logging
from shared.mail import dialing
from shared.store.desk import Desk
from shared.store.redis import connect
from shared.store.shelf import Shelf


def main() -> int:
    """Runs until told to stop; the exit code."""
    try:
        settings = load_settings()
        configure_logging(level=settings.log_level, log_format=settings.log_format, addresses=settings.log_addresses)
        if settings.redis_url is None:
            raise UsageError("set MAILHAUL_REDIS_URL, or run `mailhaul up`")
        with Ground(settings) as ground:
            return _serve(ground)
    except MailhaulError as error:
        print(f"mailhaul web: {error}", file=sys.stderr)
        return 2


def _serve(ground: Ground) -> int:
    settings = ground.settings
    desk = Desk(connect(ground.urls[1]))
    if not is_local(settings.web_host) and not desk.tokens():
        raise UsageError(
            f"MAILHAUL_WEB_HOST is {settings.web_host}, which others can connect to, and nobody can sign in yet: make a "
            "token first (mailhaul token add NAME --role admin), and put a proxy with TLS in front"
        )
    reach = reach_of(settings.web_allow or "", settings.web_ports)
    # From here on no name that a stranger gives is connected to but at an address that was looked at.
    dialing.restrict(reach.addresses)
    known = Counter(
        settings=settings,
        store=ground.store,
        vault=ground.vault,
        ring=ground.ring,
        desk=desk,
        shelf=Shelf(connect(ground.urls[1])),
        reach=reach,
        own_limits=ground.own_limits,
    )
    uvicorn.run(
        make_app(known),
        host=settings.web_host,
        port=settings.web_port,
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=5,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
