"""The meaning of a refusal, by response code or by text."""

from __future__ import annotations

import pytest

from producer.web.pages.drawing import Saying
from shared.mail.answers.refusals import BEYOND, Asked, failure, response_code
from shared.model.errors import (
    AuthenticationRefused,
    AuthorizationRefused,
    ConnectionLost,
    FolderRefused,
    MailError,
    MessagesRefused,
    OverQuota,
    ProtocolViolation,
    ServerRefused,
    Throttled,
)
from worker.decisions.failures import judge


@pytest.mark.parametrize(
    ("side", "status", "asked", "text", "error"),
    [
        ("source", "NO", "login", b"[AUTHENTICATIONFAILED] Authentication failed.", AuthenticationRefused),
        ("source", "NO", "login", b"[AUTHENTICATIONFAILED] try again later", AuthenticationRefused),
        ("source", "NO", "login", b"[AUTHORIZATIONFAILED] no", AuthorizationRefused),
        ("source", "NO", "login", b"[EXPIRED] password expired", AuthenticationRefused),
        ("source", "NO", "login", b"[ALERT] Please log in via your web browser", AuthenticationRefused),
        ("source", "NO", "login", b"wrong password", AuthenticationRefused),
        ("source", "BAD", "login", b"User is authenticated but not connected.", AuthenticationRefused),
        ("source", "BAD", "login", b"syntax", ProtocolViolation),
        ("source", "NO", "login", b"[UNAVAILABLE] Maximum number of connections from user+IP exceeded", Throttled),
        ("source", "NO", "login", b"[INUSE] later", Throttled),
        ("source", "NO", "login", b"[ALERT] Too many simultaneous connections. (Failure)", Throttled),
        ("destination", "NO", "append", b"[OVERQUOTA] full", OverQuota),
        ("destination", "NO", "append", b"Quota exceeded (mailbox for user is full)", OverQuota),
        ("source", "NO", "fetch", b"[OVERQUOTA] Account exceeded command or bandwidth limits.", Throttled),
        ("destination", "NO", "append", b"[SERVERBUG] Not enough disk space", OverQuota),
        ("destination", "NO", "append", b"[UNAVAILABLE] write failed: No space left on device", OverQuota),
        ("destination", "NO", "append", b"[LIMIT] Not enough disk quota", OverQuota),
        ("destination", "NO", "append", b"System I/O error: Disk quota exceeded", OverQuota),
        ("destination", "NO", "append", b"Over quota", OverQuota),
        ("destination", "NO", "append", b"[ALERT] You exceeded your mail quota.", OverQuota),
        ("destination", "NO", "append", b"Insufficient system storage", OverQuota),
        ("destination", "NO", "append", b"[TOOBIG] message exceeds your quota", MessagesRefused),
        ("destination", "NO", "append", b"[CANNOT] not enough space in the subject", MessagesRefused),
        ("destination", "NO", "append", b"[SERVERBUG] Internal error occurred", MessagesRefused),
        ("destination", "NO", "append", b"[LIMIT] Message is too big", MessagesRefused),
        ("destination", "NO", "append", b"[TOOBIG] no", MessagesRefused),
        ("destination", "NO", "append", b"[CANNOT] keyword", MessagesRefused),
        ("destination", "NO", "append", b"Message contains bare newlines", MessagesRefused),
        ("destination", "NO", "append", b"[TRYCREATE] no such folder", FolderRefused),
        ("destination", "NO", "append", b"[NOPERM] no", FolderRefused),
        ("destination", "NO", "append", b"[UNAVAILABLE] backend", Throttled),
        ("source", "NO", "folder", b"[NONEXISTENT] no", FolderRefused),
        ("source", "NO", "folder", b"locked", FolderRefused),
        ("source", "NO", "folder", b"[INUSE] locked", Throttled),
        ("source", "NO", "fetch", b"[UNAVAILABLE] UID FETCH Server error", ServerRefused),
        ("source", "NO", "fetch", b"[SERVERBUG] x", ServerRefused),
        ("source", "NO", "fetch", b"[THROTTLED] x", Throttled),
        ("source", "NO", "command", b"no", ServerRefused),
        ("source", "BAD", "command", b"no", ProtocolViolation),
        ("source", "BYE", "command", b"Session expired", ConnectionLost),
        ("source", "BYE", "command", b"[UNAVAILABLE] shutting down", Throttled),
        ("source", "BYE", "command", b"Too many connections", Throttled),
    ],
)
def test_refusals(side: str, status: str, asked: Asked, text: bytes, error: type[MailError]) -> None:
    assert type(failure(side, status, text, asked=asked)) is error


@pytest.mark.parametrize("code", ["CONTACTADMIN", "WEBALERT", "PRIVACYREQUIRED"])
def test_a_login_that_no_password_helps_is_not_called_a_wrong_password(code: str) -> None:
    refused = failure("source", "NO", b"[%b] account disabled" % code.encode(), asked="login")
    assert isinstance(refused, AuthenticationRefused)
    verdict = judge(refused, 1)
    assert (verdict.how, verdict.advice) == ("park", BEYOND[code][1])
    assert "credentials" not in verdict.advice
    wrong = judge(failure("source", "NO", b"[AUTHENTICATIONFAILED] no", asked="login"), 1)
    assert "mailhaul credentials" in wrong.advice, "the control"
    for page in (Saying("en"), Saying("ru")):
        said = [page.cause(verdict.code, f"source: {refused.what}"), page.advice(verdict.code, verdict.advice)]
        assert said == [page.sentence(f"source: {refused.what}"), page.sentence(verdict.advice)]
        assert page.cause(wrong.code, "source: authentication failed") != page.sentence("source: authentication failed")


def test_the_suggested_wait_is_taken() -> None:
    found = failure("source", "BAD", b"Request is throttled. Suggested Backoff Time: 299961 milliseconds")
    assert isinstance(found, Throttled)
    assert found.wait_seconds == pytest.approx(299.961)


def test_a_server_that_echoes_the_password_does_not_make_us_show_it() -> None:
    found = failure("source", "NO", b"bad: LOGIN me hunter2\x1b[0m", asked="login", secrets=["hunter2"])
    assert "hunter2" not in str(found)
    assert "\x1b" not in str(found)


def test_the_same_refusal_reads_the_same() -> None:
    texts = {str(failure("source", "NO", b"[X] no (0.001 + 0.%03d secs)." % n)) for n in range(3)}
    assert len(texts) == 1


def test_response_codes() -> None:
    assert response_code(b"[overquota] x") == "OVERQUOTA"
    assert response_code(b"[APPENDUID 1 2] x") == "APPENDUID"
    assert response_code(b"x [OVERQUOTA]") == ""
