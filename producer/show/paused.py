"""Says that an import or a wave is paused, and what ends that. Pure."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence

from shared.model import Import, Wave
from shared.model.lifecycle import Control
from shared.runtime.logs import clean


def resume_command(import_: Import, login: str = "", wave: str = "") -> str:
    """Returns the command that resumes the import, a wave of it or a mailbox, as a shell takes it."""
    more = ["--mailbox", login] if login else ["--wave", wave] if wave else []
    return shlex.join(clean(word) for word in ("mailhaul", "resume", import_.name, *more))


def paused_lines(import_: Import, waves: Sequence[Wave] = ()) -> Iterator[str]:
    """Yields a line for the import if it is paused, and for each of these waves that is."""
    if import_.control is Control.PAUSE:
        yield f"paused: nothing is looked at until it is resumed: {resume_command(import_)}"
    for wave in waves:
        if wave.control is Control.PAUSE:
            yield (
                f"wave {clean(wave.name)} is paused: nothing of it is looked at until it is resumed: "
                f"{resume_command(import_, wave=wave.name)}"
            )
