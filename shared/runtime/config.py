"""Every setting of mailhaul, read from `MAILHAUL_*` variables and validated once.

`docs/settings.md` lists them; a setting that is not in it fails the tests. A setting that may hold a secret can also be
given as a file: `MAILHAUL_SECRET_KEY_FILE=/run/secrets/key` stands for `MAILHAUL_SECRET_KEY`.
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, ConfigDict, Field, SecretStr, ValidationError, model_validator

from shared.model.rates import MOST_RATE, RATES
from shared.model.sides import Scope, Side
from shared.runtime.redis_urls import broker_and_state, checked
from shared.runtime.web_settings import WebSettings
from shared.wording.phrases import Fault, FaultsFound, Phrase

SETTING: Final = Phrase("setting_impossible", "{name}: {cause} See docs/settings.md.")
SETTINGS: Final = Phrase("settings_impossible", "{cause}")
BOTH_SET: Final = Phrase("setting_twice", "{name} and {name}_FILE are both set: unset one of them")
UNREADABLE: Final = Phrase("setting_file_unreadable", "{name}_FILE: {path} cannot be read ({cause})")

PREFIX = "MAILHAUL_"
#: Settings that may hold a secret: they are never printed, and can be read from a file.
SECRET_SETTINGS = frozenset({"redis_url", "broker_url", "secret_key", "web_first_token", "web_oidc_client_secret"})
#: Variables with mailhaul's prefix that are no settings: those of the test suite, and those that describe the image.
_FOREIGN_PREFIXES = ("MAILHAUL_TEST_", "MAILHAUL_BUILD_")

#: Connections up to which the search for their best number may go where nothing is set, by scope.
MOST_LANES: Final = {"source_account": 16, "source_host": 128, "destination_account": 16, "destination_host": 128}

_log = logging.getLogger(__name__)

_Count = Annotated[int, Field(ge=1, le=10_000)]
_Port = Annotated[int, Field(ge=0, le=65_535)]
_Seconds = Annotated[float, Field(gt=0, le=86_400, allow_inf_nan=False)]
_Bytes = Annotated[int, Field(ge=1024)]
_Rate = Annotated[int, Field(ge=0, le=MOST_RATE)]


_RedisUrl = Annotated[SecretStr, AfterValidator(checked)]


def default_state_dir() -> Path:
    """Returns the folder for state when none is given: the XDG state folder (an XDG path must be absolute)."""
    xdg = os.environ.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".local" / "state"
    return base / "mailhaul"


class Settings(WebSettings):
    """All settings. The description of each is its line in `docs/settings.md`."""

    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True)

    redis_url: _RedisUrl | None = Field(
        default=None,
        description="Redis or Valkey to use. Without it mailhaul starts one of its own in the state folder.",
    )
    broker_url: _RedisUrl | None = Field(
        default=None, description="A Redis of its own for the queue. Without it: database 0 of the one above."
    )
    state_dir: Annotated[Path, AfterValidator(lambda path: path.expanduser().absolute())] = Field(
        default_factory=default_state_dir,
        description="Folder for the embedded Redis, the key file and logs. Without it: the XDG state folder.",
    )
    secret_key: SecretStr | None = Field(
        default=None,
        description="Fernet keys that seal the mailbox passwords, separated by commas: the first seals, "
        "the others only open. Without it: the file secret.key in the state folder, made when first needed.",
    )
    workers: _Count = Field(default=1, description="Worker processes that `mailhaul up` and `mailhaul import` start.")
    worker_threads: _Count = Field(default=16, description="Batches that one worker process copies at the same time.")
    worker_metrics_port: _Port = Field(default=0, description="Port of a worker's /metrics and /healthz; 0 for none.")
    coordinator_port: _Port = Field(
        default=9470, description="Port of the coordinator's /metrics, /healthz and /readyz; 0 for none."
    )
    listen_host: str = Field(default="127.0.0.1", description="Address that the ports above listen at.")
    source_account_connections: _Count = Field(
        default=4,
        description="Connections to one account at the source. "
        "Not set: at first, and up to 16 where more helps (docs/connections.md).",
    )
    source_host_connections: _Count = Field(
        default=32,
        description="Connections to one source host, over all accounts. "
        "Not set: at first, and up to 128 where more helps (docs/connections.md).",
    )
    destination_account_connections: _Count = Field(
        default=4,
        description="Connections to one account at the destination. "
        "Not set: at first, and up to 16 where more helps (docs/connections.md).",
    )
    destination_host_connections: _Count = Field(
        default=32,
        description="Connections to one destination host, over all accounts. "
        "Not set: at first, and up to 128 where more helps (docs/connections.md).",
    )
    source_account_bytes_per_second: _Rate = Field(
        default=0, description="Bytes a second from one account at the source, by all workers together; 0 for no cap."
    )
    source_account_messages_per_second: _Rate = Field(
        default=0, description="Messages a second from one account at the source; 0 for no cap."
    )
    source_account_bytes_per_day: _Rate = Field(
        default=0, description="Bytes in 24 hours from one account at the source; 0 for no cap."
    )
    destination_account_bytes_per_second: _Rate = Field(
        default=0, description="Bytes a second into one account at the destination; 0 for no cap."
    )
    destination_account_messages_per_second: _Rate = Field(
        default=0, description="Messages a second into one account at the destination; 0 for no cap."
    )
    destination_account_bytes_per_day: _Rate = Field(
        default=0, description="Bytes in 24 hours into one account at the destination; 0 for no cap."
    )
    lease_seconds: _Seconds = Field(default=60, description="How long a silent worker keeps what it claimed.")
    renew_seconds: _Seconds = Field(
        default=15, description="How often a worker renews its lease; at most a third of it."
    )
    slice_seconds: _Seconds = Field(
        default=60, description="How long a worker stays with one mailbox while others wait."
    )
    accounts_per_minute: _Count = Field(
        default=300, description="Accounts that are asked for at the destination in a minute, by all workers together."
    )
    settle_seconds: _Seconds = Field(
        default=30,
        description="How long a message sent over a broken connection may still arrive before its copy is looked for.",
    )
    connect_timeout_seconds: _Seconds = Field(default=20, description="Deadline for connecting, TLS and the greeting.")
    command_timeout_seconds: _Seconds = Field(default=300, description="Deadline for one whole IMAP command.")
    compress: Literal["auto", "never"] = Field(
        default="auto",
        description="Whether connections to IMAP servers are compressed (COMPRESS=DEFLATE, RFC 4978): where one connection "
        "was seen to be faster by it, or never.",
    )
    pop3_read: Literal["auto", "top", "retr"] = Field(
        default="auto",
        description="How messages are read over POP3: by TOP where it is seen to show whole messages and else by RETR, which "
        "marks them as read at the source; only by TOP; only by RETR.",
    )
    group_messages: _Count = Field(
        default=100, description="Messages that are appended and recorded together, at most."
    )
    group_bytes: _Bytes = Field(
        default=1024**2, description="Bytes of such a group; a larger message is a group of its own."
    )
    batch_messages: Annotated[int, Field(ge=1, le=1_000_000)] = Field(
        default=2000, description="Messages of one batch, at most."
    )
    batch_bytes: _Bytes = Field(
        default=128 * 1024**2, description="Bytes of one batch; a larger message is a batch of its own."
    )
    folder_writers: _Count = Field(
        default=16,
        description="Lanes that copy into one folder at the same time where the destination is slow, at most, within the limits of "
        "accounts and hosts; 1: never more (docs/decisions/7-several-writers.md).",
    )
    switches: str | None = Field(
        default=None,
        description="The switches that a cutover may turn, by name and separated by blanks: "
        "`office=dovecot:/etc/dovecot/switched?new=10.0.0.2&old=10.0.0.1` "
        "(docs/switching.md). Files and programs are those of the coordinator's machine.",
    )
    switch_secret_files: str | None = Field(
        default=None, description="The files with their keys and tokens: `office=/run/secrets/switch`."
    )
    retention_days: Annotated[int, Field(ge=1, le=3650)] = Field(
        default=14,
        description="How long the sealed passwords of a finished import are kept. "
        "Its ledger and report live until `mailhaul close`.",
    )
    audit_days: Annotated[int, Field(ge=1, le=36500)] = Field(
        default=1095, description="How long an entry of the audit log is kept."
    )
    dns_resolver: str | None = Field(
        default=None,
        description="DNS resolver that a cutover asks, as address or address:port. Without it: the system's. With a port, "
        "authoritative servers are asked at that port too.",
    )
    notify_still_minutes: Annotated[int, Field(ge=1, le=10_080)] = Field(
        default=30, description="After so many minutes in which nothing moved it is told (docs/notifications.md)."
    )
    notify_ports: str = Field(
        default="25,443,465,587,8443",
        description="Ports of targets that the page and the API may be given, separated by commas; addresses are those of "
        "`MAILHAUL_WEB_ALLOW`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="What is logged: this and worse."
    )
    log_format: Literal["auto", "json", "console"] = Field(
        default="auto", description="`auto` is text on a terminal and JSON lines otherwise."
    )
    log_addresses: Literal["hash", "plain", "off"] = Field(
        default="hash", description="Mail addresses in logs: as a short hash, as they are, or not at all."
    )

    @property
    def rates(self) -> dict[str, int]:
        """The rates of every account, as `shared.model.rates` names them; 0 for no cap."""
        found = {f"{side}_account.{rate}": f"{side}_account_{rate}" for side in Side for rate in RATES}
        return {name: getattr(self, setting) for name, setting in found.items()}

    @property
    def limits(self) -> dict[str, int]:
        """The connections and rates that count where nothing else is set, by scope."""
        scopes = tuple(Scope)
        return {scope: getattr(self, f"{scope}_connections") for scope in scopes} | self.rates

    @property
    def most_lanes(self) -> dict[str, int]:
        """The connections up to which the search for their best number may go, by scope: what is set is the most."""
        found = {scope: f"{scope}_connections" for scope in MOST_LANES}
        return {
            scope: getattr(self, name) if name in self.model_fields_set else max(MOST_LANES[scope], getattr(self, name))
            for scope, name in found.items()
        }

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.renew_seconds * 3 > self.lease_seconds:
            raise ValueError("MAILHAUL_RENEW_SECONDS must be at most a third of MAILHAUL_LEASE_SECONDS")
        if self.group_messages > self.batch_messages:
            raise ValueError("MAILHAUL_GROUP_MESSAGES must not be above MAILHAUL_BATCH_MESSAGES")
        if self.broker_url and not self.redis_url:
            raise ValueError(
                "MAILHAUL_BROKER_URL is set without MAILHAUL_REDIS_URL: set both, or only MAILHAUL_REDIS_URL"
            )
        return self

    def __init__(self, **given: Any) -> None:
        """Takes what is given, then variables, then files. Nothing else is read, such as a stray `.env`."""
        super().__init__(**{**_from_files(), **_from_variables(), **given})


def _from_variables() -> dict[str, str]:
    """Returns the settings that variables give, in whatever case; an empty variable gives none."""
    given = {name.upper(): value for name, value in os.environ.items() if value}
    return {name: given[variable_name(name)] for name in Settings.model_fields if variable_name(name) in given}


def _from_files() -> dict[str, str]:
    """Returns the settings that `MAILHAUL_X_FILE` gives, for those that may hold a secret. Raises `UsageError`."""
    found = {}
    for name in sorted(SECRET_SETTINGS):
        variable = variable_name(name)
        path = os.environ.get(f"{variable}_FILE", "")
        if not path:
            continue
        if os.environ.get(variable):
            raise BOTH_SET.error(name=variable)
        try:
            found[name] = Path(path).read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = error.strerror if isinstance(error, OSError) else "it is not text"
            raise UNREADABLE.error(name=variable, path=path, cause=str(reason)) from None
    return found


def is_local(host: str) -> bool:
    """Tells whether only this machine can connect to a server that listens at `host`."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def here(host: str) -> str:
    """Returns the address at which this machine reaches a server that listens at `host`."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return ("::1" if address.version == 6 else "127.0.0.1") if address.is_unspecified else host


def variable_name(setting: str) -> str:
    """Returns the environment variable of a setting."""
    return f"{PREFIX}{setting.upper()}"


def unknown_variables(environ: Mapping[str, str]) -> dict[str, str | None]:
    """Returns the `MAILHAUL_*` variables that mean nothing, each with the one that was probably meant."""
    known = {variable_name(name) for name in Settings.model_fields}
    known |= {f"{variable_name(name)}_FILE" for name in SECRET_SETTINGS}
    unknown = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name not in known and not name.startswith(_FOREIGN_PREFIXES)
    )
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in unknown}


def load_settings(**overrides: object) -> Settings:
    """Reads the settings from the environment, and lets `overrides` (from command-line options) win.

    None in `overrides` leaves a setting alone. Raises `UsageError` with every fault at once.
    """
    for name, meant in unknown_variables(os.environ).items():
        _log.warning("%s is not a setting and is ignored%s", name, f"; did you mean {meant}?" if meant else "")
    try:
        return Settings(**{name: value for name, value in overrides.items() if value is not None})
    except ValidationError as error:
        raise FaultsFound(_fault(one) for one in error.errors(include_url=False)) from None


def _fault(fault: Any) -> Fault:
    message = str(fault["msg"]).removeprefix("Value error, ")
    if not fault["loc"]:
        return SETTINGS.at(cause=message)
    setting = str(fault["loc"][0])
    shown = "" if setting in SECRET_SETTINGS else f" (it is {str(fault['input'])!r})"
    field = Settings.model_fields.get(setting)
    purpose = f" — {field.description}" if field and field.description else ""
    cause = f"{message[:1].lower()}{message[1:]}{shown}{purpose}"
    return SETTING.at(name=variable_name(setting), cause=cause)


def redis_urls(settings: Settings, socket_path: Path | None) -> tuple[str, str]:
    """Returns (broker, state), as `shared.runtime.redis_urls` makes them."""
    return broker_and_state(settings.redis_url, settings.broker_url, socket_path)
