"""Remembers which extensions a server announces and does not do.

They are left out for the rest of the run, by every session with that server.

A capability is a promise (RFC 9051 §6.1.1), and some servers break it: they answer NO or BAD to what they announce, or
close the connection. `Broken` remembers that for one server, `Servers` for all of them; `shared.mail.transport.forms` asks again
without the extension.
"""

from __future__ import annotations

import re
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from shared.mail.answers.compression import COMPRESS, ServerCompression, Tried
from shared.mail.answers.kept_dates import KeptDates
from shared.mail.answers.kept_flags import KeptFlags
from shared.wording.phrases import Phrase

WHICH_ARE_LEFT_IS_ASKED: Final = Phrase(
    "which_are_left_is_asked", "which messages are left is asked, to find those that went"
)

ANNOUNCES_AND_REFUSES: Final = Phrase("announces_and_refuses", "announces {name} and refuses it: {what}")
COMMANDS_ARE_SENT_ONE_BY_ONE: Final = Phrase("commands_are_sent_one_by_one", "one command is sent at a time")
CREDENTIALS_SENT_WHEN_ASKED: Final = Phrase(
    "credentials_sent_when_asked", "credentials are sent when the server asks for them"
)
NO_ID_SENT: Final = Phrase("no_id_sent", "the server is not told which program signs in")
NAMES_IN_MODIFIED_UTF_7: Final = Phrase("names_in_modified_utf_7", "folder names stay in modified UTF-7")
EVERY_FOLDER_TAKEN_FOR_OWN: Final = Phrase("every_folder_taken_for_own", "every folder is taken for the account's own")
SPECIAL_FOLDERS_BY_NAME: Final = Phrase(
    "special_folders_by_name", "special folders are told by their attributes or names"
)
CHILDREN_NOT_ASKED_FOR: Final = Phrase("children_not_asked_for", "nothing is asked about children of folders")
SUBSCRIPTIONS_ARE_LISTED_APART: Final = Phrase("subscriptions_are_listed_apart", "subscriptions are listed apart")
LATER_PASS_COMPARES_ALL: Final = Phrase("later_pass_compares_all", "a later pass compares all flags")
FOLDERS_OPENED_FOR_FLAGS: Final = Phrase("folders_opened_for_flags", "folders are opened to see whether flags changed")
LATER_PASS_READS_ALL: Final = Phrase("later_pass_reads_all", "a later pass reads all flags")
SIZES_ARE_ADDED_UP_BY_MESSAGE: Final = Phrase("sizes_are_added_up_by_message", "sizes are added up message by message")
TOO_LARGE_IS_REFUSED_LATE: Final = Phrase(
    "too_large_is_refused_late", "a message that is too large is refused only once it is sent"
)
SEARCHES_ARE_ANSWERED_IN_FULL: Final = Phrase("searches_are_answered_in_full", "searches are answered in full")
NO_PAGES_OF_MESSAGES: Final = Phrase("no_pages_of_messages", "messages are not listed page by page")
SERVER_IS_ASKED_BEFORE_EACH_MESSAGE: Final = Phrase(
    "server_is_asked_before_each_message", "the server is asked before each message is sent"
)
MESSAGES_ARE_APPENDED_ONE_BY_ONE: Final = Phrase("messages_are_appended_one_by_one", "messages are appended one by one")
MOVED_MAIL_IS_COPIED_AGAIN: Final = Phrase("moved_mail_is_copied_again", "what was moved at the source is copied again")
GMAIL_LABELS_ARE_NOT_LOOKED_AT: Final = Phrase("gmail_labels_are_not_looked_at", "Gmail's labels are not looked at")
BYTES_ARE_NOT_COMPRESSED: Final = Phrase("bytes_are_not_compressed", "nothing is compressed on the way")
NOTHING_IS_KNOWN_OF_QUOTA: Final = Phrase("nothing_is_known_of_quota", "nothing is known of the quota")

#: Several commands in one flight (RFC 9051 §5.5). Every server has to take them, so none announces it.
PIPELINING: Final = "PIPELINING"


@dataclass(frozen=True, slots=True)
class Extension:
    """A row of the table of extensions."""

    #: The behaviour without it.
    without: str
    #: The verb of the commands that use it; b"" where no command shows it.
    verb: bytes = b""
    #: The pattern of what follows the verb in such a command.
    asked: re.Pattern[bytes] = re.compile(b"")
    #: Words of a refusal that is about the extension, in lower case, beside its name.
    words: tuple[str, ...] = ()


def _row(without: str, verb: bytes = b"", asked: bytes = b"", *words: str) -> Extension:
    return Extension(without, verb, re.compile(asked), words)


#: Every extension that mailhaul asks for and can do without. Each use that a server may refuse by itself has a row.
TABLE: Final[Mapping[str, Extension]] = {
    PIPELINING: _row(COMMANDS_ARE_SENT_ONE_BY_ONE.says(), b"", b"", "pipelin", "one command"),
    "SASL-IR": _row(CREDENTIALS_SENT_WHEN_ASKED.says(), b"", b"", "initial"),
    "ID": _row(NO_ID_SENT.says(), b"ID", rb"\A\("),
    "ENABLE": _row(NAMES_IN_MODIFIED_UTF_7.says(), b"ENABLE"),
    "NAMESPACE": _row(EVERY_FOLDER_TAKEN_FOR_OWN.says(), b"NAMESPACE"),
    "SPECIAL-USE": _row(SPECIAL_FOLDERS_BY_NAME.says(), b"LIST", b" RETURN .*SPECIAL-USE", "special"),
    "CHILDREN": _row(CHILDREN_NOT_ASKED_FOR.says(), b"LIST", b" RETURN .*CHILDREN"),
    "LIST-EXTENDED": _row(SUBSCRIPTIONS_ARE_LISTED_APART.says(), b"LIST", b" RETURN ", "return", "subscribed"),
    "CONDSTORE": _row(LATER_PASS_COMPARES_ALL.says(), b"EXAMINE", rb"\(CONDSTORE\)\Z"),
    "QRESYNC": _row(WHICH_ARE_LEFT_IS_ASKED.says(), b"EXAMINE", rb"\(QRESYNC "),
    "HIGHESTMODSEQ": _row(FOLDERS_OPENED_FOR_FLAGS.says(), b"STATUS", b"HIGHESTMODSEQ", "modseq"),
    "CHANGEDSINCE": _row(LATER_PASS_READS_ALL.says(), b"UID", rb"\(CHANGEDSINCE ", "modifier"),
    "STATUS=SIZE": _row(SIZES_ARE_ADDED_UP_BY_MESSAGE.says(), b"STATUS", rb" SIZE\)\Z", "size"),
    "APPENDLIMIT": _row(TOO_LARGE_IS_REFUSED_LATE.says(), b"STATUS", b"APPENDLIMIT"),
    "ESEARCH": _row(SEARCHES_ARE_ANSWERED_IN_FULL.says(), b"UID", rb"\ASEARCH RETURN \((?!PARTIAL)", "return"),
    "PARTIAL": _row(NO_PAGES_OF_MESSAGES.says(), b"UID", rb"\ASEARCH RETURN \(PARTIAL", "partial"),
    "LITERAL+": _row(SERVER_IS_ASKED_BEFORE_EACH_MESSAGE.says(), b"", b"", "literal"),
    "LITERAL-": _row(SERVER_IS_ASKED_BEFORE_EACH_MESSAGE.says(), b"", b"", "literal"),
    "MULTIAPPEND": _row(MESSAGES_ARE_APPENDED_ONE_BY_ONE.says()),
    "MOVE": _row(MOVED_MAIL_IS_COPIED_AGAIN.says(), b"UID", rb"\AMOVE "),
    "X-GM-EXT-1": _row(GMAIL_LABELS_ARE_NOT_LOOKED_AT.says(), b"UID", b"X-GM-", "x-gm"),
    COMPRESS: _row(BYTES_ARE_NOT_COMPRESSED.says(), b"COMPRESS", b"", "compress", "deflate"),
    "QUOTA": _row(NOTHING_IS_KNOWN_OF_QUOTA.says(), b"GETQUOTAROOT"),
}

#: Verb → the names and rows of its extensions.
_OF_VERB: Final[Mapping[bytes, Sequence[tuple[str, Extension]]]] = {
    verb: [(name, row) for name, row in TABLE.items() if row.verb == verb]
    for verb in {row.verb for row in TABLE.values() if row.verb}
}


def used_in(command: bytes) -> list[str]:
    """Returns the extensions that a command uses."""
    verb, _, rest = command.partition(b" ")
    return [name for name, row in _OF_VERB.get(verb, ()) if row.asked.search(rest)]


def named_in(words: str, name: str) -> bool:
    """Tells whether a refusal names the extension."""
    said = words.lower()
    return name.lower() in said or any(word in said for word in TABLE[name].words)


def sentence(name: str) -> str:
    """Returns the sentence that tells the operator about an extension that is left out."""
    return ANNOUNCES_AND_REFUSES.says(name=name, what=TABLE[name].without)


#: Capabilities that a capability implies without naming them (RFC 9051 appendix E, RFC 7162 §3.2.3).
_IMPLIED: Final[Mapping[str, tuple[str, ...]]] = {
    "IMAP4REV2": (
        "CHILDREN",
        "ENABLE",
        "ESEARCH",
        "LIST-EXTENDED",
        "LIST-STATUS",
        "LITERAL-",
        "MOVE",
        "NAMESPACE",
        "SASL-IR",
        "SPECIAL-USE",
        "STATUS=SIZE",
        "UIDPLUS",
        "UNSELECT",
    ),
    "QRESYNC": ("CONDSTORE",),
    "CONDSTORE": ("HIGHESTMODSEQ", "CHANGEDSINCE"),
    "LIST-EXTENDED": ("CHILDREN",),
}

#: Extension → number of connections lost at it before the next session does without. More than one for the extensions
#: that make copying fast or follow moves: connections are lost for other reasons too.
_LOSSES: Final[Mapping[str, int]] = {PIPELINING: 2, "MULTIAPPEND": 2, "LITERAL+": 2, "LITERAL-": 2, "MOVE": 2}

#: Called with an extension that is left out, and the server's words.
Told = Callable[[str, str], object]
#: The same with the server's host and port in front.
LeftOut = Callable[[str, int, str, str], object]
#: Called with a server's host and port, whether compressing pays, and the bytes a second without and with it.
TriedAt = Callable[[str, int, bool, float, float], object]


def offered(announced: Iterable[str]) -> frozenset[str]:
    """Returns the capabilities with those that they imply."""
    names = set(announced)
    for name, implied in _IMPLIED.items():
        if name in names:
            names.update(implied)
    if any(name.startswith("QUOTA=") for name in names):
        names.add("QUOTA")
    return frozenset(names)


class Broken:
    """The promises that one server broke. Thread-safe: all sessions with the server share it."""

    def __init__(self, told: Told | None = None, tried: Tried | None = None) -> None:
        """`told` hears of each extension that is left out, `tried` of what compressing brought."""
        self._told = told
        self._lock = threading.Lock()
        #: Extension → the server's words when it refused it.
        self._left_out: dict[str, str] = {}
        #: Extensions that a connection was lost at: the next session leaves them out and finds out whether that was the
        #: cause.
        self._suspected: dict[str, str] = {}
        #: The extensions that are not to be asked for: those left out and those suspected. Read without the lock.
        self.lacking: frozenset[str] = frozenset()
        self._kept: set[str] = set()
        self._losses: Counter[str] = Counter()
        #: A counter of all that is learned: a caller that lost a connection may try again when it grew.
        self.learned = 0
        #: The dates outside of the usual that the server keeps or changes.
        self.dates = KeptDates()
        #: The system flags that the server keeps or forgets when a message is appended.
        self.kept_flags = KeptFlags()
        #: Whether compressing pays.
        self.compression = ServerCompression(tried)
        #: Whether the port has greeted a session in plain text: its silence is mere slowness from then on.
        self.greeted = False

    @property
    def left_out(self) -> Mapping[str, str]:
        """The extensions that are left out → the server's words when it refused them."""
        with self._lock:
            return dict(self._left_out)

    def lacks(self, name: str) -> bool:
        """Tells whether the extension is not to be asked for."""
        return name in self.lacking

    def kept(self, name: str) -> bool:
        """Tells whether the server was seen to do it."""
        return name in self._kept

    def keeps(self, name: str) -> None:
        """Notes that the server did it."""
        if name not in self._kept:
            with self._lock:
                self._kept.add(name)
                self._suspected.pop(name, None)
                self._weigh()

    def leave_out(self, name: str, words: str) -> None:
        """Notes that the server refused the extension with these words, and did what was asked without it."""
        with self._lock:
            self._suspected.pop(name, None)
            news = name not in self._left_out
            self._left_out.setdefault(name, words)
            self.learned += news
            self._weigh()
        if news and self._told:
            self._told(name, words)

    def done_without(self, names: Iterable[str]) -> None:
        """Notes that a session did what was asked without these extensions.

        Those that a connection was lost at before are left out for good.
        """
        for name in names:
            if (words := self._suspected.get(name)) is not None:
                self.leave_out(name, words)

    def suspect(self, name: str, words: str) -> None:
        """Notes that the server refused with these words a command that uses the extension.

        It is left out until it is known whether that was the cause.
        """
        with self._lock:
            if name not in self._kept and name not in self._left_out:
                self._suspected[name] = words
                self._weigh()

    def clear(self, name: str) -> None:
        """Notes that the extension was not the cause."""
        with self._lock:
            if self._suspected.pop(name, None) is not None:
                self._kept.add(name)
                self._weigh()

    def lost(self, names: Iterable[str], words: str, *, several: bool) -> None:
        """Notes that a connection was lost at a command that uses `names`, with `several` commands in flight.

        The next session does without these extensions. Where it is lost all the same, they were not the cause.
        """
        with self._lock:
            self.learned += PIPELINING in self._suspected
            cleared = [name for name in (*names, PIPELINING) if name in self._suspected]
            for name in cleared:
                del self._suspected[name]
            self._kept.update(name for name in cleared if name != PIPELINING)
            pipelined = several and PIPELINING not in self._kept and PIPELINING not in self._left_out
            for name in (PIPELINING,) if pipelined else names:
                if name not in self._kept and name not in self._left_out:
                    self._losses[name] += 1
                    self.learned += 1
                    if self._losses[name] >= _LOSSES.get(name, 1):
                        self._suspected[name] = words
            self._weigh()

    def _weigh(self) -> None:
        self.lacking = frozenset((*self._left_out, *self._suspected))


class Servers:
    """The `Broken` of each server by host and port, for one process. Thread-safe."""

    def __init__(self, told: LeftOut | None = None, tried: TriedAt | None = None) -> None:
        self._told, self._tried = told, tried
        self._lock = threading.Lock()
        self._servers: dict[tuple[str, int], Broken] = {}

    def of(self, host: str, port: int) -> Broken:
        """Returns what is known of this server."""
        with self._lock:
            if (host, port) not in self._servers:
                told = partial(self._told, host, port) if self._told else None
                tried = partial(self._tried, host, port) if self._tried else None
                self._servers[host, port] = Broken(told, tried)
            return self._servers[host, port]
