"""The acts of the command line. Each is written into the audit log before it is done.

No other module of the command line calls an operation that changes something (a test holds that), so none is forgotten.
The words are those of the API. If the log cannot be written, the act does not happen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict
from time import time as now

import redis

from producer import erasing, operations, standing
from producer.audited_options import audited
from producer.cli.command_context import CommandContext
from producer.cli.noting import end_noted, note, person
from producer.cutover import acts as cutting
from producer.intake.manifest import Manifest, Row
from producer.intake.specification import ImportSpecification
from shared.credentials import Secret
from shared.errors import UsageError
from shared.hours import Hours
from shared.lifecycle import Control
from shared.model import Import, Mailbox
from shared.model.cutover import Cutover, CutoverOptions
from shared.standing import Standing
from shared.store import Resealed
from shared.store.cutovers import Cutovers
from shared.store.principals import Principals
from shared.store.redis import connect
from shared.store.sessions import BrowserSessions
from shared.store.targets import Targets


class Acts:
    """The acts on one store. Each raises `StoreError` before anything is done if the audit log cannot be written."""

    def __init__(self, context: CommandContext) -> None:
        self._context = context

    def begin(
        self, asked: ImportSpecification, wanted: Import, mailboxes: Sequence[Mailbox], rows: Sequence[Row]
    ) -> None:
        """Opens an import, or opens it again, and sets it going."""
        context = self._context
        there = context.store.import_(wanted.import_id) is not None
        what = "import begun again" if there else "import begun"
        self._note(what, wanted, name=wanted.name, mailboxes=len(mailboxes), **audited(wanted))
        operations.submit(
            context.store, context.vault, context.ring, wanted, mailboxes, rows,
            context.settings.retention_days, most=context.own_limits, accounts_secret=asked.accounts.secret,
            sign_ins=asked.sign_ins, hours=asked.hours,
        )  # fmt: skip

    def control(self, request: Import, word: Control, login: str, wave: str = "") -> int:
        """See `operations.control`."""
        with self._noted(f"import {word.value}", request, login, wave) as told:
            return told(operations.control(self._context.store, self._context.ring, request, word, login, wave))

    def set_wave(
        self, request: Import, name: str, *, starts_at: float | None, weight: int | None, order: int | None
    ) -> None:
        """See `operations.set_wave`."""
        given = {"starts_at": starts_at, "weight": weight, "order": order}
        self._note("wave set", request, wave=name, **{name: one for name, one in given.items() if one is not None})
        operations.set_wave(
            self._context.store, self._context.ring, request, name, starts_at=starts_at, weight=weight, order=order
        )

    def change_standing(self, request: Import, wave: str, **given: float | bool | None) -> Standing | None:
        """See `standing.change_standing`."""
        asked = {name: one for name, one in given.items() if one not in (None, False)}
        with self._noted("standing set", request, "", wave, **asked):
            return standing.change_standing(self._context.store, self._context.ring, request, wave, **given)  # type: ignore[arg-type]

    def move(self, request: Import, login: str, *, wave: str | None, priority: int | None, front: bool) -> int:
        """See `operations.move`."""
        given = {"wave": wave, "priority": priority, "front": front or None}
        asked = {name: one for name, one in given.items() if one is not None}
        with self._noted("mailbox moved", request, login, **asked) as told:
            return told(
                operations.move(
                    self._context.store, self._context.ring, request, login, wave=wave, priority=priority, front=front
                )
            )

    def retry(self, request: Import, login: str, wave: str = "", *, copy_missing: bool = False) -> tuple[int, int]:
        """See `operations.retry`."""
        asked = {"copy_missing": True} if copy_missing else {}
        with self._noted("import retried", request, login, wave, **asked) as told:
            found = operations.retry(
                self._context.store, self._context.ring, request, login, wave=wave, copy_missing=copy_missing
            )
            told(found[0])
            return found

    def verify(
        self, request: Import, login: str, wave: str = "", *, full: bool, accept_missing: bool = False
    ) -> tuple[int, int]:
        """See `operations.verify`."""
        context, asked = self._context, {"accept_missing": True} if accept_missing else {}
        with self._noted("verification asked for", request, login, wave, full=full, **asked) as told:
            found = operations.verify(
                context.store, context.ring, request, context.settings.retention_days, full=full, login=login, wave=wave,
                accept_missing=accept_missing,
            )  # fmt: skip
            if told(found[0]):
                self._note("verification queued", request, login=login, **_when(wave), mailboxes=found[0])
            return found

    def start_cutover(self, request: Import, wave: str, options: CutoverOptions) -> Cutover:
        """See `producer.cutover.acts.start`."""
        self._note("cutover begun", request, **_when(wave), switch=options.switch)
        with self._refused("cutover begun", request, wave):
            return operations.start_cutover(
                self._context.store, self._context.vault, request, wave, options, who=person(), at=now()
            )

    def cutover_event(self, request: Import, wave: str, event: str, *, force: Sequence[str], reason: str) -> Cutover:
        """See `producer.cutover.acts.send`."""
        asked = {"forced": list(force), "reason": reason} if force else {}
        self._note(f"cutover {event.replace('_', ' ')}", request, **_when(wave), **asked)
        with self._refused(f"cutover {event.replace('_', ' ')}", request, wave):
            return cutting.send(
                self._cutovers(),
                self._context.store,
                request,
                wave,
                event,
                who=person(),
                at=now(),
                force=force,
                reason=reason,
            )

    def _cutovers(self) -> Cutovers:
        return Cutovers(self._context.store, self._context.vault)

    def verified(self, request: Import) -> None:
        """Notes that a verification which this command waited for has ended."""
        end_noted(self._context, request, by_us=True)

    def replace_credentials(self, request: Import, manifest: Manifest) -> operations.Replaced:
        """See `operations.replace_credentials`."""
        self._note("credentials replaced", request, rows=len(manifest.rows))
        context = self._context
        return operations.replace_credentials(
            context.store, context.vault, context.ring, request, manifest.rows, manifest.columns
        )

    def replace_shared(self, request: Import, given: Mapping[str, Secret]) -> int:
        """See `operations.replace_shared`."""
        self._note("credentials replaced", request, shared=sorted(given))
        context = self._context
        return operations.replace_shared(context.store, context.vault, context.ring, request, given)

    def forget(self, request: Import) -> operations.Forgotten:
        """See `operations.forget`."""
        self._note("credentials deleted", request)
        return operations.forget(self._context.store, request)

    def rotate(self) -> Resealed:
        """See `operations.rotate`."""
        self._note("keys rotated", None)
        context = self._context
        state = connect(context.urls[1])
        vault = context.vault
        return operations.rotate(
            context.store, vault, Principals(state, vault), BrowserSessions(state, vault), Targets(state, vault)
        )

    def close(self, request: Import) -> bool:
        """See `operations.close`."""
        self._note("import closed", request, name=request.name)
        return operations.close(self._context.store, request)

    def erase_import(self, request: Import) -> erasing.Erased:
        """See `erasing.erase_import`."""
        self._note("erasure begun", None, erased_import=request.import_id, name=request.name)
        return self._receipt(erasing.erase_import(self._context.store, self._client(), request))

    def erase_login(self, login: str) -> erasing.Erased:
        """See `erasing.erase_login`."""
        self._note("erasure begun", None, login_digest=erasing.digest_of(login))
        return self._receipt(erasing.erase_login(self._context.store, self._client(), login))

    def _client(self) -> redis.Redis:
        return connect(self._context.urls[1])

    def _receipt(self, receipt: erasing.Erased) -> erasing.Erased:
        self._note("erasure done", None, **asdict(receipt))
        return receipt

    def set_window(self, request: Import, hours: Hours, wave: str = "") -> None:
        """Sets the hours from now on; see `operations.set_window`."""
        self._note("hours set", request, window=hours.text, **_when(wave))
        operations.set_window(self._context.store, self._context.ring, request, hours, now(), wave)

    def set_limit(self, scope: str, most: int | None) -> None:
        """See `operations.set_limit`."""
        self._note("limit set", None, scope=scope, most=most)
        operations.set_limit(self._context.store, scope, most)

    def spool(self, request: Import, login: str, wave: str = "") -> None:
        """Notes that messages of the source are about to be saved as files on this machine."""
        self._note("refused messages kept", request, login=login, **_when(wave))

    @contextlib.contextmanager
    def _noted(
        self, what: str, request: Import, login: str, of_wave: str = "", /, **detail: object
    ) -> Iterator[Callable[[int], int]]:
        """Notes an act before it is done, and afterwards if it was refused (with the reason) or changed nothing.

        Raises `UsageError` before anything is noted if no mailbox matches. The caller passes the number of
        mailboxes that the act changed to the yielded function.
        """
        operations.find_mailboxes(self._context.store, request, login, of_wave)
        self._note(what, request, login=login, **_when(of_wave), **detail)

        def told(mailboxes: int) -> int:
            if not mailboxes:
                self._note("act changed nothing", request, act=what, login=login, **_when(of_wave))
            return mailboxes

        try:
            yield told
        except UsageError as error:
            self._note("act refused", request, act=what, login=login, **_when(of_wave), why=str(error))
            raise

    @contextlib.contextmanager
    def _refused(self, what: str, request: Import, wave: str) -> Iterator[None]:
        """Notes an act that is refused, with the reason."""
        try:
            yield
        except UsageError as error:
            self._note("act refused", request, act=what, **_when(wave), why=str(error))
            raise

    def _note(self, what: str, request: Import | None, **detail: object) -> None:
        about = {"import_id": request.import_id} if request else {}
        if request:
            end_noted(self._context, request)  # before this act, so that the log has both in their order
        note(self._context, what, **about, **detail)


def _when(wave: str) -> dict[str, str]:
    """Returns the wave as a field of the audit log, where one is named."""
    return {"wave": wave} if wave else {}
