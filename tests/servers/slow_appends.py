"""A relay before an IMAP server that takes long for each APPEND, and no MULTIAPPEND: as large providers do.

    python -m tests.servers.slow_appends HOST PORT SECONDS

Prints the port on which it listens. Each answer to an APPEND is passed on `SECONDS` after the one before it on the same
connection was: a client that sends several commands ahead waits as long as one that does not.
"""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from pathlib import Path
from typing import Self

_TAKEN = re.compile(rb"^\S+ OK \[APPENDUID ", re.IGNORECASE)


async def _to_server(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def _to_client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, seconds: float) -> None:
    loop, before = asyncio.get_running_loop(), 0.0
    while line := await reader.readline():
        if _TAKEN.match(line):
            # The server began with this one when the last was answered, or when it came: the later of the two.
            until = max(before, loop.time() - seconds) + seconds
            await asyncio.sleep(max(0.0, until - loop.time()))
            before = loop.time()
        writer.write(line.replace(b" MULTIAPPEND", b""))
        await writer.drain()
    writer.close()


class SlowAppends:
    """The relay as a process of its own; a context manager."""

    host = "127.0.0.1"

    def __init__(self, host: str, port: int, seconds: float) -> None:
        self._command = [sys.executable, "-m", "tests.servers.slow_appends", host, str(port), str(seconds)]

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, cwd=Path(__file__).parents[2])
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()


async def main(host: str, port: int, seconds: float) -> None:
    """Relays until the process is killed."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port, limit=1 << 26)
        try:
            await asyncio.gather(_to_server(reader, back), _to_client(there, writer, seconds))
        except (ConnectionError, OSError):
            writer.close()
            back.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0, limit=1 << 26)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3])))
