"""`mailhaul doctor`: checks that everything that mailhaul needs is there, and says what to do about the rest."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final

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
from shared.wording.phrases import Phrase, changed, faults_of

PYTHON: Final = Phrase("doctor_python", "Python {version} at {path}")
NO_SETTING: Final = Phrase("doctor_no_setting", "{name} is not a setting and is ignored")
OTHER_SETTING: Final = Phrase(
    "doctor_other_setting", "{name} is not a setting and is ignored; did you mean {other_name}?"
)
NO_STATE_FOLDER: Final = Phrase(
    "doctor_no_state_folder", "the state folder {path} cannot be made ({cause}): choose another with --state-dir"
)
READ_ONLY_STATE_FOLDER: Final = Phrase(
    "doctor_read_only_state_folder", "the state folder {path} cannot be written: choose another with --state-dir"
)
STATE_FOLDER: Final = Phrase("doctor_state_folder", "state folder {path}, {size} free")
OPEN_STATE_FOLDER: Final = Phrase("doctor_open_state_folder", "{path} can be read by others: chmod 700 {path}")
RUNS_HERE: Final = Phrase("doctor_runs_here", "mailhaul {command} runs here as process {id}")
KEYS: Final = Phrase("doctor_keys", "keys for the passwords: {num}, from {where}")
EMBEDDED: Final = Phrase("doctor_embedded", "embedded Redis: {path}")
EMBEDDED_OF_VERSION: Final = Phrase("doctor_embedded_of_version", "embedded Redis: {path}, version {version}")
REDIS_ANSWERS: Final = Phrase("doctor_redis_answers", "Redis answers at {address}")
NO_LOOK: Final = Phrase("doctor_no_look", "Redis {address} cannot be looked at ({cause})")
WORKERS: Final = Phrase("doctor_workers", "workers heard of in the last 30 s: {num}")
TARGETS: Final = Phrase("doctor_targets", "targets that are told: {num}; notices on their way: {most_num}")
OF_FILE: Final = Phrase("doctor_of_file", "{path}: {cause}")

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
                yield verdict, changed(sentence, clean)
        except MailhaulError as error:
            for fault in faults_of(error):
                yield "BAD", changed(fault.sentence, clean)
        except OSError as error:
            said = OF_FILE.says(path=str(error.filename), cause=str(error.strerror))
            yield "BAD", changed(said, clean)


def _python(_: Settings) -> Iterator[Finding]:
    version = ".".join(map(str, sys.version_info[:3]))
    yield ("ok" if sys.version_info >= (3, 11) else "BAD"), PYTHON.says(version=version, path=sys.executable)


def _settings(_: Settings) -> Iterator[Finding]:
    for name, meant in unknown_variables(os.environ).items():
        yield "note", OTHER_SETTING.says(name=name, other_name=meant) if meant else NO_SETTING.says(name=name)


def _folder(settings: Settings) -> Iterator[Finding]:
    folder = str(settings.state_dir)
    try:
        settings.state_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        yield "BAD", NO_STATE_FOLDER.says(path=folder, cause=str(error.strerror))
        return
    if not os.access(folder, os.W_OK):
        yield "BAD", READ_ONLY_STATE_FOLDER.says(path=folder)
        return
    free = shutil.disk_usage(folder).free
    yield ("ok" if free > _ROOM_BYTES else "BAD"), STATE_FOLDER.says(path=folder, size=f"{free / 1e9:.1f} GB")
    if settings.state_dir.stat().st_mode & 0o077:
        yield "note", OPEN_STATE_FOLDER.says(path=folder)
    if running := owner_of(settings.state_dir):
        yield "ok", RUNS_HERE.says(command=running[1], id=str(running[0]))


def _key(settings: Settings) -> Iterator[Finding]:
    keys = load_keys(settings)
    where = "MAILHAUL_SECRET_KEY" if settings.secret_key else f"{settings.state_dir / 'secret.key'}"
    yield "ok", KEYS.says(num=len(keys), where=where)


def _redis(settings: Settings) -> Iterator[Finding]:
    if settings.redis_url is None:
        binary = find_server()
        version = server_version(binary)
        yield (
            "ok",
            EMBEDDED_OF_VERSION.says(path=str(binary), version=f"{version[0]}.{version[1]}")
            if version
            else EMBEDDED.says(path=str(binary)),
        )
    with CommandContext(settings) as context:
        urls = context.urls
        for where in dict.fromkeys(map(address_of, urls)):
            yield "ok", REDIS_ANSWERS.says(address=where)
        # The queue and the state may be on two servers.
        for url in urls if context.settings.broker_url else urls[1:]:
            with open_redis(url, socket_timeout=5, socket_connect_timeout=5, retry=Retry(NoBackoff(), 0)) as client:
                try:
                    yield from judge(read_condition(client))
                except redis.RedisError as error:
                    yield "BAD", NO_LOOK.says(address=address_of(url), cause=str(error))
        yield from _notices(context)
        workers = context.store.workers()
        yield ("ok" if workers or context.embedded else "note"), WORKERS.says(num=workers)


def _notices(context: CommandContext) -> Iterator[Finding]:
    try:
        known = len(Targets(connect(context.urls[1]), context.vault).all())
    except UsageError:  # the key was told of before
        known = 0
    waiting, lost = len(context.store.deliveries()), len(context.store.undelivered())
    if known or waiting or lost:
        yield "ok", TARGETS.says(num=known, most_num=waiting)
    if line := undelivered_line(lost):
        yield "BAD", line
