"""Decides which folder of the last pass a listed folder is, and in which order folders are planned. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import field, replace
from functools import cached_property

from shared.folders.mapping import MappedFolder
from shared.model import CANNOT_BE_READ_AT_SOURCE, REMOVED, Folder, FolderPlan, folder_id
from shared.nouns import dataclass
from shared.wording.phrases import text_of


@dataclass(frozen=True, kw_only=True)
class MailboxFolders:
    """The folders of one mailbox, as the last pass left them and under their present names."""

    #: The mailbox.
    mailbox_id: str
    #: Folder id → the folder as the last pass left it.
    before: Mapping[str, Folder]
    #: The same folders under their present names.
    followed: Sequence[Folder]
    #: Ids of the folders that their user removed at the destination, as this pass found.
    removed: frozenset[str]
    #: Source folder → `Folder.same_as`, as this pass found.
    same_as: Mapping[bytes, frozenset[str]] = field(default_factory=dict)

    @cached_property
    def by_id(self) -> Mapping[str, Folder]:
        """Folder id → the folder under its present names."""
        return {folder.folder_id: folder for folder in self.followed}

    @cached_property
    def _ids(self) -> Mapping[bytes, str]:
        return {folder.source_name: folder.folder_id for folder in self.followed}

    def folder(self, one: MappedFolder) -> Folder:
        """Returns the folder with the names that it has now."""
        found = self._ids.get(one.source_name) or folder_id(self.mailbox_id, one.source_name, self.by_id)
        before = self.by_id.get(found)
        return Folder(
            folder_id=found,
            mailbox_id=self.mailbox_id,
            source_name=one.source_name,
            destination_name=one.destination_name,
            display=one.display,
            note=one.note,
            same_as=(before.same_as if before else frozenset()) | self.same_as.get(one.source_name, frozenset()),
        )

    def earlier(self, one: MappedFolder) -> Folder | None:
        """Returns the folder as the last pass left it; None for a new one."""
        return self.before.get(self.folder(one).folder_id)

    def doubtful(self, one: MappedFolder) -> bool:
        """Tells whether the folder could not be read when it was planned last."""
        known = self.earlier(one)
        return known is not None and known.unreadable

    def in_turn(self, mapped: Sequence[MappedFolder], attempts: int) -> list[MappedFolder]:
        """Returns the folders in the order in which they are planned: doubtful ones last, each attempt with another one first.

        Some servers close the connection when such a folder is opened, and then nothing is known of the others.
        """
        found: tuple[list[MappedFolder], list[MappedFolder]] = [], []
        for one in mapped:
            found[self.doubtful(one)].append(one)
        sure, doubtful = found
        turn = attempts % max(1, len(doubtful))
        return [*sure, *doubtful[turn:], *doubtful[:turn]]

    def unreadable(self, one: MappedFolder, error: Exception) -> FolderPlan:
        """Returns the plan of a folder that cannot be read. It stands in the report and costs no other folder anything."""
        said = getattr(error, "detail", "") or text_of(error)
        folder = self.earlier(one) or self.folder(one)
        return FolderPlan(folder=replace(folder, note=CANNOT_BE_READ_AT_SOURCE.says(cause=said)))

    def beside(self, planned: Collection[bytes], listed: Collection[bytes]) -> Iterator[FolderPlan]:
        """Yields what became of the folders of the last pass that this one does not plan.

        `planned` and `listed` are names at the source.
        """
        for folder in self.followed:
            if folder.source_name in planned:
                continue
            gone, let_go = folder.source_name not in listed, folder.folder_id in self.removed
            now = replace(folder, note=REMOVED) if gone else folder
            if let_go:
                now = replace(now, destination_uidvalidity=0)
            if now != self.before[folder.folder_id]:
                yield FolderPlan(folder=now, withheld=0 if gone else None, let_go=let_go)
