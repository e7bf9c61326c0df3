"""Fetches refused messages from the source, mailbox by mailbox, and passes them to a `Keeper`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Final, Protocol

from producer.spool.names import distinct
from shared.content.maildrop import SessionIdentities
from shared.mail import MailSource
from shared.model import Folder, Import, Mailbox, Note
from shared.model.errors import CredentialsError, FolderRefused, MailError, ServerRefused
from shared.model.lifecycle import Outcome
from shared.model.uids import UidSet
from shared.nouns import dataclass
from shared.sign_in.entrance import Entrance
from shared.store import Store

#: Outcomes of messages to keep: those that the destination refused, and those that could not be copied.
SPOOLED: Final = (Outcome.REFUSED, Outcome.FAILED)
#: Number of mailboxes fetched at the same time.
_AT_ONCE: Final = 4


@dataclass(frozen=True, kw_only=True, slots=True)
class Spooled:
    """The result of a run."""

    #: Messages that were fetched in this run.
    fetched: int = 0
    #: Messages that an earlier run had kept.
    there: int = 0
    #: Messages that could not be fetched.
    missed: int = 0
    #: Why the first of them could not be fetched.
    problem: str = ""

    def __add__(self, other: Spooled) -> Spooled:
        return Spooled(
            fetched=self.fetched + other.fetched,
            there=self.there + other.there,
            missed=self.missed + other.missed,
            problem=self.problem or other.problem,
        )


#: A folder with its file name, and its messages to keep, by UID.
_Wanted = tuple[Folder, str, dict[int, Note]]


class Keeper(Protocol):
    """The place for messages: `producer.spool.spool_folder.SpoolFolder` or `producer.spool.archive.Archive`. Thread-safe."""

    def place(self, login: str, folder: str, uidvalidity: int, uid: int) -> str:
        """Returns a message's place, by the file names of its login and folder."""

    def holds(self, place: str) -> bool:
        """Tells whether an earlier run kept the message."""

    def keep(self, place: str, chunks: Iterable[bytes], about: dict[str, str]) -> None:
        """Keeps a message, whole or not at all; `about` holds the index's other columns."""

    def miss(self, about: dict[str, str]) -> None:
        """Notes a message that could not be fetched; `about` tells why."""

    def write_index(self) -> None:
        """Writes the index, at the end."""


class Spooling:
    """Fetches the refused messages of one import."""

    def __init__(
        self,
        store: Store,
        entrance: Entrance,
        import_: Import,
        keeper: Keeper,
        stopping: Callable[[], bool] = lambda: False,
        *,
        at_once: int = _AT_ONCE,
    ) -> None:
        """Sets the number of mailboxes at the same time (`at_once`).

        Once `stopping` returns True, no other message is begun.
        """
        self._at_once = at_once
        self._store, self._entrance, self._request, self._keeper = store, entrance, import_, keeper
        self._stopping = stopping

    def run(self, only: Sequence[Mailbox] | None = None) -> Spooled:
        """Fetches the messages of `only` these mailboxes, or of all.

        Raises OSError when the disk takes no more; the index lists what was kept until then.
        """
        everyone = [mailbox for mailbox, _ in self._store.mailboxes(self._request.import_id)]
        logins = distinct({one.mailbox_id: one.source.login for one in everyone})
        chosen = everyone if only is None else only
        pool = ThreadPoolExecutor(self._at_once, thread_name_prefix="spool")
        try:
            done = Spooled()
            for one in pool.map(lambda mailbox: self._mailbox(mailbox, logins[mailbox.mailbox_id]), chosen):
                done += one
            return done
        finally:
            pool.shutdown(cancel_futures=True)
            self._keeper.write_index()

    def _mailbox(self, mailbox: Mailbox, login: str) -> Spooled:
        done = Spooled()
        wanted = list(self._wanted(mailbox))
        left: list[_Wanted] = []
        for folder, name, notes in wanted:
            missing = {
                uid: note
                for uid, note in notes.items()
                if not self._keeper.holds(self._place(login, name, folder, uid))
            }
            done += Spooled(there=len(notes) - len(missing))
            if missing:
                left.append((folder, name, missing))
        if not left:
            return done
        try:
            source = self._entrance.source(mailbox, SessionIdentities(self._store.maildrop(mailbox.mailbox_id)))
        except (MailError, CredentialsError) as error:
            return done + self._miss(mailbox, left, str(error))
        try:
            while left and not self._stopping():
                done += self._folder(source, mailbox, login, left[0])
                left.pop(0)
            source.close()
        except MailError as error:
            source.abort()
            return done + self._miss(mailbox, left, str(error))
        except BaseException:
            source.abort()
            raise
        return done + self._miss(mailbox, left, "interrupted")

    def _wanted(self, mailbox: Mailbox) -> Iterator[_Wanted]:
        folders = self._store.folders(mailbox.mailbox_id)
        names = distinct({folder.folder_id: folder.display for folder, _ in folders})
        for folder, counts in folders:
            if any(counts[outcome] for outcome in SPOOLED):
                notes = {note.uid: note for note in self._store.notes(folder.folder_id) if note.what in SPOOLED}
                yield folder, names[folder.folder_id], notes

    def _place(self, login: str, name: str, folder: Folder, uid: int) -> str:
        return self._keeper.place(login, name, folder.uidvalidity, uid)

    def _folder(self, source: MailSource, mailbox: Mailbox, login: str, wanted: _Wanted) -> Spooled:
        """Fetches the messages of one folder; the index lists those that could not be fetched."""
        folder, name, notes = wanted
        problem, fetched = "no longer at the source", 0
        try:
            if not source.open(folder.source_name).same_uids(folder.uidvalidity):
                return self._miss(mailbox, [wanted], "the folder was made anew at the source: run the import again")
            for message in source.fetch(UidSet.of(notes)):
                chunks = [message.body] if message.body is not None else message.stream or ()
                place = self._place(login, name, folder, message.uid)
                self._keeper.keep(place, chunks, self._about(mailbox, folder, notes[message.uid]))
                del notes[message.uid]
                fetched += 1
                if self._stopping():
                    source.abort()
                    return Spooled(fetched=fetched) + self._miss(mailbox, [wanted], "interrupted")
        except (FolderRefused, ServerRefused) as error:
            problem = str(error)
        return Spooled(fetched=fetched) + self._miss(mailbox, [wanted], problem)

    def _miss(self, mailbox: Mailbox, wanted: Sequence[_Wanted], problem: str) -> Spooled:
        missed = 0
        for folder, _, notes in wanted:
            for note in notes.values():
                about = self._about(mailbox, folder, note)
                self._keeper.miss(
                    {**about, "size_bytes": str(note.size_bytes) if note.size_bytes >= 0 else "", "problem": problem}
                )
                missed += 1
        return Spooled(missed=missed, problem=problem if missed else "")

    def _about(self, mailbox: Mailbox, folder: Folder, note: Note) -> dict[str, str]:
        return {
            "import": self._request.import_id,
            "login": mailbox.source.login,
            "folder": folder.display,
            "uidvalidity": str(folder.uidvalidity),
            "uid": str(note.uid),
            "message_id": note.message_id,
            "what": note.what,
            "reason": note.reason,
        }
