"""Debian's `postmap`, unpacked by `tests/install-servers` into .tools/postfix; nothing of it is installed."""

from __future__ import annotations

import shutil
from pathlib import Path

_UNPACKED = Path(__file__).parents[2] / ".tools" / "postfix"


def postmap(place: Path) -> Path | None:
    """Returns a program in this folder that runs postmap with a configuration of its own; None where there is none."""
    root = _UNPACKED / "usr"
    found = root / "sbin" / "postmap"
    program = str(found) if found.exists() else shutil.which("postmap", path="/usr/sbin:/usr/bin")
    if program is None:
        return None
    conf = place / "postfix"
    conf.mkdir()
    (conf / "main.cf").write_text("compatibility_level = 3.6\nmail_owner = mail\nsetgid_group = daemon\n")
    libraries = f"{root}/lib/postfix:{root}/lib/x86_64-linux-gnu" if found.exists() else ""
    run = place / "postmap"
    run.write_text(f'#!/bin/sh\nexport MAIL_CONFIG={conf} LD_LIBRARY_PATH="{libraries}"\nexec {program} "$@"\n')
    run.chmod(0o755)
    return run
