"""The form of a new import as filled in, and what it asks for. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, Final

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import Allowed
from producer.intake.endpoints import parse_endpoint
from producer.intake.providers import POP3_SUFFIX, catalogue
from producer.intake.selection_options import SelectionOptions
from producer.intake.sign_in import SECRET_NEEDED
from producer.intake.specification import SIDES, ImportAsked, ServerAsked, SheetRead
from producer.web.pages.signing import Entry, entry_of
from shared.model import Endpoint
from shared.model.protocols import protocols, schemes
from shared.model.sides import Side
from shared.model.sign_in import BY_ADMIN, Way
from shared.nouns import dataclass
from shared.wording.phrases import Faults, Phrase

NO_PROTOCOL: Final = Phrase("protocol_unchosen", "choose a protocol and how it is secured")
NO_HOST: Final = Phrase("host_unchosen", "choose a provider, or give the host of a private server")
NO_NAME: Final = Phrase("import_unnamed", "give the import a name", headed=False)
#: TLS mode → the suffix of the URL's scheme.
_SECURED: Final = {"tls": "s", "starttls": "+starttls", "none": ""}
_MEANT: Final = ("share_destination", "case_sensitive_logins", "same_mailbox")
_TICKS: Final = (
    "skip_junk",
    "skip_trash",
    "unseen",
    "flagged",
    "not_deleted",
    "newest_first",
    "shared_folders",
    *_MEANT,
)
_LINES: Final = ("include", "exclude")
_TEXTS: Final = (
    "since",
    "before",
    "larger",
    "smaller",
    "into",
    "gmail_labels",
    "moves",
    "deletions",
    "deletions_cap",
    "verify",
)


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """The server of one side, as filled in."""

    #: A provider's name; "" for a private server.
    provider: str = ""
    #: The choice that filled in the other fields (`chosen`); "" before that.
    filled: str = ""
    #: "imap" or "pop3".
    protocol: str = "imap"
    #: "tls", "starttls" or "none".
    tls: str = "tls"
    #: Host name.
    host: str = ""
    #: TCP port; "" for the default.
    port: str = ""
    #: SHA-256 of the certificate that is accepted.
    fingerprint: str = ""

    @property
    def empty(self) -> bool:
        """Tells whether neither a provider nor a host was entered."""
        return not (self.provider or self.host)

    @property
    def chosen(self) -> str:
        """The choices that the other fields follow from: provider, protocol and security, for the hidden field `filled`."""
        return " ".join((self.provider or "-", self.protocol, self.tls))

    def completed(self, side: Side) -> End:
        """Returns the server with the fields that follow from what was chosen since they were filled in.

        A provider fills all of them in. The port follows the protocol and the security. Back to a private server, what
        the provider filled in is emptied, and what a person typed stays.
        """
        if self.filled == self.chosen or (self.host and not self.filled and not self.provider):
            return replace(self, filled=self.chosen)
        before = (*self.filled.split(" "), "", "", "")[:3]
        old_provider = before[0] if before[0] != "-" else ""
        theirs = _known(old_provider, before[1], side) if old_provider else None
        if self.provider and (self.provider != old_provider or self.protocol != before[1]):
            if known := _known(self.provider, self.protocol, side):
                found = End(provider=self.provider, protocol=known.protocol, tls=known.tls.value, host=known.host)
                return replace(found, port=str(known.port), filled=found.chosen)
            gone = replace(self, provider="")
            return replace(gone, filled=gone.chosen)
        end = self
        if theirs and not self.provider and self.host == theirs.host:
            end = replace(end, host="", port="", tls="tls" if self.tls == before[2] else self.tls)
        elif self.port in (
            str(usual_port(before[1] or "imap", before[2] or "tls")),
            str(theirs.port) if theirs else "",
        ):
            end = replace(end, port=str(usual_port(end.protocol, end.tls)) if self.provider else "")
        return replace(end, filled=end.chosen)

    @property
    def first(self) -> str:
        """The instructions of the provider for the first step; "" for a private server."""
        return catalogue().find(self.provider)[0].first if self.provider else ""

    def url(self, side: Side) -> str:
        """Returns the URL of the server. Raises `FaultsFound`."""
        end = self.completed(side)
        host = f"[{end.host}]" if ":" in end.host and "[" not in end.host else end.host
        if end.tls not in _SECURED or end.protocol not in protocols():
            raise NO_PROTOCOL.error(f"{side}.server")
        if not host:
            raise NO_HOST.error(f"{side}.server")
        return f"{end.protocol}{_SECURED[end.tls]}://{host}" + (f":{end.port}" if end.port else "")


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The whole form except the mailboxes."""

    #: The import's name.
    name: str = ""
    #: The server of each side.
    ends: Mapping[Side, End] = field(default_factory=lambda: {side: End() for side in SIDES})
    #: The ways to sign in to the accounts, by side.
    sign_ins: Mapping[Side, Entry] = field(default_factory=lambda: {side: Entry() for side in SIDES})
    #: The account service; "" if the accounts exist already.
    accounts: str = ""
    #: The choice of what to import: text fields.
    texts: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys((*_TEXTS, *_LINES), ""))
    #: The choice of what to import: boxes that are ticked.
    ticks: frozenset[str] = frozenset()
    #: The hours in which it may work; "" for at any time.
    window: str = ""
    #: The wave of rows that name none; "" for no wave.
    wave: str = ""
    #: The rules for rows that name no wave, one a line.
    wave_rule: str = ""
    #: An address at the source, for finding its server.
    address: str = ""

    @property
    def allowed(self) -> Allowed:
        """Confirmations that something is intended although it looks like a mistake."""
        return Allowed(**{name: name in self.ticks for name in _MEANT})

    @property
    def special(self) -> bool:
        """Tells whether any filter or option differs from its default."""
        plain = {
            "gmail_labels": "folders",
            "moves": "follow",
            "deletions": "tell",
            "deletions_cap": "100",
            "verify": "default",
        }
        return bool(self.ticks) or any(text and text != plain.get(name) for name, text in self.texts.items())

    def server(self, side: Side, url: str, secret: str) -> ServerAsked:
        """Returns one side as the import's specification takes it."""
        entry = self.sign_ins[side]
        return ServerAsked(
            server=url,
            fingerprint=self.ends[side].fingerprint,
            way=entry.wanted,
            admin=entry.admin if entry.way in BY_ADMIN else "",
            secret="" if entry.by_rows else secret,
        )

    def demand(self, side: Side, secret: str) -> None:
        """Refuses one password for all without that password: to the specification it would be each row's own.

        The specification demands the secrets of all other ways. Raises `FaultsFound`.
        """
        if self.sign_ins[side].way == Way.PASSWORD and not secret:
            raise SECRET_NEEDED.error(f"{side}.sign_in.secret", word=Way.PASSWORD)

    def selection(self) -> SelectionOptions:
        """Returns the choice of what to import as the import's specification takes it."""
        uses = ",".join(use for use in ("junk", "trash") if f"skip_{use}" in self.ticks)
        return SelectionOptions(
            skip_special=uses.replace("junk", "spam"),
            shared_folders="copy" if "shared_folders" in self.ticks else "leave",
            into=self.texts["into"],
            since=self.texts["since"],
            before=self.texts["before"],
            larger=self.texts["larger"],
            smaller=self.texts["smaller"],
            unseen="unseen" in self.ticks,
            flagged="flagged" in self.ticks,
            not_deleted="not_deleted" in self.ticks,
            newest_first="newest_first" in self.ticks,
            gmail_labels=self.texts["gmail_labels"] or "folders",
            moves=self.texts["moves"] or "follow",
            deletions=self.texts["deletions"] or "tell",
            deletions_cap=_number(self.texts["deletions_cap"] or "100"),
        )

    def globs(self, name: str) -> tuple[str, ...]:
        """Returns the lines of `include` or `exclude`."""
        return tuple(filter(None, map(str.strip, self.texts[name].splitlines())))

    def taken_down(
        self, secrets: Mapping[Side, str], sheet: SheetRead, accounts: AccountsAsked, faults: Faults, *, good: bool
    ) -> ImportAsked:
        """Returns the import as it was asked for. Nothing is checked but what only the form has."""
        if not self.name:
            faults.append(NO_NAME.at("name"))
        rows = sheet.manifest.rows if sheet.manifest else ()
        servers = {}
        for side in SIDES:
            end = self.ends[side]
            url = ""
            with faults.at():
                url = "" if side == Side.SOURCE and end.empty and any(row.server for row in rows) else end.url(side)
            with faults.at():
                self.demand(side, secrets[side])
            servers[side] = self.server(side, url, secrets[side])
        return ImportAsked(
            sheet=sheet,
            servers=servers,
            name=self.name,
            selection=self.selection(),
            include=self.globs("include"),
            exclude=self.globs("exclude"),
            verify="full" if self.texts["verify"] == "full" else "default",
            window=self.window,
            wave=self.wave,
            wave_rule=tuple(filter(None, map(str.strip, self.wave_rule.splitlines()))),
            allowed=self.allowed,
            accounts=accounts,
            good_rows_only=good,
            remote=True,
        )


def form_of(given: Mapping[str, Any]) -> Form:
    """Reads the form from the fields of a request."""

    def text(name: str, most: int = 400) -> str:
        found = given.get(name, "")
        return found.strip()[:most] if isinstance(found, str) else ""

    ends = {
        side: End(
            provider=text(f"{side}_provider"),
            filled=text(f"{side}_filled"),
            protocol=text(f"{side}_protocol") or "imap",
            tls=text(f"{side}_tls") or "tls",
            host=text(f"{side}_host"),
            port=text(f"{side}_port"),
            fingerprint=text(f"{side}_fingerprint"),
        )
        for side in SIDES
    }
    texts = {name: text(name, 20_000) for name in (*_TEXTS, *_LINES)}
    ticks = frozenset(name for name in _TICKS if text(name))
    return Form(
        name=text("name", 200),
        ends=ends,
        texts=texts,
        ticks=ticks,
        window=text("window", 300),
        address=text("address"),
        sign_ins={side: entry_of(given, side) for side in SIDES},
        accounts=text("accounts", 80),
        wave=text("wave", 80),
        wave_rule=text("wave_rule", 20_000),
    )


def _number(text: str) -> int:
    """Returns a number of at most 7 digits; 0, which is refused later, for any other text."""
    return int(text) if text.isdecimal() and len(text) <= 7 else 0


def end_of(give: str, url: str) -> End:
    """Returns a server that was found as form fields.

    These are its provider if `give` names one with this URL, else the parts of the URL.
    """
    if catalogue().urls("source").get(give) == url:
        protocol = "pop3" if give.endswith(POP3_SUFFIX) else "imap"
        return End(provider=give.removesuffix(POP3_SUFFIX), protocol=protocol).completed(Side.SOURCE)
    known = parse_endpoint(url)
    return End(protocol=known.protocol, tls=known.tls.value, host=known.host, port=str(known.port))


def _known(provider: str, protocol: str, side: Side) -> Endpoint | None:
    """Returns the server of a provider, by POP3 if that was chosen and it has one; None for an unknown provider."""
    urls = catalogue().urls(side)
    pop3 = protocol == "pop3" and provider + POP3_SUFFIX in urls
    url = urls.get(provider + POP3_SUFFIX * pop3)
    return None if url is None else parse_endpoint(url, side=side)


def fields_of_end(side: str, end: End) -> dict[str, str]:
    """Returns the fields of the form for a server. `form_of` is the inverse."""
    names = ("provider", "filled", "protocol", "tls", "host", "port", "fingerprint")
    return {f"{side}_{name}": str(getattr(end, name)) for name in names}


def usual_port(protocol: str, tls: str) -> int:
    """Returns the default port, for a placeholder."""
    found = schemes().get(f"{protocol}{_SECURED.get(tls, 's')}")
    return found[2] if found else 993
