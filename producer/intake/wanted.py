"""Reads what to import as the operator wrote it: moments, sizes, special folders, the folder map.

Pure; reports every fault at once.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, TypeVar

from producer.intake.fitting import unfit
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid, read_sheet
from shared.folders import special_use
from shared.folders.mapping import spelled
from shared.folders.names import encode_name
from shared.model import Endpoint
from shared.model.choices import DeletionsChoice, LabelMode, MoveChoice, SharedFolders
from shared.wording.phrases import PLAIN, Fault, Faults, FaultsFound, Phrase, Sentence

_Choice = TypeVar("_Choice", bound=StrEnum)
_SIZE = re.compile(r"(\d{1,15})(?:\.(\d{1,3}))? ?([kmgt]?)(i?)b?", re.IGNORECASE)
_POWERS: Final = ("", "k", "m", "g", "t")
#: Values of `--skip-special`, beside the words of `special_use.SPOKEN`.
USES: Final = (*special_use.MAPPED, "all", "flagged", "important")
#: The largest `--deletions-cap`.
MOST_DELETIONS: Final = 1_000_000
#: Longest `--into`, in octets as sent; names below it need room.
_INTO_OCTETS: Final = 120
_MAP_ROWS: Final = 20_000
_HEADERS: Final = (("old", "new"), ("source", "destination"), ("from", "to"), ("old_folder", "new_folder"))
#: First and last year in which INTERNALDATE is kept (`shared.content.dates`).
_YEARS: Final = (1970, 2037)

#: The faults that a selection may have.
NOTHING_BETWEEN: Final = Phrase("no_time_between", "nothing lies between them")
NO_SIZE_IS_BOTH: Final = Phrase("no_size_between", "no size is both")
ONE_OF: Final = Phrase("one_of", "one of {names}")
DELETIONS_CAP: Final = Phrase("deletions_cap", "a whole number from 1 to {num}")
NO_DATE: Final = Phrase("no_date", "{text} is no date; write 2024-02-01, or 2024-02-01T12:00+03:00")
YEAR: Final = Phrase("year_not_kept", "the year must be one of {first} to {last}")
NO_SIZE: Final = Phrase("no_size", "{text} is no size; write 10MB, 500k, 1GiB or a number of bytes")
NO_USE: Final = Phrase("no_special_use", "{names} is not known; the special folders are spam, {uses}")
INTO_INBOX: Final = Phrase("into_inbox", "INBOX is no folder of its own; name one below it, or none")
INTO_LONG: Final = Phrase("into_too_long", "longer than {num} octets: there must be room for names below it")
IN_MAP: Final = Phrase("folder_map", "{field} {file}: {what}")
LINE: Final = Phrase("line", "line {line}: {what}")
TWO_COLUMNS: Final = Phrase("map_two_columns", "two columns are needed, the old name and the new one, not {width}")
TWICE: Final = Phrase("map_folder_twice", "the folder stands in line {line} already")
SAME_FOLDER: Final = Phrase("map_same_folder", "line {line} leads to the same folder; two cannot be put into one")
INTO_OWN_INBOX: Final = Phrase(
    "map_into_inbox", "INBOX is where the source's INBOX goes; give that another place in a line of its own"
)
NO_FOLDER: Final = Phrase("map_empty", "there is no folder in it")
FOLDER_EMPTY: Final = Phrase("folder_empty", "a name, or a level of it, is empty")
FOLDER_UNPRINTABLE: Final = Phrase(
    "folder_unprintable", "a name holds a line break or another sign that cannot be printed"
)


def read_wanted(wanted: SelectionOptions, sources: Iterable[Endpoint]) -> dict[str, Any]:
    """Returns the fields of `shared.model.Options` for mail from these servers.

    Raises `FaultsFound` with every fault.
    """
    faults = Faults()

    def taken(name: str, read: Any, *arguments: object) -> Any:
        with faults.at(name):
            return read(*arguments)
        return None

    found = {
        "skip_special": taken("skip_special", read_uses, wanted.skip_special) or (),
        "shared_folders": taken("shared_folders", read_choice, SharedFolders, wanted.shared_folders),
        "into": taken("into", read_into, wanted.into) or "",
        "folder_map": (),
        "since": taken("since", read_moment, wanted.since),
        "before": taken("before", read_moment, wanted.before),
        "larger": taken("larger", read_size, wanted.larger),
        "smaller": taken("smaller", read_size, wanted.smaller),
        "unseen": wanted.unseen,
        "flagged": wanted.flagged,
        "not_deleted": wanted.not_deleted,
        "newest_first": wanted.newest_first,
        "gmail_labels": taken("gmail_labels", read_choice, LabelMode, wanted.gmail_labels),
        "moves": taken("moves", read_choice, MoveChoice, wanted.moves),
        "deletions": taken("deletions", read_choice, DeletionsChoice, wanted.deletions),
        "deletions_cap": wanted.deletions_cap,
    }
    if wanted.folder_map and wanted.folder_map_content is not None:
        rows = taken("folder_map", read_folder_map, wanted.folder_map_content, wanted.folder_map)
        found["folder_map"] = rows or ()
    since, before = found["since"], found["before"]
    if since is not None and before is not None and since >= before:
        faults.append(NOTHING_BETWEEN.at("since", "before"))
    larger, smaller = found["larger"], found["smaller"]
    if larger is not None and smaller is not None and larger + 1 >= smaller:
        faults.append(NO_SIZE_IS_BOTH.at("larger", "smaller"))
    if not 1 <= wanted.deletions_cap <= MOST_DELETIONS:
        faults.append(DELETIONS_CAP.at("deletions_cap", num=MOST_DELETIONS))
    faults += unfit(sources, unseen=wanted.unseen, flagged=wanted.flagged)
    if faults:
        raise FaultsFound(faults)
    return found


def read_choice(choices: type[_Choice], text: str) -> _Choice:
    """Returns the choice of this name. Raises `UsageError`."""
    try:
        return choices(text)
    except ValueError:
        raise ONE_OF.error(names=", ".join(choices)) from None


def read_moment(text: str) -> int | None:
    """Returns the seconds since the epoch of ``2024-02-01``, ``2024-02-01 12:00`` or ``2024-02-01T12:00+03:00``.

    A moment without a zone is UTC. Raises `UsageError`.
    """
    if not text:
        return None
    try:
        when = datetime.fromisoformat(text.strip())
    except ValueError:
        raise NO_DATE.error(text=repr(text)) from None
    if not _YEARS[0] <= when.year <= _YEARS[1]:
        raise YEAR.error(first=_YEARS[0], last=_YEARS[1])
    return int((when if when.tzinfo else when.replace(tzinfo=UTC)).timestamp())


def read_size(text: str) -> int | None:
    """Returns the bytes of ``10MB``, ``1.5 GiB``, ``500k`` or ``1234``. Raises `UsageError`."""
    if not text:
        return None
    found = _SIZE.fullmatch(text.strip())
    if not found:
        raise NO_SIZE.error(text=repr(text))
    step = 1024 if found[4] else 1000
    return int(float(f"{found[1]}.{found[2] or 0}") * step ** _POWERS.index(found[3].lower()))


def read_uses(text: str) -> tuple[str, ...]:
    """Returns special uses in mailhaul's own words, each once. Raises `UsageError`."""
    words = [word.strip().lower() for word in text.split(",") if word.strip()]
    uses = tuple(dict.fromkeys(special_use.SPOKEN.get(word, word) for word in words))
    if unknown := [use for use in uses if use not in USES]:
        raise NO_USE.error(names=", ".join(unknown), uses=", ".join(USES))
    return uses


def read_into(text: str) -> str:
    """Returns the folder below which everything goes. Raises `UsageError`."""
    if not text:
        return ""
    name = text.strip("/")
    if fault := _folder_fault(name):
        raise fault.error()
    if name.upper() == "INBOX":
        raise INTO_INBOX.error()
    if len(encode_name(name)) > _INTO_OCTETS:
        raise INTO_LONG.error(num=_INTO_OCTETS)
    return name


def read_folder_map(content: bytes, file: str = "") -> tuple[tuple[str, str], ...]:
    """Returns pairs of old and new names from two columns, with a header or without.

    `file`: its name, for messages. Raises `FaultsFound` with every faulty line.
    """
    faults: list[Fault] = []

    def wrong(what: Sentence, line: int = 0) -> None:
        told = LINE.says(line=line, what=what) if line else what
        faults.append((IN_MAP if file else PLAIN).at("folder_map", file=file, what=told))

    try:
        sheet = read_sheet(content, max_rows=_MAP_ROWS)
    except ManifestInvalid as error:
        for error_ in error.errors:
            wrong(error_.sentence)
        raise FaultsFound(faults) from None
    for error_ in sheet.errors:
        wrong(error_.sentence, error_.line)
    rows = [(line, [cell.text for cell in cells]) for line, cells in sheet.rows]
    if rows and tuple(text.strip().lower() for text in rows[0][1]) in _HEADERS:
        rows = rows[1:]
    found: list[tuple[str, str]] = []
    olds: dict[str, int] = {}
    news: dict[str, int] = {}
    for line, cells in rows:
        if len(cells) != 2:
            wrong(TWO_COLUMNS.says(width=len(cells)), line)
            continue
        old, new = (spelled(cell.strip("/")) for cell in cells)
        for fault in filter(None, map(_folder_fault, (old, new))):
            wrong(fault.says(), line)
        if old in olds:
            wrong(TWICE.says(line=olds[old]), line)
        if new in news:
            wrong(SAME_FOLDER.says(line=news[new]), line)
        olds.setdefault(old, line)
        news.setdefault(new, line)
        found.append((old, new))
    if "INBOX" in news and dict(found).get("INBOX", "INBOX") == "INBOX" and ("INBOX", "INBOX") not in found:
        wrong(INTO_OWN_INBOX.says(), news["INBOX"])
    if not found and not faults:
        wrong(NO_FOLDER.says())
    if faults:
        raise FaultsFound(faults)
    return tuple(found)


def unmatched(folder_map: Sequence[tuple[str, str]], shown: Sequence[str]) -> list[str]:
    """Returns the old names that none of the folders has, as displayed; such a name is usually a typing error."""
    known = {spelled(name) for name in shown}
    return [old for old, _ in folder_map if spelled(old) not in known]


def _folder_fault(name: str) -> Phrase | None:
    if not name or any(not level for level in name.split("/")):
        return FOLDER_EMPTY
    if any(not char.isprintable() for char in name):
        return FOLDER_UNPRINTABLE
    return None
