"""What a person filled in for a new import, and what it asks for. Pure but for the names that `Reach` looks up."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from producer.intake.allowed import Allowed
from producer.intake.endpoints import SCHEMES, parse_endpoint
from producer.intake.providers import POP3_SUFFIX, catalogue
from producer.intake.wanted import Wanted, read_wanted
from producer.web.pages.signing import Entry, entry_of
from shared.errors import UsageError
from shared.hours import Hours, read_hours
from shared.model import Endpoint, Options, Tls
from shared.reach import Reach

SIDES: Final = ("source", "destination")
#: TLS mode → what follows the protocol in a URL.
_SECURED: Final = {"tls": "s", "starttls": "+starttls", "none": ""}
_MEANT: Final = ("share_destination", "case_sensitive_logins", "same_mailbox")
_TICKS: Final = (
    "skip_junk", "skip_trash", "unseen", "flagged", "not_deleted", "newest_first", "shared_folders", *_MEANT,
)  # fmt: skip
_LINES: Final = ("include", "exclude")
_TEXTS: Final = ("since", "before", "larger", "smaller", "into", "gmail_labels", "verify")


@dataclass(frozen=True, kw_only=True, slots=True)
class End:
    """One server, as filled in."""

    #: A provider's name; "" for a private server.
    provider: str = ""
    #: The provider that the other fields were filled from.
    filled: str = ""
    #: "imap" or "pop3".
    protocol: str = "imap"
    #: "tls", "starttls" or "none".
    tls: str = "tls"
    #: Host name.
    host: str = ""
    #: TCP port; "" for the usual one.
    port: str = ""
    #: SHA-256 of the certificate that is accepted.
    fingerprint: str = ""

    @property
    def empty(self) -> bool:
        """Whether nobody said which one."""
        return not (self.provider or self.host)

    def completed(self, side: str) -> End:
        """With the fields of the provider, when one was chosen since they were filled in."""
        if not self.provider or (self.host and self.filled == self.provider):
            return self
        urls = catalogue().urls(side)
        pop3 = self.protocol == "pop3" and side == "source" and self.provider + POP3_SUFFIX in urls
        url = urls.get(self.provider + POP3_SUFFIX * pop3)
        if url is None:
            return replace(self, provider="", filled="")
        known = parse_endpoint(url, side=side)
        return End(
            provider=self.provider, filled=self.provider, protocol=known.protocol, tls=known.tls.value, host=known.host,
            port=str(known.port),
        )  # fmt: skip

    @property
    def first(self) -> str:
        """What has to be done first at the provider; "" for a private server."""
        return catalogue().find(self.provider)[0].first if self.provider else ""

    def endpoint(self, side: str, reach: Reach) -> Endpoint:
        """Where that is. Raises `UsageError`."""
        end = self.completed(side)
        host = f"[{end.host}]" if ":" in end.host and "[" not in end.host else end.host
        if end.tls not in _SECURED or end.protocol not in ("imap", "pop3"):
            raise UsageError(f"{side}: choose a protocol and how it is secured")
        if not host:
            raise UsageError(f"{side}: choose a provider, or give the host of a private server")
        url = f"{end.protocol}{_SECURED[end.tls]}://{host}" + (f":{end.port}" if end.port else "")
        try:
            found = parse_endpoint(url, side=side, certificate_sha256=end.fingerprint)
        except UsageError as error:
            raise UsageError(str(error).replace(f"--{side}", side)) from None
        reach.check(side, found)
        return replace(found, guarded=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """The whole of it but for the mailboxes."""

    #: What the import is called.
    name: str = ""
    #: By side.
    ends: Mapping[str, End] = field(default_factory=lambda: {side: End() for side in SIDES})
    #: How accounts are signed in to, by side.
    sign_ins: Mapping[str, Entry] = field(default_factory=lambda: {side: Entry() for side in SIDES})
    #: The service that makes accounts; "" when they are there.
    accounts: str = ""
    #: What to import: fields of text.
    texts: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys((*_TEXTS, *_LINES), ""))
    #: What to import: boxes that are ticked.
    ticks: frozenset[str] = frozenset()
    #: When it may work; "" for at any time.
    window: str = ""
    #: An address at the source, for whoever does not know its server.
    address: str = ""

    @property
    def hours(self) -> Hours | None:
        """The same, read. Raises `UsageError`."""
        return read_hours(self.window) if self.window else None

    @property
    def allowed(self) -> Allowed:
        """What is meant although it looks like a mistake."""
        return Allowed(**{name: name in self.ticks for name in _MEANT})

    @property
    def special(self) -> bool:
        """Whether anything but everything is asked for."""
        plain = {"gmail_labels": "folders", "verify": "default"}
        return bool(self.ticks) or any(text and text != plain.get(name) for name, text in self.texts.items())

    def options(self, sources: Iterable[Endpoint]) -> Options:
        """What to import from these. Raises `UsageError` with every fault."""
        uses = ",".join(use for use in ("junk", "trash") if f"skip_{use}" in self.ticks)
        wanted = Wanted(
            skip_special=uses.replace("junk", "spam"), shared_folders="copy" if "shared_folders" in self.ticks else "leave",
            into=self.texts["into"], since=self.texts["since"],
            before=self.texts["before"], larger=self.texts["larger"], smaller=self.texts["smaller"],
            unseen="unseen" in self.ticks, flagged="flagged" in self.ticks, not_deleted="not_deleted" in self.ticks,
            newest_first="newest_first" in self.ticks, gmail_labels=self.texts["gmail_labels"] or "folders",
        )  # fmt: skip
        try:
            chosen: dict[str, Any] = read_wanted(wanted, sources)
        except UsageError as error:
            raise UsageError(str(error).replace("--", "")) from None
        globs: dict[str, Any] = {
            name: tuple(filter(None, map(str.strip, self.texts[name].splitlines()))) for name in _LINES
        }
        verify = "full" if self.texts["verify"] == "full" else "default"
        return Options(**chosen, **globs, **asdict(self.allowed), verify=verify)


def form_of(given: Mapping[str, Any]) -> Form:
    """From the fields of a request."""

    def text(name: str, most: int = 400) -> str:
        found = given.get(name, "")
        return found.strip()[:most] if isinstance(found, str) else ""

    ends = {
        side: End(
            provider=text(f"{side}_provider"), filled=text(f"{side}_filled"),
            protocol=text(f"{side}_protocol") or "imap", tls=text(f"{side}_tls") or "tls", host=text(f"{side}_host"),
            port=text(f"{side}_port"), fingerprint=text(f"{side}_fingerprint"),
        )
        for side in SIDES
    }  # fmt: skip
    texts = {name: text(name, 20_000) for name in (*_TEXTS, *_LINES)}
    ticks = frozenset(name for name in _TICKS if text(name))
    return Form(
        name=text("name", 200), ends=ends, texts=texts, ticks=ticks, window=text("window", 300), address=text("address"),
        sign_ins={side: entry_of(given, side) for side in SIDES}, accounts=text("accounts", 80),
    )  # fmt: skip


def end_of(give: str, url: str) -> End:
    """A server that was found: the provider that is called so, else the URL."""
    if catalogue().urls("source").get(give) == url:
        protocol = "pop3" if give.endswith(POP3_SUFFIX) else "imap"
        return End(provider=give.removesuffix(POP3_SUFFIX), protocol=protocol).completed("source")
    known = parse_endpoint(url)
    return End(protocol=known.protocol, tls=known.tls.value, host=known.host, port=str(known.port))


def usual_port(protocol: str, tls: str) -> int:
    """For a placeholder."""
    return SCHEMES.get(f"{protocol}{_SECURED.get(tls, 's')}", (Tls.IMPLICIT, 993))[1]
