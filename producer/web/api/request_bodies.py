"""Bodies of requests, and how they become model objects. Pure, except that `Reach` looks names up."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field, SecretStr, model_validator

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import Reading
from producer.intake.manifest import Manifest
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid, RowError
from producer.intake.specification import Guard, ImportAsked, ServerAsked, SheetAsked, read_rows
from producer.intake.waving import read_rules
from producer.web.api.body import Body
from producer.web.api.signing_in import SignInBody
from shared.model import Endpoint
from shared.model.rates import MOST_RATE
from shared.model.sides import Side
from shared.model.waves import FRONT, MOST_NAME, MOST_ORDER, MOST_WEIGHT
from shared.runtime.secret import Secret
from shared.sign_in.reach import Reach
from shared.wording.phrases import Phrase

_Glob = Annotated[str, Field(min_length=1, max_length=500)]
_Folder = Annotated[str, Field(min_length=1, max_length=500)]
_Said = Annotated[str, Field(max_length=100)]
_Login = Annotated[str, Field(max_length=1000)]
NO_BASE64: Final = Phrase("manifest_no_base64", "manifest_base64 is not base64", headed=False)
_Wave = Annotated[str, Field(max_length=MOST_NAME)]
_Rule = Annotated[str, Field(min_length=3, max_length=300)]


class SheetBody(Body):
    """A manifest (docs: `GET /api/v1/template`), as text or, in whatever encoding, as base64."""

    manifest: str = Field(default="", description="The CSV as text.", repr=False)
    manifest_base64: str = Field(default="", description="Or its bytes; the encoding is found out.", repr=False)
    encoding: Literal["", "utf-8", "utf-16", "cp1251", "cp1252"] = ""
    separator: Literal["", "comma", "semicolon", "tab"] = ""
    ignore_columns: list[_Said] = Field(
        default_factory=list, max_length=100, description="Headings of columns that are to be left out."
    )
    no_header: bool = Field(default=False, description="Whether the first row is a mailbox, whatever it looks like.")

    @model_validator(mode="after")
    def _one(self) -> SheetBody:
        if bool(self.manifest) == bool(self.manifest_base64):
            raise ValueError("give either manifest or manifest_base64")
        return self

    def asked(self) -> SheetAsked:
        """Returns the manifest's bytes, and how they are read. Raises `FaultsFound`."""
        if self.manifest:
            content, encoding = self.manifest.encode("utf-8", "surrogatepass"), "utf-8"
        else:
            try:
                content, encoding = base64.b64decode(self.manifest_base64, validate=True), self.encoding
            except (binascii.Error, ValueError):
                raise NO_BASE64.error("manifest") from None
        reading = Reading(ignored=tuple(self.ignore_columns), no_header=self.no_header)
        return SheetAsked(content=content, encoding=encoding, separator=self.separator, reading=reading)

    def sift(
        self,
        reach: Reach,
        *,
        allow_plaintext: bool = False,
        passwords: bool = True,
        allowed: Allowed = NOTHING_ALLOWED,
    ) -> tuple[Manifest, tuple[RowError, ...]]:
        """Returns the good rows and the faults of the others.

        `passwords`: whether each row must give one. Raises `UsageError`.
        """
        source = ServerAsked(allow_plaintext=allow_plaintext)
        read = read_rows(self.asked(), source, passwords=passwords, allowed=allowed, guard=guarded(reach))
        if read.manifest is None:
            raise ManifestInvalid(read.errors)
        return read.manifest, read.errors


class WaveSheetBody(SheetBody):
    """A manifest whose rows may leave their wave to rules."""

    wave: _Wave = Field(default="", description="The wave of rows that name none.")
    wave_rule: list[_Rule] = Field(
        default=[],
        max_length=1000,
        description="Before that, e.g. sales=*@sales.example, board=group:board, and with a new import pilot=first:20; "
        "the first that fits decides.",
    )


class ServerBody(Body):
    """The server of one side."""

    sign_in: SignInBody = SignInBody()

    server: str = Field(
        min_length=1, max_length=300, description="A provider's name, or a URL as in imaps://imap.example.org:993."
    )
    fingerprint: str = Field(default="", max_length=200, description="SHA-256 of the certificate that is accepted.")
    allow_plaintext: bool = Field(default=False, description="Let imap:// go to other machines than this one.")

    def asked(self) -> ServerAsked:
        """Returns the fields as the import's specification takes them."""
        return ServerAsked(
            server=self.server,
            allow_plaintext=self.allow_plaintext,
            fingerprint=self.fingerprint,
            way=self.sign_in.way,
            admin=self.sign_in.admin,
            secret=self.sign_in.secret.get_secret_value(),
        )


class SourceBody(ServerBody):
    """The source server; without `server`, what applies to the servers that the rows name."""

    server: str = Field(
        default="",
        max_length=300,
        description='As at the destination; "": each row names its own in the column server.',
    )


def guarded(reach: Reach) -> Guard:
    """Returns the check that a request from outside may have a server connected to."""

    def guard(side: Side, endpoint: Endpoint) -> Endpoint:
        reach.check(side, endpoint)
        return replace(endpoint, guarded=True)

    return guard


class WantedBody(Body):
    """The choice of what to import. Each field is the option of the command line with the same name."""

    since: _Said = Field(default="", description="Only messages from this date on (INTERNALDATE, UTC).")
    before: _Said = Field(default="", description="Only messages before this date.")
    larger: _Said = Field(default="", description="Only messages larger than this, e.g. 10MB.")
    smaller: _Said = Field(default="", description="Only messages smaller than this.")
    unseen: bool = False
    flagged: bool = False
    not_deleted: bool = False
    newest_first: bool = False
    skip_special: list[_Said] = Field(default=[], max_length=20, description="Uses, e.g. spam, trash.")
    shared_folders: Literal["leave", "copy"] = Field(
        default="leave", description="Folders of other people and public folders, at a source that shows them."
    )
    into: str = Field(default="", max_length=500, description="Put everything below this folder, INBOX too.")
    folder_map: list[tuple[_Folder, _Folder]] = Field(
        default=[], max_length=20_000, description="Pairs of old and new name; a fault names the first pair as line 2."
    )
    gmail_labels: Literal["folders", "primary", "keywords"] = "folders"
    moves: Literal["follow", "copy"] = Field(
        default="follow", description="What later passes do with the copies of messages that were moved at the source."
    )
    deletions: Literal["tell", "follow"] = Field(
        default="tell", description="What later passes do with the copies of messages that were deleted at the source."
    )
    deletions_cap: int = Field(
        default=100, ge=1, le=1_000_000, description="The most copies that `follow` removes from a mailbox in a pass."
    )

    def selection(self) -> SelectionOptions:
        """Returns the fields as the import's specification takes them."""
        return SelectionOptions(
            **self.model_dump(include=set(WantedBody.model_fields) - {"skip_special", "folder_map"}),
            skip_special=",".join(self.skip_special),
            folder_map="(pairs)" if self.folder_map else "",
            folder_map_content=self._map() if self.folder_map else None,
        )

    def _map(self) -> bytes:
        # The header keeps a first pair that looks like a header from being taken for one.
        text = io.StringIO()
        csv.writer(text, quoting=csv.QUOTE_ALL).writerows([("old", "new"), *self.folder_map])
        return text.getvalue().encode()


class AllowedBody(Body):
    """Confirmations that something is intended although it looks like a mistake."""

    share_destination: bool = Field(
        default=False, description="Several rows may go into one destination mailbox, one after the other."
    )
    case_sensitive_logins: bool = Field(
        default=False, description="Logins that differ only in capitals are different mailboxes."
    )
    same_mailbox: bool = Field(
        default=False,
        description="Go on although source and destination are one mailbox, or seem to be exchanged for each other.",
    )

    @property
    def allowed(self) -> Allowed:
        """The confirmations in the form that `producer.intake` takes."""
        return Allowed(**self.model_dump(include=set(AllowedBody.model_fields)))


class ImportBody(WaveSheetBody, WantedBody, AllowedBody):
    """A new import. It stays in state "opening" until it is started."""

    name: str = Field(min_length=1, max_length=120)
    source: SourceBody = Field(default=SourceBody(), description="Not needed where each row names its server.")
    destination: ServerBody
    include: list[_Glob] = Field(default=[], max_length=1000)
    exclude: list[_Glob] = Field(default=[], max_length=1000)
    verify: Literal["default", "full"] = "default"
    window: str = Field(
        default="",
        max_length=300,
        description='When it may work, e.g. "Mon-Fri 20:00-06:00; Sat-Sun Europe/Berlin"; "": always.',
    )
    accounts: str = Field(
        default="", max_length=80, description="The service that makes accounts which are not there (GET /accounts)."
    )
    good_rows_only: bool = Field(
        default=False, description="Take the rows that are right and report the others, instead of refusing all."
    )

    def taken_down(self, accounts: AccountsAsked, sheet: SheetAsked | None) -> ImportAsked:
        """Returns the import as it was asked for. Nothing is checked."""
        return ImportAsked(
            sheet=sheet,
            servers={Side.SOURCE: self.source.asked(), Side.DESTINATION: self.destination.asked()},
            name=self.name,
            selection=self.selection(),
            include=tuple(self.include),
            exclude=tuple(self.exclude),
            verify=self.verify,
            window=self.window,
            wave=self.wave,
            wave_rule=tuple(self.wave_rule),
            allowed=self.allowed,
            accounts=accounts,
            good_rows_only=self.good_rows_only,
            remote=True,
        )


class EditBody(ImportBody):
    """The changes of an import that was opened and not started. Whatever is left out stays as it is."""

    name: str = Field(default="", max_length=120)
    source: SourceBody = Field(
        default=SourceBody(), description="Only what changes; the fingerprint goes with its server."
    )
    destination: SourceBody = Field(default=SourceBody(), description="Only what changes.")
    manifest: str = Field(
        default="",
        description="Rows that are added, or take the place of those with the same login, as a CSV.",
        repr=False,
    )
    remove: list[_Login] = Field(default=[], max_length=100_000, description="Logins at the source whose rows go.")

    @model_validator(mode="after")
    def _one(self) -> EditBody:
        if self.manifest and self.manifest_base64:
            raise ValueError("give either manifest or manifest_base64")
        return self

    @property
    def given(self) -> set[str]:
        """The names of the fields that were given, as in "source.sign_in.way"."""
        found = set(self.model_fields_set) - {"source", "destination"}
        for side in Side:
            end: ServerBody = getattr(self, side)
            found |= {f"{side}.{name}" for name in end.model_fields_set}
            if "sign_in" in end.model_fields_set:
                found |= {f"{side}.sign_in.{name}" for name in ("way", *end.sign_in.model_fields_set)}
        return found


class MailboxesBody(WaveSheetBody):
    """More rows for an import: those that were corrected."""

    good_rows_only: bool = False

    def sift(self, reach: Reach, **how: Any) -> tuple[Manifest, tuple[RowError, ...]]:
        """Returns the good rows, each in its wave, and the faults of the others. Raises `UsageError`."""
        waving = read_rules(self.wave_rule, self.wave, added=True)
        manifest, errors = super().sift(reach, **how)
        return replace(manifest, rows=waving.placed(manifest.rows)), errors


class OneMailboxBody(Body):
    """The mailboxes that an act concerns: one by its login, or all without a login."""

    login: _Login = Field(default="", description="Only this mailbox, by its login or its id.")
    wave: _Wave = Field(default="", description="Only the mailboxes of this wave.")


class PasswordsBody(Body):
    """New passwords of one mailbox. A side that is left out keeps its password."""

    source: SecretStr = Field(default=SecretStr(""), max_length=1000)
    destination: SecretStr = Field(default=SecretStr(""), max_length=1000)

    @property
    def given(self) -> dict[Side, Secret]:
        """The passwords that were given, by side."""
        both = {Side.SOURCE: self.source, Side.DESTINATION: self.destination}
        return {side: Secret(one.get_secret_value()) for side, one in both.items() if one.get_secret_value()}


class RetryBody(OneMailboxBody):
    """The choice of what to try again."""

    code: str = Field(default="", max_length=100, description="Only mailboxes with a failure of this code.")
    copy_missing: bool = Field(default=False, description="Also what was copied and is missing at the destination.")


class VerifyBody(OneMailboxBody):
    """A further verification pass."""

    full: bool = Field(default=False, description="Read every message on both sides and compare SHA-256.")
    accept_missing: bool = Field(
        default=False, description="What was told as missing was removed on purpose: it is missed no more."
    )


class RehearsalBody(Body):
    """The kind of rehearsal. Nothing is written anywhere."""

    wave: _Wave = Field(default="", description="Only the mailboxes of this wave.")
    kind: Literal["check", "plan"] = Field(description="check: logins, folders, sizes; plan: what would be copied.")


class LimitBody(Body):
    """A limit of connections, or a rate."""

    most: Annotated[int, Field(ge=0, le=MOST_RATE)] | Annotated[str, Field(min_length=1, max_length=20)] | None = Field(
        description='A number, or as the command line takes it ("2GB" for a rate of bytes); null: the default again.'
    )


class EraseBody(Body):
    """The import or the person to erase: exactly one of the two."""

    import_id: str = Field(default="", max_length=64, description="An import with all its mailboxes.")
    login: str = Field(default="", max_length=320, description="One person, by login on either side, in every import.")


class ArchiveBody(Body):
    """The place of an import: in the archive, or in the list."""

    archived: bool = Field(description="Lists and searches leave it out, unless they are asked for it.")


class WindowBody(Body):
    """The hours in which an import may work."""

    wave: _Wave = Field(default="", description="Only the mailboxes of this wave, within the hours of all.")
    window: str = Field(
        min_length=1,
        max_length=300,
        description='E.g. "20:00-06:00 Europe/Berlin", several with ";"; none: at any time.',
    )


class WaveBody(Body):
    """The fields of a wave that are set; what is left out stays."""

    wave: _Wave = Field(default="", description='Its name; "": the mailboxes without a wave.')
    starts_at: str | None = Field(
        default=None, max_length=40, description='Nothing of it is claimed before: "2026-02-01T20:00+01:00"; now.'
    )
    weight: Annotated[int, Field(ge=1, le=MOST_WEIGHT)] | None = Field(default=None, description="Its share of lanes.")
    order: Annotated[int, Field(ge=0, le=MOST_ORDER)] | None = Field(
        default=None, description="Waves of a lower order go first; 0 without it."
    )


class StandingBody(Body):
    """The part of an import that is to stand, and how often its mailboxes are looked at again."""

    wave: _Wave = Field(default="", description='The wave; "": the whole import.')
    least_seconds: float | None = Field(
        default=None, ge=10, le=604800, description="The shortest time between two looks."
    )
    most_seconds: float | None = Field(default=None, ge=10, le=604800, description="The longest.")
    switch_at: Annotated[float, Field(ge=0)] | Annotated[str, Field(max_length=40)] | None = Field(
        default=None,
        description="When its people are switched over: as in 2026-02-01T20:00+01:00, or seconds since the epoch; 0 or "
        "none: it is not known.",
    )
    off: bool = Field(default=False, description="It stands no longer.")


class MoveBody(Body):
    """A mailbox and its new place: another wave, or the front of its own."""

    login: _Login = Field(min_length=1, description="The mailbox, by its login or its id.")
    wave: _Wave | None = Field(default=None, description='The wave; "" for none. Left out: it stays in its own.')
    priority: Annotated[int, Field(ge=-FRONT + 1, le=FRONT - 1)] | None = Field(
        default=None, description="Within the wave the higher goes first."
    )
    front: bool = Field(default=False, description="Before all others, at once.")


class DetectBody(Body):
    """The address whose servers are to be found."""

    address: str = Field(min_length=3, max_length=320)
    offline: bool = Field(default=False, description="Only what mailhaul knows by itself.")


class TokenBody(Body):
    """A new token."""

    name: str = Field(min_length=1, max_length=80)
    role: Literal["viewer", "operator", "admin"]
    expires: str = Field(default="never", max_length=40, description="Its end: 90d, 12h, 2027-01-31 or never.")


class TargetBody(Body):
    """A target: who is to be told, of what, and how (docs/notifications.md)."""

    way: Literal["email", "webhook", "slack", "teams"]
    to: str = Field(
        min_length=1, max_length=2000, description="An address of mail, or the URL of a webhook.", repr=False
    )
    server: str = Field(default="", max_length=500, description="Of mail: smtps://host, or smtp://host:587.")
    login: str = Field(default="", max_length=500, description="Of mail: the login at that server.")
    secret: SecretStr = Field(
        default=SecretStr(""),
        max_length=2000,
        description="The password of the login, or what signs a webhook; without it one is made.",
    )
    sender: str = Field(default="", max_length=500, description="Of mail: the sender's address.")
    kinds: list[Literal["state", "cutover", "person", "still", "slipped"]] = Field(
        default_factory=list, max_length=20, description="What is told; empty: all of these."
    )
    imports: list[_Said] = Field(default_factory=list, max_length=100, description="Only of these; empty: of all.")
    language: Literal["en", "ru"] = "en"
    zone: str = Field(default="UTC", max_length=60, description="The reader's time zone, as in Europe/Berlin.")
    digest: str = Field(
        default="", max_length=5, description="When the daily digest is sent, as in 08:00; empty: never."
    )
    logins: bool = Field(default=False, description="Whether messages may name mailboxes by their logins.")


class ServiceBody(Body):
    """An account service (docs/accounts.md)."""

    url: str = Field(
        min_length=1,
        max_length=2000,
        description="As for --accounts, as in scim+https://host/scim/v2; with `new.example=` in front for one domain.",
        repr=False,
    )
    secret: SecretStr = Field(
        default=SecretStr(""),
        max_length=65_536,
        description="What the service demands; it is in no answer.",
    )


class LookBody(Body):
    """The account that a service is asked about."""

    login: str = Field(min_length=1, max_length=320, description="A login of the destination. It is not made.")


class LostNoticesBody(Body):
    """The fate of notices that could not be delivered."""

    drop: bool = Field(default=False, description="They are forgotten, and not tried again.")


class UserBody(Body):
    """The password and the role that a user of the page is given."""

    password: SecretStr = Field(min_length=10, max_length=200)
    role: Literal["viewer", "operator", "admin"] = "admin"
