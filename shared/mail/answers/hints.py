"""The words in which servers ask to be asked less, as one table. Pure.

A hint says whom to leave alone, the account or the whole host, and for how long where the server names a time. Words
alone do not make an answer a hint: `shared.mail.answers.refusals` and `shared.mail.pop3.pop3_conversation` know for which
answers to ask.
"""

from __future__ import annotations

import re
from typing import Final

from shared.model.sides import Limited
from shared.nouns import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Hint:
    """A server's request to wait."""

    #: The scope to leave alone.
    scope: Limited = Limited.ACCOUNT
    #: Seconds to wait; None where the server names no time.
    seconds: float | None = None
    #: Whether the words are about too many connections.
    crowded: bool = False


@dataclass(frozen=True, slots=True)
class HintRule:
    """A line of the table."""

    #: The words, case aside.
    words: re.Pattern[bytes]
    #: The scope that the words concern.
    scope: Limited = Limited.ACCOUNT
    #: Seconds where no time is named.
    seconds: float | None = None
    #: Seconds of one of the units that `words` takes as its first group; 0: it takes none.
    unit: float = 0.0
    #: Whether they are about too many connections.
    crowded: bool = False


def _row(
    words: bytes,
    scope: Limited = Limited.ACCOUNT,
    seconds: float | None = None,
    *,
    unit: float = 0.0,
    crowded: bool = False,
) -> HintRule:
    return HintRule(re.compile(words, re.IGNORECASE), scope, seconds, unit, crowded)


#: The hints. All rows that fit count: a named time comes before a usual one, the host before the account.
TABLE: Final = (
    # Exchange and Microsoft 365, in NO, BAD and BYE (imap_tools #135, imapflow; imapsync FAQ.Office365)
    _row(rb"suggested backoff time:\s*(\d{1,9})\s*milliseconds", unit=0.001),
    # imapsync FAQ.Exchange: the number is a code and no time
    _row(rb"\bserver unavailable\.? 15\b", seconds=300),
    # a time in words, as proxies and rate limiters write it (RFC 9110 §10.2.3's "Retry-After", fail2ban-like front ends)
    _row(rb"(?:retry|try again|wait)(?: again)?(?: after| in| for)?:? (\d{1,6}) ?(?:s\b|sec)", unit=1),
    _row(rb"(?:retry|try again|wait)(?: again)?(?: after| in| for)?:? (\d{1,4}) ?(?:m\b|min)", unit=60),
    _row(rb"(?:retry|try again|wait)(?: again)?(?: after| in| for)?:? (\d{1,2}) ?(?:h\b|hour)", unit=3600),
    # Gmail, once its bandwidth of the day is used up: for hours (Workspace's bandwidth limits; ha-email-sensor #16)
    _row(rb"command or bandwidth limits", seconds=900),
    # a whole address is one too many: Courier MAXPERIP, hosts' firewalls
    _row(
        rb"too many (?:\w+ ){0,3}(?:from|for) (?:this|your|the same|that) (?:ip|host|address|client)",
        Limited.HOST,
        crowded=True,
    ),
    _row(rb"(?:connections?|logins?) per (?:ip|host|address)|maxperip", Limited.HOST, crowded=True),
    # Gmail's 15 (wildduck #35), Dovecot's mail_max_userip_connections (node-imap #606), Cyrus and others
    _row(rb"too many (?:simultaneous |concurrent |open |imap |pop3? )*(?:connections|logins|sessions)", crowded=True),
    _row(rb"maximum number of connections|connection limit", crowded=True),
    _row(rb"too many bad"),
    # Gmail's "OK Success [THROTTLED]" (MailKit #1396, node-imap #593), and words of the kind
    _row(rb"throttl|rate.?limit|slow down"),
    _row(rb"try again later|temporar(?:il)?y|too busy"),
)

#: Response codes that ask to wait, IMAP's (RFC 5530, RFC 9051; THROTTLED is Gmail's) and POP3's (RFC 2449 §8, RFC 3206).
CODES: Final = frozenset({"THROTTLED", "INUSE", "UNAVAILABLE", "LIMIT"})
POP3_CODES: Final = CODES | {"IN-USE", "LOGIN-DELAY", "SYS/TEMP"}

#: Longest time that is believed: Gmail lets nobody wait for more than a day.
_LONGEST_SECONDS: Final = 86_400.0


def hint_in(text: bytes, *, greeting: bool = False) -> Hint | None:
    """Returns what the words ask for; None when they ask for nothing.

    A refusal in the `greeting` comes before any account is named, so it concerns the host.
    """
    found = [(row, said) for row in TABLE if (said := row.words.search(text))]
    if not found:
        return None
    named = [min(int(said[1]) * row.unit, _LONGEST_SECONDS) for row, said in found if row.unit]
    usual = [row.seconds for row, _ in found if row.seconds]
    whole = greeting or any(row.scope is Limited.HOST for row, _ in found)
    return Hint(
        scope=Limited.HOST if whole else Limited.ACCOUNT,
        seconds=next(iter(named + usual), None),
        crowded=any(row.crowded for row, _ in found),
    )


def hint_of(code: str, text: bytes, *, greeting: bool = False) -> Hint:
    """Returns the hint of an answer whose response code asks to wait."""
    return hint_in(text, greeting=greeting) or Hint(scope=Limited.HOST if greeting else Limited.ACCOUNT)


def slows_down(text: bytes) -> bool:
    """Tells whether an OK comes with the wish to be asked less: Gmail writes the code in front or behind."""
    return b"[THROTTLED]" in text.upper()
