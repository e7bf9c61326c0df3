"""The form of a new import, filled in as another import was: servers, choices and hours; no passwords and no mailboxes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from producer.web.pages.form import form_of
from producer.web.pages.new_import import draw_form
from producer.web.pages.sign_in_page import Actor
from producer.web.security.access import Known
from shared.model import Endpoint, Import

routes = APIRouter(include_in_schema=False)


@routes.get("/imports/{import_id}/copy")
def copy(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Shows the form for one more import like this one."""
    return draw_form(request, who, form_of(fields_of(known.import_(import_id))))


def fields_of(import_: Import) -> dict[str, Any]:
    """Returns the fields of the form that would ask for such an import. Pure."""
    options = import_.options
    texts = {
        "since": _day(options.since),
        "before": _day(options.before),
        "larger": options.larger,
        "smaller": options.smaller,
        "into": options.into,
        "gmail_labels": options.gmail_labels,
        "moves": options.moves,
        "deletions": options.deletions,
        "deletions_cap": options.deletions_cap,
        "verify": "full" if options.verify == "full" else "default",
        "include": "\n".join(options.include),
        "exclude": "\n".join(options.exclude),
        "window": import_.window,
    }
    ticks = {
        "skip_junk": "junk" in options.skip_special,
        "skip_trash": "trash" in options.skip_special,
        "shared_folders": options.shared_folders == "copy",
        **{
            name: getattr(options, name)
            for name in (
                "unseen",
                "flagged",
                "not_deleted",
                "newest_first",
                "share_destination",
                "case_sensitive_logins",
                "same_mailbox",
            )
        },
    }
    return {
        **_end("source", import_.source),
        **_end("destination", import_.destination),
        **{name: str(value) for name, value in texts.items() if value is not None},
        **{name: "1" for name, ticked in ticks.items() if ticked},
    }


def _end(side: str, end: Endpoint) -> dict[str, str]:
    if not end.host or not end.port:  # each row names its own server
        return {}
    return {
        f"{side}_protocol": end.protocol,
        f"{side}_tls": end.tls.value,
        f"{side}_host": end.host,
        f"{side}_port": str(end.port),
        f"{side}_fingerprint": end.certificate_sha256,
    }


def _day(at: int | None) -> str | None:
    return None if at is None else f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d}"
