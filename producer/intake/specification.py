"""Checks what a front end took down of an import, and turns it into the import's specification.

The command line, the API and the page all do it here, and every fault is found at once, each at its field. Pure, but for
the two functions that a front end gives: one that guards servers, and one that asks a person for a secret.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, field, replace
from typing import Any, Final

from producer.intake.account_options import AccountsAsked, without_new_password
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import Reading
from producer.intake.endpoints import parse_endpoint
from producer.intake.fitting import place_rows
from producer.intake.manifest import sift_manifest
from producer.intake.manifest_row import Manifest, Row
from producer.intake.preparing import import_name
from producer.intake.providers import catalogue
from producer.intake.row_reading import Servers
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid, RowError
from producer.intake.sign_in import (
    KEY_NEEDED,
    PROGRAM,
    SECRET_NEEDED,
    SignInAsked,
    at_the_vendor,
    lacking,
    named_sign_in,
    opens,
    secret_of,
    without_password,
)
from producer.intake.wanted import read_wanted
from producer.intake.waving import WaveRules, of_wave, read_rules
from shared.model import BY_ROW, Endpoint, Options, Tls
from shared.model.choices import Verification
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.nouns import dataclass
from shared.rules.hours import Hours, read_hours
from shared.wording.phrases import Fault, Faults, FaultsFound, FieldName, Phrase

SIDES: Final = tuple(Side)
#: Ways of verification.
VERIFICATIONS: Final = (Verification.DEFAULT, Verification.FULL)
#: Checks that a server may be connected to, and returns it. Raises `UsageError`.
Guard = Callable[[Side, Endpoint], Endpoint]
#: Asks a person for the secret of one side. Raises `UsageError`.
Prompt = Callable[[Side, SignIn], Any]

#: Ways with which no row needs a password or token of its own.
_FOR_ALL: Final = frozenset(Way) - {Way.PASSWORD, Way.TOKEN}

VERIFY: Final = Phrase("verify", "default or full")
_SOURCE: Final = FieldName("source.server")
PIN_WITHOUT_SERVER: Final = Phrase("fingerprint_without_server", "is of one server's certificate, so it needs {server}")


@dataclass(frozen=True, kw_only=True, slots=True)
class ServerAsked:
    """The server of one side, and how to sign in there, as a person wrote it."""

    #: A provider's name or a URL; "" at the source if each row names its server.
    server: str = ""
    #: Whether ``imap://`` may go to other machines.
    allow_plaintext: bool = False
    #: Absolute path of a CA file; "" for the system's.
    ca_file: str = ""
    #: SHA-256 of the certificate that is accepted.
    fingerprint: str = ""
    #: The way to sign in; "" for the usual one.
    way: str = ""
    #: The administrator's login.
    admin: str = ""
    #: The administrator's password, the token or the key; "" if none was given.
    secret: str = field(default="", repr=False)
    #: The file that the secret comes from, for messages.
    secret_file: str = ""
    #: Whether this is how an import signs in already, as it was stored: then it may name a program, whoever asks.
    kept: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetAsked:
    """The list of mailboxes as bytes, and how to read it."""

    #: The bytes.
    content: bytes = field(repr=False)
    #: The encoding; "" to find it out.
    encoding: str = ""
    #: The separator; "" to find it out.
    separator: str = ""
    #: The operator's words about its columns.
    reading: Reading = Reading()


@dataclass(frozen=True, kw_only=True, slots=True)
class SheetRead:
    """The list of mailboxes after it was read."""

    #: The rows that are right; None if it could not be read at all.
    manifest: Manifest | None
    #: The faults of the others.
    errors: tuple[RowError, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportAsked:
    """An import as a front end took it down; nothing of it is checked."""

    #: The list of mailboxes; None if there is none, of which the front end has a fault.
    sheet: SheetAsked | SheetRead | None
    #: The servers by side.
    servers: Mapping[Side, ServerAsked]
    #: The name; "" for that of the file.
    name: str = ""
    #: The file's name, after which an import without a name is called.
    file: str = ""
    #: The selection of what is imported.
    selection: SelectionOptions = SelectionOptions()
    #: Folders that are taken.
    include: tuple[str, ...] = ()
    #: Folders that are left out.
    exclude: tuple[str, ...] = ()
    #: The way in which copies are verified.
    verify: str = "default"
    #: The hours in which it may work; "" for any.
    window: str = ""
    #: The wave of rows that name none, and that no rule is about.
    wave: str = ""
    #: The rules for rows that name no wave (`producer.intake.waving`).
    wave_rule: tuple[str, ...] = ()
    #: The only wave whose rows are taken; "" for all rows.
    only_wave: str = ""
    #: Confirmations of what looks like a mistake.
    allowed: Allowed = NOTHING_ALLOWED
    #: The account service.
    accounts: AccountsAsked = AccountsAsked()
    #: Whether rows that are right are taken although others are wrong.
    good_rows_only: bool = False
    #: Whether it comes over the network: such a request names no program, and no place that a key is shown to.
    remote: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class ImportSpecification:
    """A checked import."""

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
    #: Side → the way to sign in for rows without a password of their own.
    sign_ins: Mapping[Side, SignInAsked] = field(default_factory=dict)
    #: The hours in which it may work; None leaves them as they are.
    hours: Hours | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class CheckedImport:
    """The outcome of a check: a specification, or faults."""

    #: The import; None if there is any fault.
    specification: ImportSpecification | None
    #: All faults but those of rows.
    faults: tuple[Fault, ...] = ()
    #: Faults of rows. With a specification they are of rows that are left out.
    row_errors: tuple[RowError, ...] = ()


def check(
    asked: ImportAsked,
    found: Sequence[Fault] = (),
    *,
    guard: Guard = lambda _, endpoint: endpoint,
    prompt: Prompt | None = None,
) -> CheckedImport:
    """Checks the whole import. Never raises for a fault.

    `found`: what the front end found wrong with fields already. They are not checked again. `prompt` asks for a secret
    that is missing, if nothing else is wrong; without it the secret is demanded.
    """
    faults = Faults(found)
    ends = {side: _endpoint(side, asked.servers[side], faults, guard) for side in SIDES}
    sign_ins = {side: _sign_in(side, asked, faults, demanded=prompt is None) for side in SIDES}
    hours, waving, name = None, WaveRules(), ""
    with faults.at("window"):
        hours = read_hours(asked.window) if asked.window else None
    with faults.at():
        waving = read_rules(asked.wave_rule, asked.wave)
    if asked.verify not in VERIFICATIONS:
        faults.append(VERIFY.at("verify"))
    if not faults.concern("name"):
        with faults.at("name"):
            name = import_name(asked.name, asked.file)
    by_rows = _by_rows(asked.servers[Side.SOURCE], sign_ins[Side.SOURCE])
    sheet = SheetRead(manifest=None)
    with faults.at():
        sheet = read_rows(
            asked.sheet, asked.servers[Side.SOURCE], passwords=by_rows, allowed=asked.allowed, guard=guard
        )
    manifest, rows = sheet.manifest, sheet.manifest.rows if sheet.manifest else ()
    row_errors = sheet.errors if not (asked.good_rows_only and rows) else ()
    chosen: dict[str, Any] = {}
    with faults.at():
        sources = {ends[Side.SOURCE], *(row.server for row in rows)} - {BY_ROW}
        chosen = read_wanted(asked.selection, filter(None, sources))
    if manifest:
        with faults.at():
            if ends[Side.SOURCE] == BY_ROW:
                place_rows(rows, BY_ROW)
        with faults.at():
            if faults.concern("wave_rule") or faults.concern("wave"):  # the other members of the wave are unknown
                rows = tuple(row for row in rows if asked.only_wave in ("", row.wave))
            else:
                rows = of_wave(waving.placed(rows), asked.only_wave)
        for side, sign_in in sign_ins.items():
            promised = side == Side.DESTINATION and asked.accounts.generate
            if sign_in and sign_in.by_rows and not promised and (named := lacking(side, sign_in, rows)):
                faults.append(without_password(side, named))
        faults += without_new_password(asked.accounts, rows)
        for side, sign_in in sign_ins.items():
            opened = sign_in and (sign_in.secret or sign_in.sign_in.way is Way.COMMAND)
            if (end := ends[side]) and sign_in and opened and lacking(side, sign_in, rows):
                with faults.at(f"{side}.sign_in.secret"):
                    opens(side, end, sign_in)
    for side in SIDES if manifest and not faults and not row_errors else ():  # no question that is of no use
        end, sign_in = ends[side], sign_ins[side]
        if end and sign_in and not sign_in.by_rows and not sign_in.secret:
            with faults.at():
                sign_ins[side] = completed(side, end, sign_in, rows, prompt)
    if faults or row_errors or manifest is None:
        return CheckedImport(specification=None, faults=tuple(faults), row_errors=sheet.errors)
    signs = {side: sign_in for side, sign_in in sign_ins.items() if sign_in}
    specification = ImportSpecification(
        manifest=replace(manifest, rows=rows),
        source=ends[Side.SOURCE] or BY_ROW,
        destination=ends[Side.DESTINATION] or BY_ROW,
        options=Options(
            include=asked.include,
            exclude=asked.exclude,
            **chosen,
            **asdict(asked.allowed),
            verify=Verification(asked.verify),
            accounts=asked.accounts.text,
            source_sign_in=signs[Side.SOURCE].sign_in,
            destination_sign_in=signs[Side.DESTINATION].sign_in,
        ),
        name=name,
        accounts=asked.accounts,
        sign_ins=signs,
        hours=hours,
    )
    return CheckedImport(specification=specification, row_errors=sheet.errors)


def endpoint_of(side: Side, asked: ServerAsked, guard: Guard = lambda _, endpoint: endpoint) -> Endpoint:
    """Returns the server of one side; `BY_ROW` for a source that names none. Raises `FaultsFound`."""
    if side == Side.SOURCE and not asked.server:
        if asked.fingerprint:
            raise PIN_WITHOUT_SERVER.error("source.fingerprint", server=_SOURCE)
        return BY_ROW
    return guard(
        side,
        parse_endpoint(
            asked.server,
            side=side,
            allow_plaintext=asked.allow_plaintext,
            ca_file=asked.ca_file,
            certificate_sha256=asked.fingerprint,
            providers=catalogue().urls(side),
        ),
    )


def row_servers(source: ServerAsked, guard: Guard = lambda _, endpoint: endpoint) -> Servers:
    """Returns a reader for the column ``server``, which takes the same values as the source's server.

    The source's CA file applies to these servers too. A fingerprint does not, since it is of the one certificate of the
    source.
    """

    def server(text: str) -> Endpoint:
        found = parse_endpoint(text, allow_plaintext=source.allow_plaintext, providers=catalogue().urls("source"))
        return guard(
            Side.SOURCE,
            replace(found, ca_file=source.ca_file) if source.ca_file and found.tls is not Tls.NONE else found,
        )

    return server


def sign_in_of(side: Side, asked: ServerAsked, *, remote: bool, demanded: bool) -> SignInAsked:
    """Returns the way to sign in, with the secret as far as it was given. Raises `FaultsFound`.

    `remote`: see `ImportAsked`. `demanded`: whether a way that needs a secret must have it now.
    """
    sign_in = named_sign_in(side, asked.way, asked.admin)
    secret = f"{side}.sign_in.secret"
    remote = remote and not asked.kept
    if remote and sign_in.way is Way.COMMAND:
        raise PROGRAM.error(f"{side}.sign_in.way")
    keyed = sign_in.way in (Way.GOOGLE, Way.MICROSOFT)
    # Nobody can type a key, so a key is always demanded. Of an empty file `secret_of` says so.
    if (demanded or (keyed and not asked.secret_file)) and not asked.secret and sign_in.way in _FOR_ALL - {Way.COMMAND}:
        raise (KEY_NEEDED if keyed else SECRET_NEEDED).error(secret, word=sign_in.way)
    if not asked.secret and not asked.secret_file:
        return SignInAsked(sign_in=sign_in)
    faults = Faults()
    with faults.at(secret):
        if remote:
            at_the_vendor(sign_in.way, asked.secret)
        return SignInAsked(sign_in=sign_in, secret=secret_of(sign_in.way, asked.secret, side, asked.secret_file))
    raise FaultsFound(faults)


def read_rows(
    sheet: SheetAsked | SheetRead | None,
    source: ServerAsked,
    *,
    passwords: bool = True,
    allowed: Allowed = NOTHING_ALLOWED,
    guard: Guard = lambda _, endpoint: endpoint,
) -> SheetRead:
    """Returns the rows that are right, and the faults of the others.

    `passwords`: whether each row must give one. Raises `FaultsFound` for a separator that there is not.
    """
    if not isinstance(sheet, SheetAsked):
        return sheet or SheetRead(manifest=None)
    try:
        manifest, errors = sift_manifest(
            sheet.content,
            encoding=sheet.encoding,
            separator=sheet.separator,
            servers=row_servers(source, guard),
            passwords=passwords,
            allowed=allowed,
            reading=sheet.reading,
        )
    except ManifestInvalid as error:
        return SheetRead(manifest=None, errors=error.errors)
    return SheetRead(manifest=manifest, errors=errors)


def _endpoint(side: Side, asked: ServerAsked, faults: Faults, guard: Guard) -> Endpoint | None:
    if not (faults.concern(f"{side}.server") or faults.concern(f"{side}.ca")):
        with faults.at(f"{side}.server"):
            return endpoint_of(side, asked, guard)
    return None


def _sign_in(side: Side, asked: ImportAsked, faults: Faults, *, demanded: bool) -> SignInAsked | None:
    if any(faults.concern(f"{side}.sign_in.{name}") for name in ("way", "admin", "secret")):
        return None  # the front end found it
    with faults.at(f"{side}.sign_in.way"):
        return sign_in_of(side, asked.servers[side], remote=asked.remote, demanded=demanded)
    return None


def _by_rows(asked: ServerAsked, sign_in: SignInAsked | None) -> bool:
    """Tells whether each row must give a password; without `sign_in`, which has a fault, as far as what was asked shows it."""
    if sign_in:
        return sign_in.by_rows
    return not (asked.secret or asked.secret_file or asked.admin or asked.way.partition(":")[0].lower() in _FOR_ALL)


def completed(
    side: Side, endpoint: Endpoint, asked: SignInAsked, rows: Sequence[Row], prompt: Prompt | None = None
) -> SignInAsked:
    """Asks for the secret if one is missing, and checks it as far as that needs no server. Raises `FaultsFound`.

    The rows of a side where each signs in by itself must each give a password.
    """
    if not (named := lacking(side, asked, rows)):
        return asked
    if asked.by_rows:
        raise FaultsFound([without_password(side, named)])
    if not asked.secret and asked.sign_in.way is not Way.COMMAND and prompt:
        asked = replace(asked, secret=prompt(side, asked.sign_in))
    opens(side, endpoint, asked)
    return asked
