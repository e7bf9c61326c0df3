"""Every setting of mailhaul, read from `MAILHAUL_*` variables and validated once.

`docs/settings.md` lists them; a setting that is not in it fails the tests. A setting that may hold a secret can also be
given as a file: `MAILHAUL_SECRET_KEY_FILE=/run/secrets/key` stands for `MAILHAUL_SECRET_KEY`.
"""

from __future__ import annotations

import difflib
import ipaddress
import logging
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Literal

from shared.model.rates import MOST_RATE, RATES
from shared.model.sides import Scope, Side
from shared.runtime.redis_urls import broker_and_state
from shared.runtime.secret import Secret
from shared.runtime.setting_kinds import (
    about,
    folder,
    one_of,
    positive,
    read_value,
    secret,
    setting,
    setting_found,
    settings_of,
    text,
    url_of_redis,
    whole,
)
from shared.runtime.web_settings import WebSettings
from shared.wording.phrases import Fault, FaultsFound, Phrase

SETTING: Final = Phrase("setting_impossible", "{name}: {cause} See docs/settings.md.")
UNFIT: Final = Phrase("settings_impossible", "{cause}")
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


def default_state_dir() -> Path:
    """Returns the folder for state when none is given: the XDG state folder (an XDG path must be absolute)."""
    xdg = os.environ.get("XDG_STATE_HOME", "")
    base = Path(xdg) if xdg.startswith("/") else Path.home() / ".local" / "state"
    return base / "mailhaul"


@dataclass(frozen=True, kw_only=True)
class Settings(WebSettings):
    """All settings. The description of each is its line in `docs/settings.md`."""

    #: The names of the settings that a variable, a file or an option gave.
    given: frozenset[str] = field(default=frozenset(), repr=False)
    redis_url: Secret | None = setting(
        url_of_redis, None, "Redis or Valkey to use. Without it mailhaul starts one of its own in the state folder."
    )
    broker_url: Secret | None = setting(
        url_of_redis, None, "A Redis of its own for the queue. Without it: database 0 of the one above."
    )
    state_dir: Path = setting_found(
        folder,
        default_state_dir,
        "Folder for the embedded Redis, the key file and logs. Without it: the XDG state folder.",
    )
    secret_key: Secret | None = setting(
        secret,
        None,
        "Fernet keys that seal the mailbox passwords, separated by commas: the first seals, "
        "the others only open. Without it: the file secret.key in the state folder, made when first needed.",
    )
    workers: int = setting(whole(1, 10_000), 1, "Worker processes that `mailhaul up` and `mailhaul import` start.")
    worker_threads: int = setting(whole(1, 10_000), 16, "Batches that one worker process copies at the same time.")
    worker_metrics_port: int = setting(whole(0, 65_535), 0, "Port of a worker's /metrics and /healthz; 0 for none.")
    coordinator_port: int = setting(
        whole(0, 65_535), 9470, "Port of the coordinator's /metrics, /healthz and /readyz; 0 for none."
    )
    listen_host: str = setting(text, "127.0.0.1", "Address that the ports above listen at.")
    source_account_connections: int = setting(
        whole(1, 10_000),
        4,
        "Connections to one account at the source. "
        "Not set: at first, and up to 16 where more helps (docs/connections.md).",
    )
    source_host_connections: int = setting(
        whole(1, 10_000),
        32,
        "Connections to one source host, over all accounts. "
        "Not set: at first, and up to 128 where more helps (docs/connections.md).",
    )
    destination_account_connections: int = setting(
        whole(1, 10_000),
        4,
        "Connections to one account at the destination. "
        "Not set: at first, and up to 16 where more helps (docs/connections.md).",
    )
    destination_host_connections: int = setting(
        whole(1, 10_000),
        32,
        "Connections to one destination host, over all accounts. "
        "Not set: at first, and up to 128 where more helps (docs/connections.md).",
    )
    source_account_bytes_per_second: int = setting(
        whole(0, MOST_RATE), 0, "Bytes a second from one account at the source, by all workers together; 0 for no cap."
    )
    source_account_messages_per_second: int = setting(
        whole(0, MOST_RATE), 0, "Messages a second from one account at the source; 0 for no cap."
    )
    source_account_bytes_per_day: int = setting(
        whole(0, MOST_RATE), 0, "Bytes in 24 hours from one account at the source; 0 for no cap."
    )
    destination_account_bytes_per_second: int = setting(
        whole(0, MOST_RATE), 0, "Bytes a second into one account at the destination; 0 for no cap."
    )
    destination_account_messages_per_second: int = setting(
        whole(0, MOST_RATE), 0, "Messages a second into one account at the destination; 0 for no cap."
    )
    destination_account_bytes_per_day: int = setting(
        whole(0, MOST_RATE), 0, "Bytes in 24 hours into one account at the destination; 0 for no cap."
    )
    lease_seconds: float = setting(positive(86_400), 60, "How long a silent worker keeps what it claimed.")
    renew_seconds: float = setting(positive(86_400), 15, "How often a worker renews its lease; at most a third of it.")
    slice_seconds: float = setting(positive(86_400), 60, "How long a worker stays with one mailbox while others wait.")
    accounts_per_minute: int = setting(
        whole(1, 10_000), 300, "Accounts that are asked for at the destination in a minute, by all workers together."
    )
    settle_seconds: float = setting(
        positive(86_400),
        30,
        "How long a message sent over a broken connection may still arrive before its copy is looked for.",
    )
    connect_timeout_seconds: float = setting(positive(86_400), 20, "Deadline for connecting, TLS and the greeting.")
    command_timeout_seconds: float = setting(positive(86_400), 300, "Deadline for one whole IMAP command.")
    compress: Literal["auto", "never"] = setting(
        one_of("auto", "never"),
        "auto",
        "Whether connections to IMAP servers are compressed (COMPRESS=DEFLATE, RFC 4978): where one connection "
        "was seen to be faster by it, or never.",
    )
    pop3_read: Literal["auto", "top", "retr"] = setting(
        one_of("auto", "top", "retr"),
        "auto",
        "How messages are read over POP3: by TOP where it is seen to show whole messages and else by RETR, which "
        "marks them as read at the source; only by TOP; only by RETR.",
    )
    group_messages: int = setting(whole(1, 10_000), 100, "Messages that are appended and recorded together, at most.")
    group_bytes: int = setting(whole(1024), 1024**2, "Bytes of such a group; a larger message is a group of its own.")
    batch_messages: int = setting(whole(1, 1_000_000), 2000, "Messages of one batch, at most.")
    batch_bytes: int = setting(
        whole(1024), 128 * 1024**2, "Bytes of one batch; a larger message is a batch of its own."
    )
    folder_writers: int = setting(
        whole(1, 10_000),
        16,
        "Lanes that copy into one folder at the same time where the destination is slow, at most, within the limits of "
        "accounts and hosts; 1: never more (docs/decisions/7-several-writers.md).",
    )
    switches: str | None = setting(
        text,
        None,
        "The switches that a cutover may turn, by name and separated by blanks: "
        "`office=dovecot:/etc/dovecot/switched?new=10.0.0.2&old=10.0.0.1` "
        "(docs/switching.md). Files and programs are those of the coordinator's machine.",
    )
    switch_secret_files: str | None = setting(
        text, None, "The files with their keys and tokens: `office=/run/secrets/switch`."
    )
    retention_days: int = setting(
        whole(1, 3_650),
        14,
        "How long the sealed passwords of a finished import are kept. "
        "Its ledger and report live until `mailhaul close`.",
    )
    audit_days: int = setting(whole(1, 36_500), 1095, "How long an entry of the audit log is kept.")
    dns_resolver: str | None = setting(
        text,
        None,
        "DNS resolver that a cutover asks, as address or address:port. Without it: the system's. With a port, "
        "authoritative servers are asked at that port too.",
    )
    notify_still_minutes: int = setting(
        whole(1, 10_080), 30, "After so many minutes in which nothing moved it is told (docs/notifications.md)."
    )
    notify_ports: str = setting(
        text,
        "25,443,465,587,8443",
        "Ports of targets that the page and the API may be given, separated by commas; addresses are those of "
        "`MAILHAUL_WEB_ALLOW`.",
    )
    log_level: Literal["debug", "info", "warning", "error"] = setting(
        one_of("debug", "info", "warning", "error"), "info", "What is logged: this and worse."
    )
    log_format: Literal["auto", "json", "console"] = setting(
        one_of("auto", "json", "console"), "auto", "`auto` is text on a terminal and JSON lines otherwise."
    )
    log_addresses: Literal["hash", "plain", "off"] = setting(
        one_of("hash", "plain", "off"), "hash", "Mail addresses in logs: as a short hash, as they are, or not at all."
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
            scope: getattr(self, name) if name in self.given else max(MOST_LANES[scope], getattr(self, name))
            for scope, name in found.items()
        }

    def faults(self) -> Iterator[str]:
        """Says which settings do not go together."""
        yield from super().faults()
        if self.renew_seconds * 3 > self.lease_seconds:
            yield "MAILHAUL_RENEW_SECONDS must be at most a third of MAILHAUL_LEASE_SECONDS"
        if self.group_messages > self.batch_messages:
            yield "MAILHAUL_GROUP_MESSAGES must not be above MAILHAUL_BATCH_MESSAGES"
        if self.broker_url and not self.redis_url:
            yield "MAILHAUL_BROKER_URL is set without MAILHAUL_REDIS_URL: set both, or only MAILHAUL_REDIS_URL"


#: Every setting, by name.
SETTINGS: Final = settings_of(Settings)


def _from_variables() -> dict[str, str]:
    """Returns the settings that variables give, in whatever case; an empty variable gives none."""
    given = {name.upper(): value for name, value in os.environ.items() if value}
    return {name: given[variable_name(name)] for name in SETTINGS if variable_name(name) in given}


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
    known = {variable_name(name) for name in SETTINGS}
    known |= {f"{variable_name(name)}_FILE" for name in SECRET_SETTINGS}
    unknown = sorted(
        name
        for name in environ
        if name.startswith(PREFIX) and name not in known and not name.startswith(_FOREIGN_PREFIXES)
    )
    return {name: next(iter(difflib.get_close_matches(name, known, n=1)), None) for name in unknown}


def load_settings(**overrides: object) -> Settings:
    """Reads the settings from the environment, and lets `overrides` (from command-line options) win.

    None in `overrides` leaves a setting alone. Nothing else is read, such as a stray `.env`. Raises `UsageError` with every
    fault at once.
    """
    for name, meant in unknown_variables(os.environ).items():
        _log.warning("%s is not a setting and is ignored%s", name, f"; did you mean {meant}?" if meant else "")
    wanted = {name: value for name, value in overrides.items() if value is not None}
    found, faults = dict[str, Any](), list[Fault]()
    for name, value in {**_from_files(), **_from_variables(), **wanted}.items():
        try:
            found[name] = read_value(SETTINGS[name], value)
        except ValueError as error:
            faults.append(_fault(name, value, str(error)))
    if not faults:
        made = Settings(**found, given=frozenset(found))
        faults = [UNFIT.at(cause=cause) for cause in made.faults()]
    if faults:
        raise FaultsFound(faults)
    return made


def _fault(name: str, value: object, cause: str) -> Fault:
    shown = "" if name in SECRET_SETTINGS else f" (it is {str(value)!r})"
    return SETTING.at(name=variable_name(name), cause=f"{cause}{shown} — {about(SETTINGS[name])}")


def redis_urls(settings: Settings, socket_path: Path | None) -> tuple[str, str]:
    """Returns (broker, state), as `shared.runtime.redis_urls` makes them."""
    return broker_and_state(settings.redis_url, settings.broker_url, socket_path)
