"""The operations on folders of every IMAP session, whichever side it is on (RFC 3501, RFC 9051).

`imap_looking` adds looking into a folder; `imap_source` and `imap_destination` are the two sides. Everything is asked
for in as few flights as the protocol allows, and read as a stream.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from shared.folders.tree import is_inbox
from shared.mail import FolderListing, FolderStatus, KnownStatus, ListedFolder, Namespace, Owner
from shared.mail.answers.bounds import LISTING_BYTES, MOST_FOLDERS, MOST_MESSAGES, NAME_BYTES
from shared.mail.answers.fetch_answer import uid_of
from shared.mail.answers.folder_answers import listed_folder, status_answer
from shared.mail.answers.grammar import clean_text, quoted_folder
from shared.mail.answers.responses import Selected
from shared.mail.answers.tokens import Unreadable, head_of
from shared.mail.imap.imap_reading import ReadingSession
from shared.mail.imap.namespaces import namespaces
from shared.mail.imap.session import Session
from shared.mail.transport.conversation import FLIGHT, Tagged
from shared.model.errors import FolderRefused, MailError, Throttled
from shared.wording.often_said import CANNOT_OPEN, STATUS_MAKES_NO_SENSE
from shared.wording.phrases import Phrase, text_of

REFUSED_FOLDER: Final = Phrase("this_folder_refused", "refused {folder}")

FOLDER_NAME_TOO_LONG: Final = Phrase(
    "folder_name_too_long", "a folder name of more than {num} bytes, the most that is taken: {name}"
)
LIST_MAKES_NO_SENSE: Final = Phrase("list_makes_no_sense", "listed its folders in a way that makes no sense")
OPENED_WITHOUT_SAYING_HOW: Final = Phrase(
    "opened_without_saying_how", "opened {name} without saying how many messages it holds (EXISTS)"
)
TOO_MANY_MESSAGES: Final = Phrase(
    "too_many_messages", "says that {name} holds {count} messages; {most} are the most that is taken"
)
FOLDER_NAME_NOT_WRITABLE: Final = Phrase(
    "folder_name_not_writable", "a folder name that cannot be written: {folder} ({cause})"
)
WOULD_NOT_LIST_ITS_FOLDERS: Final = Phrase("would_not_list_its_folders", "would not list its folders")
SAID_NOTHING: Final = Phrase("said_nothing", "said nothing of {folder}")
TOO_MANY_FOLDERS: Final = Phrase("too_many_folders", "lists more than {most} folders, or {size} MiB of names")
LISTS_MORE_THAN_FOLDERS: Final = Phrase("lists_more_than_folders", "lists more than {num} folders")

#: Extension → the item that STATUS tells with it. Both cost the server something: they are asked for where they are used.
_STATUS_ITEMS: Final = {"HIGHESTMODSEQ": b"HIGHESTMODSEQ", "STATUS=SIZE": b"SIZE"}

_INBOX: Final = b"INBOX"
_LIST: Final = b'LIST "" "*"'
#: Folders that only LSUB shows which are asked for, at most: users never tidy up their subscriptions.
_MOST_UNLISTED: Final = 500


class ImapSession(ReadingSession):
    """A signed-in connection with at most one folder open.

    See `shared.mail.MailSession` for what each method promises.
    """

    #: Whether it is of interest what changed in a folder.
    _follows_changes = True

    def __init__(self, session: Session) -> None:
        super().__init__(session)
        #: Folders that LSUB shows and LIST does not.
        self._subscribed_only: list[ListedFolder] = []

    @property
    def _may_send_literals(self) -> bool:
        """Tells whether a folder name may be sent as a literal without waiting."""
        return self._has("LITERAL+", "LITERAL-")

    def _folder(self, name: bytes) -> bytes:
        if len(name) > NAME_BYTES:
            raise FolderRefused(self.side, FOLDER_NAME_TOO_LONG.says(num=NAME_BYTES, name=shown(name)))
        try:
            return quoted_folder(name, literal_plus=self._may_send_literals)
        except ValueError as error:
            raise FolderRefused(
                self.side, FOLDER_NAME_NOT_WRITABLE.says(folder=clean_text(name), cause=text_of(error))
            ) from None

    # -- folders

    def listing(self, *, counting: Sequence[bytes] = ()) -> FolderListing:
        """Asks for LIST, subscriptions and NAMESPACE in one flight, and behind them for STATUS of `counting`.

        An account has an INBOX whatever LIST shows (RFC 9051 §5.1), so STATUS asks for it where it is not listed.
        STATUS also asks for folders that LSUB alone shows, of which most are gone.
        """
        self._subscribed_only = []
        found = self.offer.ask(("SPECIAL-USE", "CHILDREN", "LIST-EXTENDED"), lambda: self._listing(counting))
        more = []
        if not any(is_inbox(folder.name) for folder in found.folders) and self._opens(_INBOX):
            more.append(ListedFolder(name=_INBOX, separator=found.separator, attributes=frozenset()))
        unlisted = [one for one in self._subscribed_only if not is_inbox(one.name)][:_MOST_UNLISTED]
        told = self.statuses([one.name for one in unlisted]) if unlisted else []
        more += [one for one, status in zip(unlisted, told, strict=True) if not isinstance(status, Exception)]
        return replace(found, folders=(*found.folders, *more)) if more else found

    def _opens(self, name: bytes) -> bool:
        """Tells whether there is such a folder, by STATUS, or by opening it where STATUS is refused."""
        try:
            if isinstance(self.statuses([name])[0], Exception):
                self._open(b"EXAMINE", name)
        except FolderRefused:
            return False
        return True

    def _listing(self, counting: Sequence[bytes]) -> FolderListing:
        self._ahead.settle()  # a command on its way would be taken for answers to this one
        commands = []
        if self._has("LIST-EXTENDED"):
            wanted = [b"SUBSCRIBED", *(name.encode() for name in ("CHILDREN", "SPECIAL-USE") if self._has(name))]
            commands.append(b'LIST "" "*" RETURN (%b)' % b" ".join(wanted))
        else:
            commands += [_LIST, b'LSUB "" "*"']
        if self._has("NAMESPACE"):
            commands.append(b"NAMESPACE")
        commands.append(b'LIST "" ""')
        listed: dict[bytes, ListedFolder] = {}
        subscribed: dict[bytes, ListedFolder] = {}
        named: list[Namespace] = []
        root: list[str | None] = []
        # Thousands of folders have the same attributes: an empty set alone takes twice the memory of the rest of its folder.
        alike: dict[frozenset[str], frozenset[str]] = {}

        room = LISTING_BYTES

        def take(place: int, pieces: list[bytes]) -> None:
            nonlocal room
            if (found := namespaces(pieces)) is not None:
                named.extend(found)
            elif (folder := listed_folder(pieces)) is not None:
                folder = replace(folder, attributes=alike.setdefault(folder.attributes, folder.attributes))
                room -= len(folder.name)
                if not folder.name or (place == len(commands) - 1 and "noselect" in folder.attributes):
                    root[:] = [folder.separator]
                elif head_of(pieces[0])[0] == b"LSUB":
                    subscribed[folder.name] = replace(folder, subscribed=True)
                else:
                    listed[folder.name] = _joined(listed.get(folder.name), folder)
                if room < 0 or max(len(listed), len(subscribed)) > MOST_FOLDERS:
                    raise self._talk.violation(TOO_MANY_FOLDERS.says(most=MOST_FOLDERS, size=LISTING_BYTES >> 20))

        ends = self._talk.run(
            commands,
            self._understood(take, LIST_MAKES_NO_SENSE.says()),
            behind=self._counting(counting),
            sent=self._ahead.note,
        )
        if ends[0].status != "OK":
            raise self._talk.refusal(ends[0], asked="folder", what=WOULD_NOT_LIST_ITS_FOLDERS.says())
        self._talk.broken.done_without(["NAMESPACE"])
        for command, ended in zip(commands, ends, strict=True):
            if command == b"NAMESPACE":
                self._note("NAMESPACE", ended)
        folders = tuple(
            folder if folder.subscribed or folder.name not in subscribed else replace(folder, subscribed=True)
            for folder in listed.values()
        )
        self._subscribed_only = [
            folder
            for name, folder in subscribed.items()
            if name not in listed and folder.attributes.isdisjoint(("noselect", "nonexistent"))
        ]
        separators = [*root, *(folder.separator for folder in folders)]
        home = _home(named)
        return FolderListing(
            prefix=home.prefix if home else b"",
            separator=(home.separator if home else None) or next((found for found in separators if found), None),
            folders=folders,
            namespaces=tuple(named),
            utf8="IMAP4REV2" in self._talk.enabled,
        )

    def _note(self, name: str, ended: Tagged) -> None:
        """Remembers whether the server does the extension that only this command is for."""
        if ended.status == "OK":
            self._talk.broken.keeps(name)
        elif not self._talk.broken.kept(name):
            self._talk.broken.leave_out(name, self._talk.refusal(ended).detail)

    def look(self, names: Sequence[bytes]) -> tuple[list[ListedFolder], list[FolderStatus | Exception]]:
        """Sends LIST and all STATUS commands in one flight (in windows of `conversation.FLIGHT`)."""
        listed: dict[bytes, ListedFolder] = {}
        statuses = self.statuses(names, listed=listed)
        return list(listed.values()), statuses

    def statuses(
        self,
        names: Sequence[bytes],
        *,
        sized: bool = False,
        changes: bool = False,
        listed: dict[bytes, ListedFolder] | None = None,
        behind: Sequence[bytes] = (),
    ) -> list[FolderStatus | Exception]:
        """Sends all STATUS commands in one flight (in windows of `conversation.FLIGHT`).

        A STATUS refused without a reason is asked for once more without the items that not every server tells. With
        `listed` it sends LIST before them, and enters there the folders that it shows. `behind` as for `Conversation.run`.
        """
        found: dict[bytes, FolderStatus | Exception] = {}
        left = list(names)
        wanted = self._numbers(sized=sized, changes=changes)

        def attempt() -> None:
            nonlocal left
            found.update(zip(left, self._statuses(left, self._items_of(wanted), listed, behind), strict=True))
            left = [name for name in left if getattr(found[name], "form", False)]
            for error in map(found.get, left):
                if isinstance(error, MailError):
                    raise error

        try:
            self.offer.ask(wanted, attempt)
        except MailError as error:
            if self._wire.shut or not error.form:
                raise
        return [found[name] for name in names]

    def _numbers(self, *, sized: bool = False, changes: bool = False) -> list[str]:
        """Returns the extensions by which STATUS is to tell more than every server tells."""
        return [
            *(["HIGHESTMODSEQ"] if changes or self._follows_changes else []),
            *(["STATUS=SIZE"] if sized else []),
        ]

    def _items_of(self, wanted: Sequence[str]) -> bytes:
        items = [_STATUS_ITEMS[name] for name in wanted if self._has(name)]
        return b" ".join((b"MESSAGES UIDNEXT UIDVALIDITY", *items))

    def _counting(self, names: Sequence[bytes]) -> list[bytes]:
        """Returns STATUS of each folder as `statuses` sends it, to be sent ahead; none of more than go into one flight."""
        if len(names) > FLIGHT // 2:
            return []
        items = b" (" + self._items_of(self._numbers()) + b")"
        commands = []
        for name in names:
            with contextlib.suppress(FolderRefused):  # `statuses` will say so
                commands.append(b"STATUS " + self._folder(name) + items)
        # A BAD to a literal would not be harmless.
        return [] if b"\r\n" in b"".join(commands) else commands

    def _statuses(
        self,
        names: Sequence[bytes],
        items: bytes,
        listed: dict[bytes, ListedFolder] | None = None,
        behind: Sequence[bytes] = (),
    ) -> list[FolderStatus | Exception]:
        asked = b" (" + items + b")"
        results: list[FolderStatus | Exception | None] = [None] * len(names)
        places: list[int] = []
        first = [_LIST] if listed is not None else []
        commands = list(first)
        for place, name in enumerate(names):
            try:
                commands.append(b"STATUS " + self._folder(name) + asked)
                places.append(place)
            except FolderRefused as error:
                results[place] = error
        asked_names = [names[place] for place in places]
        by_name: dict[bytes, FolderStatus] = {}
        by_turn: dict[int, FolderStatus] = {}

        unread: dict[int, Exception] = {}

        def take(at: int, pieces: list[bytes]) -> None:
            turn = max(0, at - len(first))
            try:
                if (found := status_answer(pieces)) is not None:
                    by_name[found[0]] = by_turn[turn] = found[1]
                elif listed is not None and (folder := listed_folder(pieces)) is not None:
                    listed[folder.name] = folder
                    if len(listed) > MOST_FOLDERS:
                        raise self._talk.violation(LISTS_MORE_THAN_FOLDERS.says(num=MOST_FOLDERS))
            except Unreadable:
                detail = clean_text(b"".join(pieces), secrets=self._talk.secrets)
                if at < len(first):
                    what = LIST_MAKES_NO_SENSE.says()
                    raise self._talk.violation(what, detail.encode()) from None
                what = STATUS_MAKES_NO_SENSE.says(name=shown(asked_names[turn]))
                unread[turn] = FolderRefused(self.side, what, detail)

        ends = self._ahead.ends(commands, take)
        if ends is None:
            ends = self._talk.run(commands, take, behind=behind, sent=self._ahead.note)
        elif silent := [
            turn for turn in range(len(places)) if turn not in by_turn and not self._is_throttled(ends[turn])
        ]:
            # They came too early for this server.
            self._ahead.settle()
            again = [commands[turn] for turn in silent]
            for turn, ended in zip(silent, self._talk.run(again, lambda at, said: take(silent[at], said)), strict=True):
                ends[turn] = ended
        if first and ends[0].status != "OK":
            raise self._talk.refusal(ends[0], asked="folder", what=WOULD_NOT_LIST_ITS_FOLDERS.says())
        for turn, ended in enumerate(ends[len(first) :]):
            place = places[turn]
            if ended.status != "OK":
                results[place] = self._talk.refusal(
                    ended, asked="folder", what=REFUSED_FOLDER.says(folder=shown(names[place]))
                )
            else:
                # some servers answer under another spelling of the name: then the answer that came in its turn is meant
                results[place] = by_name.get(names[place]) or by_turn.get(turn) or unread.get(turn)
        return [
            FolderRefused(self.side, SAID_NOTHING.says(folder=shown(names[place]))) if result is None else result
            for place, result in enumerate(results)
        ]

    def _is_throttled(self, ended: Tagged) -> bool:
        """Tells whether the server asks to be asked less: asking again at once would only make it worse."""
        return ended.status != "OK" and isinstance(self._talk.refusal(ended, asked="folder"), Throttled)

    def _open(self, command: bytes, name: bytes, parameters: bytes = b"") -> Selected:
        """Opens the folder with EXAMINE or SELECT; a second time where EXISTS did not come."""
        selected = self._open_once(command, name, parameters)
        if selected.messages is None:
            self._ahead.settle()
            selected = self._open_once(command, name, parameters)
            # Some servers tell EXISTS behind the line that ends the command.
            self._talk.expect(self._talk.send(b"NOOP"), selected.take)
        return selected

    def _open_once(self, command: bytes, name: bytes, parameters: bytes) -> Selected:
        selected = Selected()
        asked = command + b" " + self._folder(name) + parameters
        early = asked in self._ahead
        self._ahead.settle(until=asked)
        tag = self._ahead.take(asked) or self._talk.send(asked)
        self._ahead.strayed = False
        text = self._talk.expect(tag, selected.take, asked="folder", what=CANNOT_OPEN.says(folder=shown(name)))
        selected.take([text])
        if early and None in (selected.uidnext, selected.uidvalidity):
            # It has to be asked for, and commands on their way would get in the way of that.
            self._ahead.settle()
            return self._open_once(command, name, parameters)
        return selected

    def _status_of(self, name: bytes, selected: Selected) -> KnownStatus:
        """Fills in a UIDNEXT that was not told (RFC 3501 leaves it optional), and a UIDVALIDITY that only STATUS tells.

        Raises FolderRefused where EXISTS did not come: how much there is to be copied is known from nowhere else.
        """
        messages, uidnext, uidvalidity = selected.messages, selected.uidnext, selected.uidvalidity
        if messages is None:
            detail = clean_text(selected.unread, secrets=self._talk.secrets)
            raise FolderRefused(self.side, OPENED_WITHOUT_SAYING_HOW.says(name=shown(name)), detail)
        if messages > MOST_MESSAGES:
            raise FolderRefused(
                self.side,
                TOO_MANY_MESSAGES.says(name=shown(name), count=messages, most=MOST_MESSAGES),
            )
        if uidvalidity is None:
            self._ahead.settle()
            told = self._statuses([name], b"UIDVALIDITY")[0]
            uidvalidity = None if isinstance(told, Exception) else told.uidvalidity
        if uidnext is None:
            highest = 0
            if messages:
                tag = self._talk.send(b"UID FETCH * (UID)")
                for line in self._lines_until(tag):
                    highest = max(highest, uid_of(self._small_items(line, []) or {}))
                self._talk.expect(tag, asked="fetch")
            uidnext = highest + 1
        return selected.status(messages=messages, uidnext=uidnext, uidvalidity=uidvalidity)


def _home(named: Sequence[Namespace]) -> Namespace | None:
    """Returns the personal namespace that new folders go into: that of INBOX, else the first."""
    own = [one for one in named if one.owner is Owner.PERSONAL]
    return next((one for one in own if not one.prefix or one.prefix[:5].upper() == b"INBOX"), own[0] if own else None)


def _joined(before: ListedFolder | None, found: ListedFolder) -> ListedFolder:
    """Returns all that was said of a folder that was listed twice."""
    if before is None:
        return found
    same = found.attributes <= before.attributes
    return replace(
        found,
        attributes=before.attributes if same else before.attributes | found.attributes,
        subscribed=before.subscribed or found.subscribed,
    )


def shown(name: bytes) -> str:
    """Returns a folder name for a sentence."""
    return clean_text(name, limit=120)
