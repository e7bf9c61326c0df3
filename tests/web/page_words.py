"""The words of a page: its visible texts, those that are marked as somebody else's words, and what of them is English."""

from __future__ import annotations

import re
from collections.abc import Collection
from html.parser import HTMLParser
from typing import Final

#: Attributes that a reader sees or hears.
_SAID: Final = ("title", "aria-label", "alt", "placeholder")
_EMPTY: Final = ("input", "link", "meta", "br", "img", "path", "hr", "rect")
#: Elements whose content is no sentence: of programs, or typed by a person.
_SILENT: Final = ("script", "style", "textarea", "code")

#: Words that stay as they are in every language, and why.
NAMES: Final = {
    "mailhaul": "the product; before a command of it: what is to be typed",
    "up": "a command",
    "worker": "a command",
    "link": "a command",
    "service": "a command",
    "set": "a command",
    "default": "a word that is to be typed",
    "none": "a word that is to be typed",
    "now": "a word that is to be typed",
    "never": "a word that is to be typed",
    "Mon-Fri": "days that are to be typed",
    "Sat-Sun": "days that are to be typed",
    "noeviction": "a value of a setting of Redis",
    "everysec": "a value of a setting of Redis",
    "appendfsync": "a setting of Redis",
    "maxmemory-policy": "a setting of Redis",
    "maxmemory": "a setting of Redis",
    "appendonly": "a setting of Redis",
    "Redis": "a program",
    "Valkey": "a program",
    "Sentinel": "a program",
    "Cluster": "a program",
    "Python": "a program",
    "Unix": "a system",
    "Fernet": "a form of keys",
    "Dovecot": "a program",
    "Postfix": "a program",
    "Slack": "a service",
    "Teams": "a service",
    "Microsoft": "a company",
    "Google": "a company",
    "Workspace": "a service",
    "Gmail": "a service",
    "Stalwart": "a program",
    "Sun": "a company",
    "Oracle": "a company",
    "Courier": "a program",
    "Message-ID": "a field of a message",
    "Entra": "a service",
    "Exchange": "a program",
    "Online": "a service",
    "Zimbra": "a program",
    "Email": "a part of a service's name",
    "Basic": "a service's tariff",
    "New-ServicePrincipal": "a command of Microsoft's",
    "Add-MailboxPermission": "a command of Microsoft's",
    "Yandex": "a company",
    "mailcow": "a program",
    "Webhook": "a kind of service, by its name",
    "passdb": "a setting of Dovecot",
    "hook": "a kind of switch, by its name",
    "curl": "a program",
    "Authorization": "a field of a request",
    "Bearer": "a field of a request",
    "OAuth": "a protocol",
}
#: Tokens that no language changes: addresses, paths, settings, numbers, acronyms, names of hosts and files.
_TOKENS: Final = re.compile(
    r"MAILHAUL_\w+|\{\w+\}|[\w.+-]*[@/_\\=]\S*|[\w.+-]+:\S+|[\w-]*(?:\.[\w-]+)+|(?<![\w-])[A-Z][A-Z0-9-]+\b|\b\d\S*|--\w\S*|\b[0-9a-f]{8,}\b"
)
_LATIN: Final = re.compile(r"[A-Za-z]{2,}(?:['’-][A-Za-z]+)*")


class PageWords(HTMLParser):
    """The visible texts of a page, and apart from them the texts that are marked as another language."""

    def __init__(self, page: str, language: str = "ru") -> None:
        super().__init__()
        self.lines: list[str] = []
        self.quoted: list[str] = []
        self._language = language
        self._stack: list[tuple[str, str]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        foreign = found.get("lang", self._language) != self._language
        kind = "silent" if tag in _SILENT else "quoted" if foreign else self._kind
        if kind == "said":
            self.lines += [found[name] or "" for name in _SAID if found.get(name)]
        if tag not in _EMPTY:
            self._stack.append((tag, kind))

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Ignores an empty element, as in SVG."""

    def handle_endtag(self, tag: str) -> None:
        while self._stack and self._stack.pop()[0] != tag:
            continue

    def handle_data(self, data: str) -> None:
        if data.strip() and self._kind == "said":
            self.lines.append(data.strip())
        elif data.strip() and self._kind == "quoted":
            self.quoted.append(data.strip())

    @property
    def _kind(self) -> str:
        return self._stack[-1][1] if self._stack else "said"


def latin(text: str, data: Collection[str] = ()) -> list[str]:
    """Returns the words of Latin letters in a text that are no data, no name, and nothing that is typed as it is."""
    for one in sorted(data, key=len, reverse=True):
        text = text.replace(one, " § ")
    return [word for word in _LATIN.findall(_TOKENS.sub(" § ", text)) if word not in NAMES]
