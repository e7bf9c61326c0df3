"""Opens the switches that the settings name.

    MAILHAUL_SWITCHES=office=dovecot:/etc/dovecot/switched?new=10.0.0.2&old=10.0.0.1 dns=by-hand:
    MAILHAUL_SWITCH_SECRET_FILES=office=/run/secrets/switch

A switch may be a program, and says where people's mail goes: so its URL comes from the settings of this machine and never from
a request, which can only choose one by its name.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from shared.model.errors import UsageError
from shared.runtime.config import Settings
from shared.runtime.secret import Secret
from shared.switching import Switch
from shared.switching.address import parse_switch
from shared.switching.bound_switch import BoundSwitch
from shared.switching.discreet_switch import DiscreetSwitch
from shared.switching.kinds import SwitchPlace, SwitchUrl, kind_of
from shared.wording.phrases import Fault, FaultsFound, Parameter, Phrase, text_of

IT_IS_NO_UTF_8: Final = Phrase("it_is_no_utf_8", "it is no UTF-8")

NO_SUCH_SWITCH: Final = Phrase(
    "switch_secret_unknown",
    "MAILHAUL_SWITCH_SECRET_FILES: MAILHAUL_SWITCHES names no {name}",
)
NONE_OF: Final = Phrase("switch_none_of", "switch: {name} is none here ({names})")
ONE_LINE: Final = Phrase(
    "switch_secret_lines",
    "MAILHAUL_SWITCH_SECRET_FILES, {name}: {file} must hold one line, which is the secret",
)
NEEDS_SECRET: Final = Phrase(
    "switch_secret_missing",
    "MAILHAUL_SWITCHES, {name}: {kind} needs its file in MAILHAUL_SWITCH_SECRET_FILES",
)
NONE: Final = Phrase("switch_none", "switch: {name} is none here: none is set by MAILHAUL_SWITCHES")
IMPOSSIBLE: Final = Phrase("switch_impossible", "MAILHAUL_SWITCHES, {name}: {why}")
SECRET_UNREADABLE: Final = Phrase(
    "switch_secret_unreadable",
    "MAILHAUL_SWITCH_SECRET_FILES, {name}: {file} cannot be read ({cause})",
)
NOT_NAMED: Final = Phrase("setting_not_named", "{setting}: {text} is not NAME=…, each name once")

_MOST_SECRET_BYTES = 64 * 1024


def switches(settings: Settings) -> Mapping[str, SwitchUrl]:
    """Returns the switches of the settings, by name. Raises `UsageError`; opens nothing."""
    found = {}
    for name, text in _pairs("MAILHAUL_SWITCHES", settings.switches or "").items():
        try:
            found[name] = parse_switch(text)
        except (UsageError, ValueError) as error:
            raise IMPOSSIBLE.error(name=name, why=_why(error)) from None
    files = _pairs("MAILHAUL_SWITCH_SECRET_FILES", settings.switch_secret_files or "")
    if strange := sorted(set(files) - set(found)):
        raise NO_SUCH_SWITCH.error(name=f"{strange[0]!r}")
    for name, url in found.items():
        if kind_of(url.kind).secretive and name not in files:
            raise NEEDS_SECRET.error(name=name, kind=url.kind)
    return found


def open_switch(settings: Settings, name: str) -> Switch:
    """Opens the switch of this name; nothing is sent yet. Raises `UsageError`."""
    known = switches(settings)
    if name not in known:
        there = ", ".join(sorted(known))
        if not there:
            raise NONE.error(name=f"{name[:80]!r}")
        raise NONE_OF.error(name=f"{name[:80]!r}", names=there)
    url = known[name]
    files = _pairs("MAILHAUL_SWITCH_SECRET_FILES", settings.switch_secret_files or "")
    secret = _secret(name, files[name]) if name in files else Secret("")
    try:
        return DiscreetSwitch(BoundSwitch(kind_of(url.kind).open(url, secret), url), secret)
    except UsageError as error:
        raise IMPOSSIBLE.error(name=name, why=_why(error)) from None


def turned_by_hand(settings: Settings, name: str) -> bool:
    """Tells whether the switch of this name only tells a person what to do. False where the settings cannot be read."""
    try:
        known = switches(settings)
    except UsageError:
        return False
    return name in known and kind_of(known[name].kind).place is SwitchPlace.NONE


def _secret(name: str, path: str) -> Secret:
    try:
        with Path(path).open("rb") as file:
            text = file.read(_MOST_SECRET_BYTES + 1).decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else IT_IS_NO_UTF_8.says()
        raise SECRET_UNREADABLE.error(name=name, file=path, cause=why or "") from None
    if not text or len(text) > _MOST_SECRET_BYTES or any(ord(char) < 32 for char in text):
        raise ONE_LINE.error(name=name, file=path)
    return Secret(text)


def _pairs(setting: str, text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    for part in text.split():
        name, sign, value = part.partition("=")
        if not (sign and value and name.isidentifier()) or name in found:
            raise NOT_NAMED.error(setting=setting, text=f"{part.partition('=')[0][:60]!r}")
        found[name] = value
    return found


def _why(error: Exception) -> Parameter:
    """Returns what is wrong with one switch, as a sentence where it has a code."""
    match error:
        case FaultsFound(faults=(Fault(sentence=sentence),)):
            return sentence
    return text_of(error)
