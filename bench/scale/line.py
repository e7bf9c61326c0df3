"""Runs a delay line as a process: `python -m bench.scale.line HOST TARGET_HOST TARGET_PORT ONE_WAY_MS`.

It listens on a free port of HOST, which it prints. Data arrives later, but with no lower throughput; nothing is lost or
held back.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys

_PIECE = 262_144


async def _carry(origin: asyncio.StreamReader, goal: asyncio.StreamWriter, seconds: float) -> None:
    loop = asyncio.get_running_loop()
    under_way: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()

    async def deliver() -> None:
        while True:
            due, data = await under_way.get()
            if (wait := due - loop.time()) > 0:
                await asyncio.sleep(wait)
            if not data:
                break
            goal.write(data)
            await goal.drain()
        goal.close()

    delivering = asyncio.create_task(deliver())
    with contextlib.suppress(OSError):
        while data := await origin.read(_PIECE):
            under_way.put_nowait((loop.time() + seconds, data))
    under_way.put_nowait((loop.time() + seconds, b""))
    with contextlib.suppress(OSError):
        await delivering


async def _serve(host: str, target: tuple[str, int], seconds: float) -> None:
    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, goal = await asyncio.open_connection(*target)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_carry(reader, goal, seconds), _carry(there, writer, seconds))

    server = await asyncio.start_server(connected, host, 0, backlog=512)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(_serve(sys.argv[1], (sys.argv[2], int(sys.argv[3])), float(sys.argv[4]) / 1000))
