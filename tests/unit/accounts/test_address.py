"""What `--accounts` may say."""

from __future__ import annotations

import pytest

from shared.accounts.address import parse_service
from shared.accounts.opening import open_service
from shared.credentials import Secret
from shared.errors import UsageError


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
