"""The verbs service set, list, remove and test: account services that page and API choose by their names."""

from __future__ import annotations

import json
import time
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from producer.cli.command_context import CommandContext, open_context
from producer.cli.noting import noted, person
from producer.cli.verb import COMPLETE, INCOMPLETE, say, show
from producer.intake.account_options import AccountsAsked, read_secret
from producer.intake.named_services import BY_SETTINGS, NOT_THERE, read_service, tried
from shared.accounts.several import shown
from shared.runtime.logs import clean
from shared.runtime.secret import Secret
from shared.store.records.named_services import NamedService, NamedServices
from shared.store.redis.redis_store import connect


def run_set(name: str, url: str, *, secret_file: Path | None, state_dir: Path | None) -> int:
    """Sets a service up, in place of one that has its name."""
    secret = read_secret(str(secret_file)) if secret_file else Secret("")
    asked = read_service(name, url, secret, addresses=None)
    with open_context(state_dir) as context:
        if name in {part.partition("=")[0] for part in (context.settings.web_accounts or "").split()}:
            raise BY_SETTINGS.error()
        with noted(context, "account service set", service=name, to=shown(asked.text)):
            services_of(context).set(
                NamedService(name=name, text=asked.text, secret=asked.secret, by=person(), at=time.time())
            )
    say(f"{name} is {clean(shown(asked.text))}; try it with: mailhaul service test {name} LOGIN")
    return COMPLETE


def run_list(*, as_json: bool, state_dir: Path | None) -> int:
    """Lists the services, one a line, without their secrets."""
    with open_context(state_dir) as context:
        found = list(services_of(context).all().values())
    if as_json:
        rows = [{"name": one.name, "service": shown(one.text), "by": one.by, "at": one.at} for one in found]
        print(json.dumps({"services": rows}, ensure_ascii=False, indent=2))
        return COMPLETE
    if not found:
        say("no service is set up; mailhaul service set NAME URL --secret-file FILE sets one up")
    for one in found:
        show(
            f"{one.name}  {clean(shown(one.text))}  {datetime.fromtimestamp(one.at, UTC):%Y-%m-%d %H:%M}  {clean(one.by)}"
        )
    return COMPLETE


def run_remove(name: str, *, state_dir: Path | None) -> int:
    """Removes a service. Imports that chose it keep what they need."""
    with open_context(state_dir) as context, noted(context, "account service removed", service=name[:40]):
        if not services_of(context).remove(name):
            raise NOT_THERE.error(name=repr(name[:40]))
    say(f"{name} makes no accounts for new imports any more")
    return COMPLETE


def run_test(name: str, login: str, *, as_json: bool, state_dir: Path | None) -> int:
    """Asks a service about one account of the destination, and makes none."""
    with open_context(state_dir) as context, noted(context, "account service tried", service=name[:40]):
        one = services_of(context).all().get(name)
        if one is None:
            raise NOT_THERE.error(name=repr(name[:40]))
    seen = tried(AccountsAsked(text=one.text, secret=one.secret), login)
    if as_json:
        print(json.dumps(asdict(seen), ensure_ascii=False, indent=2))
    elif seen.state == "there":
        say(f"{name} answers: {clean(login)} is there")
    elif seen.state == "missing":
        say(f"{name} answers: {clean(login)} is not there, and would be made; nothing was made now")
    else:
        say(f"{name} did not help: {clean(seen.failure)}; {clean(seen.advice)}")
    return INCOMPLETE if seen.state == "unknown" else COMPLETE


def services_of(context: CommandContext) -> NamedServices:
    """Returns the named services of this installation."""
    return NamedServices(connect(context.urls[1]), context.vault)
