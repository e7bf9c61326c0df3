"""Tests which numbers of a source are a reason for a pass."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.model import REMOVED, UNREADABLE, Account, Endpoint, Folder, Mailbox, Tls
from shared.model.errors import FolderRefused
from shared.model.messages import FolderStatus, ListedFolder
from shared.model.uids import UidSet
from shared.rules.standing import digest
from worker.decisions.looking import FULL_SECONDS, FULL_WITHOUT_CONDSTORE_SECONDS, difference, full_due

KNOWN = Folder(
    folder_id="f",
    mailbox_id="m",
    source_name=b"INBOX",
    destination_name=b"INBOX",
    display="INBOX",
    uidvalidity=7,
    uidnext=11,
    source_messages=10,
    highestmodseq=50,
)
SAME = FolderStatus(uidvalidity=7, uidnext=11, messages=10, highestmodseq=50)
WITHOUT = replace(KNOWN, highestmodseq=0)


def _listed(name: bytes, *attributes: str) -> ListedFolder:
    return ListedFolder(name=name, separator="/", attributes=frozenset(attributes))


@pytest.mark.parametrize(
    ("folder", "status", "found"),
    [
        (KNOWN, SAME, ""),
        (KNOWN, replace(SAME, uidnext=12), "new_mail"),
        (KNOWN, replace(SAME, uidnext=12, messages=9), "new_mail"),
        (KNOWN, replace(SAME, uidnext=10), ""),
        (KNOWN, replace(SAME, uidnext=10, messages=11), "new_mail"),
        (KNOWN, replace(SAME, uidnext=10, messages=9), "new_mail"),
        (KNOWN, replace(SAME, uidnext=10, highestmodseq=51), "flags"),
        (KNOWN, replace(SAME, messages=9), "deleted"),
        (replace(KNOWN, deleted=UidSet.span(1, 1)), replace(SAME, messages=11), "deleted"),
        (KNOWN, replace(SAME, highestmodseq=51), "flags"),
        (KNOWN, replace(SAME, highestmodseq=49), "flags"),
        (KNOWN, replace(SAME, highestmodseq=None), "numbers_missing"),
        (KNOWN, replace(SAME, uidnext=None), "numbers_missing"),
        (KNOWN, replace(SAME, uidvalidity=8), "folder_replaced"),
        (KNOWN, replace(SAME, uidvalidity=None), "numbers_missing"),
        (KNOWN, FolderRefused("source", "gone"), "folder_gone"),
        (WITHOUT, replace(SAME, highestmodseq=None), ""),
        (WITHOUT, SAME, ""),
        (WITHOUT, replace(SAME, highestmodseq=None, messages=9), "deleted"),
        (replace(KNOWN, note=f"{UNREADABLE}: no"), FolderRefused("source", "no"), ""),
    ],
)
def test_each_difference_is_named(folder: Folder, status: FolderStatus | Exception, found: str) -> None:
    assert difference([_listed(b"INBOX")], {b"INBOX": status}, [folder], b"") == found


def test_a_name_that_the_last_plan_did_not_see_is_a_new_folder() -> None:
    left_out = digest(b"Junk", ()) + digest(b"Public", ("noselect",))
    names = [_listed(b"INBOX"), _listed(b"Junk"), _listed(b"Public", "noselect")]
    assert difference(names, {b"INBOX": SAME}, [KNOWN], left_out) == ""
    assert difference([*names, _listed(b"New")], {b"INBOX": SAME}, [KNOWN], left_out) == "new_folder"
    public = [*names[:2], _listed(b"Public")]
    assert difference(public, {b"INBOX": SAME}, [KNOWN], left_out) == "new_folder", "now there is a folder of it"
    gone = replace(KNOWN, source_name=b"Old", note=REMOVED)
    assert difference(names, {b"INBOX": SAME}, [KNOWN, gone], left_out) == ""
    back = [*names, _listed(b"Old")]
    assert difference(back, {b"INBOX": SAME}, [KNOWN, gone], left_out) == "new_folder"


def test_a_full_pass_follows_sooner_where_no_number_shows_flags() -> None:
    end = Endpoint(host="old.example", port=143, tls=Tls.NONE)
    account = Account(endpoint=end, login="ann")
    mailbox = Mailbox(mailbox_id="m", import_id="i", row=1, source=account, destination=account, planned_at=1_000_000.0)
    for folder, has_flags, seconds in (
        (KNOWN, True, FULL_SECONDS),
        (WITHOUT, True, FULL_WITHOUT_CONDSTORE_SECONDS),
        (WITHOUT, False, FULL_SECONDS),
        (replace(WITHOUT, source_messages=0), True, FULL_SECONDS),
    ):
        assert not full_due(mailbox, [folder], 1_000_000.0 + seconds - 1, has_flags=has_flags)
        assert full_due(mailbox, [folder], 1_000_000.0 + seconds, has_flags=has_flags)
