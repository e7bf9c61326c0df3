"""The table of verbs and options of the command line with their place in the API, or the reason why there is none.

`python -m tests.web.parity` writes the table of docs/api.md.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import typer

DOCS: Final = Path(__file__).parents[2] / "docs" / "api.md"
_BEGIN: Final = "<!-- written by tests/web/parity.py -->\n"
_BLANK: Final = re.compile(r"\{(\w+)\}")
_END: Final = "<!-- so far -->\n"


@dataclass(frozen=True, kw_only=True, slots=True)
class Verb:
    """The place of a verb in the API."""

    #: Operations, as in "POST /imports". `options` names fields of the first one. Empty: see `why`.
    at: tuple[str, ...] = ()
    #: The reason why the API has no such operation.
    why: str = ""
    #: Option or argument → field ("body.source.server", "query.since", "path.scope") or a `Why`. A field of another
    #: operation than the first has that operation in front ("POST /x body.y").
    options: Mapping[str, str | Why] = field(default_factory=dict)


class Why(str):
    """The reason why an option has no field."""


_HERE: Final = "runs processes of this machine"
_STORE: Final = Why("says where the store of this machine is")
_JSON: Final = Why("every answer is JSON")
#: Options of all verbs, unless the verb names its own place for one.
EVERYWHERE: Final[Mapping[str, Why]] = {
    "--state-dir": _STORE,
    "--json": _JSON,
    "--yes": Why("asks who sits at a terminal"),
    "--detach": Why(_HERE),
    "--quiet": Why("an answer is quiet"),
    "--verbose": Why("an answer has no lines of progress"),
}
_SERVICE: Final = "/account-services/{name}"
_WHICH: Final = {"which": "path.import_id"}
_ONE: Final = {**_WHICH, "--mailbox": "body.login", "--wave": "body.wave"}
_FILE: Final = Why("names a file of this machine; a certificate is pinned by its fingerprint")
_SHEET: Final = {
    "--encoding": "body.encoding",
    "--separator": "body.separator",
    "--ignore-column": "body.ignore_columns",
    "--no-header": "body.no_header",
}
_MAKERS: Final[Mapping[str, str | Why]] = {
    "--accounts": "body.accounts",
    "--accounts-secret-file": Why("PUT /account-services/{name} has it, or MAILHAUL_WEB_ACCOUNTS_SECRET_FILES"),
    "--generate-passwords": Why("hands passwords over as a file of the machine"),
}
_SIGN_IN: Final = {
    f"--{side}-{option}": f"body.{side}.sign_in.{field}"
    for side in ("source", "destination")
    for option, field in (("auth", "way"), ("admin", "admin"), ("password-file", "secret"))
}
_ENDS: Final[Mapping[str, str | Why]] = {
    "manifest": "body.manifest",
    **_SHEET,
    "--source": "body.source.server",
    "--destination": "body.destination.server",
    "--allow-plaintext": "body.source.allow_plaintext",
    "--share-destination": "body.share_destination",
    "--case-sensitive-logins": "body.case_sensitive_logins",
    "--same-mailbox": "body.same_mailbox",
    "--source-fingerprint": "body.source.fingerprint",
    "--destination-fingerprint": "body.destination.fingerprint",
    "--source-ca": _FILE,
    "--destination-ca": _FILE,
    **_MAKERS,
    **_SIGN_IN,
}
_WANTED: Final = {
    f"--{name.replace('_', '-')}": f"body.{name}"
    for name in (
        "include",
        "exclude",
        "since",
        "before",
        "larger",
        "smaller",
        "unseen",
        "flagged",
        "not_deleted",
        "newest_first",
        "skip_special",
        "shared_folders",
        "into",
        "folder_map",
        "gmail_labels",
        "moves",
        "deletions",
        "deletions_cap",
    )
}
_IMPORT: Final = "/imports/{import_id}"
_CUTOVERS: Final = f"{_IMPORT}/cutovers"
_CUTOVER: Final = {
    **_WHICH,
    "--wave": "body.wave",
    "--switch": "body.switch",
    "--synced-minutes": "body.synced_minutes",
    "--ttl": "body.ttl",
    "--quiet-hours": "body.quiet_hours",
    "--domain": "body.domains",
}
_OF_WAVE: Final = {"--wave": f"POST {_IMPORT}/rehearsals body.wave"}
_RULES: Final = {"--wave-rule": "body.wave_rule"}
_REHEARSED: Final = ("POST /imports", f"POST {_IMPORT}/rehearsals", "GET /rehearsals/{rehearsal_id}")

TABLE: Final[Mapping[str, Verb]] = {
    "check": Verb(at=_REHEARSED, options={**_ENDS, **_OF_WAVE, **_RULES, "--shared-folders": "body.shared_folders"}),
    "plan": Verb(at=_REHEARSED, options={**_ENDS, **_OF_WAVE, **_RULES, **_WANTED}),
    "import": Verb(
        at=("POST /imports", f"POST {_IMPORT}/start", f"GET {_IMPORT}/events", f"POST {_IMPORT}/verify"),
        options={
            **_ENDS,
            **_WANTED,
            "--name": "body.name",
            "--verify": "body.verify",
            "--window": "body.window",
            "--wave": "body.wave",
            **_RULES,
            "--workers": Why(_HERE),
            "--threads": Why(_HERE),
            "--spool-refused": Why("POST /imports/I/spool, at the end"),
            "--dry-run": Why(f"POST {_IMPORT}/rehearsals says the same"),
        },
    ),
    "edit": Verb(
        at=(f"PATCH {_IMPORT}",),
        options={
            **_WHICH,
            **{option: place for option, place in _ENDS.items() if option != "manifest"},
            **_WANTED,
            "--rows": "body.manifest",
            "--remove": "body.remove",
            "--name": "body.name",
            "--verify": "body.verify",
            "--window": "body.window",
            "--wave": "body.wave",
            **_RULES,
        },
    ),
    "template": Verb(at=("GET /template",), options={"--separator": "query.separator"}),
    "providers": Verb(at=("GET /providers/{name}", "GET /providers"), options={"name": "path.name"}),
    "detect": Verb(at=("POST /detect",), options={"address": "body.address", "--offline": "body.offline"}),
    "list": Verb(at=("GET /imports",), options={"--archived": "query.archived"}),
    "where": Verb(at=("GET /mailboxes",), options={"text": "query.text", "--archived": "query.archived"}),
    "status": Verb(
        at=(f"GET {_IMPORT}", f"GET {_IMPORT}/mailboxes", f"GET {_IMPORT}/mailboxes/{{mailbox_id}}"),
        options={
            **_WHICH,
            "--mailbox": f"GET {_IMPORT}/mailboxes query.text",
            "--wave": "query.wave",
            "--failed": f"GET {_IMPORT}/mailboxes query.state",
        },
    ),
    "watch": Verb(at=(f"GET {_IMPORT}/events",), options={**_WHICH, "--wave": "query.wave"}),
    "errors": Verb(
        at=(f"GET {_IMPORT}/errors",), options={**_WHICH, "--mailbox": "query.login", "--wave": "query.wave"}
    ),
    "forecast": Verb(
        at=(f"POST {_IMPORT}/forecast", f"GET {_IMPORT}/forecast"), options={**_WHICH, "--wave": "query.wave"}
    ),
    "report": Verb(
        at=(f"GET {_IMPORT}/report/{{file}}",),
        options={
            **_WHICH,
            "--out": "path.file",
            **{f"--{name}": f"query.{name}" for name in ("wave", "language", "zone")},
        },
    ),
    "spool": Verb(
        at=(f"POST {_IMPORT}/spool",),
        options={**_ONE, "--out": Why("the answer is a ZIP of the same files")},
    ),
    "audit": Verb(
        at=("GET /audit.csv", "GET /audit.jsonl", "GET /audit"),
        options={"--since": "query.since", "--format": Why("the end of the path")},
    ),
    "pause": Verb(at=(f"POST {_IMPORT}/pause",), options=_ONE),
    "resume": Verb(at=(f"POST {_IMPORT}/resume",), options=_ONE),
    "cancel": Verb(at=(f"POST {_IMPORT}/cancel",), options=_ONE),
    "retry": Verb(at=(f"POST {_IMPORT}/retry",), options={**_ONE, "--copy-missing": "body.copy_missing"}),
    "verify": Verb(
        at=(f"POST {_IMPORT}/verify",),
        options={**_ONE, "--full": "body.full", "--accept-missing": "body.accept_missing"},
    ),
    "credentials": Verb(
        at=(f"POST {_IMPORT}/credentials", f"PUT {_IMPORT}/secrets"),
        options={
            **_WHICH,
            "file": "body.manifest",
            **{f"--{side}-password-file": f"PUT {_IMPORT}/secrets body.{side}" for side in ("source", "destination")},
            **_SHEET,
        },
    ),
    "forget": Verb(at=(f"DELETE {_IMPORT}/credentials",), options=_WHICH),
    "archive": Verb(at=(f"PUT {_IMPORT}/archived",), options={**_WHICH, "--back": "body.archived"}),
    "close": Verb(at=(f"DELETE {_IMPORT}",), options={**_WHICH, "--yes": Why("whoever calls it is sure")}),
    "erase": Verb(
        at=("POST /erase",),
        options={"which": "body.import_id", "--login": "body.login", "--yes": Why("whoever calls it is sure")},
    ),
    "limits": Verb(at=("PUT /limits/{scope}", "GET /limits"), options={"scope": "path.scope", "most": "body.most"}),
    "window": Verb(
        at=(f"PUT {_IMPORT}/window", f"GET {_IMPORT}"),
        options={**_WHICH, "hours": "body.window", "--wave": "body.wave"},
    ),
    "waves": Verb(
        at=(f"PUT {_IMPORT}/waves", f"GET {_IMPORT}/waves"),
        options={
            **_WHICH,
            "--wave": "body.wave",
            "--start-at": "body.starts_at",
            "--weight": "body.weight",
            "--order": "body.order",
        },
    ),
    "move": Verb(
        at=(f"POST {_IMPORT}/move",),
        options={**_ONE, "--front": "body.front", "--priority": "body.priority"},
    ),
    "cutover plan": Verb(at=(f"POST {_CUTOVERS}/plan",), options=_CUTOVER),
    "cutover start": Verb(at=(f"POST {_CUTOVERS}",), options=_CUTOVER),
    "cutover status": Verb(at=(f"GET {_CUTOVERS}",), options={**_WHICH, "--wave": "query.wave"}),
    **{
        f"cutover {name}": Verb(
            at=(f"POST {_CUTOVERS}/{name}",),
            options={**_WHICH, "--wave": "body.wave", "--force": "body.force", "--reason": "body.reason"},
        )
        for name in ("announce", "switch", "close")
    },
    "cutover rollback": Verb(at=(f"POST {_CUTOVERS}/rollback",), options={**_WHICH, "--wave": "body.wave"}),
    "standing": Verb(
        at=(f"PUT {_IMPORT}/standing", f"GET {_IMPORT}/standing"),
        options={
            **_WHICH,
            "--wave": "body.wave",
            "--on": Why("whatever is asked for without off"),
            "--least": "body.least_seconds",
            "--most": "body.most_seconds",
            "--switch-at": "body.switch_at",
            "--off": "body.off",
        },
    ),
    "doctor": Verb(at=("GET /doctor",)),
    "notify add": Verb(
        at=("POST /targets",),
        options={
            **{name: f"body.{name}" for name in ("way", "to")},
            "--to-file": Why("a body holds it"),
            "--server": "body.server",
            "--login": "body.login",
            "--from": "body.sender",
            "--secret-file": "body.secret",
            "--what": "body.kinds",
            "--import": "body.imports",
            **{f"--{name}": f"body.{name}" for name in ("language", "zone", "digest", "logins")},
        },
    ),
    "notify list": Verb(at=("GET /targets",)),
    "notify remove": Verb(at=("DELETE /targets/{target_id}",), options={"target_id": "path.target_id"}),
    "notify test": Verb(at=("POST /targets/{target_id}/test",), options={"target_id": "path.target_id"}),
    "notify retry": Verb(at=("POST /targets/retry",), options={"--drop": "body.drop"}),
    "service set": Verb(
        at=(f"PUT {_SERVICE}",),
        options={"name": "path.name", "url": "body.url", "--secret-file": "body.secret"},
    ),
    "service list": Verb(at=("GET /account-services", "GET /accounts")),
    "service remove": Verb(at=(f"DELETE {_SERVICE}",), options={"name": "path.name"}),
    "service test": Verb(at=(f"POST {_SERVICE}/test",), options={"name": "path.name", "login": "body.login"}),
    "token add": Verb(
        at=("POST /tokens",), options={"name": "body.name", "--role": "body.role", "--expires": "body.expires"}
    ),
    "token list": Verb(at=("GET /tokens",)),
    "token revoke": Verb(at=("DELETE /tokens/{token_id}",), options={"token_id": "path.token_id"}),
    "user set": Verb(
        at=("PUT /users/{name}",),
        options={"name": "path.name", "--role": "body.role", "--password-file": "body.password"},
    ),
    "user list": Verb(at=("GET /users",)),
    "user remove": Verb(at=("DELETE /users/{name}",), options={"name": "path.name"}),
    "reach list": Verb(at=("GET /reach",)),
    "reach add": Verb(at=("PUT /reach/{place}",), options={"place": "path.place"}),
    "reach remove": Verb(at=("DELETE /reach/{place}",), options={"place": "path.place"}),
    "session list": Verb(at=("GET /sessions",)),
    "session end": Verb(at=("DELETE /sessions/{session_id}",), options={"which": "path.session_id"}),
    **{
        name: Verb(why="the keys are of the machines, and never go over the network")
        for name in ("keys rotate", "keys drop")
    },
    "link": Verb(why="lets in whoever holds this machine; over the network there are users and tokens"),
    **{name: Verb(why=_HERE) for name in ("demo", "up", "down", "worker", "coordinator", "web")},
}


def verbs(app: typer.Typer) -> dict[str, tuple[str, ...]]:
    """Returns verb → its options ("--name") and arguments ("name")."""

    def walk(command: Any, path: tuple[str, ...]) -> Iterator[tuple[str, tuple[str, ...]]]:
        if parts := getattr(command, "commands", None):
            for name, part in parts.items():
                if not part.hidden:  # another name for a verb that is in the table
                    yield from walk(part, (*path, name))
        else:
            found = [
                max(one.opts, key=len) if one.param_type_name == "option" else str(one.name) for one in command.params
            ]
            yield " ".join(path), tuple(found)

    return dict(walk(typer.main.get_command(app), ()))


def faults(
    known: Mapping[str, tuple[str, ...]], document: Mapping[str, Any], table: Mapping[str, Verb] = TABLE
) -> list[str]:
    """Returns a line for each disagreement between the command line, the table and the OpenAPI document."""
    found = [f"{name}: is no verb any more" for name in table.keys() - known.keys()]
    for name, options in known.items():
        verb = table.get(name)
        if verb is None:
            found.append(f"{name}: where is it in the API, or why not?")
        elif bool(verb.at) == bool(verb.why):
            found.append(f"{name}: either operations or a reason")
        elif verb.at:
            found += [f"{name}: the API has no {at}" for at in verb.at if _operation(document, at) is None]
            found += [f"{name} {option}: is no option any more" for option in verb.options.keys() - set(options)]
            found += [f"{name} {option}: {fault}" for option in options if (fault := _fault(document, verb, option))]
    return sorted(found)


def _fault(document: Mapping[str, Any], verb: Verb, option: str) -> str:
    there = verb.options.get(option, EVERYWHERE.get(option))
    if there is None:
        return "which field is it, or why none?"
    if isinstance(there, Why):
        return "" if there else "a reason says something"
    *at, place = there.rsplit(" ", 1)
    operation = _operation(document, at[0] if at else verb.at[0])
    return "" if operation is not None and _has(document, operation, place) else f"the API has no {there}"


def _operation(document: Mapping[str, Any], at: str) -> Mapping[str, Any] | None:
    method, path = at.split(" ", 1)
    found: Mapping[str, Any] | None = document["paths"].get(f"/api/v1{path}", {}).get(method.lower())
    return found


def _has(document: Mapping[str, Any], operation: Mapping[str, Any], place: str) -> bool:
    kind, *names = place.split(".")
    if kind in ("path", "query"):
        return any((one["in"], [one["name"]]) == (kind, names) for one in operation.get("parameters", ()))
    schema: Any = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema", {})
    for name in names:
        schema = _whole(document, schema).get("properties", {}).get(name)
        if schema is None:
            return False
    return kind == "body" and bool(names)


def _whole(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Returns the schema with properties that a reference or an alternative leads to."""
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for one in (*schema.get("allOf", ()), *schema.get("anyOf", ())):
        if (found := _whole(document, one)).get("properties"):
            return found
    return schema


def spoken(table: Mapping[str, Verb] = TABLE) -> str:
    """Returns the table in short form, as Markdown."""
    lines = ["| verb | by API | without |", "|---|---|---|"]
    groups: dict[tuple[str, str], list[str]] = {}
    for name, verb in table.items():
        where = ", ".join(f"`{_BLANK.sub(lambda blank: blank[1][0].upper(), at)}`" for at in verb.at)
        missing: dict[str, list[str]] = {}
        for option, there in verb.options.items():
            if isinstance(there, Why):
                missing.setdefault(there, []).append(f"`{option}`")
        without = "; ".join(f"{', '.join(options)} ({why})" for why, options in missing.items())
        groups.setdefault((where or "-", without or verb.why), []).append(f"`{name}`")
    lines += [f"| {', '.join(names)} | {where} | {without} |" for (where, without), names in groups.items()]
    return "\n".join(lines) + "\n"


def written(text: str) -> str:
    """Returns the document with the current table."""
    head, rest = text.split(_BEGIN)
    return f"{head}{_BEGIN}{spoken()}{_END}{rest.split(_END)[1]}"


if __name__ == "__main__":
    DOCS.write_text(written(DOCS.read_text()))
