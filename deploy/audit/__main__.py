"""`make audit`: exit code 0 when all is well, 1 when something was found, 2 when something could not be looked at.

Something that was found and something that could not be looked at is 1, and the last line names both. Of these codes
`make` itself makes 2; `.tools/audit/bin/python -m deploy.audit` gives them.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from deploy.audit.advisories import concerning, pinned, read_advisories
from deploy.audit.parts import shipped, strange_licences

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "deploy" / "requirements.lock"
OUT = ROOT / "artifacts" / "audit"
#: An answer of a tool is waited for so long, seconds: pip-audit asks for each package, and waits for each that does not answer.
PATIENCE = 300
#: A tool of this environment.
TOOLS = Path(sys.executable).parent
WITHOUT_NETWORK = "give AUDIT_ADVISORIES=FILE (the PyPI export of osv.dev), or run it where pypi.org is reached"


class Unchecked(Exception):
    """Raised when something could not be looked at; the text says why."""


def run(*command: str | Path) -> str:
    """Returns what a tool prints; the tool says by its exit code that it found something."""
    words = [str(word) for word in command]
    try:
        done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError:
        raise Unchecked(f"{Path(words[0]).name} is not there: the tools are installed over the network") from None
    except subprocess.TimeoutExpired:
        raise Unchecked(f"{Path(words[0]).name} did not answer in {PATIENCE} s") from None
    if not done.stdout.strip():
        raise Unchecked((done.stderr.strip().splitlines() or ["the tool said nothing"])[-1][:300])
    return done.stdout


def parts(policy: dict[str, Any]) -> list[str]:
    """Writes the SBOM; names licences that nobody allowed, and packages of the lock that are not installed."""
    python = ROOT / ".venv" / "bin" / "python"
    if not python.exists():
        raise Unchecked("there is no .venv: `make setup` prepares it")
    made = run(
        TOOLS / "cyclonedx-py",
        "environment",
        "--pyproject",
        "pyproject.toml",
        "--output-reproducible",
        "--of",
        "JSON",
        python,
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
            known = [
                one for one in read_advisories(Path(given)) if any(_of_pypi(part) for part in one.get("affected", ()))
            ]
            found = concerning(known, packages)
        except (OSError, ValueError, TypeError, AttributeError, KeyError, zipfile.BadZipFile) as error:
            raise Unchecked(f"{given} cannot be read: {error}") from None
        if not known:
            raise Unchecked(f"{given} holds no advisory about PyPI")
        latest = max(str(one.get("modified", "")) for one in known)[:10] or "an unknown day"
        print(f"             {len(known):,} advisories up to {latest}, {len(packages)} packages")
    else:
        command = (TOOLS / "pip-audit", "-r", LOCK, "--require-hashes", "--disable-pip", "-f", "json")
        try:
            told = json.loads(run(*command, "--progress-spinner", "off", "--timeout", "10"))
        except Unchecked as why:
            raise Unchecked(f"{why}; {WITHOUT_NETWORK}") from None
        found, skipped = by_pip_audit(told)
        if skipped:
            raise Unchecked(f"no advisories here for {len(skipped)} of {len(packages)} packages; {WITHOUT_NETWORK}")
    return [f"{name}: {', '.join(which)}" for name, which in found.items() if name not in policy["advisories"]]


def _of_pypi(affected: Any) -> bool:
    return bool(affected["package"]["ecosystem"] == "PyPI")


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
    unchecked, bad = list[str](), list[str]()
    for name, step in STEPS.items():
        try:
            found = step(policy)
        except Unchecked as reason:
            print(f"NOT CHECKED  {name}: {reason}")
            unchecked.append(name)
            continue
        print(f"{'FOUND' if found else 'well ':<12} {name}")
        for line in found:
            print(f"             {line}")
        if found:
            bad.append(name)
    print(f"audit: {len(STEPS) - len(unchecked)} of {len(STEPS)} looked at", end="")
    print(
        f"; found: {', '.join(bad)}" if bad else "",
        f"; not checked: {', '.join(unchecked)}" if unchecked else "",
        sep="",
    )
    return 1 if bad else 2 if unchecked else 0


if __name__ == "__main__":
    sys.exit(main())
