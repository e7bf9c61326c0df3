"""The model's part for waiting that ends by itself: holds, hours, full mailboxes."""

from __future__ import annotations

from shared.model import Wait, WaitKind
from shared.model.lifecycle import SETTLED, Control, Wish
from shared.model.sides import Scope
from shared.store.memory.memory_readings import atomic
from shared.store.memory.memory_tables import SweepKind
from shared.store.memory.memory_writers import MemoryWriters


class MemoryWaits(MemoryWriters):
    """The mailboxes and imports that wait, until when, and why."""

    @atomic
    def hold(self, name: str, seconds: float, *, import_id: str, why: str) -> None:
        self._hold(name, seconds, import_id, why)

    @atomic
    def forget(self, import_id: str) -> bool:
        for name, (owner, _) in self._whys.items():
            if owner == import_id:
                self._whys[name] = (owner, "")
        return super().forget(import_id)

    @atomic
    def set_window(
        self,
        import_id: str,
        window: str,
        opens_at: float = 0,
        shuts_at: float = 0,
        *,
        renew: bool = False,
        wave: str = "",
    ) -> bool:
        self._end_sweep(import_id)
        rows = self._rows
        whole = rows.imports.get(import_id)
        if wave:
            row = whole.waves.get(wave) if whole else None
            if whole is None or row is None or (renew and row.window != window):
                return False
            row.window, (row.opens_at, row.shuts_at) = window, (opens_at, shuts_at) if window else (0.0, 0.0)
            row.opening = round(row.opens_at * 1000) > rows.now()
            self._change(whole, SweepKind.REFRESH, wave)
            return True
        if whole is None or (renew and whole.import_.window != window):
            return False
        span = (opens_at, shuts_at) if window else (0.0, 0.0)
        whole.set(window=window, opens_at=span[0], shuts_at=span[1])
        whole.opening = round(span[0] * 1000) > rows.now()
        self._change(whole, SweepKind.REFRESH)
        return True

    @atomic
    def waits(self, import_id: str) -> list[Wait]:
        rows, now = self._rows, self._rows.now()
        if import_id not in rows.imports:
            return []
        import_ = rows.imports[import_id].import_
        found = []
        if rows.shut(import_):
            opens = import_.opens_at if now < round(import_.opens_at * 1000) else 0.0
            found.append(Wait(what=WaitKind.WINDOW, until=opens, why=import_.window))
        hosts: dict[str, str] = {
            Scope.SOURCE_HOST: import_.source.host,
            Scope.DESTINATION_HOST: import_.destination.host,
        }
        for name, until in sorted(self._holds.items(), key=lambda item: (item[1], item[0])):
            scope, _, key = name.partition(":")
            owner, why = self._whys.get(name, ("", ""))
            if until > now and (owner == import_id or hosts.get(scope) == key):
                many = int(scope.endswith("_account"))
                found.append(Wait(what=WaitKind(scope), key=key, until=until / 1000, why=why, mailboxes=many))
        settling = [
            m.settling for m in rows.mailboxes.values() if m.settling > now and m.mailbox.import_id == import_id
        ]
        if settling:
            found.append(Wait(what=WaitKind.SETTLE, until=max(settling) / 1000, mailboxes=len(settling)))
        full = [
            m.mailbox.again_at
            for m in rows.mailboxes.values()
            if m.mailbox.again_at and m.mailbox.import_id == import_id
        ]
        if full:
            found.append(Wait(what=WaitKind.ROOM, until=min(full), mailboxes=len(full)))
        return found + self._held_back(import_id) + self._behind(import_id)

    def _held_back(self, import_id: str) -> list[Wait]:
        """Returns the waves that are paused or have not begun, as far as they have anything to do."""
        found = []
        for name, row in self._rows.imports[import_id].waves.items():
            many = sum(
                m.mailbox.wave == name and m.mailbox.import_id == import_id and m.mailbox.state not in SETTLED
                for m in self._rows.mailboxes.values()
            )
            if name and many and row.control is Control.PAUSE:
                found.append(Wait(what=WaitKind.WAVE_PAUSED, key=name, mailboxes=many))
            elif name and many and row.starts > self._rows.now():
                found.append(Wait(what=WaitKind.WAVE_START, key=name, until=row.starts / 1000, mailboxes=many))
            elif name and many and self._rows.shut(row):
                opens = row.opens_at if self._rows.now() < round(row.opens_at * 1000) else 0.0
                found.append(Wait(what=WaitKind.WAVE_HOURS, key=name, until=opens, why=row.window, mailboxes=many))
        return found

    def _behind(self, import_id: str) -> list[Wait]:
        """Returns the mailboxes whose destination another mailbox has, as one entry for each such mailbox."""
        rows = self._rows
        found: dict[tuple[WaitKind, str], Wait] = {}
        for mailbox_id in self._in_order(rows.imports[import_id]):
            m = rows.mailboxes[mailbox_id]
            if not m.mailbox.behind:
                continue
            holder = rows.occupant(m)
            paused = holder is not None and rows.wish(holder) is Wish.PAUSE
            what = WaitKind.DESTINATION_PAUSED if paused else WaitKind.DESTINATION
            before = found.get((what, m.mailbox.behind))
            many = before.mailboxes + 1 if before else 1
            key = m.mailbox.destination.login if many == 1 else ""
            found[what, m.mailbox.behind] = Wait(what=what, key=key, why=m.mailbox.behind, mailboxes=many)
        return list(found.values())

    def _make_room(self) -> None:
        """Queues the parked mailboxes again whose time has come."""
        rows, now = self._rows, self._rows.now()
        due = [m for m in rows.mailboxes.values() if 0 < round(m.mailbox.again_at * 1000) <= now]
        for m in sorted(due, key=lambda m: (m.mailbox.again_at, m.mailbox.mailbox_id)):
            self._expire(rows.imports[m.mailbox.import_id])
            if rows.may_go_on(m):
                rows.go_on(m)
            else:
                m.set(again_at=(now + 60_000) / 1000)
