"""`mailhaul doctor`: checks that everything that mailhaul needs is there, and says what to do about the rest."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from producer.cli.command_context import CommandContext
from producer.cli.owner import owner_of
from producer.cli.verb import COMPLETE, FAULT
from producer.show.lines import undelivered_line
from shared.model.errors import MailhaulError, UsageError
from shared.runtime.config import Settings, load_settings, unknown_variables
from shared.runtime.credentials import load_keys
from shared.runtime.embedded import find_server, server_version
from shared.runtime.logs import clean
from shared.runtime.redis_client import address_of, open_redis
from shared.runtime.redis_condition import judge, read_condition
from shared.store.records.targets import Targets
from shared.store.redis.redis_store import connect

#: (verdict, sentence); the verdict is "ok", "note" or "BAD".
Finding = tuple[str, str]
_ROOM_BYTES = 200 * 1024 * 1024


def run_doctor(*, as_json: bool, state_dir: Path | None) -> int:
    """Prints the findings. Returns 1 if something is missing."""
    found = []
    for verdict, sentence in findings(load_settings(state_dir=state_dir)):
        found.append((verdict, sentence))
        if not as_json:
            print(f"{verdict:<5} {sentence}")
    whole = told(found)
    if as_json:
        print(json.dumps(whole, ensure_ascii=False, indent=2))
    return COMPLETE if whole["ok"] else FAULT


def told(found: Sequence[Finding]) -> dict[str, Any]:
    """Returns the findings as one document."""
    return {
        "ok": all(verdict != "BAD" for verdict, _ in found),
        "findings": [{"verdict": verdict.lower(), "sentence": sentence} for verdict, sentence in found],
    }


def findings(settings: Settings) -> Iterator[Finding]:
    """Yields the findings in the order of the checks. None holds a secret."""
    looks: list[Callable[[Settings], Iterator[Finding]]] = [_python, _settings, _folder, _key, _redis]
    for look in looks:
        try:
            for verdict, sentence in look(settings):
                yield verdict, clean(sentence)
        except MailhaulError as error:
            yield "BAD", clean(str(error))
        except OSError as error:
            yield "BAD", clean(f"{error.filename}: {error.strerror}")


def _python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield ("ok" if sys.version_info >= (3, 11) else "BAD"), f"Python {version} at {sys.executable}"


def _settings(_: Settings) -> Iterator[Finding]:
    for name, meant in unknown_variables(os.environ).items():
        yield "note", f"{name} is not a setting and is ignored" + (f"; did you mean {meant}?" if meant else "")


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = settings.state_dir
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        yield "BAD", f"the state folder {folder} cannot be made ({error.strerror}): choose another with --state-dir"
        return
    if not os.access(folder, os.W_OK):
        yield "BAD", f"the state folder {folder} cannot be written: choose another with --state-dir"
        return
    free = shutil.disk_usage(folder).free
    yield ("ok" if free > _ROOM_BYTES else "BAD"), f"state folder {folder}, {free / 1e9:.1f} GB free"
    if folder.stat().st_mode & 0o077:
        yield "note", f"{folder} can be read by others: chmod 700 {folder}"
    if running := owner_of(folder):
        yield "ok", f"mailhaul {running[1]} runs here as process {running[0]}"


def _key(settings: Settings) -> Iterator[Finding]:
    keys = load_keys(settings)
    where = "MAILHAUL_SECRET_KEY" if settings.secret_key else f"{settings.state_dir / 'secret.key'}"
    yield "ok", f"{len(keys)} key{'s' if len(keys) != 1 else ''} for the passwords, from {where}"


def _redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        binary = find_server()
        version = server_version(binary)
        yield "ok", f"embedded Redis: {binary}" + (f", version {version[0]}.{version[1]}" if version else "")
    with CommandContext(settings) as context:
        urls = context.urls
        for where in dict.fromkeys(map(address_of, urls)):
            yield "ok", f"Redis answers at {where}"
        # The queue and the state may be on two servers.
        for url in urls if context.settings.broker_url else urls[1:]:
            with open_redis(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
                try:
                    yield from judge(read_condition(client))
                except redis.RedisError as error:
                    yield "BAD", f"Redis {address_of(url)} cannot be looked at ({error})"
        yield from _notices(context)
        workers = context.store.workers()
        yield ("ok" if workers or context.embedded else "note"), f"workers heard of in the last 30 s: {workers}"


def _notices(context: CommandContext) -> Iterator[Finding]:
    try:
        known = len(Targets(connect(context.urls[1]), context.vault).all())
    except UsageError:  # the key was told of before
        known = 0
    waiting, lost = len(context.store.deliveries()), len(context.store.undelivered())
    if known or waiting or lost:
        yield "ok", f"targets that are told: {known}; notices on their way: {waiting}"
    if line := undelivered_line(lost):
        yield "BAD", line
