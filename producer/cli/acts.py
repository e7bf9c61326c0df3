"""The acts of the command line. Each is written into the audit log before it is done.

No other module of the command line calls an operation that changes something (a test holds that), so none is forgotten.
The words are those of the API. If the log cannot be written, the act does not happen.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from time import time as now

import redis

from producer.cli.command_context import CommandContext
from producer.cli.noting import end_noted, note, noted, person
from producer.intake.manifest_row import Manifest, Row
from producer.intake.specification import ImportSpecification
from producer.operations import erasing
from producer.operations.audited_options import audited, edited
from producer.operations.credentials import Forgotten, Replaced
from producer.operations.finding import controls_of, find_mailboxes
from shared.model import Import, Mailbox
from shared.model.cutover import Cutover, CutoverOptions
from shared.model.lifecycle import Control
from shared.model.sides import Side
from shared.rules.hours import Hours
from shared.rules.standing import Standing
from shared.runtime.secret import Secret
from shared.store import Resealed
from shared.store.redis.redis_store import connect


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
        with self._act(what, wanted, name=wanted.name, mailboxes=len(mailboxes), **audited(wanted)):
            context.operations.submit(
                wanted,
                mailboxes,
                rows,
                accounts_secret=asked.accounts.secret,
                sign_ins=asked.sign_ins,
                hours=asked.hours,
            )

    def control(self, import_: Import, word: Control, login: str, wave: str = "") -> tuple[int, bool]:
        """See `operations.control`. Returns the mailboxes that it changes, and whether the wish itself changed."""
        store = self._context.store
        with self._noted(f"import {word.value}", import_, login, wave) as told:
            before = controls_of(store, import_, login, wave)
            concerned = self._context.operations.control(import_, word, login, wave)
            changed = controls_of(store, import_, login, wave) != before
            told(concerned or changed)
            return concerned, changed

    def set_wave(
        self, import_: Import, name: str, *, starts_at: float | None, weight: int | None, order: int | None
    ) -> None:
        """See `operations.set_wave`."""
        given = {"starts_at": starts_at, "weight": weight, "order": order}
        asked = {field: one for field, one in given.items() if one is not None}
        with self._act("wave set", import_, wave=name, **asked):
            self._context.operations.set_wave(import_, name, starts_at=starts_at, weight=weight, order=order)

    def change_standing(self, import_: Import, wave: str, **given: float | bool | None) -> Standing | None:
        """See `operations.change_standing`."""
        asked = {name: one for name, one in given.items() if one not in (None, False)}
        with self._noted("standing set", import_, "", wave, **asked):
            return self._context.operations.change_standing(import_, wave, **given)  # type: ignore[arg-type]

    def move(self, import_: Import, login: str, *, wave: str | None, priority: int | None, front: bool) -> int:
        """See `operations.move`."""
        given = {"wave": wave, "priority": priority, "front": front or None}
        asked = {name: one for name, one in given.items() if one is not None}
        with self._noted("mailbox moved", import_, login, **asked) as told:
            return told(self._context.operations.move(import_, login, wave=wave, priority=priority, front=front))

    def retry(self, import_: Import, login: str, wave: str = "", *, copy_missing: bool = False) -> tuple[int, int]:
        """See `operations.retry`."""
        asked = {"copy_missing": True} if copy_missing else {}
        with self._noted("import retried", import_, login, wave, **asked) as told:
            found = self._context.operations.retry(import_, login, wave=wave, copy_missing=copy_missing)
            told(found[0])
            return found

    def verify(
        self, import_: Import, login: str, wave: str = "", *, full: bool, accept_missing: bool = False
    ) -> tuple[int, int]:
        """See `operations.verify`."""
        context, asked = self._context, {"accept_missing": True} if accept_missing else {}
        with self._noted("verification asked for", import_, login, wave, full=full, **asked) as told:
            found = context.operations.verify(
                import_,
                full=full,
                login=login,
                wave=wave,
                accept_missing=accept_missing,
            )
            if told(found[0]):
                self._note("verification queued", import_, login=login, **_when(wave), mailboxes=found[0])
            return found

    def start_cutover(self, import_: Import, wave: str, options: CutoverOptions) -> Cutover:
        """See `operations.start_cutover`."""
        with self._act("cutover begun", import_, **_when(wave), switch=options.switch):
            return self._context.operations.start_cutover(import_, wave, options, who=person(), at=now())

    def cutover_event(self, import_: Import, wave: str, event: str, *, force: Sequence[str], reason: str) -> Cutover:
        """See `operations.send_to_cutover`."""
        asked = {"forced": list(force), "reason": reason} if force else {}
        with self._act(f"cutover {event.replace('_', ' ')}", import_, **_when(wave), **asked):
            return self._context.operations.send_to_cutover(
                import_,
                wave,
                event,
                who=person(),
                at=now(),
                force=force,
                reason=reason,
            )

    def verified(self, import_: Import) -> None:
        """Notes that a verification which this command waited for has ended."""
        end_noted(self._context, import_, by_us=True)

    def replace_credentials(self, import_: Import, manifest: Manifest) -> Replaced:
        """See `operations.replace_credentials`."""
        with self._act("credentials replaced", import_, rows=len(manifest.rows)):
            return self._context.operations.replace_credentials(import_, manifest.rows, manifest.columns)

    def replace_shared(self, import_: Import, given: Mapping[Side, Secret]) -> int:
        """See `operations.replace_shared`."""
        with self._act("credentials replaced", import_, shared=sorted(given)):
            return self._context.operations.replace_shared(import_, given)

    def forget(self, import_: Import) -> Forgotten:
        """See `operations.forget`."""
        with self._act("credentials deleted", import_):
            return self._context.operations.forget(import_)

    def rotate(self) -> Resealed:
        """See `operations.rotate`."""
        with self._act("keys rotated", None):
            return self._context.operations.rotate(self._client())

    def close(self, import_: Import) -> bool:
        """See `operations.close`."""
        with self._act("import closed", import_, name=import_.name):
            return self._context.operations.close(import_)

    def archive(self, import_: Import, *, away: bool) -> int:
        """See `operations.archive`."""
        with self._noted("import archived" if away else "import taken back", import_, "") as told:
            return told(self._context.operations.archive(import_, away=away))

    def rewrite(self, import_: Import, new: ImportSpecification, version: str) -> Import:
        """See `operations.rewritten`."""
        wanted = replace(import_, name=new.name, source=new.source, destination=new.destination, options=new.options)
        detail = {"name": new.name, "mailboxes": len(new.manifest.rows), **edited(import_, wanted)}
        with self._act("import edited", import_, **detail):
            now = self._context.operations.rewritten(import_, new, version)
        if now.import_id != import_.import_id:
            self._note("import edited", now, before=import_.import_id, **detail)
        return now

    def erase_import(self, import_: Import) -> erasing.Erased:
        """See `erasing.erase_import`."""
        with self._act("erasure begun", None, erased_import=import_.import_id, name=import_.name):
            return self._receipt(erasing.erase_import(self._context.store, self._client(), import_))

    def erase_login(self, login: str) -> erasing.Erased:
        """See `erasing.erase_login`."""
        with self._act("erasure begun", None, login_digest=erasing.digest_of(login)):
            return self._receipt(erasing.erase_login(self._context.store, self._client(), login))

    def _client(self) -> redis.Redis:
        return connect(self._context.urls[1])

    def _receipt(self, receipt: erasing.Erased) -> erasing.Erased:
        self._note("erasure done", None, **asdict(receipt))
        return receipt

    def set_window(self, import_: Import, hours: Hours, wave: str = "") -> None:
        """Sets the hours from now on; see `operations.set_window`."""
        with self._act("hours set", import_, window=hours.text, **_when(wave)):
            self._context.operations.set_window(import_, hours, now(), wave)

    def set_limit(self, scope: str, most: int | None) -> None:
        """See `operations.set_limit`."""
        with self._act("limit set", None, scope=scope, most=most):
            self._context.operations.set_limit(scope, most)

    def spool(self, import_: Import, login: str, wave: str = "") -> None:
        """Notes that messages of the source are about to be saved as files on this machine."""
        self._note("refused messages kept", import_, login=login, **_when(wave))

    @contextlib.contextmanager
    def _noted(
        self, what: str, import_: Import, login: str, of_wave: str = "", /, **detail: object
    ) -> Iterator[Callable[[int], int]]:
        """Notes an act before it is done, and afterwards if it changed nothing; see `_act`.

        Raises `UsageError` before anything is noted if no mailbox matches. The caller passes the number of
        mailboxes that the act changed to the yielded function.
        """
        find_mailboxes(self._context.store, import_, login, of_wave)

        def told(mailboxes: int) -> int:
            if not mailboxes:
                self._note("act changed nothing", import_, act=what, login=login, **_when(of_wave))
            return mailboxes

        with self._act(what, import_, login=login, **_when(of_wave), **detail):
            yield told

    @contextlib.contextmanager
    def _act(self, what: str, import_: Import | None, /, **detail: object) -> Iterator[None]:
        """Notes an act as `noting.noted` does, after the end of the verification before it."""
        with noted(self._context, what, **self._about(import_), **detail):
            yield

    def _note(self, what: str, import_: Import | None, **detail: object) -> None:
        note(self._context, what, **self._about(import_), **detail)

    def _about(self, import_: Import | None) -> dict[str, str]:
        if import_ is None:
            return {}
        end_noted(self._context, import_)  # before this act, so that the log has both in their order
        return {"import_id": import_.import_id}


def _when(wave: str) -> dict[str, str]:
    """Returns the wave as a field of the audit log, where one is named."""
    return {"wave": wave} if wave else {}
