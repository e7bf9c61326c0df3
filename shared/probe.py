"""Exits with 0 when a process of this machine says that it is healthy: `python -m shared.probe PORT [PATH]`.

An image has no curl.
"""

from __future__ import annotations

import http.client
import sys

_TIMEOUT_SECONDS = 5.0


def probe(port: int, path: str = "/healthz", host: str = "127.0.0.1") -> tuple[bool, str]:
    """Returns (whether the process is healthy, what it says)."""
    connection = http.client.HTTPConnection(host, port, timeout=_TIMEOUT_SECONDS)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status == 200, answer.read(1000).decode(errors="replace").strip()
    except OSError as error:
        return False, f"nobody answers at port {port}: {error.strerror or error}"
    finally:
        connection.close()


def main(argv: list[str]) -> int:
    """Runs the probe, and returns the exit code."""
    if len(argv) not in (1, 2) or not argv[0].isdigit():
        print("usage: python -m shared.probe PORT [/healthz or /readyz]", file=sys.stderr)
        return 2
    well, words = probe(int(argv[0]), *argv[1:])
    print(words)
    return 0 if well else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
