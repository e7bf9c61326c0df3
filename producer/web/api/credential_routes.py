"""Routes that replace or delete passwords: those of mailboxes, and those that sign in for a whole side."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Request

from producer.intake.allowed import LOOKED_AT
from producer.intake.manifest_row import Manifest
from producer.intake.sheet import ManifestInvalid
from producer.intake.sign_in import at_the_vendor, secret_of
from producer.operations.credentials import Replaced
from producer.web.api import answers
from producer.web.api.import_bodies import SheetBody
from producer.web.api.signing_in import SecretsBody
from producer.web.problems import Refused
from producer.web.security.access import Known, Operator, noted
from producer.web.web_context import WebContext
from shared.model import Import
from shared.model.sides import Side
from shared.model.sign_in import Way
from shared.runtime.secret import Secret
from shared.store.records.principals import Principal
from shared.wording.often_said import GIVE_AT_LEAST_ONE_PASSWORD

routes = APIRouter(route_class=answers.AnswerRoute, prefix="/imports/{import_id}", tags=["imports"])


@routes.post("/credentials", response_model=answers.CredentialsAnswer)
def credentials(known: Known, who: Operator, request: Request, import_id: str, body: SheetBody) -> dict[str, Any]:
    """Replaces passwords of rows found by their login at the source. Parked mailboxes among them go on."""
    found = known.import_(import_id)
    manifest, errors = body.sift(known.reach, allow_plaintext=True, allowed=LOOKED_AT)
    if errors:
        raise ManifestInvalid(errors)
    done = replaced(known, who, request, found, manifest)
    return {"mailboxes": done.mailboxes, "queued": done.queued, "unknown_rows": list(done.unknown_rows)}


def replaced(known: WebContext, who: Principal, request: Request, found: Import, manifest: Manifest) -> Replaced:
    """Seals new passwords. Parked mailboxes among them go on."""
    with noted(known, request, who, "credentials replaced", import_id=found.import_id, rows=len(manifest.rows)):
        return known.operations.replace_credentials(found, manifest.rows, manifest.columns)


@routes.put("/secrets", response_model=answers.QueuedAnswer)
def secrets(known: Known, who: Operator, request: Request, import_id: str, body: SecretsBody) -> dict[str, Any]:
    """Replaces an administrator's password, token or key, each side for itself. Mailboxes that wait for it go on."""
    found = known.import_(import_id)
    return {"queued": renew(known, who, request, found, body.given)}


def renew(known: WebContext, who: Principal, request: Request, found: Import, texts: Mapping[Side, str]) -> int:
    """Seals the secrets given by side. Returns how many mailboxes go on. Raises `UsageError` and `Refused`."""
    if not texts:
        raise Refused(422, GIVE_AT_LEAST_ONE_PASSWORD.says())

    def read(way: Way, text: str) -> Secret:
        at_the_vendor(way, text)
        return secret_of(way, text)

    readers = {side: partial(read, text=text) for side, text in texts.items()}
    secrets = known.operations.shared_anew(found, readers)
    with noted(known, request, who, "credentials replaced", import_id=found.import_id, shared=sorted(secrets)):
        return known.operations.replace_shared(found, secrets)


@routes.delete("/credentials", response_model=answers.ForgottenAnswer)
def forget(known: Known, who: Operator, request: Request, import_id: str) -> dict[str, Any]:
    """Deletes the stored passwords of the import now, and what servers said when they were signed in to.

    `purged`: the append-only file of Redis was written anew without them; where it is false, an administrator of Redis
    runs BGREWRITEAOF.
    """
    found = known.import_(import_id)
    with noted(known, request, who, "credentials deleted", import_id=import_id):
        forgotten = known.operations.forget(found)
        return {"deleted": forgotten.there, "purged": forgotten.purged}
