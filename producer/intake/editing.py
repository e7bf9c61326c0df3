"""An import that was opened and not started, as it was asked for, so that it can be asked for once more with changes. Pure."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime
from typing import Final

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import Allowed
from producer.intake.endpoints import parse_endpoint
from producer.intake.manifest_row import Manifest, Row
from producer.intake.providers import catalogue
from producer.intake.row_reading import compared
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid
from producer.intake.sign_in import SignInAsked
from producer.intake.specification import ImportAsked, ImportSpecification, ServerAsked, SheetRead
from shared.model import BY_ROW, Endpoint, Import, Options, Tls
from shared.model.choices import Verification
from shared.model.errors import UsageError
from shared.model.lifecycle import ImportState
from shared.model.sides import Side
from shared.model.sign_in import Way
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

STARTED: Final = Phrase(
    "edited_import_started",
    "import {name} was started: its name, servers, choices and rows belong to what is copied, and stay. Passwords, hours, waves "
    "and limits can still be changed, mailboxes added, cancelled or erased; for other servers or choices open one more like it",
)
NO_ROW: Final = Phrase("edited_row_unknown", "the import has no mailbox with the login {login}")
NOTHING_LEFT: Final = Phrase("edited_rows_gone", "no mailbox would be left: close the import instead")

_COLUMNS: Final = (
    *("login", "password", "new_login", "new_password", "first_name", "last_name", "server", "quota"),
    *("wave", "priority", "group"),
)


def need_unstarted(import_: Import) -> None:
    """Raises `UsageError` for an import that was started: what is copied belongs to its servers, choices and rows."""
    if import_.state is not ImportState.OPENING or import_.passes:
        raise STARTED.error(name=import_.name)


def asked_again(
    import_: Import, rows: Sequence[Row], sign_ins: Mapping[Side, SignInAsked], accounts: AccountsAsked
) -> ImportAsked:
    """Returns what opens such an import."""
    options = import_.options
    return ImportAsked(
        sheet=SheetRead(manifest=Manifest(rows=tuple(rows))),
        servers={
            Side.SOURCE: _server(import_.source, sign_ins[Side.SOURCE]),
            Side.DESTINATION: _server(import_.destination, sign_ins[Side.DESTINATION]),
        },
        name=import_.name,
        selection=_selection(options),
        include=options.include,
        exclude=options.exclude,
        verify=Verification.FULL if options.verify == Verification.FULL else Verification.DEFAULT,
        allowed=Allowed.of(options),
        accounts=accounts,
        remote=True,
    )


def changed(asked: ImportAsked, given: Collection[str], by: ImportAsked) -> ImportAsked:
    """Returns the import with the fields of `by` that were given; the others stay.

    `given` are names of the API's fields: "name", "since", "source.server", "source.sign_in.way". Of another server the pin
    of the old one's certificate does not stay, nor a secret for another way to sign in.
    """
    selected = {one.name for one in fields(SelectionOptions)} & {*given}
    selected |= {"folder_map_content"} if "folder_map" in given else set()
    allowed = {one.name for one in fields(Allowed)} & {*given}
    own = {"name", "include", "exclude", "verify", "window", "wave", "wave_rule", "accounts"} & {*given}
    found = replace(
        asked,
        selection=replace(asked.selection, **{name: getattr(by.selection, name) for name in selected}),
        allowed=replace(asked.allowed, **{name: getattr(by.allowed, name) for name in allowed}),
        servers={side: _changed(side, asked.servers[side], given, by.servers[side]) for side in Side},
        good_rows_only=by.good_rows_only,
        remote=by.remote,
        **{name: getattr(by, name) for name in own},
    )
    found = _without_stored(found, asked)
    return replace(found, window=found.window or "none") if "window" in given else found


def moved(import_: Import, new: Mapping[Side, Endpoint]) -> tuple[Side, ...]:
    """Returns the sides whose host is another one now: what is stored was given for the old one, and is not shown to it."""
    old = {Side.SOURCE: import_.source, Side.DESTINATION: import_.destination}
    return tuple(side for side, end in new.items() if old[side].host and old[side].host.lower() != end.host.lower())


def _without_stored(found: ImportAsked, before: ImportAsked) -> ImportAsked:
    """Returns the import without the rows' stored passwords for a side whose host is another one: they are to be given again."""
    if not isinstance(found.sheet, SheetRead) or found.sheet.manifest is None:
        return found
    rows = found.sheet.manifest.rows
    for side in Side:
        if _moved(side, before.servers[side].server, found.servers[side].server):
            by_rows = found.servers[side].way.partition(":")[0] in ("", Way.PASSWORD, Way.TOKEN)
            rows = tuple(_without_password(side, row, by_rows=by_rows) for row in rows)
    return replace(found, sheet=replace(found.sheet, manifest=replace(found.sheet.manifest, rows=rows)))


def _without_password(side: Side, row: Row, *, by_rows: bool) -> Row:
    if side is Side.SOURCE:
        return row if row.server else replace(row, password=Secret(""))
    # Where rows do not sign in by themselves, it is the password of an account that is to be made there.
    return replace(row, new_password=Secret("") if by_rows else row.new_password, own_new_password=False)


def _parsed(side: Side, server: str) -> Endpoint | str:
    """Returns the server that is meant, however it is written; the text itself where it cannot be read."""
    try:
        return parse_endpoint(server, side=side, allow_plaintext=True, providers=catalogue().urls(side))
    except UsageError:
        return server


def _moved(side: Side, old: str, new: str) -> bool:
    hosts = [one if isinstance(one, str) else one.host.lower() for one in (_parsed(side, old), _parsed(side, new))]
    return bool(old) and hosts[0] != hosts[1]


def _changed(side: Side, asked: ServerAsked, given: Collection[str], by: ServerAsked) -> ServerAsked:
    def said(name: str) -> bool:
        return f"{side}.{name}" in given

    same = not said("server") or _parsed(side, by.server) == _parsed(side, asked.server)
    server = asked.server if same else by.server
    stays, at_home = same, same or not _moved(side, asked.server, server)
    way, admin = (by.way if said("sign_in.way") else asked.way), (by.admin if said("sign_in.admin") else asked.admin)
    alike = (way or "password", admin) == (asked.way, asked.admin)
    return ServerAsked(
        server=server,
        allow_plaintext=by.allow_plaintext if said("allow_plaintext") else asked.allow_plaintext and stays,
        ca_file=by.ca_file if said("ca") else asked.ca_file,
        fingerprint=by.fingerprint if said("fingerprint") else asked.fingerprint if stays else "",
        way=way,
        admin=admin,
        secret=by.secret if said("sign_in.secret") or not alike or not at_home else asked.secret,
        secret_file=by.secret_file,
        kept=at_home and not any(said(f"sign_in.{name}") for name in ("way", "admin", "secret")),
    )


def with_rows(asked: ImportAsked, given: SheetRead, removed: Collection[str] = ()) -> ImportAsked:
    """Returns the import with rows that are given, and without those that are removed. Raises `UsageError`.

    Raises `ManifestInvalid` where two rows cannot be in one import.
    """
    before = asked.sheet.manifest if isinstance(asked.sheet, SheetRead) and asked.sheet.manifest else Manifest(rows=())
    rows = merged(before.rows, given.manifest.rows if given.manifest else (), removed)
    if errors := compared(rows, asked.allowed):
        raise ManifestInvalid(errors)
    return replace(asked, sheet=SheetRead(manifest=replace(given.manifest or before, rows=rows)))


def merged(rows: Sequence[Row], given: Sequence[Row], removed: Collection[str] = ()) -> tuple[Row, ...]:
    """Returns the rows with those that were given in place of the ones with the same login at the same server.

    A row that gives no password keeps the one that is there. Others come last, with numbers of their own. `removed` are
    logins at the source. Raises `UsageError` where one of them is not there, or no row is left.
    """
    if unknown := [login for login in removed if login not in {row.login for row in rows}]:
        raise NO_ROW.error("remove", login=repr(unknown[0]))
    new = {_place(row): row for row in given}
    kept = [
        _with_secrets_of(row, new.pop(_place(row))) if _place(row) in new else row
        for row in rows
        if row.login not in removed or _place(row) in new
    ]
    last = max((row.line for row in rows), default=0)
    found = (*kept, *(replace(row, line=last + at) for at, row in enumerate(new.values(), 1)))
    if not found:
        raise NOTHING_LEFT.error("remove")
    return found


def as_manifest(rows: Sequence[Row]) -> bytes:
    """Returns the rows as a CSV, with every column that any of them needs. `sift_manifest` is the inverse."""
    cells = [
        (
            row.login,
            row.password.reveal(),
            "" if row.new_login == row.login else row.new_login,
            row.new_password.reveal() if row.own_new_password else "",
            row.first_name,
            row.last_name,
            row.server.url if row.server else "",
            "" if row.quota_bytes is None else f"{row.quota_bytes / 1024:.3f}k",
            row.wave,
            str(row.priority) if row.priority else "",
            row.group,
        )
        for row in rows
    ]
    needed = [at for at in range(len(_COLUMNS)) if at < 2 or any(row[at] for row in cells)]
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([[row[at] for at in needed] for row in (_COLUMNS, *cells)])
    return text.getvalue().encode("utf-8", "surrogatepass")


def columns_of(data: bytes) -> tuple[str, ...]:
    """Returns the columns of what `as_manifest` wrote."""
    return tuple(next(csv.reader([data.partition(b"\n")[0].decode()])))


def with_ends_of(new: ImportSpecification, import_: Import) -> ImportSpecification:
    """Returns the specification with the import's own servers where it names the same ones: with their CA files and guards."""
    return replace(
        new,
        source=_same(new.source, import_.source),
        destination=_same(new.destination, import_.destination),
    )


def with_unshown_sign_in(side: Side, by: ServerAsked, was: ServerAsked) -> ServerAsked:
    """Returns the side with what the page's form cannot show of how it signs in: a token command, a mechanism, a user.

    It stays where the way was left as the form showed it.
    """
    way, _, detail = was.way.partition(":")
    shown = "" if way == Way.COMMAND else way
    if (
        way in (Way.MASTER, Way.MICROSOFT)
        or not detail
        or (by.way.partition(":")[0] or Way.PASSWORD) != (shown or Way.PASSWORD)
    ):
        return by
    secret = by.secret if shown else was.secret
    kept = secret == was.secret and not _moved(side, was.server, by.server)
    return replace(by, way=was.way, admin=by.admin if shown else was.admin, secret=secret, kept=kept)


def with_unshown(new: Options, old: Options) -> Options:
    """Returns the options with those of `old` that the page's form has no field for; what it has one for is as filled in."""
    shown = {"junk", "trash"}
    uses = (*(use for use in new.skip_special if use in shown), *(use for use in old.skip_special if use not in shown))
    return replace(
        new,
        skip_special=uses,
        folder_map=old.folder_map,
        since=_moment(new.since, old.since),
        before=_moment(new.before, old.before),
    )


def _moment(new: int | None, old: int | None) -> int | None:
    """Returns the old moment where the new one is the beginning of its day, which is all that the form shows of it."""
    return old if old is not None and new == old - old % 86_400 else new


def _same(new: Endpoint, old: Endpoint) -> Endpoint:
    alike = (new.url, new.certificate_sha256) == (old.url, old.certificate_sha256)
    return old if alike and old != BY_ROW else new


def _with_secrets_of(old: Row, new: Row) -> Row:
    new = replace(new, line=old.line)
    if new.password:
        return new
    own = new.own_new_password
    return replace(
        new,
        password=old.password,
        new_password=new.new_password if own else old.new_password,
        own_new_password=own or old.own_new_password,
    )


def _place(row: Row) -> tuple[str, str]:
    return row.login, row.server.url if row.server else ""


def _server(end: Endpoint, asked: SignInAsked) -> ServerAsked:
    sign_in = asked.sign_in
    return ServerAsked(
        server="" if end == BY_ROW else end.url,
        allow_plaintext=end.tls is Tls.NONE or end == BY_ROW,
        ca_file=end.ca_file,
        fingerprint=end.certificate_sha256,
        way=sign_in.way.value + (f":{sign_in.detail}" if sign_in.detail else ""),
        admin=sign_in.admin,
        secret=asked.secret.reveal() if asked.secret else "",
    )


def _selection(options: Options) -> SelectionOptions:
    folder_map = io.StringIO(newline="")
    csv.writer(folder_map, quoting=csv.QUOTE_ALL).writerows([("old", "new"), *options.folder_map])
    return SelectionOptions(
        skip_special=",".join(options.skip_special),
        shared_folders=options.shared_folders,
        into=options.into,
        folder_map="(pairs)" if options.folder_map else "",
        folder_map_content=folder_map.getvalue().encode() if options.folder_map else None,
        since=_said(options.since),
        before=_said(options.before),
        larger="" if options.larger is None else str(options.larger),
        smaller="" if options.smaller is None else str(options.smaller),
        unseen=options.unseen,
        flagged=options.flagged,
        not_deleted=options.not_deleted,
        newest_first=options.newest_first,
        gmail_labels=options.gmail_labels,
        moves=options.moves,
        deletions=options.deletions,
        deletions_cap=options.deletions_cap,
    )


def _said(at: int | None) -> str:
    return "" if at is None else datetime.fromtimestamp(at, UTC).isoformat()
