"""Messages that the destination refused, as a ZIP that is sent while they are fetched."""

from __future__ import annotations

import asyncio
import contextlib
import queue
import threading
from collections.abc import AsyncIterator
from typing import Final

from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse

from producer.operations.finding import find_mailboxes
from producer.spool.archive import Archive
from producer.spool.fetch import Spooling
from producer.web.api.request_bodies import OneMailboxBody
from producer.web.problems import Refused
from producer.web.security.access import Admin, Known, noted
from producer.web.web_context import WebContext
from shared.model import Import, Mailbox
from shared.model.errors import MailhaulError
from shared.runtime.logs import get_logger
from shared.sign_in.entrance import Entrance

routes = APIRouter(tags=["imports"])
#: Maximum number of archives that one process writes at the same time.
MOST: Final = 2
#: Maximum number of pieces that wait for a slow reader. With these, fetching from the source pauses.
_WAITING: Final = 32
_TURN_SECONDS: Final = 0.5
#: Turns without a read after which the reader counts as gone.
_TURNS: Final = 240
_places = threading.BoundedSemaphore(MOST)


class Zip(StreamingResponse):
    """A response with a ZIP archive."""

    media_type = "application/zip"


@routes.post("/imports/{import_id}/spool", response_class=Zip)
def spool(known: Known, who: Admin, request: Request, import_id: str, body: OneMailboxBody) -> Zip:
    """Fetches what was refused or failed from the source now: .eml files, and an index.csv.

    The index says of each message what it is, or why it could not be fetched. This is other people's mail, so it is
    for administrators.
    """
    found = known.import_(import_id)
    chosen = [mailbox for mailbox, _ in find_mailboxes(known.store, found, body.login, body.wave)]
    if not _places.acquire(blocking=False):
        raise Refused(429, "too many are being fetched; try again when one is done")
    try:
        of_wave = {"wave": body.wave} if body.wave else {}
        with noted(known, request, who, "refused messages kept", import_id=import_id, login=body.login, **of_wave):
            pieces = _Fetch(known, found, chosen).pieces()
    except BaseException:
        _places.release()
        raise
    return Zip(pieces, headers={"Content-Disposition": f'attachment; filename="{import_id[:8]}-refused.zip"'})


class _Gone(OSError):
    """An error: the reader of the archive is gone."""


class _Fetch:
    """An archive that a thread of its own writes."""

    def __init__(self, known: WebContext, import_: Import, chosen: list[Mailbox]) -> None:
        self._known, self._request, self._chosen = known, import_, chosen
        self._pieces: queue.Queue[bytes] = queue.Queue(_WAITING)
        self._gone = threading.Event()
        self._over = threading.Event()
        self._whole = False
        threading.Thread(target=self._run, name="spool", daemon=True).start()

    async def pieces(self) -> AsyncIterator[bytes]:
        """Yields the archive piece by piece.

        Raises `ConnectionAbortedError` if it could not be completed, so that nobody takes a part for the whole.
        """
        try:
            while piece := await asyncio.to_thread(self._next):
                yield piece
            if not self._whole:
                raise ConnectionAbortedError("the archive broke off; the log says more")
        finally:
            self._gone.set()

    def _run(self) -> None:
        known = self._known
        try:
            entrance = Entrance(known.store, known.vault, known.settings)
            # One mailbox at a time: an archive has one mailbox's messages in a row, so other connections would only
            # wait.
            spooling = Spooling(known.store, entrance, self._request, Archive(self._put), self._gone.is_set, at_once=1)
            spooling.run(self._chosen)
            self._whole = True
        except _Gone:
            pass  # the reader is gone, so there is nobody to report to
        except (MailhaulError, OSError) as error:
            get_logger("mailhaul.web").error("spool_broken_off", import_id=self._request.import_id, error=str(error))
        except Exception as error:
            get_logger("mailhaul.web").error("fault", exc_info=error)
        finally:
            _places.release()
            self._over.set()
            with contextlib.suppress(queue.Full):
                self._pieces.put_nowait(b"")  # wakes `_next` if it is waiting

    def _next(self) -> bytes:
        """Returns the next piece; empty at the end."""
        while True:
            over = self._over.is_set()
            try:
                return self._pieces.get(timeout=_TURN_SECONDS)
            except queue.Empty:
                if over:
                    return b""

    def _put(self, piece: bytes) -> None:
        for _ in range(_TURNS):
            if self._gone.is_set():
                break
            try:
                return self._pieces.put(piece, timeout=_TURN_SECONDS)
            except queue.Full:
                continue
        raise _Gone
