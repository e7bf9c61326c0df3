"""Waves in the request: their names, the rows that name one, and the rules for the others. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from typing import Final

from producer.intake.manifest_row import Row
from shared.model.waves import MOST_NAME, is_name
from shared.nouns import dataclass
from shared.wording.phrases import Phrase

NAME: Final = Phrase("wave_name", "must be 1 to {num} printable characters, without spaces around them")
NO_ROW: Final = Phrase("wave_without_row", "no row is of wave {wave_name}")
RULE: Final = Phrase(
    "wave_rule",
    "{rule} is no rule; write the wave, = and who is in it: a login as *@sales.example, group:sales, or first:20",
)
FIRST_OF_PART: Final = Phrase(
    "wave_rule_first",
    "{rule} counts the rows of a new import; for rows that are added name who is in the wave by login or group",
)

#: The words by which a rule names the column `group`, or a number of rows.
_GROUP, _FIRST = "group:", "first:"


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveRule:
    """A rule for rows that name no wave."""

    #: The wave of the rows that it is about.
    wave: str
    #: The pattern of the login at the source, in upper or lower case; "" for any login.
    login: str = ""
    #: The pattern of the group; "" for any.
    group: str = ""
    #: The number of rows that it takes, in the order of the file; None for all.
    most: int | None = None

    def takes(self, row: Row) -> bool:
        """Tells whether the row is one of those that it is about."""
        if self.group and not row.group:
            return False  # nobody's group is like nothing, not even like *
        pairs = ((self.login, row.login), (self.group, row.group))
        return all(not glob or fnmatchcase(text.casefold(), glob.casefold()) for glob, text in pairs)


@dataclass(frozen=True, kw_only=True, slots=True)
class WaveRules:
    """The waves of rows that name none."""

    #: The rules; the first that takes a row decides.
    rules: tuple[WaveRule, ...] = ()
    #: The wave of the rest; "" for none.
    rest: str = ""

    def placed(self, rows: Sequence[Row]) -> tuple[Row, ...]:
        """Returns the rows, each in its wave; those that did not name it themselves say so."""
        left = [rule.most for rule in self.rules]
        found = []
        for row in rows:
            wave = row.wave
            for at, rule in enumerate(self.rules if not wave else ()):
                most = left[at]
                if most != 0 and rule.takes(row):
                    left[at] = None if most is None else most - 1
                    wave = rule.wave
                    break
            wave = wave or self.rest
            found.append(row if wave == row.wave else replace(row, wave=wave, wave_by_rule=True))
        return tuple(found)


def read_rules(rules: Sequence[str], rest: str = "", *, added: bool = False) -> WaveRules:
    """Reads the rules, WAVE=WHO each, and the name of the rest's wave. Raises `FaultsFound`.

    `added`: whether they are for rows that are added to an import, which are not the first ones of anything.
    """
    read = tuple(map(_rule, rules))
    for rule, text in zip(read, rules, strict=True):
        if added and rule.most is not None:
            raise FIRST_OF_PART.error("wave_rule", rule=text)
    return WaveRules(rules=read, rest=wave_name(rest))


def _rule(text: str) -> WaveRule:
    wave, given, who = (part.strip() for part in text.partition("="))
    if not given or not who or not is_name(wave):
        raise RULE.error("wave_rule", rule=text)
    if who.startswith(_GROUP):
        if group := who.removeprefix(_GROUP).strip():
            return WaveRule(wave=wave, group=group)
    elif not who.startswith(_FIRST):
        return WaveRule(wave=wave, login=who)
    elif (number := who.removeprefix(_FIRST).strip()).isascii() and number.isdecimal() and 0 < int(number) < 10**7:
        return WaveRule(wave=wave, most=int(number))
    raise RULE.error("wave_rule", rule=text)


def wave_name(text: str) -> str:
    """Returns the name as given; "" for none. Raises `UsageError`."""
    if text and not is_name(text):
        raise NAME.error("wave", num=MOST_NAME)
    return text


def of_wave(rows: Sequence[Row], wave: str) -> tuple[Row, ...]:
    """Returns the rows of this wave; all for "". Raises `UsageError` when there is none."""
    found = tuple(row for row in rows if wave in ("", row.wave))
    if rows and not found:
        raise NO_ROW.error("wave", wave_name=wave)
    return found
