"""The verbs notify add, list, remove, test and retry."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from producer.cli.command_context import CommandContext, open_context
from producer.cli.noting import noted
from producer.cli.verb import COMPLETE, INCOMPLETE, say, show
from producer.notices import listing
from producer.notices.sending import reach_of_notices
from producer.notices.setup import TargetAsked, target_of
from producer.operations.finding import find_import
from shared.runtime.logs import clean
from shared.store.records.targets import Targets
from shared.store.redis.redis_store import connect
from shared.wording.phrases import Phrase

NO_PLACE: Final = Phrase("notice_to_nobody", "say where notices go: as TO, or in a file by --to-file")
NO_TARGET: Final = Phrase("target_not_there", "no target has the id {text}; mailhaul notify list shows them")
UNREADABLE: Final = Phrase("notice_file_unreadable", "{path} cannot be read ({cause})")

_MOST_BYTES = 4000


def run_add(
    way: str,
    to: str,
    *,
    to_file: Path | None,
    server: str,
    login: str,
    sender: str,
    secret_file: Path | None,
    what: Sequence[str],
    imports: Sequence[str],
    language: str,
    zone: str,
    digest: str,
    logins: bool,
    state_dir: Path | None,
) -> int:
    """Sets up a target, and prints its id. A signing secret that was made is printed too, this once."""
    if bool(to) == bool(to_file):
        raise NO_PLACE.error()
    secret = _from_file("secret_file", secret_file) if secret_file else ""
    with open_context(state_dir) as context:
        kinds = [kind.strip() for part in what for kind in part.split(",") if kind.strip()]
        asked = TargetAsked(
            way=way,
            to=_from_file("to_file", to_file) if to_file else to,
            server=server,
            login=login,
            secret=secret,
            sender=sender,
            kinds=kinds,
            imports=[find_import(context.store, one).import_id for one in imports],
            language=language,
            zone=zone,
            digest=digest,
            logins=logins,
        )
        wanted = target_of(asked)
        with noted(
            context, "target set", way=wanted.way, to=wanted.shown, kinds=", ".join(wanted.kinds), logins=wanted.logins
        ):
            made = _targets(context).add(wanted)
    say(f"{clean(made.shown)} is told of: {', '.join(made.kinds)}; try it with: mailhaul notify test {made.target_id}")
    if made.way == "webhook" and not secret:
        say("its messages are signed with this secret, which is shown this once:")
        print(made.secret["secret"], flush=True)
    else:
        print(made.target_id, flush=True)
    return COMPLETE


def run_list(*, as_json: bool, state_dir: Path | None) -> int:
    """Lists the targets, and what is on its way to them or could not be delivered."""
    with open_context(state_dir) as context:
        known, store = _targets(context).all(), context.store
        waiting, lost = store.deliveries(), store.undelivered()
        if as_json:
            whole = {
                "targets": [listing.target_fields(target) for target in known],
                "waiting": [listing.delivery_fields(one) for one in waiting],
                "undelivered": [listing.delivery_fields(one) for one in lost],
            }
            print(json.dumps(whole, ensure_ascii=False, indent=2))
            return COMPLETE
        if not known:
            say("nobody is told; set somebody up with: mailhaul notify add email TO --server smtps://HOST")
        for target in known:
            digest = listing.target_fields(target)["digest"]
            kinds = ", ".join((*target.kinds, *([f"digest {digest}"] if digest else [])))
            reader = f"{target.language} {target.zone}" + (", with logins" if target.logins else "")
            show(f"{target.target_id}  {target.way:<7}  {clean(target.shown)}  {kinds}  {reader}")
        for one in waiting:
            why = f": {clean(one.why)}" if one.why else ""
            show(
                f"waiting      {one.target_id}  {one.notice.kind}  {_moment(one.due_at)}, attempt {one.attempts + 1}{why}"
            )
        for one in lost:
            show(f"undelivered  {one.target_id}  {one.notice.kind}  {_moment(one.notice.at)}: {clean(one.why)}")
        if lost:
            say("mailhaul notify retry has them tried again for a day; --drop forgets them")
    return COMPLETE


def run_remove(target_id: str, *, state_dir: Path | None) -> int:
    """Removes a target; what is on its way to it is not sent."""
    with open_context(state_dir) as context, noted(context, "target removed", target=target_id[:40]):
        if not _targets(context).remove(target_id):
            raise NO_TARGET.error(text=f"{target_id[:40]!r}")
    say(f"target {target_id} is told nothing more")
    return COMPLETE


def run_test(target_id: str, *, state_dir: Path | None) -> int:
    """Sends a test message now."""
    with open_context(state_dir) as context:
        target = listing.target_named(_targets(context).all(), target_id)
        settings = context.settings
        why = listing.tried(context.store, target, reach_of_notices(settings))
    if why:
        say(f"the test message was not sent: {clean(why)}")
        return INCOMPLETE
    say(f"a test message was sent to {clean(target.shown)}")
    return COMPLETE


def run_retry(*, drop: bool, state_dir: Path | None) -> int:
    """Has what could not be delivered tried again, or forgotten."""
    with open_context(state_dir) as context, noted(context, "notices dropped" if drop else "notices retried"):
        number = listing.sent_again(context.store, drop=drop)
    say(f"{number} {'forgotten' if drop else 'tried again'}")
    return COMPLETE


def _targets(context: CommandContext) -> Targets:
    return Targets(connect(context.urls[1]), context.vault)


def _from_file(field: str, path: Path) -> str:
    try:
        return path.read_bytes()[:_MOST_BYTES].decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise UNREADABLE.error(field, path=str(path), cause=str(reason)) from None


def _moment(at: float) -> str:
    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M}"
