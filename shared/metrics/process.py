"""The metrics that every process exports."""

from __future__ import annotations

import os
import platform
from importlib import metadata

from prometheus_client import CollectorRegistry, Gauge, Histogram, ProcessCollector

from shared.store.redis.scripts import NAMES

_SCRIPT_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 2.5, 10)


class ProcessMetrics:
    """The metrics that every process exports."""

    def __init__(self) -> None:
        self.registry = registry = CollectorRegistry()
        ProcessCollector(registry=registry)
        build = Gauge("mailhaul_build_info", "1; what runs here.", ["version", "revision", "python"], registry=registry)
        build.labels(_version(), os.environ.get("MAILHAUL_BUILD_REVISION", "unknown"), platform.python_version()).set(1)
        seconds = Histogram(
            "mailhaul_redis_script_duration_seconds",
            "A round trip to the state store, by its (last) script.",
            ["script"],
            buckets=_SCRIPT_SECONDS,
            registry=registry,
        )
        self._scripts = {name: seconds.labels(name) for name in NAMES}

    def observe_script(self, script: str, seconds: float) -> None:
        """Times a round trip to the store; it is the store's `observe`."""
        self._scripts[script].observe(seconds)


def _version() -> str:
    try:
        return metadata.version("mailhaul")
    except metadata.PackageNotFoundError:
        return "unknown"
