"""Tests mail that a user removes or moves at the destination.

Each later pass reports the missing messages until they are accepted or copied again.
"""

from __future__ import annotations

import imaplib

from tests.acceptance.conftest import AdminEnvironment, Box


def _removed(box: Box, *numbers: int) -> None:
    """Removes messages of INBOX, as a user does."""
    with imaplib.IMAP4(box.server.host, box.server.port) as client:
        client.login(box.login, box.password)
        client.select("INBOX")
        client.store(",".join(map(str, numbers)), "+FLAGS", r"(\Deleted)")
        client.expunge()


def test_missing_messages_are_told_accepted_and_copied_again(office: AdminEnvironment) -> None:
    source, destination = office.accounts("removes")["removes"]
    source.fill({"INBOX": 12})
    manifest = office.manifest({"removes": "pw-removes"})
    office.import_(manifest)
    _removed(destination, 1, 5, 6, 7)
    for _ in range(2):
        found = office.import_(manifest, code=3)
        assert found["import"]["missing"] == 4
    said = office.run("errors").out
    assert "4 messages: UIDs 1, 5:7 of the source are no longer in the destination folder" in said
    assert "--accept-missing" in said
    assert "--copy-missing" in said
    accepted = office.run("verify", "--accept-missing")
    assert "4 missing messages accepted as removed at the destination" in accepted.out + accepted.said
    assert office.import_(manifest)["import"]["missing"] == 0
    assert sum(destination.seen().values()) == 8
    office.run("verify", "--full")

    _removed(destination, 1, 2)
    assert office.import_(manifest, code=3)["import"]["missing"] == 2
    again = office.run("retry", "--copy-missing")
    assert "with 2 messages that were refused, failed or are missing" in again.out + again.said
    assert sum(destination.seen().values()) == 8
    assert not destination.seen() - source.seen()
    assert office.import_(manifest)["import"]["missing"] == 0
    office.run("verify", "--full")
    audit = office.run("audit", "--format", "csv").out
    assert "accept_missing" in audit
    assert "copy_missing" in audit
