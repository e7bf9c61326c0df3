"""Plays the trials of several seeds (`make chaos RUNS= SEED=`); prints a line of JSON for each, and a summary.

The exit code is 1 if a message was lost, doubled, or changed without a word, or if a trial did not come to its end.
"""

from __future__ import annotations

import argparse
import json
import resource
import sys
import traceback
from collections import Counter
from dataclasses import asdict

from bench.chaos.faults import BY_NAME
from bench.chaos.trial import Result, run, script


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1, help="of the first trial; the next one has the next number")
    parser.add_argument("--messages", type=int, default=1_200)
    parser.add_argument("--faults", type=int, default=0, help="in each trial (by itself: 5 to 10)")
    parser.add_argument("--only", default="", help="draw from these kinds only, with commas: " + ", ".join(BY_NAME))
    a = parser.parse_args()
    if unknown := {name for name in a.only.split(",") if name} - set(BY_NAME):
        parser.error(f"unknown faults: {', '.join(sorted(unknown))}")
    kinds = [BY_NAME[name] for name in a.only.split(",") if name]
    # Each trial keeps its ports for itself until the end, by a socket each: four a trial, and 1,024 is the usual limit.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    results = []
    for seed in range(a.seed, a.seed + a.runs):
        results.append(_played(seed, a.messages, a.faults or None, kinds))
        print(json.dumps(asdict(results[-1])), flush=True)
    print(json.dumps(summary(results)))
    return 1 if any(result.wrong for result in results) else 0


def _played(seed: int, messages: int, faults: int | None, kinds: object) -> Result:
    drawn = script(seed, messages, faults, kinds)  # type: ignore[arg-type]
    try:
        return run(drawn)
    except Exception as error:  # a trial that fails is a result, and the others still count
        traceback.print_exc()
        for note in getattr(error, "__notes__", []):
            print(note, file=sys.stderr)
        names = tuple(fault.name for _, fault in drawn.faults)
        return Result(seed, names, 0, 0, 0, 0, 0, 0, 0.0, f"{type(error).__name__}: {error}")


def summary(results: list[Result]) -> dict[str, object]:
    """Returns the sums over all trials."""
    kinds = Counter(name for result in results for name in result.faults)
    return {
        "trials": len(results),
        "faults": sum(len(result.faults) for result in results),
        "struck_while_running": sum(result.struck for result in results),
        "lost": sum(result.lost for result in results),
        "doubled": sum(result.doubled for result in results),
        "changed": sum(result.changed for result in results),
        "told": sum(result.told for result in results),
        "wrong_seeds": [result.seed for result in results if result.wrong],
        "kinds": dict(kinds.most_common()),
    }


if __name__ == "__main__":
    sys.exit(main())
