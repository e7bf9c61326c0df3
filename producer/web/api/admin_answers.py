"""The answers of the API on what administrators see to, as its OpenAPI document describes them."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BeforeValidator, Field

from producer.intake.detect import FoundServer
from producer.intake.providers import ProviderNote, Site
from producer.operations.erasing import Erased
from producer.web.api.answers import Answer, ConnectionsAnswer, Moment, moment_of


def _moments(found: object) -> object:
    """Returns the details of an act with their moments as such: the fields that end in "_at"."""
    if not isinstance(found, dict):
        return found
    return {name: moment_of(value) if name.endswith("_at") else value for name, value in found.items()}


class ProviderAnswer(Answer):
    """A provider, with what it asks for."""

    name: str
    aliases: list[str]
    title: str
    first: str
    sign_in: list[str]
    login: str
    limits: dict[str, int]
    rates: dict[str, int]
    sources: dict[str, str]
    notes: list[ProviderNote]
    sites: list[Site]


class ProvidersAnswer(Answer):
    """The providers that mailhaul knows."""

    edition: str
    providers: list[ProviderAnswer]


class DetectionAnswer(Answer):
    """The servers of an address, and how they were found."""

    address: str
    how: str
    why: str
    ways: list[FoundServer]
    provider: ProviderAnswer | None
    tried: list[str]


class LimitsSetAnswer(Answer):
    """The limits and rates that were set, by scope."""

    set: dict[str, int]


class LimitsAnswer(LimitsSetAnswer):
    """Limits and rates: the defaults, what was set, what is usual at a server."""

    default: dict[str, int]
    usual: dict[str, int]
    found: list[ConnectionsAnswer]


class FindingAnswer(Answer):
    """A finding of the doctor."""

    verdict: str
    sentence: str


class DoctorAnswer(Answer):
    """The findings of the doctor; `ok` where nothing is bad."""

    ok: bool
    findings: list[FindingAnswer]


class ErasedAnswer(Answer):
    """The receipt of an erasure."""

    erased: Erased


class NamesAnswer(Answer):
    """The names of the services that make accounts."""

    accounts: list[str]


class NamedServiceAnswer(Answer):
    """A service that makes accounts, without its secret."""

    name: str
    service: str
    by: str
    at: Moment | None


class ServicesAnswer(Answer):
    """The services that make accounts."""

    services: list[NamedServiceAnswer]


class TokenAnswer(Answer):
    """A token, without its secret text."""

    id: str
    name: str
    role: str
    created_at: Moment
    expires_at: Moment | None


class NewTokenAnswer(TokenAnswer):
    """A token that was made. Its secret text is in this answer and nowhere else."""

    token: str


class TokensAnswer(Answer):
    """The tokens."""

    tokens: list[TokenAnswer]


class UserAnswer(Answer):
    """A user who signs in to the page with a password."""

    name: str
    role: str
    set_at: Moment


class UsersAnswer(Answer):
    """The users."""

    users: list[UserAnswer]


class SessionAnswer(Answer):
    """A browser that is signed in."""

    id: str
    name: str
    principal_id: str
    role: str
    began_at: Moment


class SessionsAnswer(Answer):
    """The browsers that are signed in, newest first."""

    sessions: list[SessionAnswer]


class AuditEntryAnswer(Answer):
    """An entry of the audit log."""

    id: str
    at: Moment
    who: str
    what: str
    detail: Annotated[dict[str, Any], BeforeValidator(_moments)]


class AuditAnswer(Answer):
    """Entries of the audit log, oldest first."""

    entries: list[AuditEntryAnswer]


class TargetAnswer(Answer):
    """A target, without its secret; a signing secret that was made is in the answer to the making alone."""

    id: str
    way: str
    to: str
    kinds: list[str]
    imports: list[str]
    language: str
    zone: str
    digest: str
    logins: bool
    made_at: Moment
    secret: str = ""


class DeliveryAnswer(Answer):
    """A notice on its way to one target."""

    id: str
    target: str
    kind: str
    import_: str = Field(alias="import")
    at: Moment
    attempts: int
    due_at: Moment
    why: str


class TargetsAnswer(Answer):
    """The targets, the notices on their way, and those that could not be delivered."""

    targets: list[TargetAnswer]
    waiting: list[DeliveryAnswer]
    undelivered: list[DeliveryAnswer]


class SentAnswer(Answer):
    """The fate of a test message; `why` where it was not sent."""

    sent: bool
    why: str


class NoticesAnswer(Answer):
    """The number of notices that are tried again or forgotten."""

    notices: int


class PlaceAnswer(Answer):
    """A host, network or port that an administrator allowed."""

    place: str
    by: str
    at: Moment


class ReachSettingsAnswer(Answer):
    """The places that the settings allow."""

    allow: str
    ports: str


class PlacesAnswer(Answer):
    """The places that are allowed beside public servers and the usual ports."""

    places: list[PlaceAnswer]
    settings: ReachSettingsAnswer
