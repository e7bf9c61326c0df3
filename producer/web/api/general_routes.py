"""Routes that are not about one import: manifests, providers, detection, limits, doctor."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.responses import Response

from producer.cli import doctor as looking
from producer.intake import detect as finding
from producer.intake.detect_probe import Network
from producer.intake.manifest import template
from producer.intake.providers import catalogue
from producer.operations import erasing
from producer.operations.limits import read_limit
from producer.operations.searching import search_everywhere
from producer.show import document
from producer.show.lanes import lane_fields
from producer.web.api import admin_answers, answers, mailbox_answers
from producer.web.api.import_bodies import SheetBody
from producer.web.api.request_bodies import DetectBody, EraseBody, LimitBody
from producer.web.problems import Refused, manifest_as_read
from producer.web.security.access import Admin, Known, Operator, Viewer, note, noted
from shared.mail.transport.dialing import connect
from shared.model.errors import UsageError
from shared.store import SCOPES
from shared.wording.phrases import text_of

routes = APIRouter(route_class=answers.AnswerRoute)
#: Rows of a preview.
_PREVIEW = 20


class CsvResponse(Response):
    """A response with CSV."""

    media_type = "text/csv"


@routes.post("/manifests", tags=["manifests"], response_model=answers.ManifestAnswer)
def look_at(known: Known, _: Operator, body: SheetBody) -> dict[str, Any]:
    """Validates a manifest. Returns the report and the first rows. Nothing is kept, and no password comes back."""
    manifest, errors = body.sift(known.reach)
    return manifest_as_read(manifest, errors) | {
        "preview": [
            {
                "row": row.line,
                "login": row.login,
                "new_login": row.new_login,
                "server": row.server.url if row.server else "",
            }
            for row in manifest.rows[:_PREVIEW]
        ],
    }


@routes.get("/template", tags=["manifests"], response_class=CsvResponse)
def empty_manifest(_: Viewer, separator: Literal["comma", "semicolon", "tab"] = "comma") -> Response:
    """Returns a manifest to fill in."""
    headers = {"Content-Disposition": 'attachment; filename="mailboxes.csv"'}
    return CsvResponse(template(separator), headers=headers)


@routes.get("/providers", tags=["servers"], response_model=admin_answers.ProvidersAnswer)
def providers(_: Viewer) -> dict[str, Any]:
    """Lists the providers that mailhaul knows, with what each asks for."""
    known = catalogue()
    return {"edition": known.edition, "providers": [one.as_json() for one in known.providers]}


@routes.get("/providers/{name}", tags=["servers"], response_model=admin_answers.ProviderAnswer)
def provider(_: Viewer, name: Annotated[str, Path(max_length=100)]) -> dict[str, Any]:
    """Returns one provider, by its name, an alias, or the name of one of its sites."""
    try:
        return catalogue().find(name)[0].as_json()
    except UsageError as error:
        raise Refused(404, text_of(error)) from None


@routes.post("/detect", tags=["servers"], response_model=admin_answers.DetectionAnswer)
def detect(known: Known, _: Operator, body: DetectBody) -> dict[str, Any]:
    """Finds the servers that hold the mail of an address.

    The domain's own autoconfig is not asked, since its URL belongs to a stranger.
    """
    return detected(body.address, offline=body.offline).as_json()


def detected(address: str, *, offline: bool = False) -> finding.Detection:
    """Finds the servers of an address, connecting only to addresses that the page may reach. Raises `UsageError`."""
    return finding.detect(address, offline=offline, network=NETWORK)


#: The network for addresses that come from requests. It connects only where the page may (`dialing.restrict`).
NETWORK = Network(own=(), connect=lambda host, port, seconds: connect(host, port, timeout=seconds))


@routes.get("/mailboxes", tags=["mailboxes"], response_model=mailbox_answers.FoundMailboxesAnswer)
def everywhere(
    known: Known,
    _: Viewer,
    text: Annotated[str, Query(min_length=1, max_length=200, description="A part of a login, of either side.")],
    start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
    count: Annotated[int, Query(ge=1, le=500)] = 100,
    archived: Annotated[bool, Query(description="Also in imports that are in the archive.")] = False,
) -> dict[str, Any]:
    """Finds mailboxes by login in all imports, those of the newest import first. `total` is the number of all matches."""
    total, found = search_everywhere(known.store, text, start, count, archived=archived)
    return {"total": total, "start": start, "mailboxes": [document.found_fields(*one) for one in found]}


@routes.get("/limits", tags=["limits"], response_model=admin_answers.LimitsAnswer)
def limits(known: Known, _: Viewer) -> dict[str, Any]:
    """Lists connection limits and rates: the defaults, what was set, what is usual at a server, what was found within these.

    A rate of 0 is no cap.
    """
    default = {scope: getattr(known.settings, f"{scope}_connections") for scope in SCOPES}
    return {
        "default": default | known.settings.rates,
        "set": known.store.limits(),
        "usual": known.store.usual(),
        "found": lane_fields(known.store.lane_places()),
    }


@routes.put("/limits/{scope:path}", tags=["limits"], response_model=admin_answers.LimitsSetAnswer)
def set_limit(known: Known, who: Admin, request: Request, scope: str, body: LimitBody) -> dict[str, Any]:
    """Sets a limit at once, while imports run.

    `scope` is a scope ("source_host"), one key of it ("source_host:mail.example.org"), or a rate of either
    ("source_account.bytes_per_day").
    """
    if len(scope) > 1000:
        raise Refused(422, "a scope has at most 1000 characters")
    most = read_limit(scope, body.most) if isinstance(body.most, str) else body.most
    with noted(known, request, who, "limit set", scope=scope, most=most):
        known.operations.set_limit(scope, most)
        return {"set": known.store.limits()}


@routes.get("/doctor", tags=["doctor"], response_model=admin_answers.DoctorAnswer)
def doctor(known: Known, _: Admin) -> dict[str, Any]:
    """Returns the findings of `mailhaul doctor` for this machine: settings, state folder, keys, Redis, workers."""
    return looking.told(list(looking.findings(known.settings)))


@routes.post("/erase", tags=["imports"], response_model=admin_answers.ErasedAnswer)
def erase(known: Known, who: Admin, request: Request, body: EraseBody) -> dict[str, Any]:
    """Forgets an import, or one person in every import, and reads every key afterwards. Mail is not touched.

    `left` names the keys that still name them; it is empty when nothing is left.
    """
    if bool(body.import_id) == bool(body.login):
        raise Refused(422, "give either import_id or login")
    if body.login:
        with noted(known, request, who, "erasure begun", login_digest=erasing.digest_of(body.login)):
            receipt = erasing.erase_login(known.store, known.client, body.login)
    else:
        found = known.import_(body.import_id)
        with noted(known, request, who, "erasure begun", erased_import=found.import_id, name=found.name):
            receipt = erasing.erase_import(known.store, known.client, found)
    note(known, request, who, "erasure done", **asdict(receipt))
    return {"erased": asdict(receipt)}
