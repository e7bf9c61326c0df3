"""Bodies of the requests that do not open or change an import (`producer.web.api.import_bodies`). Pure."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, SecretStr

from producer.web.api.body import Body, Login, Said, WaveName
from shared.model.rates import MOST_RATE
from shared.model.sides import Side
from shared.model.waves import FRONT, MOST_ORDER, MOST_WEIGHT
from shared.runtime.secret import Secret


class OneMailboxBody(Body):
    """The mailboxes that an act concerns: one by its login, or all without a login."""

    login: Login = Field(default="", description="Only this mailbox, by its login or its id.")
    wave: WaveName = Field(default="", description="Only the mailboxes of this wave.")


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

    wave: WaveName = Field(default="", description="Only the mailboxes of this wave.")
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

    wave: WaveName = Field(default="", description="Only the mailboxes of this wave, within the hours of all.")
    window: str = Field(
        min_length=1,
        max_length=300,
        description='E.g. "20:00-06:00 Europe/Berlin", several with ";"; none: at any time.',
    )


class WaveBody(Body):
    """The fields of a wave that are set; what is left out stays."""

    wave: WaveName = Field(default="", description='Its name; "": the mailboxes without a wave.')
    starts_at: str | None = Field(
        default=None, max_length=40, description='Nothing of it is claimed before: "2026-02-01T20:00+01:00"; now.'
    )
    weight: Annotated[int, Field(ge=1, le=MOST_WEIGHT)] | None = Field(default=None, description="Its share of lanes.")
    order: Annotated[int, Field(ge=0, le=MOST_ORDER)] | None = Field(
        default=None, description="Waves of a lower order go first; 0 without it."
    )


class StandingBody(Body):
    """The part of an import that is to stand, and how often its mailboxes are looked at again."""

    wave: WaveName = Field(default="", description='The wave; "": the whole import.')
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

    login: Login = Field(min_length=1, description="The mailbox, by its login or its id.")
    wave: WaveName | None = Field(default=None, description='The wave; "" for none. Left out: it stays in its own.')
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
    imports: list[Said] = Field(default_factory=list, max_length=100, description="Only of these; empty: of all.")
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
