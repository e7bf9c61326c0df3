"""A relay before an IMAP server that takes long for each APPEND, and no MULTIAPPEND: as large providers do.

    python -m tests.servers.slow_appends HOST PORT SECONDS [AT_ONCE]

Prints the port on which it listens. Each answer to an APPEND is passed on `SECONDS` after the one before it on the same
connection was: a client that sends several commands ahead waits as long as one that does not. A line of standard input
is another number of seconds, from now on; "inf" keeps every answer back. With `AT_ONCE` the server is good for so many
APPENDs at a time: more connections only wait for each other.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
import os
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


class _Pace:
    """The seconds that an APPEND takes now."""

    def __init__(self, seconds: float) -> None:
        self._seconds, self._changed = seconds, asyncio.Event()

    def change(self, seconds: float) -> None:
        """Sets the seconds, also for those that wait already."""
        self._seconds = seconds
        self._changed.set()
        self._changed = asyncio.Event()

    async def keep(self, since: float) -> None:
        """Waits until an APPEND may be answered that the server began at `since`."""
        while (left := since + self._seconds - asyncio.get_running_loop().time()) > 0:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._changed.wait(), None if left == math.inf else left)


async def _to_client(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pace: _Pace, at_once: asyncio.Semaphore | None
) -> None:
    loop, before = asyncio.get_running_loop(), 0.0
    while line := await reader.readline():
        if _TAKEN.match(line):
            # The server began with this one when the last was answered: the client had sent it by then, or is late itself.
            if at_once is None:
                await pace.keep(before)
            else:
                async with at_once:
                    await pace.keep(loop.time())
            before = loop.time()
        writer.write(line.replace(b" MULTIAPPEND", b""))
        await writer.drain()
    writer.close()


class SlowAppends:
    """The relay as a process of its own; a context manager."""

    host = "127.0.0.1"

    def __init__(self, host: str, port: int, seconds: float, at_once: int = 0) -> None:
        program = [sys.executable, "-m", "tests.servers.slow_appends"]
        self._command = [*program, host, str(port), str(seconds), str(at_once)]

    def __enter__(self) -> Self:
        root = Path(__file__).parents[2]
        self._process = subprocess.Popen(self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root)
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()

    def pace(self, seconds: float) -> None:
        """Takes so long for each APPEND from now on; infinity keeps every answer back."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"%s\n" % str(seconds).encode())
        self._process.stdin.flush()


async def main(host: str, port: int, seconds: float, at_once: int = 0) -> None:
    """Relays until the process is killed."""
    pace, slots = _Pace(seconds), asyncio.Semaphore(at_once) if at_once else None

    def told() -> None:
        if not (words := os.read(0, 4096).split()):
            asyncio.get_running_loop().remove_reader(0)
        for word in words[-1:]:
            pace.change(float(word))

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(host, port, limit=1 << 26)
        try:
            await asyncio.gather(_to_server(reader, back), _to_client(there, writer, pace, slots))
        except (ConnectionError, OSError):
            writer.close()
            back.close()

    server = await asyncio.start_server(relay, "127.0.0.1", 0, limit=1 << 26)
    asyncio.get_running_loop().add_reader(0, told)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), float(sys.argv[3]), int((sys.argv[4:] or ["0"])[0])))
