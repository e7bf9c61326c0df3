"""The way from options to a checked request. All faults are reported at once, before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from producer.cli.verb import note
from producer.intake.account_options import AccountsAsked, read_accounts
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import Reading
from producer.intake.endpoints import parse_endpoint
from producer.intake.fitting import place_rows
from producer.intake.manifest import Limits, Manifest, Servers, parse_manifest
from producer.intake.providers import catalogue
from producer.intake.sheet import ManifestInvalid
from producer.intake.sign_in import SignInAsked, complete, read_sign_in
from producer.intake.submit import import_name
from producer.intake.wanted import SelectionOptions, read_wanted
from producer.intake.waving import in_wave, of_wave, wave_name
from shared.model import BY_ROW, Endpoint, Options, Tls
from shared.model.errors import UsageError
from shared.rules.hours import Hours, read_hours


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """The import that was asked for."""

    #: The rows.
    manifest: Manifest
    #: The source; `BY_ROW` if each row names its server.
    source: Endpoint
    #: The destination.
    destination: Endpoint
    #: All other options.
    options: Options
    #: The import's name.
    name: str
    #: The account service for the destination.
    accounts: AccountsAsked = AccountsAsked()
    #: By side, the way to sign in for rows without a password of their own.
    sign_ins: Mapping[str, SignInAsked] = field(default_factory=dict)
    #: The hours in which it may work; None leaves them as they are.
    hours: Hours | None = None


def read_request(
    manifest: Path,
    source: str,
    destination: str,
    *,
    name: str = "",
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    wanted: SelectionOptions = SelectionOptions(),  # noqa: B008
    verify: str = "default",
    window: str = "",
    wave: str = "",
    only_wave: str = "",
    allow_plaintext: bool = False,
    encoding: str = "",
    separator: str = "",
    reading: Reading = Reading(),  # noqa: B008
    source_ca: str = "",
    destination_ca: str = "",
    source_fingerprint: str = "",
    destination_fingerprint: str = "",
    accounts: Sequence[str] | None = None,
    accounts_secret_file: Sequence[str] | None = None,
    generate_passwords: bool = False,
    source_auth: str = "",
    source_admin: str = "",
    source_password_file: str = "",
    destination_auth: str = "",
    destination_admin: str = "",
    destination_password_file: str = "",
    allowed: Allowed = NOTHING_ALLOWED,
) -> Request:
    """Reads the manifest and all options. Raises `UsageError` with every fault.

    `wave` is that of rows without one; with `only_wave` rows of other waves are left out.
    """
    faults: list[str] = []
    ends: list[Endpoint] = []
    for side, text, ca_file, pin in (
        ("source", source, source_ca, source_fingerprint),
        ("destination", destination, destination_ca, destination_fingerprint),
    ):
        # An absolute path, so that workers started here find the file whatever their current folder is.
        path = str(Path(ca_file).expanduser().absolute()) if ca_file else ""
        try:
            if path and not Path(path).is_file():
                raise UsageError(f"--{side}-ca: {ca_file} is not a file")
            if side == "source" and not text:
                if pin:
                    raise UsageError("--source-fingerprint: is of one server's certificate, so it needs --source")
                ends.append(BY_ROW)
                continue
            ends.append(
                parse_endpoint(
                    text,
                    side=side,
                    allow_plaintext=allow_plaintext,
                    ca_file=path,
                    certificate_sha256=pin,
                    providers=catalogue().urls(side),
                )
            )
        except UsageError as error:
            faults.append(str(error))
    sign_ins: dict[str, SignInAsked] = {}
    for side, auth, admin, secret_file in (
        ("source", source_auth, source_admin, source_password_file),
        ("destination", destination_auth, destination_admin, destination_password_file),
    ):
        try:
            sign_ins[side] = read_sign_in(side, auth, admin, secret_file)
        except UsageError as error:
            faults.append(str(error))
    makers = AccountsAsked()
    try:
        makers = read_accounts(accounts or (), accounts_secret_file or (), generate=generate_passwords)
    except UsageError as error:
        faults.append(str(error))
    hours = None
    try:
        hours = read_hours(window) if window else None
    except UsageError as error:
        faults.append(f"--window: {error}")
    try:
        wave_name(wave)
    except UsageError as error:
        faults.append(str(error))
    if verify not in ("default", "full"):
        faults.append("--verify: default or full")
    called, rows = "", None
    try:
        called = import_name(name, "import" if str(manifest) == "-" else manifest.name)
    except UsageError as error:
        faults.append(str(error))
    try:
        by_rows = "source" not in sign_ins or sign_ins["source"].by_rows
        servers = row_servers(allow_plaintext=allow_plaintext, ca_file=source_ca)
        rows = read_manifest(
            manifest,
            encoding=encoding,
            separator=separator,
            passwords=by_rows,
            servers=servers,
            allowed=allowed,
            reading=reading,
        )
    except UsageError as error:
        faults.append(str(error))
    chosen: dict[str, Any] = {}
    try:
        elsewhere = {row.server for row in rows.rows if row.server} if rows else set()
        chosen = read_wanted(wanted, {*ends[:1], *elsewhere} if len(ends) == 2 else elsewhere)
    except UsageError as error:
        faults.append(str(error))
    try:
        if rows and not source:
            place_rows(rows.rows, BY_ROW)
    except UsageError as error:
        faults.append(str(error))
    try:
        rows = rows and replace(rows, rows=of_wave(rows.rows, only_wave))
    except UsageError as error:
        faults.append(str(error))
    if faults or rows is None:
        raise UsageError("\n".join(faults))
    for side, end in zip(("source", "destination"), ends, strict=True):
        promised = side == "destination" and makers.generate
        try:
            sign_ins[side] = complete(side, end, sign_ins[side], rows.rows, promised=promised)
        except UsageError as error:
            faults.append(str(error))
    if makers.text and not makers.generate and (bare := [row.line for row in rows.rows if not row.new_password]):
        faults.append(f"--accounts: these rows give no password for a new account: {', '.join(map(str, bare[:10]))}")
    if faults:
        raise UsageError("\n".join(faults))
    for warning in rows.warnings:
        note(f"note: {warning}")
    return Request(
        manifest=replace(rows, rows=in_wave(rows.rows, wave)),
        source=ends[0],
        destination=ends[1],
        options=Options(
            include=tuple(include or ()),
            exclude=tuple(exclude or ()),
            **chosen,
            **asdict(allowed),
            verify=verify,
            accounts=makers.text,
            source_sign_in=sign_ins["source"].sign_in,
            destination_sign_in=sign_ins["destination"].sign_in,
        ),
        name=called,
        accounts=makers,
        sign_ins=sign_ins,
        hours=hours,
    )


def row_servers(*, allow_plaintext: bool, ca_file: str = "") -> Servers:
    """Returns a reader for the column ``server``, which takes the same values as ``--source``.

    A CA file applies to these servers too. A fingerprint does not, since it is of the one certificate of
    ``--source``.
    """
    path = str(Path(ca_file).expanduser().absolute()) if ca_file else ""

    def server(text: str) -> Endpoint:
        found = parse_endpoint(text, allow_plaintext=allow_plaintext, providers=catalogue().urls("source"))
        return replace(found, ca_file=path) if path and found.tls is not Tls.NONE else found

    return server


def read_manifest(
    path: Path,
    *,
    encoding: str = "",
    separator: str = "",
    passwords: bool = True,
    servers: Servers = parse_endpoint,
    allowed: Allowed = NOTHING_ALLOWED,
    reading: Reading = Reading(),  # noqa: B008
) -> Manifest:
    """Returns the rows of a file.

    `passwords`: whether each must give one. Raises `UsageError` with every row's fault.
    """
    most = Limits().file_bytes + 1
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(most)
        else:
            with path.open("rb") as file:
                content = file.read(most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from None
    try:
        return parse_manifest(
            content,
            encoding=encoding,
            separator=separator,
            passwords=passwords,
            servers=servers,
            allowed=allowed,
            reading=reading,
        )
    except ManifestInvalid as error:
        raise ManifestInvalid(error.errors, "the manifest" if str(path) == "-" else path.name) from None
