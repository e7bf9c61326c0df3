"""From options to a request: the manifest and both endpoints, every fault at once, before anything is started."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from producer.cli.verb import say
from producer.intake.accounts import AccountsAsked, read_accounts
from producer.intake.endpoints import parse_endpoint
from producer.intake.manifest import Limits, Manifest, parse_manifest
from producer.intake.providers import catalogue
from producer.intake.submit import import_name
from shared.errors import UsageError
from shared.model import Endpoint, Options


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """What was asked for."""

    #: The rows.
    manifest: Manifest
    #: Where mail comes from.
    source: Endpoint
    #: Where mail goes to.
    destination: Endpoint
    #: What else was asked for.
    options: Options
    #: What it is called.
    name: str
    #: What makes the accounts at the destination.
    accounts: AccountsAsked = AccountsAsked()


def read_request(
    manifest: Path,
    source: str,
    destination: str,
    *,
    name: str = "",
    include: Sequence[str] | None = None,
    exclude: Sequence[str] | None = None,
    verify: str = "default",
    allow_plaintext: bool = False,
    encoding: str = "",
    separator: str = "",
    source_ca: str = "",
    destination_ca: str = "",
    source_fingerprint: str = "",
    destination_fingerprint: str = "",
    accounts: str = "",
    accounts_secret_file: str = "",
    generate_passwords: bool = False,
) -> Request:
    """Raises `UsageError` with every fault."""
    faults: list[str] = []
    ends: list[Endpoint] = []
    for side, text, ca_file, pin in (
        ("source", source, source_ca, source_fingerprint),
        ("destination", destination, destination_ca, destination_fingerprint),
    ):
        # Workers may run elsewhere, but those that start here must find it whatever their folder is.
        path = str(Path(ca_file).expanduser().absolute()) if ca_file else ""
        try:
            if path and not Path(path).is_file():
                raise UsageError(f"--{side}-ca: {ca_file} is not a file")
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
    makers = AccountsAsked()
    try:
        makers = read_accounts(accounts, accounts_secret_file, generate=generate_passwords)
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
        rows = read_manifest(manifest, encoding=encoding, separator=separator)
    except UsageError as error:
        faults.append(str(error))
    if faults or rows is None:
        raise UsageError("\n".join(faults))
    for warning in rows.warnings:
        say(f"note: {warning}")
    return Request(
        manifest=rows,
        source=ends[0],
        destination=ends[1],
        options=Options(
            include=tuple(include or ()), exclude=tuple(exclude or ()), verify=verify, accounts=makers.text
        ),
        name=called,
        accounts=makers,
    )


def read_manifest(path: Path, *, encoding: str = "", separator: str = "") -> Manifest:
    """The file's rows. Raises `UsageError` with every row's fault."""
    most = Limits().file_bytes + 1
    try:
        if str(path) == "-":
            content = sys.stdin.buffer.read(most)
        else:
            with path.open("rb") as file:
                content = file.read(most)
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror})") from None
    return parse_manifest(content, encoding=encoding, separator=separator)
