"""Account services that have a name: one is set up, chosen for imports, and tried without an account being made."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Final
from urllib.parse import urlsplit

from producer.intake.account_options import CA_FILE, MOST_CHARACTERS, AccountsAsked, AccountSeen, AccountsSeen
from shared.accounts.kinds import ServicePlace, ServiceUrl, kind_of
from shared.accounts.several import Services, parse_services, sealed_together
from shared.content.json_text import read_json
from shared.runtime.secret import Secret
from shared.store.records.named_services import NAME
from shared.wording.phrases import PLAIN, Fault, FaultsFound, FieldName, Parameter, Phrase, Sentence, text_of

#: Returns the addresses of a host and port that may be connected to. Raises `OSError` for a place that may not.
Addresses = Callable[[str, int], object]

BAD_NAME: Final = Phrase("service_name", "{name} is no name of a service: 1 to 40 letters, digits, dots and dashes")
NOT_THERE: Final = Phrase("service_not_there", "{name} is no service; mailhaul service list shows them")
NOT_ONE: Final = Phrase("service_not_one", "give the address of one service")
OF_MACHINE: Final = Phrase(
    "service_of_machine",
    "{kind} names a file or a program of the workers' machines: set it up there, with: mailhaul service set",
)
OPTION_OF_MACHINE: Final = Phrase(
    "service_option_of_machine", "{option} is set on the machine only, with: mailhaul service set"
)
FAR_TOKEN: Final = Phrase(
    "service_token_elsewhere", "the key asks for its tokens at {text}, which is not Google's place"
)
BY_SETTINGS: Final = Phrase("account_service_of_settings", "MAILHAUL_WEB_ACCOUNTS has a service of this name")
LONG_SECRET: Final = Phrase("service_secret_long", "the secret is longer than {most} characters")
NO_LOGIN: Final = Phrase("service_login", "give a login of the destination that is looked up")
OTHER_DOMAIN: Final = Phrase("service_other_domain", "the service makes no accounts like {login}")

#: Options that name a file of the machine, or lead to another server than the vendor's.
OPTIONS_OF_MACHINE: Final = ("ca", "api", "directory")
#: Where Google gives tokens.
_OF_GOOGLE: Final = ("https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token")
#: Field of an import → the field of a service that is set up.
_FIELDS: Final = {"accounts": "url", "accounts_secret_file": "secret"}
_MOST_LOGIN: Final = 320


def read_service(name: str, text: str, secret: Secret, addresses: Addresses | None) -> AccountsAsked:
    """Checks a service that is to be set up. Sends nothing. Raises `UsageError`.

    `text` is as for ``--accounts``, with ``domain=`` in front if it is for one domain. `addresses` is given for what came
    by the page or the API: such a service may be no program or file of a machine, and lead only where these may connect to.
    """
    try:
        return _read(name, text, secret, addresses)
    except FaultsFound as error:
        raise FaultsFound(map(_of_service, error.faults)) from None


def _of_service(fault: Fault) -> Fault:
    """Names the fields of a service in place of those of an import."""

    def named(value: Parameter) -> Parameter:
        return FieldName(_FIELDS.get(value, value)) if isinstance(value, FieldName) else value

    parameters = {place: named(value) for place, value in fault.sentence.parameters.items()}
    fields = tuple(_FIELDS.get(field, field) for field in fault.fields)
    return Fault(Sentence(fault.sentence.phrase, parameters), fields)


def _read(name: str, text: str, secret: Secret, addresses: Addresses | None) -> AccountsAsked:
    if not NAME.fullmatch(name):
        raise BAD_NAME.error(name=repr(name[:80]))
    if len(secret.reveal()) > MOST_CHARACTERS:
        raise LONG_SECRET.error("secret", most=MOST_CHARACTERS)
    services = parse_services(text.strip())
    if len(services.by_domain) != 1 or not services.text:
        raise NOT_ONE.error("url")
    ((domain, url),) = services.by_domain.items()
    assert url
    if addresses:
        _guarded(url, secret)
    from shared.accounts.opening import open_service  # imports an HTTP client, which most commands do not need

    try:
        open_service(url, secret).close()
    except OSError as error:
        raise CA_FILE.error("url", cause=str(error.strerror)) from None
    asked = AccountsAsked(text=services.text, secret=sealed_together({domain: secret}))
    if addresses:
        reached(services, addresses)
    return asked


def reached(services: Services, addresses: Addresses) -> None:
    """Raises `UsageError` if a service is at a place that may not be connected to."""
    for url in services.by_domain.values():
        kind = kind_of(url.kind) if url else None
        if url and kind and kind.place is ServicePlace.HTTP:
            parts = urlsplit(url.place)
            host = parts.hostname or ""
            try:
                addresses(host, parts.port or (443 if parts.scheme == "https" else 80))
            except OSError as error:
                raise PLAIN.error("url", what=error.strerror or text_of(error)) from None


def _guarded(url: ServiceUrl, secret: Secret) -> None:
    kind = kind_of(url.kind)
    if kind is None or kind.place is ServicePlace.PATH:
        raise OF_MACHINE.error("url", kind=url.kind)
    if strange := [name for name in OPTIONS_OF_MACHINE if name in url.options]:
        raise OPTION_OF_MACHINE.error("url", option=strange[0])
    with suppress(ValueError, AttributeError):
        # Google's key says itself where its tokens are asked for.
        place = str(read_json(secret.reveal()).get("token_uri", ""))
        if place and place not in _OF_GOOGLE:
            raise FAR_TOKEN.error("secret", text=place[:200])


def tried(asked: AccountsAsked, login: str) -> AccountSeen:
    """Asks the service about one account of the destination, and makes none. Raises `UsageError`."""
    login = login.strip()
    if not login or len(login) > _MOST_LOGIN or not login.isprintable():
        raise NO_LOGIN.error()
    try:
        seen = AccountsSeen(asked).look(login)
    except OSError as error:
        raise CA_FILE.error(cause=str(error.strerror)) from None
    if seen is None:
        raise OTHER_DOMAIN.error(login=login)
    return seen
