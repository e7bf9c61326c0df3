"""Runs the command line: `python -m producer`."""

from __future__ import annotations

import atexit
import contextlib
import gc
import os
import sys
import threading

#: New objects until Python looks for cycles among them. Loading modules makes half a million that all stay; the usual 700 made a
#: tenth of the time of every start.
GARBAGE_AFTER = 20_000


def run() -> None:
    """Runs the command line as the whole process: it ends without taking half a million objects apart, a fifth of a short command.

    Where another thread is to end first, or what was printed cannot be written, it ends as Python does.
    """
    try:
        command()
    except SystemExit as end:
        others = any(not one.daemon for one in threading.enumerate() if one is not threading.current_thread())
        if isinstance(end.code, int) and not others:
            with contextlib.suppress(OSError, ValueError):
                atexit._run_exitfuncs()
                sys.stdout.flush()
                sys.stderr.flush()
                os._exit(end.code)
        raise


def command() -> None:
    """Runs the command line. Ctrl-C ends it without a traceback, also while its modules are still being imported."""
    try:
        from shared.runtime.interrupts import end_when_interrupted

        end_when_interrupted()
    except KeyboardInterrupt:
        os.write(2, b"interrupted\n")
        os._exit(130)
    gc.set_threshold(GARBAGE_AFTER)
    open_standard_streams()
    # redis-py loads it to count what nobody asks it for; pydantic looks for plugins in every package that is installed.
    sys.modules.setdefault("opentelemetry", None)  # type: ignore[arg-type]
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from producer.early_workers import fork_workers
    from shared.runtime.core_dumps import forbid_core_dumps

    forbid_core_dumps()  # before there are children
    fork_workers(sys.argv[1:])
    from producer.cli import main

    main()


def open_standard_streams() -> None:
    """Opens /dev/null in the place of each standard stream that the caller closed.

    The next pipe or socket would have its number: a child that is given another stream there would lose it.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.dup2(opened, number)
                os.close(opened)
            setattr(sys, name, open(number, "w" if number else "r", closefd=False))  # noqa: SIM115


if __name__ == "__main__":
    run()
