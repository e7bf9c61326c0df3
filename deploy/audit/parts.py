"""The list of what is in a release (an SBOM as CycloneDX), cut to what ships, and its licences. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from deploy.audit.advisories import normal


def shipped(document: Mapping[str, Any], packages: Collection[str]) -> dict[str, Any]:
    """The SBOM of an environment without what is not among these packages."""
    kept = [one for one in document["components"] if normal(one["name"]) in packages]
    refs = {one["bom-ref"] for one in kept} | {document["metadata"]["component"]["bom-ref"]}
    depends = [
        {**one, "dependsOn": [ref for ref in one.get("dependsOn", ()) if ref in refs]}
        for one in document.get("dependencies", ())
        if one["ref"] in refs
    ]
    return {**document, "components": kept, "dependencies": depends}


def strange_licences(
    document: Mapping[str, Any], allowed: Collection[str], unnamed: Mapping[str, str]
) -> dict[str, str]:
    """Package → its licence, where nobody has allowed that; of "A OR B" one is enough, of "A AND B" both are needed."""
    found = {}
    for one in document["components"]:
        told = [_told(licence) for licence in one.get("licenses", ())] or [
            unnamed.get(normal(one["name"]), "none named")
        ]
        # Several entries say the same in other words: a classifier beside an SPDX expression.
        if not any(_fits(text, allowed) for text in told):
            found[f"{one['name']} {one.get('version', '')}".strip()] = ", ".join(told)
    return found


def _told(licence: Mapping[str, Any]) -> str:
    inner = licence.get("license", {})
    return str(licence.get("expression") or inner.get("id") or inner.get("name") or "none named")


def _fits(text: str, allowed: Collection[str]) -> bool:
    if text in allowed:
        return True
    one_of = text.split(" OR ")
    return any(all(word.strip("() ") in allowed for word in part.split(" AND ")) for part in one_of)
