"""Chooses the mail of the contract: the corpus in odd and nested folders, with flags, keywords and odd dates."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta, timezone
from functools import cache

from tests.mail import Mail, corpus_messages

#: Folders as paths in modified UTF-7: nested, with spaces, signs that mean something to IMAP, and several scripts.
FOLDERS = [
    ("INBOX",),
    ("Sent",),
    ("Drafts",),
    ("Work",),
    ("Work", "2020"),
    ("Work", "2020", "Q1"),
    ("Archive", "a", "b", "c"),
    ("R&AOk-sum&AOk-s",),
    ("&BBgENAQ1BDg-",),
    ("&BBgENAQ1BDg-", "&BB0EPgQyBD4ENQ-"),
    ("&ZeVnLIqe-",),
    ("&U,BTFw-",),
    ("with space",),
    (" lead",),
    ('quo"te',),
    ("per%cent",),
    ("star*",),
    ("Dr. Jones",),
    ("a/b",),
    ("back\\slash",),
]
_FLAGS = ["\\Seen", "\\Answered", "\\Flagged", "\\Draft", "\\Deleted", "$Forwarded", "$MDNSent", "work", "Junk"]
_ZONES = [UTC, timezone(timedelta(hours=5, minutes=30)), timezone(timedelta(hours=-12)), timezone(timedelta(hours=14))]
#: Dates that each server can hold. Dovecot gives another date each time for one before 1970 or after 2106.
_ODD_DATES = [
    datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC),
    datetime(1971, 2, 28, 23, 59, 59, tzinfo=UTC),
    datetime(2038, 1, 19, 3, 14, 8, tzinfo=UTC),
    datetime(2000, 2, 29, tzinfo=UTC),
    datetime(2025, 3, 30, 1, 30, tzinfo=UTC),
]


@cache
def mail_to_move(limit: int = 0) -> dict[tuple[str, ...], list[Mail]]:
    """Returns the messages of each folder; of the whole corpus at most `limit`, spread over it, where that is not 0.

    Each tenth message is in its folder twice, each fiftieth has an odd date.
    """
    rnd = random.Random(14)
    bodies = [body for _, body in corpus_messages()]
    if limit and len(bodies) > limit:
        bodies = [bodies[number * len(bodies) // limit] for number in range(limit)]
    folders: dict[tuple[str, ...], list[Mail]] = {path: [] for path in FOLDERS}
    for number, body in enumerate(bodies):
        when = datetime(1999, 1, 1, tzinfo=UTC) + timedelta(seconds=rnd.randrange(800_000_000))
        if number % 50 == 7:
            when = _ODD_DATES[number // 50 % len(_ODD_DATES)]
        mail = Mail(body, tuple(flag for flag in _FLAGS if rnd.random() < 0.25), when.astimezone(rnd.choice(_ZONES)))
        folders[FOLDERS[number % len(FOLDERS)]] += [mail] * (2 if number % 10 == 0 else 1)
    return {path: messages for path, messages in folders.items() if messages}
