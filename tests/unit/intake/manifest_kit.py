"""The kit of the manifest's tests."""

from __future__ import annotations

from typing import Any

import pytest

from producer.intake.manifest import parse_manifest
from producer.intake.manifest_row import Limits
from producer.intake.sheet import ManifestInvalid


def errors(text: str | bytes, limits: Limits | None = None, **how: Any) -> list[tuple[int, str, str]]:
    """Returns the faults of a manifest that has some: row, column, sentence."""
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(text if isinstance(text, bytes) else text.encode(), limits=limits, **how)
    return [(error.line, error.column, error.what) for error in caught.value.errors]
