"""Tests every adapter of `shared.accounts.AccountService` with one suite.

Each adapter speaks to a double that answers as the service's documentation says, or to the real service.
"""

from __future__ import annotations

import json
import stat
import sys
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from shared.accounts import AccountService, NewAccount
from shared.accounts.address import parse_service
from shared.accounts.discreet import Discreet
from shared.accounts.opening import open_service
from shared.model.accounts import Adopted, Created, Missing, Rejected, Retry
from shared.runtime.secret import Secret
from tests.servers.account_apis import (
    DOMAIN,
    SECRET,
    WEAK,
    AccountApi,
    MailcowApi,
    StalwartApi,
    WebhookApi,
    Yandex360Api,
)
from tests.servers.http_api import Asked, Said
from tests.servers.scim import ScimServer

PASSWORD = "pass-canary-5e1f"
ANNA = NewAccount(
    login=f"anna@{DOMAIN}", password=Secret(PASSWORD), first_name="Anna", last_name="Ö.", quota_bytes=2 << 30, key="k1"
)
HTTP = ("mailcow", "stalwart", "yandex360", "webhook", "scim")

HOOK = """
import json, os, sys
told = json.load(sys.stdin)
assert os.environ["MAILHAUL_HOOK_SECRET"] == {secret!r} and "MAILHAUL_STATE_DIR" not in os.environ
path = {path!r}
known = json.load(open(path)) if os.path.exists(path) else {{}}
login = told["login"]
if login in known: sys.exit(10)
if told["action"] == "look": sys.exit(0)
if "weak" in told["password"]:
    print(json.dumps({{"reason": told["password"] + " is too weak"}})); sys.exit(30)
known[login] = told["password"]
json.dump(known, open(path, "w"))
"""


@dataclass
class Service:
    """An adapter and the service at which it makes accounts."""

    adapter: AccountService
    #: Returns the service's passwords by login; None where it keeps only a digest.
    accounts: Callable[[], dict[str, str]]
    #: Makes another adapter of the same service, with another secret.
    again: Callable[[str], AccountService]
    #: The API in this process, if the service is one of the doubles.
    api: Any = None


@pytest.fixture(params=[*HTTP, "hook", "passwd-file"])
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        yield _service(request.param, tmp_path, stack)


@pytest.fixture(params=HTTP)
def http(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Service]:
    with ExitStack() as stack:
        yield _service(request.param, tmp_path, stack)


def _service(kind: str, place: Path, stack: ExitStack) -> Service:
    api: AccountApi | ScimServer
    if kind == "hook":
        script, known = place / "hook.py", place / "known.json"
        script.write_text(HOOK.format(secret=SECRET, path=str(known)))
        url = f"hook:{sys.executable}?arg={quote(str(script))}"
        return _made(url, lambda: json.loads(known.read_text()) if known.exists() else {})
    if kind == "passwd-file":
        path = place / "users"
        return _made(f"passwd-file:{path}", lambda: _passwd(path))
    if kind == "scim":
        api = stack.enter_context(ScimServer())
        return replace(_made(f"scim+{api.url}/v2", lambda: api.accounts), api=api)
    types = {"mailcow": MailcowApi, "stalwart": StalwartApi, "yandex360": Yandex360Api, "webhook": WebhookApi}
    api = stack.enter_context(types[kind]())
    url = f"{kind}+{api.url}"
    if kind == "yandex360":
        url = f"yandex360://{Yandex360Api.organisation}?api={api.url}&directory={api.url}"
    return replace(_made(url, lambda: api.accounts), api=api)


def _made(url: str, accounts: Callable[[], dict[str, str]]) -> Service:
    parsed = parse_service(url)
    assert parsed is not None

    def again(secret: str) -> AccountService:
        return open_service(parsed, Secret(secret))

    return Service(again(SECRET), accounts, again)


def _passwd(path: Path) -> dict[str, str]:
    lines = path.read_text().splitlines() if path.exists() else []
    return {line.split(":")[0]: line.split(":")[1] for line in lines}


def _no() -> None:
    raise AssertionError("nothing may be asked for")


def test_what_is_missing_is_created_and_a_second_time_adopted(service: Service) -> None:
    intended = []
    assert isinstance(service.adapter.look(ANNA), Missing)
    assert service.accounts() == {}, "a look writes nothing"
    assert isinstance(service.adapter.ensure(ANNA, lambda: intended.append(1)), Created)
    assert list(service.accounts()) == [ANNA.login]
    assert len(intended) == 1
    assert isinstance(service.adapter.look(ANNA), Adopted)
    assert isinstance(service.adapter.ensure(ANNA, lambda: None), Adopted)


def test_an_existing_account_keeps_its_password(service: Service) -> None:
    service.adapter.ensure(ANNA, lambda: None)
    before = service.accounts()
    other = replace(ANNA, password=Secret("another"), first_name="Other", quota_bytes=1)
    assert isinstance(service.adapter.ensure(other, lambda: None), Adopted)
    assert service.accounts() == before


def test_nothing_is_asked_for_when_the_intent_cannot_be_written(service: Service) -> None:
    class LostLease(Exception):
        pass

    def lost() -> None:
        raise LostLease

    with pytest.raises(LostLease):
        service.adapter.ensure(ANNA, lost)
    assert service.accounts() == {}


def test_a_refusal_says_why_and_never_the_password(service: Service) -> None:
    weak = replace(ANNA, password=Secret(f"{WEAK}-{PASSWORD}"))
    if isinstance(service.api, ScimServer):
        service.api._refuse = lambda login: "too weak"
    found = service.adapter.ensure(weak, lambda: None)
    if not isinstance(found, Rejected):
        assert _service_takes_any_password(service)
        return
    assert "weak" in found.reason or "password_complexity" in found.reason
    assert PASSWORD not in found.reason + found.advice
    assert service.accounts() == {}


def _service_takes_any_password(service: Service) -> bool:
    return service.api is None


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_to_wait_is_waited_for(http: Service, status: int) -> None:
    _instead(http, status, {"Retry-After": "17"})
    found = http.adapter.ensure(ANNA, lambda: None)
    assert isinstance(found, Retry)
    assert (found.after_seconds, found.everyone, found.reached) == (17.0, True, True)
    assert isinstance(http.adapter.ensure(ANNA, lambda: None), Created)


def test_a_fault_of_the_service_is_no_rejection(http: Service) -> None:
    _instead(http, 500, {})
    found = http.adapter.ensure(ANNA, lambda: None)
    assert isinstance(found, Retry)
    assert not found.reached


def test_a_redirect_is_not_followed(http: Service) -> None:
    with MailcowApi() as elsewhere:
        _instead(http, 302, {"Location": f"{elsewhere.url}/steal"})
        found = http.adapter.ensure(ANNA, lambda: None)
        assert elsewhere.asked == []
    assert isinstance(found, Rejected)
    assert "another place" in found.reason


def test_a_wrong_secret_is_told(http: Service) -> None:
    found = http.again("wr0ng").ensure(ANNA, lambda: None)
    assert isinstance(found, Rejected)
    assert "--accounts-secret-file" in found.advice
    assert http.accounts() == {}


@pytest.mark.parametrize("status", [400, 401, 403, 409, 422, 500])
@pytest.mark.parametrize("kind", ["mailcow", "stalwart", "yandex360", "webhook"])
def test_a_service_that_repeats_what_it_was_given_shows_no_secret(kind: str, status: int, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service(kind, tmp_path, stack)
        answer = found.api.answer

        def repeated(asked: Asked) -> Said:
            if PASSWORD.encode() not in asked.body:
                return answer(asked)
            told = f"no {PASSWORD}: {asked.body.decode()} {b64encode(asked.body).decode()} {asked.headers}"
            return Said(
                status=status, body={"message": told, "error": told, "msg": told, "reason": told, "detail": told}
            )

        found.api.answer = repeated
        said = str(found.adapter.ensure(ANNA, lambda: None))
        assert PASSWORD not in said
        assert SECRET not in said
        assert b64encode(PASSWORD.encode()).decode()[:12] not in said
        assert isinstance(found.adapter, Discreet)
        bare = str(found.adapter._service.ensure(ANNA, lambda: None))
        if status == 500:
            assert PASSWORD in bare, "the control is dead: the service did not repeat it"


def test_a_service_that_is_not_there_is_waited_for() -> None:
    with MailcowApi() as gone:
        url = gone.url
    parsed = parse_service(f"mailcow+{url}")
    assert parsed
    found = open_service(parsed, Secret(SECRET)).ensure(ANNA, _no)
    assert isinstance(found, Retry)
    assert not found.reached


@pytest.mark.parametrize("kind", ["mailcow", "stalwart", "yandex360"])
def test_a_name_that_is_taken_by_an_alias_is_no_account(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service(kind, tmp_path, stack)
        found.api.aliases.add(ANNA.login)
        outcome = found.adapter.ensure(ANNA, lambda: None)
        assert isinstance(outcome, Rejected)
        assert "taken" in outcome.reason


@pytest.mark.parametrize("kind", ["mailcow", "stalwart", "yandex360"])
def test_an_answer_that_was_lost_does_no_harm(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service(kind, tmp_path, stack)
        if kind == "stalwart":  # its lookups are POSTs too: the domain, the account, the domain, then the creation
            found.api.lost = []
            creating = found.api._set
            found.api._set = lambda wanted: (creating(wanted), found.api.lost.append(Said(status=502)))[0]
        else:
            found.api.lost = [Said(status=502)]
        assert isinstance(found.adapter.ensure(ANNA, lambda: None), Retry)
        assert list(found.accounts()) == [ANNA.login]
        assert isinstance(found.adapter.ensure(ANNA, lambda: None), Adopted)


@pytest.mark.parametrize("kind", ["mailcow", "stalwart"])
def test_a_domain_that_is_not_there_is_told(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service(kind, tmp_path, stack).adapter.ensure(replace(ANNA, login="anna@else.example"), lambda: None)
    assert isinstance(found, Rejected)
    assert "else.example" in found.reason
    assert "add the domain" in found.advice


@pytest.mark.parametrize("kind", ["mailcow", "stalwart", "yandex360"])
def test_a_login_that_is_no_address_is_told(kind: str, tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service(kind, tmp_path, stack)
        outcome = found.adapter.ensure(replace(ANNA, login="anna"), _no)
        assert isinstance(outcome, Rejected)
        assert "no mail address" in outcome.reason


def test_a_quota_and_names_arrive(tmp_path: Path) -> None:
    with ExitStack() as stack:
        mailcow = _service("mailcow", tmp_path, stack)
        mailcow.adapter.ensure(ANNA, lambda: None)
        mailcow.adapter.ensure(replace(ANNA, login=f"bob@{DOMAIN}", quota_bytes=None), lambda: None)
        wanted = mailcow.api.wanted
        assert (wanted[ANNA.login]["quota"], wanted[ANNA.login]["name"]) == ("2048", "Anna Ö.")
        assert wanted[f"bob@{DOMAIN}"]["quota"] == "3072", "what is usual in the domain"
        stalwart = _service("stalwart", tmp_path, stack)
        stalwart.adapter.ensure(ANNA, lambda: None)
        assert stalwart.api.wanted[ANNA.login]["quotas"] == {"maxDiskQuota": 2 << 30}
        yandex = _service("yandex360", tmp_path, stack)
        yandex.adapter.ensure(replace(ANNA, last_name=""), lambda: None)
        assert yandex.api.wanted[ANNA.login]["name"] == {"first": "Anna", "last": "anna"}


def test_mailcow_never_makes_a_mailbox_that_is_too_large(tmp_path: Path) -> None:
    with ExitStack() as stack:
        found = _service("mailcow", tmp_path, stack).adapter.ensure(replace(ANNA, quota_bytes=1 << 40), lambda: None)
    assert isinstance(found, Rejected)
    assert "mailbox_quota_exceeded" in found.reason
    assert "smaller quota" in found.advice


def test_a_login_of_syntax_stays_a_login(service: Service) -> None:
    """Uses logins that are syntax in SCIM's filter, URLs, JSON or a passwd-file: each stays a login."""
    service.adapter.ensure(ANNA, lambda: None)
    for local in ('" or userName pr or userName eq "', "a b", "a%2Fb", "../x", "ä", "a&b=c", "#a", "a}"):
        login = f"{local}@{DOMAIN}"
        found = service.adapter.look(replace(ANNA, login=login))
        assert isinstance(found, Missing | Rejected), login
        made = service.adapter.ensure(replace(ANNA, login=login), lambda: None)
        assert isinstance(made, Created | Rejected), login
        if isinstance(made, Created):
            assert login in service.accounts()
    for line in ("a\nb", "a:b", "a\0b"):
        made = service.adapter.ensure(replace(ANNA, login=f"{line}@{DOMAIN}"), lambda: None)
        if isinstance(made, Created):
            assert f"{line}@{DOMAIN}" in service.accounts()


def test_names_and_passwords_of_syntax_stay_what_they_are(service: Service) -> None:
    """Uses names and passwords that are syntax.

    A passwd-file holds neither in clear; everywhere else they are values of JSON.
    """
    before = len(service.accounts())
    for number, odd in enumerate(
        ('"}],"x":["', "a:b::/bin/sh", "a\nroot:{PLAIN}x", "a\r\nX-Evil: 1", "\0", "${7*7}", "<b>&")
    ):
        login = f"odd{number}@{DOMAIN}"
        wanted = replace(ANNA, login=login, password=Secret(f"{odd}-pw"), first_name=odd, last_name=odd)
        made = service.adapter.ensure(wanted, lambda: None)
        assert isinstance(made, Created | Rejected), odd
        if isinstance(made, Created):
            before += 1
            assert service.accounts()[login].startswith("{PBKDF2}") or service.accounts()[login] == f"{odd}-pw"
        assert len(service.accounts()) == before


ARGV = """
import json, sys
json.dump(sys.argv[1:], open({path!r}, "a")); open({path!r}, "a").write("\\n")
"""


def test_a_hooks_command_line_holds_nothing_of_the_row(tmp_path: Path) -> None:
    """Keeps the row out of the hook's command line, which the list of processes shows and a shell script would read."""
    script, seen = tmp_path / "hook.py", tmp_path / "seen"
    script.write_text(ARGV.format(path=str(seen)))
    parsed = parse_service(f"hook:{sys.executable}?arg={quote(str(script))}&arg=fixed")
    assert parsed
    hook = open_service(parsed, Secret(SECRET))
    for login in ("--help", "$(touch /tmp/x)@y", "a b; id", "`id`"):
        odd = replace(ANNA, login=login, first_name=login, password=Secret(login))
        assert isinstance(hook.ensure(odd, lambda: None), Created)
    assert seen.read_text() == '["fixed"]\n' * 4


def _instead(found: Service, status: int, headers: dict[str, str]) -> None:
    if isinstance(found.api, ScimServer):
        found.api.instead = [(f"{status} No", list(headers.items()))]
    else:
        found.api.instead = [Said(status=status, headers=headers)]


def test_a_passwd_file_keeps_its_mode_and_its_lines(tmp_path: Path) -> None:
    path = tmp_path / "users"
    path.write_bytes(b"# comment\nbob:{PLAIN}x\xff:::::: \nlast:{PLAIN}y")
    path.chmod(0o640)
    parsed = parse_service(f"passwd-file:{path}?uid=vmail&gid=vmail&home=/srv/{{domain}}/{{user}}")
    assert parsed
    made = open_service(parsed, Secret("")).ensure(ANNA, lambda: None)
    assert isinstance(made, Created)
    assert made.ready_seconds > 1, "Dovecot looks once in a second"
    lines = path.read_bytes().split(b"\n")
    assert lines[:3] == [b"# comment", b"bob:{PLAIN}x\xff:::::: ", b"last:{PLAIN}y"]
    fields = lines[3].decode().split(":")
    assert fields[0] == ANNA.login
    assert fields[1].startswith("{PBKDF2}$1$")
    assert fields[2:6] == ["vmail", "vmail", "", f"/srv/{DOMAIN}/anna"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o640
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == [], "no draft is left"
