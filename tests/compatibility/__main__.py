"""Plays the contract over the servers (`make compatibility`), keeps each result, and writes docs/compatibility.md.

The exit code is 1 if something does not hold.
"""

from __future__ import annotations

import argparse
import json
import sys
import traceback
from dataclasses import asdict
from pathlib import Path

from tests.compatibility import command
from tests.compatibility.contract import Result, play
from tests.compatibility.document import page
from tests.servers.real.registry import BY_NAME, KINDS, Kind

ROOT = Path(__file__).parents[2]
KEPT = Path(__file__).with_name("results")
PAGE = ROOT / "docs" / "compatibility.md"
_PEER = KINDS[0]


def directions(kind: Kind) -> list[str]:
    """Returns the trials that this kind of server can have."""
    return ["source", "destination", *(["pop3"] if kind.pop3 else []), *(["quota"] if kind.limit else [])]


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="servers, with commas: " + ", ".join(BY_NAME))
    parser.add_argument("--direction", default="", help="source, destination, pop3 or quota")
    parser.add_argument("--messages", type=int, default=0, help="at most so many (otherwise the whole corpus)")
    parser.add_argument("--deadline", type=float, default=300.0, help="seconds within which an import has to end")
    parser.add_argument("--page", action="store_true", help="only write the page from the results that were kept")
    a = parser.parse_args()
    command.DEADLINE_SECONDS = a.deadline
    wrong = False
    for kind in [] if a.page else [BY_NAME[name] for name in a.only.split(",") if name] or KINDS:
        for direction in [] if kind.missing() else directions(kind):
            if a.direction in ("", direction):
                wrong |= _played(kind, direction, a.messages)
    results = kept()
    played = {(result.server, result.direction) for result in results}
    without = [
        (kind.name, direction, kind.missing() or "no result was kept")
        for kind in KINDS
        for direction in directions(kind)
        if (kind.name, direction) not in played
    ]
    PAGE.write_text(page(results, without), "utf-8")
    return 1 if wrong else 0


def kept() -> list[Result]:
    """Returns the results of the trials that were played last."""
    return [Result(**json.loads(path.read_text("utf-8"))) for path in sorted(KEPT.glob("*.json"))]


def _played(kind: Kind, direction: str, messages: int) -> bool:
    try:
        result = play(kind, _PEER, direction, version=kind.version(), limit=messages)
    except Exception as error:  # a trial that fails is a result, and the others still count
        traceback.print_exc()
        result = Result(kind.name, kind.version(), direction, faults=[str(error) or type(error).__name__])
    KEPT.mkdir(parents=True, exist_ok=True)
    text = json.dumps(asdict(result), ensure_ascii=False, indent=1)
    (KEPT / f"{kind.name} {direction}.json").write_text(text + "\n", "utf-8")
    print(text, flush=True)
    return bool(result.faults)


if __name__ == "__main__":
    sys.exit(main())
