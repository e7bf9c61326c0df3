"""The presets: their form, that no two claim one thing, and their effect."""

from __future__ import annotations

import subprocess
import sys
import tomllib
import zipfile
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from producer.intake.endpoints import parse_endpoint
from producer.intake.providers import Provider, catalogue, presets_in
from producer.intake.scan import _refused
from producer.intake.visiting import MOST_AT_ONCE
from shared.model import Endpoint, Tls
from shared.model.errors import AuthenticationRefused, Unreachable, UsageError
from tests.unit.intake.preset_form import CatalogueForm

TEXTS = {one.name: one.read_text("utf-8") for one in (files("producer.intake") / "presets").iterdir()}
PROVIDERS = catalogue().providers
ELSEWHERE = Endpoint(host="new.example", port=993, tls=Tls.IMPLICIT)


def raw() -> dict[str, Any]:
    return {"providers": [tomllib.loads(TEXTS[f"{one.name}.toml"]) for one in PROVIDERS]}


@pytest.mark.parametrize(
    "name",
    [
        "gmail",
        "workspace",
        "mailru",
        "yandex",
        "microsoft365",
        "outlook",
        "yahoo",
        "aol",
        "icloud",
        "zoho",
        "fastmail",
        "gmx",
        "webde",
        "rambler",
        "ionos",
        "ovh",
        "gandi",
        "godaddy",
        "private",
    ],
)
def test_it_is_there(name: str) -> None:
    provider, site = catalogue().find(name.upper())
    assert name in (provider.name, *provider.aliases)
    assert (site is None) == (name == "private")


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_every_preset_is_usable(provider: Provider) -> None:
    for site in provider.sites:
        for side in ("source", "destination"):
            urls = catalogue().urls(side)
            endpoint = parse_endpoint(site.name, side=side, providers=urls)
            assert endpoint.tls is Tls.IMPLICIT
            assert catalogue().by_account("", endpoint.host) is not None
        for domain in site.domains:
            assert catalogue().by_domain("any" + domain if domain.startswith(".") else domain) == (provider, site)
        for suffix in site.mx:
            assert catalogue().by_mx(f"MX1.{suffix}.") == (provider, site)
            assert catalogue().by_mx(suffix) == (provider, site)
            assert catalogue().by_mx(f"not-{suffix}") != (provider, site)
    assert provider.first
    assert provider.limits or provider.name == "private"


def test_another_site_of_a_provider_goes_by_its_own_name() -> None:
    assert catalogue().find("zoho-eu:pop3")[1] == next(s for p in PROVIDERS for s in p.sites if s.name == "zoho-eu")
    with pytest.raises(UsageError, match="there are: gmail"):
        catalogue().find("gmial")


@pytest.mark.parametrize(
    ("what", "spoil"),
    [
        ("domain", lambda p: p[1]["site"][0]["domains"].append("gmail.com")),
        ("mail exchanger", lambda p: p[1]["site"][0]["mx"].append("google.com")),
        ("name", lambda p: p[1].update(aliases=["gmail"])),
        ("name", lambda p: p[9]["site"][0].update(name="gmail") or p[9].update(name="gmail")),
        ("sources must be exactly", lambda p: p[0]["sources"].pop("limits")),
        ("sources must be exactly", lambda p: p[0]["sources"].update(nonsense="somebody")),
        ("layout", lambda p: p[0].update(layout=2)),
        ("Extra inputs", lambda p: p[0].update(color="red")),
        ("Extra inputs", lambda p: p[0]["notes"][0].update(url="x")),
        ("source", lambda p: p[0]["notes"][0].pop("source")),
        ("pattern", lambda p: p[0]["site"][0].update(imap="imap://imap.gmail.com:143")),
        ("pattern", lambda p: p[0].update(first="no sentence")),
        ("Input should be", lambda p: p[0]["limits"].update(both=3)),
        ("greater than or equal", lambda p: p[0]["limits"].update(source_host=0)),
    ],
)
def test_a_faulty_file_is_refused(what: str, spoil: Any) -> None:
    """Proves the tests above (negative control): the file as it is passes, and spoilt in one place it does not."""
    data = raw()
    CatalogueForm.model_validate(data)
    spoil(data["providers"])
    with pytest.raises(ValidationError, match=what):
        CatalogueForm.model_validate(data)


_SLATE = """
layout = 1
reviewed = "2027-02"
shown = 15
name = "slate"
title = "Slate Mail"
first = "Make a password for mail programs."
sign_in = ["password"]
limits = { source_account = 3 }
sources = { first = "its manual", sign_in = "its manual", limits = "start", hosts = "its manual", domains = "its manual" }

[[site]]
name = "slate"
imap = "imaps://imap.slate.example:993"
domains = ["slate.example"]
"""


def test_a_provider_is_one_file(tmp_path: Path) -> None:
    for name, text in TEXTS.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "slate.toml").write_text(_SLATE)
    known = presets_in(tmp_path)
    assert [one.name for one in known.providers][:3] == ["gmail", "slate", "mailru"]
    assert known.edition == "2027-02"
    end = parse_endpoint("slate", providers=known.urls("source"))
    assert (end.host, known.first_at("anna@slate.example", end.host)) == (
        "imap.slate.example",
        "Slate Mail: Make a password for mail programs.",
    )
    assert known.usual_limits([end], ELSEWHERE, {}) == {f"source_account:{end.url}": 3}
    assert presets_in(Path(str(files("producer.intake") / "presets"))) == catalogue(), "and nothing else was written"


@pytest.mark.parametrize(
    ("exchanger", "name"),
    [
        ("aspmx.l.google.com", "gmail"),
        ("smtp.google.com.", "gmail"),
        ("emx.mail.ru", "mailru"),
        ("mx.yandex.net", "yandex"),
        ("acme-com.mail.protection.outlook.com", "microsoft365"),
        ("acme-com.j-v1.mx.microsoft", "microsoft365"),
        ("outlook-com.olc.protection.outlook.com", "outlook"),
        ("mta5.am0.yahoodns.net", "yahoo"),
        ("mx-aol.mail.gm0.yahoodns.net", "aol"),
        ("mx01.mail.icloud.com", "icloud"),
        ("mx2.zoho.eu", "zoho-pro-eu"),
        ("in1-smtp.messagingengine.com", "fastmail"),
        ("mx00.kundenserver.de", "ionos-de"),
        ("mx1.mail.ovh.net", "ovh"),
        ("spool.mail.gandi.net", "gandi"),
        ("mailstore1.secureserver.net", "godaddy"),
    ],
)
def test_real_mail_exchangers(exchanger: str, name: str) -> None:
    found = catalogue().by_mx(exchanger)
    assert found is not None
    assert found[1].name == name


def test_a_source_may_be_read_from_another_host() -> None:
    assert catalogue().urls("source")["yahoo"] == "imaps://export.imap.mail.yahoo.com:993"
    assert catalogue().urls("destination")["yahoo"] == "imaps://imap.mail.yahoo.com:993"
    assert catalogue().urls("source")["gmail:pop3"] == "pop3s://pop.gmail.com:995"
    assert not [name for name in catalogue().urls("destination") if "pop3" in name]


def test_usual_limits_are_of_the_host_and_the_lower_counts() -> None:
    gmail = parse_endpoint("imaps://imap.gmail.com")
    found = catalogue().usual_limits([gmail], ELSEWHERE, {})
    assert found == {
        "source_account:imaps://imap.gmail.com:993": 6,
        "source_host:imap.gmail.com": 200,
        "source_account.bytes_per_day:imaps://imap.gmail.com:993": 2_000_000_000,
    }
    lower = {"source_account": 1, "destination_host": 900, "source_account.bytes_per_day": 7}
    found = catalogue().usual_limits([gmail], gmail, lower)
    assert found["source_account.bytes_per_day:imaps://imap.gmail.com:993"] == 7
    assert found["destination_account.bytes_per_day:imaps://imap.gmail.com:993"] == 450_000_000
    assert found["source_account:imaps://imap.gmail.com:993"] == 1
    assert found["destination_account:imaps://imap.gmail.com:993"] == 4
    assert found["destination_host:imap.gmail.com"] == 200
    assert catalogue().usual_limits([ELSEWHERE], ELSEWHERE, {}) == {}


def test_a_pop3_account_has_one_connection() -> None:
    source = Endpoint(protocol="pop3", host="old.example", port=995, tls=Tls.IMPLICIT)
    assert catalogue().usual_limits([source], ELSEWHERE, {}) == {"source_account:pop3s://old.example:995": 1}


def test_a_pop3_source_has_a_budget_of_its_own() -> None:
    found = catalogue().usual_limits([parse_endpoint("pop3s://pop.gmail.com")], ELSEWHERE, {})
    assert found["source_account.bytes_per_day:pop3s://pop.gmail.com:995"] == 1_000_000_000


def test_two_at_one_host_are_told_apart_by_the_login() -> None:
    for login, name in (("a@hotmail.com", "outlook"), ("a@acme.example", "microsoft365"), ("admin", "microsoft365")):
        found = catalogue().by_account(login, "outlook.office365.com")
        assert found is not None
        assert found.name == name
    assert catalogue().by_account("a@gmail.com", "mail.example.org") is None


def test_a_login_may_be_the_local_part() -> None:
    assert catalogue().find("icloud")[0].login_of("anna@icloud.com") == "anna"
    assert catalogue().find("gmail")[0].login_of("anna@gmail.com") == "anna@gmail.com"


def test_the_wheel_has_the_files(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, cwd=Path(__file__).parents[3], check=True, capture_output=True)
    (wheel,) = tmp_path.glob("*.whl")
    with zipfile.ZipFile(wheel) as content:
        for name, text in TEXTS.items():
            assert content.read(f"producer/intake/presets/{name}").decode() == text


def test_a_refused_login_is_told_what_its_provider_wants_first() -> None:
    refused = AuthenticationRefused("source", "authentication failed")
    at_gmail, at_home = parse_endpoint("imaps://imap.gmail.com"), parse_endpoint("imaps://old.example")
    assert "make an app password" in _refused(refused, at_gmail, "anna@gmail.com").advice
    assert _refused(refused, at_home, "anna@gmail.com").advice == "correct login and password in the file"
    assert "app password" not in _refused(Unreachable("source", "is away"), at_gmail, "anna@gmail.com").advice


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_check_stays_within_what_is_usual_there(provider: Provider) -> None:
    assert min((most for scope, most in provider.limits.items() if scope.endswith("host")), default=99) >= MOST_AT_ONCE


def test_the_documentation_names_each() -> None:
    text = (Path(__file__).parents[3] / "docs" / "providers.md").read_text(encoding="utf-8")
    rows = [line for line in text.splitlines() if line.startswith("| `")]
    assert rows == [f"| `{provider.name}` | {provider.title} | {provider.first} |" for provider in PROVIDERS]
