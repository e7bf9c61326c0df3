"""`make audit`: exit code 0 when all is well, 1 when something was found, 2 when something could not be looked at."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.audit.advisories import concerning, pinned, read_advisories
from deploy.audit.parts import shipped, strange_licences

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "requirements.lock"
OUT = ROOT / "artifacts" / "audit"
#: A tool of this environment.
TOOLS = Path(sys.executable).parent


class Unchecked(Exception):
    """Raised when something could not be looked at; the text says why."""


def run(*command: str | Path) -> str:
    """Returns what a tool prints; the tool says by its exit code that it found something."""
    done = subprocess.run([str(word) for word in command], cwd=ROOT, capture_output=True, text=True)
    if not done.stdout.strip():
        raise Unchecked((done.stderr.strip().splitlines() or ["the tool said nothing"])[-1][:300])
    return done.stdout


def parts(policy: dict[str, Any]) -> list[str]:
    """Writes the SBOM; names licences that nobody allowed, and packages of the lock that are not installed."""
    made = run(
        TOOLS / "cyclonedx-py",
        "environment",
        "--pyproject",
        "pyproject.toml",
        "--output-reproducible",
        "--of",
        "JSON",
        ROOT / ".venv" / "bin" / "python",
    )
    packages = pinned(LOCK.read_text())
    document = shipped(json.loads(made), packages)
    (OUT / "sbom.cdx.json").write_text(json.dumps(document, indent=1, sort_keys=True) + "\n")
    return [
        f"{name}: {licence}"
        for name, licence in strange_licences(document, policy["licences"], policy["unnamed"]).items()
    ]


def calls(policy: dict[str, Any]) -> list[str]:
    """Dangerous calls of our own code, medium and worse."""
    found = json.loads(run(TOOLS / "bandit", "-q", "-r", "producer", "worker", "shared", "-f", "json"))
    (OUT / "bandit.json").write_text(json.dumps(found, indent=1))
    if found["errors"]:
        raise Unchecked(f"bandit could not read {found['errors'][0]['filename']}")
    places = [
        (f"{one['test_id']} {one['filename'].removeprefix('./')}", one)
        for one in found["results"]
        if one["issue_severity"] != "LOW"
    ]
    return [
        f"{place}:{one['line_number']}: {one['issue_text']}" for place, one in places if place not in policy["calls"]
    ]


def advisories(policy: dict[str, Any]) -> list[str]:
    """Finds known faults of packages of the lock: from the file that AUDIT_ADVISORIES names, else by pip-audit over the network."""
    packages = pinned(LOCK.read_text())
    if given := os.environ.get("AUDIT_ADVISORIES"):
        try:
            found = concerning(read_advisories(Path(given)), packages)
        except (OSError, ValueError) as error:
            raise Unchecked(f"{given} cannot be read: {error}") from None
    else:
        told = json.loads(
            run(
                TOOLS / "pip-audit",
                "-r",
                LOCK,
                "--require-hashes",
                "--disable-pip",
                "-f",
                "json",
                "--progress-spinner",
                "off",
            )
        )
        found, skipped = by_pip_audit(told)
        if skipped:
            raise Unchecked(
                f"the index here has no advisories for {len(skipped)} of {len(packages)} packages; give AUDIT_ADVISORIES=FILE "
                "(the PyPI export of osv.dev), or run it where pypi.org is reached"
            )
    return [f"{name}: {', '.join(which)}" for name, which in found.items() if name not in policy["advisories"]]


def by_pip_audit(told: dict[str, Any]) -> tuple[dict[str, list[str]], list[str]]:
    """Returns what pip-audit found, and the packages that it left out: with all left out it says that there are no known faults."""
    found: dict[str, list[str]] = {}
    for one in told["dependencies"]:
        for fault in one.get("vulns", ()):
            found.setdefault(fault["id"], []).append(f"{one['name']} {one['version']}")
    return found, [one["name"] for one in told["dependencies"] if "skip_reason" in one]


#: What is looked at → how.
STEPS: dict[str, Callable[[dict[str, Any]], list[str]]] = {
    "parts and licences (artifacts/audit/sbom.cdx.json)": parts,
    "dangerous calls (bandit)": calls,
    "advisories": advisories,
}


def main() -> int:
    """Runs all steps, whatever the others found."""
    policy = tomllib.loads((Path(__file__).with_name("policy.toml")).read_text())
    OUT.mkdir(parents=True, exist_ok=True)
    worst = 0
    for name, step in STEPS.items():
        try:
            found = step(policy)
        except Unchecked as reason:
            print(f"NOT CHECKED  {name}: {reason}")
            worst = worst or 2
            continue
        print(f"{'FOUND' if found else 'well ':<12} {name}")
        for line in found:
            print(f"             {line}")
        worst = 1 if found else worst
    return worst


if __name__ == "__main__":
    sys.exit(main())
