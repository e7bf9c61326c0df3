"""The addresses that `--accounts` takes, and those that it refuses."""

from __future__ import annotations

import pytest

from shared.accounts.address import parse_service
from shared.accounts.opening import open_service
from shared.accounts.several import parse_services, sealed_together, secret_of
from shared.model.errors import UsageError
from shared.runtime.secret import Secret


@pytest.mark.parametrize("text", ["", "none"])
def test_none_is_none(text: str) -> None:
    assert parse_service(text) is None


@pytest.mark.parametrize(
    ("text", "kind", "place"),
    [
        ("scim+https://id.example/scim/v2/", "scim", "https://id.example/scim/v2"),
        ("mailcow+https://mail.example:8443", "mailcow", "https://mail.example:8443"),
        ("stalwart+http://127.0.0.1:8080", "stalwart", "http://127.0.0.1:8080"),
        ("webhook+http://[::1]:1/x", "webhook", "http://[::1]:1/x"),
        ("hook:/opt/a%20b?arg=1&arg=2", "hook", "/opt/a b"),
        ("passwd-file:/etc/dovecot/users?uid=vmail", "passwd-file", "/etc/dovecot/users"),
        ("yandex360://123", "yandex360", "123"),
    ],
)
def test_each_kind_has_its_place(text: str, kind: str, place: str) -> None:
    found = parse_service(text)
    assert found
    assert (found.kind, found.place) == (kind, place)


def test_arguments_of_a_hook_stay_in_order() -> None:
    found = parse_service("hook:/x?arg=-v&arg=a%26b&arg=")
    assert found
    assert found.arguments == ("-v", "a&b", "")


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("scim+http://id.example/scim", "in the clear"),
        ("yandex360://1?api=http://evil.example", "in the clear"),
        ("scim+https://user:canary@id.example", "--accounts-secret-file"),
        ("https://id.example", "scim+https"),
        ("scim://id.example", "scim+https"),
        ("hook+https://x", "scim+https"),
        ("hook:relative", "whole path"),
        ("hook://host/x", "whole path"),
        ("yandex360://acme", "is a number"),
        ("scim+https://x?tokn=canary", "no option"),
        ("passwd-file:/x?settle=soon", "whole number"),
    ],
)
def test_what_is_wrong_is_said_without_what_may_be_secret(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=why.replace("+", r"\+")) as refused:
        parse_service(text)
    assert "canary" not in str(refused.value)


def test_a_kind_that_needs_a_secret_says_so() -> None:
    url = parse_service("scim+https://id.example")
    assert url
    with pytest.raises(UsageError, match="--accounts-secret-file"):
        open_service(url, Secret(""))
    with pytest.raises(UsageError, match="one line"):
        open_service(url, Secret("a\r\nX-Evil: 1"))


def test_each_domain_may_have_its_own_service() -> None:
    services = parse_services("scim+https://id.example/v2\nA.example=hook:/make?arg=x=y\nb.example=none")
    assert [services.by_domain[domain] and services.by_domain[domain].kind for domain in ("", "a.example")] == [  # type: ignore[union-attr]
        "scim",
        "hook",
    ]
    asked = {login: services.of(login) for login in ("x@a.EXAMPLE", "x@b.example", "x@c.example", "x")}
    kinds = {login: meant[1].kind if meant else "" for login, meant in asked.items()}
    assert kinds == {"x@a.EXAMPLE": "hook", "x@b.example": "", "x@c.example": "scim", "x": "scim"}
    together = sealed_together({"": Secret("one"), "a.example": Secret("two")})
    assert secret_of(services, "a.example", together) == Secret("two")
    assert secret_of(services, "", together) == Secret("one")
    with pytest.raises(UsageError, match=r"given twice for a\.example"):
        parse_services("a.example=none\na.example=hook:/x")


def test_without_domains_nothing_is_wrapped() -> None:
    services = parse_services("hook:/make?arg=x=y")
    assert services.of("anna") == ("", parse_service("hook:/make?arg=x=y"))
    assert secret_of(services, "", sealed_together({"": Secret("one")})) == Secret("one")
    assert parse_services("").of("anna") is None
    assert parse_services("none").text == ""
