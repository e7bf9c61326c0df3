"""The metrics of the web process."""

from __future__ import annotations

from prometheus_client import Counter, Histogram

from shared.metrics.process import ProcessMetrics

#: First digits of HTTP status codes.
CLASSES = ("2xx", "3xx", "4xx", "5xx")
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)


class WebMetrics(ProcessMetrics):
    """The requests by the status of their answer; never by their path, which names imports and mailboxes."""

    def __init__(self) -> None:
        super().__init__()
        self._requests = Counter(
            "mailhaul_web_requests", "Requests to page and API, by answer.", ["status"], registry=self.registry
        )
        self._seconds = Histogram(
            "mailhaul_web_request_duration_seconds",
            "From a request to the beginning of its answer.",
            buckets=_SECONDS,
            registry=self.registry,
        )
        for status in CLASSES:
            self._requests.labels(status)

    def observe_request(self, status: int, seconds: float) -> None:
        """Counts a request whose answer has begun."""
        name = f"{status // 100}xx"
        self._requests.labels(name if name in CLASSES else "2xx").inc()
        self._seconds.observe(seconds)
