"""Bodies of requests that open or change an import, and how they become model objects. Pure, except that `Reach` looks names up."""

from __future__ import annotations

import base64
import binascii
import csv
import io
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from pydantic import Field, model_validator

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import NOTHING_ALLOWED, Allowed
from producer.intake.columns import Reading
from producer.intake.manifest_row import Manifest
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid, RowError
from producer.intake.specification import Guard, ImportAsked, ServerAsked, SheetAsked, read_rows
from producer.intake.waving import read_rules
from producer.web.api.body import Body, Login, Said, WaveName
from producer.web.api.signing_in import SignInBody
from shared.model import Endpoint
from shared.model.sides import Side
from shared.sign_in.reach import Reach
from shared.wording.phrases import Phrase

_Glob = Annotated[str, Field(min_length=1, max_length=500)]
_Folder = Annotated[str, Field(min_length=1, max_length=500)]
NO_BASE64: Final = Phrase("manifest_no_base64", "manifest_base64 is not base64", headed=False)
_Rule = Annotated[str, Field(min_length=3, max_length=300)]


class SheetBody(Body):
    """A manifest (docs: `GET /api/v1/template`), as text or, in whatever encoding, as base64."""

    manifest: str = Field(default="", description="The CSV as text.", repr=False)
    manifest_base64: str = Field(default="", description="Or its bytes; the encoding is found out.", repr=False)
    encoding: Literal["", "utf-8", "utf-16", "cp1251", "cp1252"] = ""
    separator: Literal["", "comma", "semicolon", "tab"] = ""
    ignore_columns: list[Said] = Field(
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

    wave: WaveName = Field(default="", description="The wave of rows that name none.")
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

    since: Said = Field(default="", description="Only messages from this date on (INTERNALDATE, UTC).")
    before: Said = Field(default="", description="Only messages before this date.")
    larger: Said = Field(default="", description="Only messages larger than this, e.g. 10MB.")
    smaller: Said = Field(default="", description="Only messages smaller than this.")
    unseen: bool = False
    flagged: bool = False
    not_deleted: bool = False
    newest_first: bool = False
    skip_special: list[Said] = Field(default=[], max_length=20, description="Uses, e.g. spam, trash.")
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
    remove: list[Login] = Field(default=[], max_length=100_000, description="Logins at the source whose rows go.")

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
