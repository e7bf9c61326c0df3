"""The way from options to a checked import. All faults are reported at once, before anything is started.

Files are read here; everything else is checked by `producer.intake.specification`, as for the API and the page.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from producer.cli.option_groups import AccountsOptions, ServerOptions, SheetOptions, SignInOptions
from producer.cli.verb import note
from producer.intake.account_options import AccountsAsked, read_accounts
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.manifest_row import Limits, Manifest
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid, RequestFaults
from producer.intake.sign_in import named_sign_in, prompted, secret_text
from producer.intake.specification import (
    SIDES,
    ImportAsked,
    ImportSpecification,
    ServerAsked,
    SheetAsked,
    SheetRead,
    check,
    read_rows,
)
from shared.model.sides import Side
from shared.wording.phrases import Faults, Phrase

NO_CA_FILE: Final = Phrase("ca_file_missing", "{path} is not a file")
NO_MANIFEST: Final = Phrase("manifest_unreadable", "{path} cannot be read ({cause})", headed=False)


def read_request(
    manifest: Path,
    servers: ServerOptions,
    *,
    sheet: SheetOptions = SheetOptions(),  # noqa: B008
    sign_ins: SignInOptions = SignInOptions(),  # noqa: B008
    accounts: AccountsOptions = AccountsOptions(),  # noqa: B008
    selection: SelectionOptions = SelectionOptions(),  # noqa: B008
    allowed: Allowed = NOTHING_ALLOWED,
    **others: Any,
) -> ImportSpecification:
    """Reads the manifest and all options. Raises `FaultsFound` with every fault.

    `others`: fields of `ImportAsked` that are as they were typed.
    """
    faults, asked = taken_down(
        servers, sign_ins=sign_ins, accounts=accounts, selection=selection, allowed=allowed, **others
    )
    read = None
    with faults.at():
        read = _sheet(manifest, sheet)
    asked = replace(asked, sheet=read, file="import" if str(manifest) == "-" else manifest.name)
    checked = check(asked, faults, prompt=prompted)
    if checked.specification is None:
        raise RequestFaults(checked.faults, checked.row_errors, _called(manifest))
    for warning in checked.specification.manifest.warnings:
        note(f"note: {warning}")
    return checked.specification


def taken_down(
    servers: ServerOptions,
    *,
    sign_ins: SignInOptions,
    accounts: AccountsOptions,
    selection: SelectionOptions,
    allowed: Allowed,
    **others: Any,
) -> tuple[Faults, ImportAsked]:
    """Returns the import as it was asked for, without its rows, and what is wrong with the files that options name."""
    faults, makers = Faults(), AccountsAsked()
    asked = {side: _server(side, servers, sign_ins, faults) for side in SIDES}
    with faults.at():
        makers = read_accounts(
            accounts.accounts or (), accounts.accounts_secret_file or (), generate=accounts.generate_passwords
        )
    return faults, ImportAsked(
        sheet=None, servers=asked, selection=selection, allowed=allowed, accounts=makers, **others
    )


def _server(side: Side, servers: ServerOptions, sign_ins: SignInOptions, faults: Faults) -> ServerAsked:
    """Returns one side as it was asked for, with the content of its secret's file."""
    server, ca_file, pin = (str(getattr(servers, f"{side}{name}")) for name in ("", "_ca", "_fingerprint"))
    way, admin, secret_file = (str(getattr(sign_ins, f"{side}_{name}")) for name in ("auth", "admin", "password_file"))
    # An absolute path, so that workers started here find the file whatever their current folder is.
    path = str(Path(ca_file).expanduser().absolute()) if ca_file else ""
    if path and not Path(path).is_file():
        faults.append(NO_CA_FILE.at(f"{side}.ca", path=ca_file))
    secret = ""
    if secret_file:
        with faults.at():
            secret = secret_text(side, named_sign_in(side, way, admin).way, secret_file)
    return ServerAsked(
        server=server,
        allow_plaintext=servers.allow_plaintext,
        ca_file=path,
        fingerprint=pin,
        way=way,
        admin=admin,
        secret=secret,
        secret_file=secret_file,
    )


def _called(path: Path) -> str:
    return "the manifest" if str(path) == "-" else path.name


def _sheet(path: Path, sheet: SheetOptions) -> SheetAsked:
    """Reads the file. Raises `FaultsFound`."""
    most = Limits().file_bytes + 1
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(most)
        else:
            with path.open("rb") as file:
                content = file.read(most)
    except OSError as error:
        raise NO_MANIFEST.error("manifest", path=str(path), cause=str(error.strerror)) from None
    return SheetAsked(content=content, encoding=sheet.encoding, separator=sheet.separator, reading=sheet.reading)


def read_sheet_of(path: Path, sheet: SheetOptions, source: ServerAsked, allowed: Allowed) -> SheetRead:
    """Returns the rows of a file, whose passwords may be missing. Raises `UsageError` with every row's fault."""
    read = read_rows(_sheet(path, sheet), source, passwords=False, allowed=allowed)
    if read.errors or read.manifest is None:
        raise ManifestInvalid(read.errors, _called(path))
    return read


def read_manifest(path: Path, sheet: SheetOptions, allowed: Allowed) -> Manifest:
    """Returns the rows of a file. Servers in it only tell mailboxes apart. Raises `UsageError` with every row's fault."""
    read = read_rows(_sheet(path, sheet), ServerAsked(allow_plaintext=True), allowed=allowed)
    if read.errors or read.manifest is None:
        raise ManifestInvalid(read.errors, _called(path))
    return read.manifest
