"""Reads what decides whether a message is wanted.

That is SEARCH, date and flags (RFC 9051 §6.4.4), and Gmail's labels (Google: X-GM-EXT-1).
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from shared.folders.gmail import EXTENSION
from shared.mail import Labels, Traits
from shared.mail.answers.fetch_answer import flags_of, split_flags, uid_of
from shared.mail.answers.internaldate import parse_internaldate
from shared.mail.imap.flights import raise_first, written
from shared.mail.imap.imap_listing import WINDOW
from shared.mail.imap.imap_looking import LookingSession
from shared.mail.transport.wire import LONG_LINE_LIMIT
from shared.model.errors import MailError, Throttled
from shared.model.uids import Uid, UidSet
from shared.wording.often_said import WOULD_NOT_SEARCH

_TRAITS: Final = b"(UID INTERNALDATE FLAGS)"
_LABELS: Final = b"(UID X-GM-MSGID X-GM-LABELS)"
#: The form in which nearly every server answers.
_USUAL = re.compile(rb'\* \d+ FETCH \(UID (\d{1,10}) INTERNALDATE "([^"\\]*)" FLAGS \(([^()"{}]*)\)\)\r\n')


class ChoosingSession(LookingSession):
    """The part of a source that is asked which messages are wanted. See `shared.mail.MailSource`."""

    def labels_as_keywords(self) -> None:
        """Implements `MailSource.labels_as_keywords`."""
        self._labels_wanted = True

    def search(self, keys: Sequence[str]) -> list[UidSet]:
        """Searches in one flight where the answers say which command they belong to (ESEARCH, RFC 4731).

        Elsewhere it searches one by one.
        """
        found: list[UidSet] = []

        def attempt() -> None:
            found[:], refused = self._search(keys)
            if refused is not None:
                raise refused

        try:
            self.offer.ask(("ESEARCH",), attempt, needed=False)
        except MailError as error:
            if self._wire.shut or not error.form:
                raise
        return found

    def _search(self, keys: Sequence[str]) -> tuple[list[UidSet], MailError | None]:
        """Returns the UIDs of each key, none where it was refused; and the last refusal that may be about the form."""
        extended = self._has("ESEARCH")
        form = b"UID SEARCH RETURN (ALL) %b" if extended else b"UID SEARCH %b"
        commands = [form % key.encode("ascii") for key in keys]
        brought: dict[bytes, list[tuple[int, int]]] = {}
        refused: list[MailError] = []
        self._stay()
        if extended and not self._talk.serial:
            found = [self._searched(tag, brought, refused) for tag in self._talk.send_all(commands)]
        else:
            found = [self._searched(self._talk.send(command), brought, refused) for command in commands]
        return found, refused[-1] if refused else None

    def _searched(self, tag: bytes, found: dict[bytes, list[tuple[int, int]]], refused: list[MailError]) -> UidSet:
        """Returns the UIDs that the command brought; `found` takes what came early of others in flight."""
        take = self._searches(lambda told, uids: found.setdefault(told or tag, []).extend(uids.ranges))
        ended = self._talk.finish(tag, take, line_limit=LONG_LINE_LIMIT)
        if ended.status == "OK":
            return UidSet.joined(found.pop(tag, []))
        error = self._talk.refusal(ended, asked="fetch", what=WOULD_NOT_SEARCH.says())
        if isinstance(error, Throttled):
            raise error
        if error.form:
            refused.append(error)
        return UidSet()

    def traits(self, uids: UidSet) -> Iterator[Traits]:
        """Yields date and flags, by windows of UIDs, as a stream."""
        flags: dict[bytes, frozenset[str]] = {}
        missing: set[int] = set()
        refused: list[MailError] = []
        self._stay()
        for tag, _ in self._flights(written(uids.pieces(WINDOW)), _TRAITS, missing, refused, all_exist=True):
            for line in self._lines_until(tag):
                if usual := _USUAL.fullmatch(line):
                    uid, date, raw = int(usual[1]), usual[2], usual[3]
                else:
                    items = self._small_items(line, refused)
                    listed = flags_of(items) if items else None
                    if items is None or listed is None or b"INTERNALDATE" not in items:
                        continue
                    told = items[b"INTERNALDATE"]
                    uid, date = uid_of(items), told if isinstance(told, bytes) else b""
                    raw = b" ".join(split_flags(listed)[0])
                if uid in missing:
                    missing.discard(uid)
                    if raw not in flags:
                        flags[raw] = frozenset(raw.lower().decode("latin-1").split())
                    yield Traits(uid=Uid(uid), internaldate=parse_internaldate(date)[0], flags=flags[raw])
        raise_first(refused)

    def labels(self, uids: UidSet) -> Iterator[Labels]:
        """Yields X-GM-MSGID and X-GM-LABELS, by windows of UIDs, as a stream.

        Equal sets of labels are one object. Yields nothing where the server refuses to tell them.
        """
        return self._streamed_in_forms((EXTENSION,), self._labels, uids)

    def _labels(self, uids: UidSet) -> Iterator[Labels]:
        if not self._has(EXTENSION):
            return
        known: dict[frozenset[bytes], frozenset[bytes]] = {}
        missing: set[int] = set()
        refused: list[MailError] = []
        self._stay()
        for tag, _ in self._flights(written(uids.pieces(WINDOW)), _LABELS, missing, refused, all_exist=True):
            for line in self._lines_until(tag):
                items = self._small_items(line, refused)
                if items is None:
                    continue
                uid, message, found = uid_of(items), items.get(b"X-GM-MSGID"), items.get(b"X-GM-LABELS")
                if uid not in missing or not isinstance(message, bytes) or not message.isdigit():
                    continue
                if not isinstance(found, list):
                    continue
                missing.discard(uid)
                labels = frozenset(label for label in found if isinstance(label, bytes))
                yield Labels(uid=Uid(uid), message=int(message), labels=known.setdefault(labels, labels))
        raise_first(refused)
