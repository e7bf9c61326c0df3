"""The form of a new import, filled in as another import was: to open one more like it, or to change it before its start.

One more like it has servers, choices and hours; no passwords and no mailboxes. What the form has no field for is named
beside it, by its option: nothing is left out in silence. An import that is changed has all of it, and keeps what the form
has no field for.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import Request
from fastapi.responses import RedirectResponse, Response

from producer.intake.editing import as_manifest, columns_of
from producer.intake.specification import SheetRead
from producer.web.api.edit_routes import unstarted
from producer.web.pages import drafts
from producer.web.pages.form_draft import FormDraft, fresh, keep
from producer.web.pages.new_import import draw_form
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Actor
from producer.web.pages.signing import BY_KEY, CHOICES
from producer.web.pages.submitted import edited
from producer.web.security.access import Known
from shared.model import Endpoint, Import
from shared.model.choices import SharedFolders
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way

routes = page_routes()
#: Seconds of a day; the form knows days alone.
_DAY: Final = 86_400


@routes.get("/imports/{import_id}/copy")
def copy(request: Request, known: Known, who: Actor, import_id: str) -> Response:
    """Shows the form for one more import like this one."""
    found = known.import_(import_id)
    services = {one.text: name for name, one in known.services.all().items()}
    services |= {asked.text: name for name, asked in known.makers.items()}
    fields = fields_of(found, services)
    for side, _, sign_in in _sides(found):
        # One password for all is each row's own way to sign in, with a secret that is the import's.
        if sign_in.way is Way.PASSWORD and known.store.sealed(import_id, import_id, side) is not None:
            fields[f"{side}_way"] = Way.PASSWORD.value
    return draw_form(request, who, fresh(), FormDraft(fields=fields), left_out=left_out(found, services))


@routes.post("/imports/{import_id}/edit")
def edit(known: Known, who: Actor, import_id: str) -> Response:
    """Begins a form with everything that the import holds, and leads to it. Passwords stay here, sealed."""
    found = unstarted(known, import_id)
    version = known.operations.version_of(found)
    asked = known.operations.asked_again(found)
    rows = asked.sheet.manifest.rows if isinstance(asked.sheet, SheetRead) and asked.sheet.manifest else ()
    services = {one.text: name for name, one in known.services.all().items()}
    services |= {maker.text: name for name, maker in known.makers.items()}
    fields = fields_of(found, services) | {"name": found.name}
    for side, server in asked.servers.items():
        if server.secret:
            way = Way(server.way.partition(":")[0])
            kind = way.value if way in BY_KEY else ""
            held = f"{kind}\n{server.secret}".encode("utf-8", "surrogatepass")
            fields |= {f"{side}_way": way.value, f"{side}_kept": drafts.keep(known, who, held)}
    data = as_manifest(rows)
    listed = FormDraft(
        fields=fields | {"draft": drafts.keep(known, who, data)},
        columns=columns_of(data),
        edits=import_id,
        version=version,
    )
    form = edited(known, who, listed)
    form_id = fresh()
    keep(known, who, form_id, form if form.cells else replace(form, columns=()))
    return RedirectResponse(f"/new/{form_id}", 303)


def left_out(import_: Import, services: Mapping[str, str]) -> list[str]:
    """Returns the options of the import that the form has no field for, as the command line writes them. Pure."""
    options = import_.options
    special = [use for use in options.skip_special if use not in ("junk", "trash")]
    found = [f"--skip-special {','.join(special)}"] if special else []
    found += ["--folder-map"] * bool(options.folder_map)
    for name, at in (("since", options.since), ("before", options.before)):
        if at is not None and at % _DAY:
            found.append(f"--{name} {datetime.fromtimestamp(at, UTC):%Y-%m-%dT%H:%M:%SZ}")
    for side, end, sign_in in _sides(import_):
        found += [f"--{side}-ca {end.ca_file}"] * bool(end.ca_file)
        detail = sign_in.detail if sign_in.way not in (Way.MASTER, Way.MICROSOFT) else ""
        if sign_in.way not in CHOICES or detail:  # a program's command line may hold a secret: it is not shown
            found.append(f"--{side}-auth {sign_in.way}" + (f":{detail}" if detail and sign_in.way in CHOICES else ""))
    return found + ["--accounts"] * bool(options.accounts and options.accounts not in services)


def fields_of(import_: Import, services: Mapping[str, str]) -> dict[str, Any]:
    """Returns the fields of the form that would ask for such an import. Pure.

    `services` are the names of the account services, by what they are asked.
    """
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
        "accounts": services.get(options.accounts, ""),
    }
    ticks = {
        "skip_junk": "junk" in options.skip_special,
        "skip_trash": "trash" in options.skip_special,
        "shared_folders": options.shared_folders == SharedFolders.COPY,
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
        **{name: text for side, end, _ in _sides(import_) for name, text in _end(side, end).items()},
        **{name: text for side, _, sign_in in _sides(import_) for name, text in _sign_in(side, sign_in).items()},
        **{name: str(value) for name, value in texts.items() if value is not None},
        **{name: "1" for name, ticked in ticks.items() if ticked},
    }


def _sides(import_: Import) -> Iterator[tuple[Side, Endpoint, SignIn]]:
    yield Side.SOURCE, import_.source, import_.options.source_sign_in
    yield Side.DESTINATION, import_.destination, import_.options.destination_sign_in


def _sign_in(side: Side, sign_in: SignIn) -> dict[str, str]:
    """Returns the fields on who signs in for all; none where each row has its password, or the form has no such way."""
    if sign_in == SignIn() or sign_in.way not in CHOICES:
        return {}
    return {
        f"{side}_way": sign_in.way.value,
        f"{side}_admin": sign_in.admin,
        f"{side}_template": sign_in.detail if sign_in.way is Way.MASTER else "",
        f"{side}_tenant": sign_in.detail if sign_in.way is Way.MICROSOFT else "",
    }


def _end(side: Side, end: Endpoint) -> dict[str, str]:
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
