"""Finds the servers that hold the mail of an address, and tells how they were found.

Detection takes these steps and stops at the first that succeeds: a preset that claims the domain; a preset that claims
its mail exchanger; the domain's own autoconfig; Mozilla's public database, by domain and by mail exchanger; SRV records
(RFC 6186); guesses, each tried with a connection. Only the domain's own servers learn the address.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from producer.intake.detect_autoconfig import AutoconfigServer, place, read_config
from producer.intake.detect_probe import Network, NoSuchDomain, Tried
from producer.intake.providers import POP3_SUFFIX, Catalogue, Provider, Site, catalogue
from shared.nouns import dataclass
from shared.wording.phrases import Phrase, text_of

OWN_AUTOCONFIG_SAYS_SO: Final = Phrase("own_autoconfig_says_so", "the domain's own autoconfig says so ({place})")
MOZILLA_SAYS_SO: Final = Phrase("mozilla_says_so", "Mozilla's public database says so ({place})")
OF_A_PLACE: Final = Phrase("of_a_place", "{place}: {cause}")

NO_PRESET_CLAIMS: Final = Phrase("no_preset_claims", "no preset claims {host}")
NO_PRESET_CLAIMS_MAIL: Final = Phrase("no_preset_claims_mail", "no preset claims the mail exchanger of {host} ({name})")
HOST_HAS_NO_SRV_RECORDS: Final = Phrase("host_has_no_srv_records", "{host} has no SRV records for IMAP or POP3")
GUESSED_AND_GREETS_OVER_TLS: Final = Phrase("guessed_and_greets_over_tls", "guessed, tried, and it greets over TLS")
BELONGS_TO: Final = Phrase("belongs_to", "{host} belongs to {name}")
SRV_RECORDS_OF_SAY: Final = Phrase("srv_records_of_say", "SRV records of {host} say so")
NO_SERVER_GREETS_AT_USUAL_NAMES: Final = Phrase(
    "no_server_greets_at_usual_names",
    "no server greets at imap.{first_host}, mail.{second_host}, pop.{third_host} or its mail exchangers",
)
THERE_IS_NO_DOMAIN: Final = Phrase("there_is_no_domain", "there is no domain {host}")
MAIL_EXCHANGERS: Final = Phrase("mail_exchangers", "mail exchangers: {cause}")
MAIL_FOR_GOES: Final = Phrase("mail_for_goes", "mail for {host} goes to {place}: {name}")
NOTHING_ENCRYPTED: Final = Phrase("nothing_encrypted", "{place}: nothing encrypted in it")
SRV_RECORDS: Final = Phrase("srv_records", "SRV records: {cause}")

NO_ADDRESS: Final = Phrase("no_address", "{name} is no address; write user@example.org")
NO_DOMAIN: Final = Phrase("no_domain_behind_at", "{name}: what stands behind the @ is no domain")

_EXCHANGERS_TRIED: Final = 2


@dataclass(frozen=True, kw_only=True, slots=True)
class FoundServer:
    """A server that was found, as it is reported."""

    #: The value for ``--source`` or ``--destination``: a provider's name or a URL.
    give: str
    #: The server's URL.
    url: str
    #: The account's login at this server; "" when it is not known.
    login: str = ""
    #: Why the server's certificate is not trusted; "" when it is, or was not checked.
    doubt: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Detection:
    """The result of detection for one address."""

    #: The address that was looked up.
    address: str
    #: "preset", "mx", "autoconfig", "ispdb", "srv", "guess", or "" when nothing was found.
    how: str = ""
    #: The reason as a sentence.
    why: str = ""
    #: The servers that were found, IMAP first.
    ways: tuple[FoundServer, ...] = ()
    #: The provider, if mailhaul has a preset for it.
    provider: Provider | None = None
    #: Steps that found nothing, a sentence each.
    tried: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Returns the fields for JSON."""
        return {
            "address": self.address,
            "how": self.how,
            "why": self.why,
            "ways": [asdict(way) for way in self.ways],
            "provider": self.provider.as_json() if self.provider else None,
            "tried": list(self.tried),
        }


def detect(
    address: str, *, offline: bool = False, network: Network | None = None, presets: Catalogue | None = None
) -> Detection:
    """Finds the servers of `address`. Raises `UsageError` when it is no address."""
    return _Search(_address(address), network or Network(), presets or catalogue()).run(offline=offline)


def candidates(domain: str, exchangers: Sequence[str]) -> list[tuple[str, str]]:
    """Returns the (scheme, host) pairs that are worth a try, the likeliest first. Pure."""
    both = ("imaps", "imap+starttls", "pop3s", "pop3+starttls")
    hosts = [(f"imap.{domain}", both[:2]), (f"mail.{domain}", both), (domain, both)]
    hosts += [(f"pop.{domain}", both[2:]), (f"pop3.{domain}", both[2:])]
    hosts += [(name, both) for name in exchangers[:_EXCHANGERS_TRIED]]
    tries = [(scheme, host) for host, schemes in hosts for scheme in schemes]
    return list(dict.fromkeys(tries))


class _Search:
    """The search for the servers of one address."""

    def __init__(self, address: str, network: Network, presets: Catalogue) -> None:
        self._address, self._network, self._presets = address, network, presets
        self._domain = address.rpartition("@")[2]
        self._tried: list[str] = []
        self._exchangers: list[str] = []

    def run(self, *, offline: bool) -> Detection:
        if claimed := self._presets.by_domain(self._domain):
            return self._preset("preset", claimed, BELONGS_TO.says(host=self._domain, name=claimed[0].title))
        self._tried.append(NO_PRESET_CLAIMS.says(host=self._domain))
        if offline:
            return Detection(address=self._address, tried=tuple(self._tried))
        try:
            for step in (self._by_exchanger, self._autoconfig, self._database, self._services, self._guesses):
                if found := step():
                    return found
        except NoSuchDomain:
            self._tried.append(THERE_IS_NO_DOMAIN.says(host=self._domain))
        return Detection(address=self._address, tried=tuple(self._tried))

    # -- steps

    def _by_exchanger(self) -> Detection | None:
        try:
            self._exchangers = self._network.exchangers(self._domain)
        except OSError as error:
            self._tried.append(MAIL_EXCHANGERS.says(cause=text_of(error)))
            return None
        for name in self._exchangers:
            if claimed := self._presets.by_mx(name):
                return self._preset(
                    "mx", claimed, MAIL_FOR_GOES.says(host=self._domain, place=name, name=claimed[0].title)
                )
        names = ", ".join(self._exchangers[:3]) or "none"
        self._tried.append(NO_PRESET_CLAIMS_MAIL.says(host=self._domain, name=names))
        return None

    def _autoconfig(self) -> Detection | None:
        places = [place(template, self._address) for template in self._network.own]
        return self._files("autoconfig", places, OWN_AUTOCONFIG_SAYS_SO)

    def _database(self) -> Detection | None:
        # The database may know the provider's domain even if it does not know the customer's.
        domains = dict.fromkeys([self._domain, *(_above(name) for name in self._exchangers[:_EXCHANGERS_TRIED])])
        places = [place(self._network.ispdb, f"@{domain}") for domain in domains]
        return self._files("ispdb", places, MOZILLA_SAYS_SO)

    def _files(self, how: str, places: Sequence[str], why: Phrase) -> Detection | None:
        def look(url: str) -> list[AutoconfigServer] | str:
            shown = url.partition("?")[0]
            try:
                return read_config(self._network.fetch(url), self._address) or NOTHING_ENCRYPTED.says(place=shown)
            except (OSError, ValueError) as error:
                return OF_A_PLACE.says(place=shown, cause=text_of(error))

        with ThreadPoolExecutor(max(1, len(places))) as pool:  # no places: the page does not ask the domain itself
            answers = list(pool.map(look, places))
        for url, answer in zip(places, answers, strict=True):
            if isinstance(answer, list):
                return self._found(how, answer, why.says(place=url.partition("?")[0]))
            self._tried.append(answer)
        return None

    def _services(self) -> Detection | None:
        try:
            found = self._network.services(self._domain, self._address)
        except OSError as error:
            self._tried.append(SRV_RECORDS.says(cause=text_of(error)))
            return None
        if found:
            return self._found("srv", found, SRV_RECORDS_OF_SAY.says(host=self._domain))
        self._tried.append(HOST_HAS_NO_SRV_RECORDS.says(host=self._domain))
        return None

    def _guesses(self) -> Detection | None:
        answers = self._network.try_all(candidates(self._domain, self._exchangers))
        best: dict[str, Tried] = {}
        for one in sorted(answers, key=lambda one: bool(one.doubt)):  # servers with a trusted certificate first
            best.setdefault(one.way.protocol, one)
        if not best:
            domain = self._domain
            self._tried.append(
                NO_SERVER_GREETS_AT_USUAL_NAMES.says(first_host=domain, second_host=domain, third_host=domain)
            )
            return None
        doubts = {one.way.url: one.doubt for one in best.values()}
        return self._found("guess", [one.way for one in best.values()], GUESSED_AND_GREETS_OVER_TLS.says(), doubts)

    # -- answers

    def _preset(self, how: str, claimed: tuple[Provider, Site], why: str) -> Detection:
        provider, site = claimed
        login = provider.login_of(self._address)
        ways = [FoundServer(give=site.name, url=site.imap_source or site.imap, login=login)]
        if site.pop3:
            ways.append(FoundServer(give=site.name + POP3_SUFFIX, url=site.pop3, login=login))
        return self._told(how, why, ways, provider)

    def _found(
        self, how: str, ways: Sequence[AutoconfigServer], why: str, doubts: dict[str, str] | None = None
    ) -> Detection:
        ordered = sorted(ways, key=lambda one: one.protocol)
        host = ordered[0].url.partition("://")[2].rpartition(":")[0]
        answers = [
            FoundServer(give=one.url, url=one.url, login=one.login, doubt=(doubts or {}).get(one.url, ""))
            for one in ordered
        ]
        return self._told(how, why, answers, self._presets.by_account(self._address, host))

    def _told(self, how: str, why: str, ways: Sequence[FoundServer], provider: Provider | None) -> Detection:
        return Detection(
            address=self._address, how=how, why=why, ways=tuple(ways), provider=provider, tried=tuple(self._tried)
        )


def _above(host: str) -> str:
    """Shortens ``mx1.mail.example.org`` to ``example.org``.

    This is good enough for the database: a wrong domain is merely not found there.
    """
    return ".".join(host.split(".")[-2:])


def _address(text: str) -> str:
    """Returns the address with its domain in ASCII. Raises `UsageError`."""
    local, at, domain = text.strip().rpartition("@")
    try:
        name = domain.encode("idna").decode("ascii").lower().rstrip(".")
    except UnicodeError:
        name = ""
    if not (at and local and local.isprintable() and " " not in local) or len(text) > 320:
        raise NO_ADDRESS.error(name=f"{text[:80]!r}")
    if "." not in name or not all(part.replace("-", "").replace("_", "").isalnum() for part in name.split(".")):
        raise NO_DOMAIN.error(name=f"{text[:80]!r}")
    return f"{local}@{name}"
