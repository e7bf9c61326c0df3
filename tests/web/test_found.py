"""Tests how the form shows a detection: the server, its untrusted certificate, and what was tried in vain."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi import Request

from producer.intake.detect import THERE_IS_NO_DOMAIN, Detection, FoundServer
from producer.web.pages.drawing import rendered
from producer.web.pages.form import Form, usual_port

ADDRESS = "anna@old.example"
DOUBT = "self-signed certificate (subject CN=mail.old.example, SHA-256 12:34)"


def _drawn(found: Detection, language: str = "en") -> str:
    scope: dict[str, Any] = {
        "type": "http",
        "method": "POST",
        "path": "/new",
        "query_string": b"",
        "headers": [(b"accept-language", language.encode())],
    }
    form = Form(address=ADDRESS)
    return rendered(
        Request(scope),
        "end.html",
        side="source",
        end=form.ends["source"],
        form=form,
        base="/new/f",
        found=found,
        steps=None,
        providers=(),
        usual_port=usual_port,
        dots="",
        by_key=(),
        chosen={},
    )


def test_a_certificate_that_proves_nothing_is_said_and_its_field_is_open() -> None:
    ways = (
        FoundServer(give="imaps://mail.old.example:993", url="imaps://mail.old.example:993", login="anna", doubt=DOUBT),
        FoundServer(give="pop3s://mail.old.example:995", url="pop3s://mail.old.example:995"),
    )
    text = _drawn(Detection(address=ADDRESS, how="guess", why="guessed, tried, and it greets over TLS", ways=ways))
    for part in (
        "imaps://mail.old.example:993; the login there is anna",
        "also pop3s://",
        "is not trusted",
        "SHA-256 12:34",
    ):
        assert part in text
    assert "<details open><summary>Self-signed or private certificate" in text


def test_without_a_doubt_there_is_none() -> None:
    way = FoundServer(give="gmail", url="imaps://imap.gmail.com:993", login=ADDRESS)
    text = _drawn(Detection(address=ADDRESS, how="preset", why="old.example belongs to Gmail", ways=(way,)))
    assert "is not trusted" not in text
    assert "the login there" not in text
    assert "<details><summary>Self-signed or private certificate" in text


@pytest.mark.parametrize(
    ("language", "said"), [("en", "there is no domain old.example"), ("ru", "домена old.example нет")]
)
def test_what_was_tried_in_vain_is_told(language: str, said: str) -> None:
    tried = (
        "no preset claims old.example",
        THERE_IS_NO_DOMAIN.says(host="old.example"),
        "https://x.example/<b>: HTTP 404",
    )
    text = _drawn(Detection(address=ADDRESS, tried=tried), language)
    assert f"<li>{said}</li>" in text
    assert "https://x.example/&lt;b&gt;: HTTP 404" in text
