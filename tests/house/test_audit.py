"""Tests what `make audit` decides without its tools: which advisories concern a version, which licences nobody allowed."""

from __future__ import annotations

import json
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest

import deploy.audit.__main__ as audit
from deploy.audit.__main__ import ROOT, STEPS, Unchecked, advisories, by_pip_audit, run
from deploy.audit.advisories import concerning, pinned, read_advisories
from deploy.audit.parts import shipped, strange_licences

POLICY = tomllib.loads((ROOT / "deploy" / "audit" / "policy.toml").read_text())


def advisory(name: str = "redis", *, ecosystem: str = "PyPI", **more: Any) -> dict[str, Any]:
    affected = {"package": {"name": name, "ecosystem": ecosystem}, **more.pop("affected", {})}
    return {"id": "PYSEC-1", "affected": [affected], **more}


def between(*events: tuple[str, str]) -> dict[str, Any]:
    return {"ranges": [{"type": "ECOSYSTEM", "events": [{kind: version} for kind, version in events]}]}


@pytest.mark.parametrize(
    ("affected", "versions"),
    [
        (between(("introduced", "0"), ("fixed", "2.0")), {"1.9": True, "2.0": False, "2.0rc1": True, "10.0": False}),
        (
            between(("introduced", "1.5"), ("last_affected", "2.0")),
            {"1.4": False, "1.5": True, "2.0": True, "2.1": False},
        ),
        (between(("introduced", "0")), {"99": True}),
        (
            between(("fixed", "2.0"), ("introduced", "0"), ("introduced", "3.0"), ("fixed", "3.1")),
            {"1": True, "2.5": False, "3.0": True, "3.1": False},
        ),
        ({"versions": ["1.0"]}, {"1.0": True, "1.1": False}),
        ({"ranges": [{"type": "GIT", "events": [{"introduced": "0"}]}]}, {"1.0": False}),
    ],
)
def test_an_advisory_concerns_the_versions_that_it_names(affected: dict[str, Any], versions: dict[str, bool]) -> None:
    found = {version: bool(concerning([advisory(affected=affected)], {"redis": version})) for version in versions}
    assert found == versions


def test_only_this_package_and_what_still_holds() -> None:
    every = between(("introduced", "0"))
    packages = {"scim2-client": "0.13.1"}
    assert concerning([advisory("SCIM2_Client", affected=every)], packages) == {"PYSEC-1": ["scim2-client 0.13.1"]}
    assert not concerning([advisory("redis", affected=every)], packages)
    assert not concerning([advisory("scim2-client", affected=every, withdrawn="2026-01-01T00:00:00Z")], packages)
    assert not concerning([advisory("scim2-client", ecosystem="npm", affected=every)], packages)


@pytest.mark.parametrize("packed", [True, False])
def test_a_file_of_advisories_is_held_against_the_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, packed: bool
) -> None:
    text = json.dumps(advisory("dramatiq", affected=between(("introduced", "0"))))
    if packed:
        with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
            archive.writestr("PYSEC-1.json", text)
    else:
        (tmp_path / "PYSEC-1.json").write_text(text)
    place = tmp_path / "all.zip" if packed else tmp_path
    assert len(list(read_advisories(place))) == 1
    monkeypatch.setenv("AUDIT_ADVISORIES", str(place))
    (line,) = advisories(POLICY)
    assert line.startswith("PYSEC-1: dramatiq ")
    assert advisories(POLICY | {"advisories": {"PYSEC-1": "does not concern us"}}) == []


def test_a_file_that_is_missing_is_not_all_well(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AUDIT_ADVISORIES", str(tmp_path / "none.zip"))
    with pytest.raises(Unchecked, match="cannot be read"):
        advisories(POLICY)


@pytest.mark.parametrize("text", [None, "", "[]", "7", '{"id": "PYSEC-1", "affected": [7]}', "{"])
def test_a_file_that_holds_no_advisory_is_not_all_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str | None
) -> None:
    place = tmp_path / "advisories"
    place.mkdir()
    if text is not None:
        (place / "PYSEC-1.json").write_text(text)
    monkeypatch.setenv("AUDIT_ADVISORIES", str(place))
    with pytest.raises(Unchecked, match=r"cannot be read|holds no advisory"):
        advisories(POLICY)


def test_a_tool_that_is_not_there_or_does_not_answer_is_not_all_well(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(Unchecked, match="bandit is not there"):
        run(tmp_path / "bandit")
    monkeypatch.setattr(audit, "PATIENCE", 0.01)
    with pytest.raises(Unchecked, match="did not answer"):
        run("/bin/cat", "/dev/zero")


def _well(_: dict[str, Any]) -> list[str]:
    return []


def _bad(_: dict[str, Any]) -> list[str]:
    return ["something"]


def _not_looked_at(_: dict[str, Any]) -> list[str]:
    raise Unchecked("why")


@pytest.mark.parametrize(
    ("steps", "code", "last"),
    [
        ((_well, _well), 0, "2 of 2 looked at"),
        ((_well, _bad), 1, "2 of 2 looked at; found: b"),
        ((_not_looked_at, _well), 2, "1 of 2 looked at; not checked: a"),
        ((_bad, _not_looked_at), 1, "1 of 2 looked at; found: a; not checked: b"),
        ((_not_looked_at, _bad), 1, "1 of 2 looked at; found: b; not checked: a"),
    ],
)
def test_it_says_what_was_looked_at_and_its_code_says_it_too(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    steps: Any,
    code: int,
    last: str,
) -> None:
    monkeypatch.setattr(audit, "OUT", tmp_path)
    monkeypatch.setattr(audit, "STEPS", dict(zip("ab", steps, strict=True)))
    assert audit.main() == code
    assert capsys.readouterr().out.splitlines()[-1] == f"audit: {last}"


def test_what_pip_audit_leaves_out_is_not_all_well() -> None:
    """The tool says "no known vulnerabilities" where the index told it nothing."""
    told = {
        "dependencies": [
            {"name": "redis", "skip_reason": "not found"},
            {"name": "idna", "version": "1", "vulns": [{"id": "PYSEC-2"}]},
        ]
    }
    assert by_pip_audit(told) == ({"PYSEC-2": ["idna 1"]}, ["redis"])


def component(name: str, *licences: dict[str, Any]) -> dict[str, Any]:
    return {"name": name, "version": "1", "bom-ref": f"{name}==1", "licenses": list(licences)}


def test_a_licence_that_nobody_allowed_is_found() -> None:
    document = {
        "components": [
            component("a", {"license": {"id": "MIT"}}),
            component("b", {"expression": "GPL-3.0-only OR MIT"}),
            component("c", {"expression": "MIT AND GPL-3.0-only"}),
            component("d", {"license": {"name": "Proprietary"}}),
            component("e"),
            component("IMAPClient"),
        ]
    }
    strange = strange_licences(document, POLICY["licences"], POLICY["unnamed"])
    assert strange == {"c 1": "MIT AND GPL-3.0-only", "d 1": "Proprietary", "e 1": "none named"}


def test_the_list_of_parts_holds_what_ships_and_nothing_else() -> None:
    document = {
        "bomFormat": "CycloneDX",
        "metadata": {"component": {"bom-ref": "root"}},
        "components": [component("redis"), component("Pytest")],
        "dependencies": [{"ref": "root", "dependsOn": ["redis==1", "Pytest==1"]}, {"ref": "Pytest==1"}],
    }
    found = shipped(document, {"redis"})
    assert [one["name"] for one in found["components"]] == ["redis"]
    assert found["dependencies"] == [{"ref": "root", "dependsOn": ["redis==1"]}]
    assert found["bomFormat"] == "CycloneDX"


def test_the_lock_of_the_image_is_read_whole() -> None:
    packages = pinned((ROOT / "deploy" / "requirements.lock").read_text())
    assert {"dramatiq", "redis", "imapclient", "structlog", "prometheus-client"} <= packages.keys()
    assert len(packages) > 50


def test_each_exception_has_a_reason() -> None:
    assert all(reason.strip() for table in ("calls", "advisories") for reason in POLICY[table].values())
    assert len(STEPS) == 3
