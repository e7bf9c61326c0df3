"""The words in which servers ask to be asked less: a row for each text that was seen, with where it was seen."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.mail.answers.hints import TABLE, Hint, hint_in, slows_down
from shared.mail.answers.refusals import Asked, failure
from shared.mail.pop3.pop3_signing_in import _login_failure
from shared.model.errors import Throttled

#: (status, asked, text) → (seconds, scope)
SEEN: list[tuple[str, Asked, bytes, float | None, str, str]] = [
    (
        "BAD",
        "command",
        b"Request is throttled. Suggested Backoff Time: 299961 milliseconds",
        299.961,
        "account",
        "imap_tools #135",
    ),
    (
        "NO",
        "append",
        b"Request is throttled. Suggested Backoff Time: 15000 milliseconds",
        15,
        "account",
        "imapsync FAQ.Office365",
    ),
    ("BYE", "command", b"Connection closed. Suggested Backoff Time: 1000 milliseconds", 1, "account", "imapflow"),
    ("NO", "command", b"Server Unavailable. 15", 300, "account", "imapsync FAQ.Exchange"),
    ("NO", "login", b"[ALERT] Too many simultaneous connections. (Failure)", None, "account", "Gmail: wildduck #35"),
    ("BYE", "command", b"Too many simultaneous connections", None, "account", "Gmail"),
    ("BYE", "greeting", b"Too many connections", None, "host", "at the greeting nobody has said who he is"),
    ("BYE", "greeting", b"[UNAVAILABLE] shutting down", None, "host", "Dovecot"),
    ("BYE", "command", b"[UNAVAILABLE] too busy", None, "account", "RFC 5530"),
    (
        "NO",
        "login",
        b"[UNAVAILABLE] Maximum number of connections from user+IP exceeded (mail_max_userip_connections=10)",
        None,
        "account",
        "Dovecot: node-imap #606",
    ),
    ("NO", "login", b"Too many connections from your IP", None, "host", "Courier MAXPERIP"),
    ("NO", "login", b"Too many logins from this host, try again in 10 minutes", 600, "host", "front ends"),
    ("NO", "command", b"[THROTTLED] slow down", None, "account", "Gmail: MailKit #1396"),
    ("NO", "command", b"[LIMIT] too much", None, "account", "RFC 5530"),
    ("NO", "folder", b"[INUSE] locked by another session", None, "account", "RFC 5530"),
    (
        "NO",
        "fetch",
        b"[OVERQUOTA] Account exceeded command or bandwidth limits. (Failure)",
        900,
        "account",
        "Gmail: ha-email-sensor #16",
    ),
    ("NO", "login", b"Maximum number of connections per IP exceeded", None, "host", "Courier MAXPERIP"),
    ("BYE", "command", b"Too many bad commands", None, "account", "Dovecot"),
    ("BYE", "command", b"Account exceeded command or bandwidth limits. s123mb456", 900, "account", "Gmail"),
    ("NO", "login", b"rate limit exceeded, retry after 120 seconds", 120, "account", "front ends"),
    ("NO", "login", b"wait 2 hours", 7200, "account", "front ends"),
    ("NO", "login", b"[UNAVAILABLE] Temporary authentication failure.", None, "account", "Dovecot"),
]


@pytest.mark.parametrize(
    ("status", "asked", "text", "seconds", "scope", "source"), SEEN, ids=lambda value: str(value)[:40]
)
def test_what_was_seen(status: str, asked: Asked, text: bytes, seconds: float | None, scope: str, source: str) -> None:
    found = failure("source", status, text, asked=asked)
    assert isinstance(found, Throttled), source
    assert (found.wait_seconds and round(found.wait_seconds, 3), found.scope) == (seconds, scope), source
    assert found.detail


@pytest.mark.parametrize(
    ("text", "offered", "seconds", "scope"),
    [
        (b"-ERR [LOGIN-DELAY] minimum time between mail checks violation", {"LOGIN-DELAY=900"}, 900, "account"),
        (b"-ERR [LOGIN-DELAY] too soon", (), 60, "account"),
        (b"-ERR [IN-USE] Do you have another POP session running?", (), 60, "account"),
        (b"-ERR [SYS/TEMP] Temporary system problem, try again in 5 minutes", (), 300, "account"),
        (b"-ERR maildrop is locked", {"LOGIN-DELAY=900"}, 60, "account"),
    ],
)
def test_what_was_seen_of_pop3(text: bytes, offered: set[str], seconds: float, scope: str) -> None:
    """Reads texts of POP3 servers (RFC 2449 §8, RFC 3206, RFC 1939)."""
    found = _login_failure("source", text, offered=offered)
    assert isinstance(found, Throttled)
    assert (found.wait_seconds, found.scope) == (seconds, scope)


def test_who_is_refused_at_pop3s_greeting_leaves_the_host_alone() -> None:
    found = _login_failure("source", b"-ERR [SYS/TEMP] too many connections", greeting=True)
    assert isinstance(found, Throttled)
    assert found.scope == "host"


@pytest.mark.parametrize("text", [b"Success [THROTTLED]", b"[THROTTLED] Fetch completed", b"[throttled] x"])
def test_an_ok_may_ask_to_be_asked_less(text: bytes) -> None:
    assert slows_down(text)


@pytest.mark.parametrize(
    ("status", "asked", "text"),
    [
        ("NO", "append", b"Message contains bare newlines"),
        ("NO", "append", b"[LIMIT] Message is too big"),
        ("NO", "append", b"Too many user flags in mailbox"),
        ("NO", "login", b"[AUTHENTICATIONFAILED] try again later"),
        ("BYE", "command", b"Logging out after 30 minutes of inactivity"),
        ("NO", "fetch", b"[UNAVAILABLE] UID FETCH Server error"),
        ("BAD", "login", b"Command received in 15 wrong state"),
    ],
)
def test_what_asks_for_nothing(status: str, asked: Asked, text: bytes) -> None:
    assert not isinstance(failure("destination", status, text, asked=asked), Throttled)


def test_a_time_is_never_longer_than_a_day() -> None:
    assert hint_in(b"Suggested Backoff Time: 999999999 milliseconds") == Hint(seconds=86400)
    assert hint_in(b"try again in 99 hours") == Hint(seconds=86400)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_asked(text: bytes) -> None:
    hint_in(text)


def test_each_row_was_seen() -> None:
    """Proves the table (negative control): without a row one of the texts above would be read otherwise."""
    texts = [row[2] for row in SEEN]
    assert all(any(row.words.search(text) for text in texts) for row in TABLE)
