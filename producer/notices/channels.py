"""Sends a worded notice to a target: by e-mail, to a webhook, to a channel of Slack or Teams.

A repeat has the same id: Message-ID of the mail, Idempotency-Key and `id` of the webhook, the last words of a chat message.
Nothing is retried here.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from shared.model.notices import Delivery
from shared.nouns import dataclass
from shared.sign_in.reach import Reach
from shared.store.records.targets import Target

if TYPE_CHECKING:
    from producer.notices.wording import Wording

VERSION: Final = 1


@dataclass(frozen=True, kw_only=True, slots=True)
class NoticeTold:
    """The words that one target is told in one delivery."""

    #: The delivery; its id drops repeats.
    delivery: Delivery
    #: The words.
    wording: Wording
    #: Logins of the mailboxes that it is about; empty unless the target asked for them.
    logins: Sequence[str] = ()


def send(target: Target, told: NoticeTold, now: float, reach: Reach | None) -> None:
    """Sends it. `reach` guards a target that came by page or API. Raises `NotSent`."""
    guard = reach if target.guarded else None
    if target.way == "email":
        from producer.notices.smtp_send import mailed

        mailed(target.secret, told.delivery.delivery_id, told.wording, told.delivery.notice.at, guard)
        return
    from producer.notices.http_post import posted

    key, headers = told.delivery.delivery_id, {"Content-Type": "application/json"}
    if target.way == "webhook":
        from shared.accounts.webhook import signature
        from shared.runtime.secret import Secret

        body = json.dumps(_document(told), ensure_ascii=False).encode()
        stamp = str(int(now))
        signed = signature(Secret(target.secret["secret"]), stamp, body)
        headers |= {"Mailhaul-Timestamp": stamp, "Mailhaul-Signature": f"v1={signed}", "Idempotency-Key": key}
    else:
        document = _slack(told, key) if target.way == "slack" else _teams(told, key)
        body = json.dumps(document, ensure_ascii=False).encode()
    posted(target.secret["url"], body, headers, guard)


def _document(told: NoticeTold) -> dict[str, Any]:
    notice = told.delivery.notice
    return {
        "version": VERSION,
        "id": told.delivery.delivery_id,
        "kind": notice.kind,
        "at": notice.at,
        "import_id": notice.import_id,
        "import": notice.name,
        "wave": notice.wave,
        "values": _unnamed(told),
        "logins": list(told.logins),
        "subject": told.wording.subject,
        "lines": list(told.wording.lines),
    }


def _unnamed(told: NoticeTold) -> dict[str, str | float]:
    """Returns the values without the sentences, which may name somebody: the lines say these."""
    return {name: value for name, value in told.delivery.notice.values.items() if name in _PLAIN_VALUES}


#: Values that name nobody.
_PLAIN_VALUES: Final = frozenset(
    {
        "word",
        "code",
        "mailboxes",
        "complete",
        "parked",
        "messages",
        "size_bytes",
        "ends_at",
        "since",
        "then",
        "now",
        "made_at",
        "fifths",
    }
)


def _slack(told: NoticeTold, key: str) -> dict[str, Any]:
    subject, *lines = (_escaped(line) for line in told.wording.text.splitlines())
    return {"text": "\n".join((f"*{subject}*", *lines, f"_{key}_"))}


def _escaped(text: str) -> str:
    """Escapes what Slack reads as a mention or a link."""
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _text_block(text: str, **style: Any) -> dict[str, Any]:
    """Returns a block of a card that shows the text as it is; in a TextBlock, words of a server could be a link (Markdown)."""
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}]}


def _teams(told: NoticeTold, key: str) -> dict[str, Any]:
    blocks = [
        _text_block(told.wording.subject, weight="Bolder", size="Medium"),
        *({**_text_block(line), "spacing": "Small"} for line in told.wording.lines if line),
        _text_block(key, isSubtle=True, size="Small"),
    ]
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": blocks,
    }
    return {
        "type": "message",
        "attachments": [
            {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
        ],
    }
