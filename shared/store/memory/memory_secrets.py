"""The model's sealed values: they are forgotten, or sealed anew."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping

from shared.model.errors import CredentialsError, StoreError
from shared.model.lifecycle import ImportState
from shared.store import Resealed
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_requests import MemoryRequests
from shared.store.memory.memory_tables import ImportRow, SweepKind


class MemorySecrets(MemoryRequests):
    """Sealed passwords and tokens of imports."""

    @atomic
    def seal(self, import_id: str, sealed: Mapping[tuple[str, str], bytes]) -> None:
        whole = self._rows.imports.get(import_id)
        if whole is None:
            raise StoreError(f"the state store refused seal: there is no import {import_id}")
        self._expire(whole)
        for name, value in sealed.items():
            if not value:
                whole.credentials.pop(name, None)
            elif name[0] == import_id or name[0] in self._rows.mailboxes:
                whole.credentials[name] = value
        if sealed and whole.import_.state is ImportState.FINISHED and not whole.standing:
            whole.expires = self._rows.now() + whole.retention_ms

    def _expire(self, whole: ImportRow) -> None:
        if whole.expires is not None and whole.expires <= self._rows.now():
            whole.credentials.clear()
            whole.expires = None

    @atomic
    def sealed(self, import_id: str, mailbox_id: str, side: str) -> bytes | None:
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return None
        self._expire(whole)
        return whole.credentials.get((mailbox_id, side))

    @atomic
    def forget(self, import_id: str) -> bool:
        self._end_sweep(import_id)
        whole = self._rows.imports.get(import_id)
        if whole is None:
            return False
        self._expire(whole)
        had = bool(whole.credentials)
        self._set_standing(whole, "", None)
        whole.credentials.clear()
        self._change(whole, SweepKind.LOOK)
        for mailbox_id in whole.rows:
            m = self._rows.mailboxes[mailbox_id]
            if m.mailbox.failure:
                m.set(failure=m.mailbox.failure.without_words())
            m.failures = deque((one.without_words() for one in m.failures), maxlen=m.failures.maxlen)
        return had

    @atomic
    def reseal(self, import_id: str, renew: Callable[[bytes], bytes]) -> Resealed:
        whole, found = self._rows.imports.get(import_id), Resealed()
        for name, value in list(whole.credentials.items()) if whole else ():
            try:
                whole.credentials[name] = renew(value)  # type: ignore[union-attr]
                found += Resealed(renewed=1)
            except CredentialsError:
                found += Resealed(lost=1)
        return found

    def purge(self, seconds: float) -> bool:
        return True

    def wait_for_disk(self) -> bool:
        return True
