"""Runs the command line: `python -m producer`."""

from __future__ import annotations

import sys


def run() -> None:
    """Runs the command line.

    It ends without a traceback when it is interrupted while its modules are still being imported.
    """
    try:
        from producer.cli import main

        main()
    except KeyboardInterrupt:
        print("interrupted; run the same command to go on", file=sys.stderr)
        sys.exit(4)


if __name__ == "__main__":
    run()
