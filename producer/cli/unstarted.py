"""The verb edit: changes an import that was opened and not started."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import typer

from producer.cli.acts import Acts
from producer.cli.command_context import open_context
from producer.cli.option_groups import SheetOptions
from producer.cli.request import read_sheet_of
from producer.cli.verb import COMPLETE, say
from producer.intake.editing import changed, need_unstarted, with_rows
from producer.intake.sheet import RequestFaults
from producer.intake.specification import ImportAsked, SheetRead, check
from producer.operations.finding import find_import
from producer.show.lines import spoken_mailboxes
from shared.model.sides import Side
from shared.runtime.logs import clean
from shared.wording.phrases import Faults

#: Options whose field has another name than they have.
_FIELDS: Final = {
    **{side: f"{side}.server" for side in ("source", "destination")},
    **{f"{side}_{name}": f"{side}.{name}" for side in ("source", "destination") for name in ("ca", "fingerprint")},
    **{
        f"{side}_{option}": f"{side}.sign_in.{name}"
        for side in ("source", "destination")
        for option, name in (("auth", "way"), ("admin", "admin"), ("password_file", "secret"))
    },
}


def given_by(context: typer.Context) -> set[str]:
    """Returns the fields whose options stand on the command line; those of mailhaul.toml are for new imports."""
    named = {
        name
        for name in context.params
        if (source := context.get_parameter_source(name)) is not None and source.name == "COMMANDLINE"
    }
    found = {_FIELDS.get(name, name) for name in named}
    return found | (
        {f"{side}.allow_plaintext" for side in ("source", "destination")} if "allow_plaintext" in named else set()
    )


def run_edit(
    which: str,
    by: ImportAsked,
    faults: Faults,
    given: set[str],
    *,
    rows: Path | None,
    sheet: SheetOptions,
    remove: Sequence[str],
    state_dir: Path | None,
) -> int:
    """Changes what was given, and says what the import is now."""
    with open_context(state_dir, make=False) as context:
        found = find_import(context.store, which)
        need_unstarted(found)
        version = context.operations.version_of(found)
        asked = changed(context.operations.asked_again(found), given, by)
        read = SheetRead(manifest=None)
        if rows:
            with faults.at():
                read = read_sheet_of(rows, sheet, asked.servers[Side.SOURCE], asked.allowed)
        checked = check(with_rows(asked, read, remove), faults)
        if checked.specification is None:
            raise RequestFaults(checked.faults, checked.row_errors)
        now = Acts(context).rewrite(found, checked.specification, version)
        number = sum(context.store.import_tally(now.import_id)[1].values())
    say(f"import {clean(now.name)} ({now.import_id[:8]}): saved, with {spoken_mailboxes(number)}; nothing was started")
    return COMPLETE
