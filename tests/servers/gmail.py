r"""A small Gmail for the scripted server: every folder whose label a message has shows it (X-GM-EXT-1).

It follows Google's "IMAP extensions" and the answers of the real server. All Mail shows everything but Spam and Trash.
Each folder has UIDs of its own; X-GM-MSGID is the same everywhere. X-GM-LABELS leaves out the label of the open folder;
system labels are ``\\Inbox`` and the like, others are named as their folders are. A label may be hidden from IMAP, and
a folder may show only its newest messages.
"""

from __future__ import annotations

import re
from collections import Counter

from shared.model.uids import UidSet
from tests.servers.faulty import Account, FaultyServer
from tests.servers.imap_model import USUAL_DATE
from tests.servers.imap_syntax import as_string

CAPABILITIES = (
    "IMAP4rev1 UNSELECT IDLE NAMESPACE QUOTA ID XLIST CHILDREN X-GM-EXT-1 UIDPLUS ENABLE MOVE CONDSTORE ESEARCH "
    "LIST-EXTENDED LIST-STATUS LITERAL- SPECIAL-USE SASL-IR AUTH=PLAIN"
)
ALL_MAIL, SPAM, TRASH = b"[Gmail]/All Mail", b"[Gmail]/Spam", b"[Gmail]/Trash"
#: Label and special use of each folder.
SYSTEM = {
    b"INBOX": (b"\\Inbox", b""),
    ALL_MAIL: (b"", b"\\All"),
    b"[Gmail]/Drafts": (b"\\Draft", b"\\Drafts"),
    b"[Gmail]/Important": (b"\\Important", b"\\Important"),
    b"[Gmail]/Sent Mail": (b"\\Sent", b"\\Sent"),
    SPAM: (b"\\Spam", b"\\Junk"),
    b"[Gmail]/Starred": (b"\\Starred", b"\\Flagged"),
    TRASH: (b"\\Trash", b"\\Trash"),
}


class Gmail:
    """An account of Gmail."""

    def __init__(self, server: FaultyServer, login: str, password: str) -> None:
        server.behaviour.capabilities = set(CAPABILITIES.split())
        self.account: Account = server.add_account(login, password)
        self._folders = {label: name for name, (label, _) in SYSTEM.items() if label}
        self._next = 1_700_000_000_000_000_000
        for name, (_, use) in SYSTEM.items():
            self.account.folder(name, attributes=(b"\\HasNoChildren", *((use,) if use else ())))
        self.account.folder(b"[Gmail]", attributes=(b"\\HasChildren", b"\\Noselect"))

    def label(self, name: bytes) -> None:
        """Adds a label of the user's own."""
        self._folders[name] = name
        self.account.folder(name, attributes=(b"\\HasNoChildren",))

    def add(self, body: bytes, *labels: bytes, flags: tuple[bytes, ...] = (), date: bytes = USUAL_DATE) -> None:
        """Adds a message with these labels, which are made if they do not exist."""
        for label in labels:
            if label not in self._folders:
                self.label(label)
        self._next += 1
        views = [self._folders[label] for label in labels if self._folders[label] in self.account.folders]
        if not {b"\\Spam", b"\\Trash"} & set(labels) and ALL_MAIL in self.account.folders:
            views.append(ALL_MAIL)
        for name in views:
            others = [label for label in labels if self._folders[label] != name]
            self.account.folder(name).add(
                body,
                flags,
                date,
                extra={
                    b"X-GM-MSGID": b"%d" % self._next,
                    b"X-GM-LABELS": b"(%b)" % b" ".join(as_string(label) for label in others),
                },
            )

    def hide(self, label: bytes) -> None:
        """Turns "Show in IMAP" off for a label: its folder disappears, and the messages keep the label."""
        self.account.folders.pop(self._folders.get(label, label))

    def cut_short(self, label: bytes, most: int) -> None:
        """Makes the folder show its newest messages only."""
        folder = self.account.folder(self._folders[label])
        for uid in list(folder.uids)[:-most]:
            folder.remove(uid)


def fetched(server: FaultyServer) -> Counter[bytes]:
    """Counts how often each body was fetched."""
    found: Counter[bytes] = Counter()
    folders: dict[int, bytes] = {}
    account = next(iter(server.behaviour.accounts.values()))
    for command in server.commands:
        if command.name == b"EXAMINE":
            name = command.text.removeprefix(b"EXAMINE ").removesuffix(b" (CONDSTORE)").strip(b'"')
            folders[command.connection] = name
        elif match := re.match(rb"UID FETCH (\S+) .*BODY\.PEEK\[\]", command.text):
            folder = account.folder(folders[command.connection])
            wanted = UidSet.parse(match[1].decode())
            found.update(message.body for message in folder.messages if message.uid in wanted)
    return found
