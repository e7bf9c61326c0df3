"""Tests that mail which comes and goes during a look at a folder is never taken for withheld mail."""

from __future__ import annotations

import imaplib
import os
import random
import threading

import pytest

from shared.testing.memory_mail import At
from tests.crash.interruption import LOGIN, MemoryImport
from tests.integration import in_process_import as wired
from tests.mail import make_mailbox, populate
from tests.servers.dovecot import Dovecot, available

#: Number of passes over folders in which mail comes and goes.
PASSES = 1_000
#: The same at a real server. The long form: `MAILHAUL_TEST_PASSES=1000 pytest` of this file, an hour at most.
REAL_PASSES = int(os.environ.get("MAILHAUL_TEST_PASSES", "30"))


class Life:
    """A source whose mail comes and goes: at each question a message may arrive and another be removed."""

    def __init__(self, in_process: MemoryImport, seed: int) -> None:
        self.in_process, self.rnd, self.number = in_process, random.Random(seed), 0

    def __call__(self, operation: str, at: At) -> None:
        folder = self.in_process.old.folder(LOGIN, b"INBOX")
        for _ in range(self.rnd.randrange(3)):
            self.number += 1
            folder.add(b"Message-ID: <%d@x>\r\n\r\n" % self.number)
        for _ in range(self.rnd.randrange(3)):
            if folder.messages:
                del folder.messages[self.rnd.choice(list(folder.messages))]


def test_mail_that_comes_and_goes_is_no_false_alarm() -> None:
    passes = 0
    for seed in range(PASSES // 10):
        in_process = MemoryImport()
        life = Life(in_process, seed)
        for _ in range(20):
            life("", At("", b""))
        in_process.old.fault = life
        for _ in range(10):
            in_process.submit()
            in_process.to_the_end()
            tally = in_process.store.import_tally(in_process.request.import_id)[0]
            assert tally.withheld == 0, f"seed {seed}"
            assert tally.pending == 0
            passes += 1
    assert passes == PASSES


@pytest.mark.parametrize("kept_back", [1, 3])
def test_what_is_kept_back_while_mail_comes_and_goes_is_told(kept_back: int) -> None:
    """Withholds messages for good: each time they are reported."""
    for seed in range(20):
        in_process = MemoryImport()
        folder = in_process.old.folder(LOGIN, b"INBOX")
        for number in range(10):
            folder.add(b"Message-ID: <first%d@x>\r\n\r\n" % number)
        folder.withheld = set(list(folder.messages)[:kept_back])
        in_process.submit()
        in_process.to_the_end()
        tally = in_process.store.import_tally(in_process.request.import_id)[0]
        assert tally.withheld == kept_back, f"seed {seed}"
        assert tally.messages == 10


class People(threading.Thread):
    """Delivers mail to INBOX and expunges from it, as fast as the server allows."""

    def __init__(self, server: Dovecot) -> None:
        super().__init__(daemon=True)
        self.server, self.over, self.rnd, self.changes = server, threading.Event(), random.Random(7), 0

    def run(self) -> None:
        """Changes mail until `over` is set."""
        client = imaplib.IMAP4(self.server.host, self.server.port)
        client.login(wired.LOGIN, wired.PASSWORD)
        client.select("INBOX")
        while not self.over.is_set():
            for _ in range(self.rnd.randrange(1, 4)):
                client.append("INBOX", "", None, b"Message-ID: <p%d@x>\r\n\r\nhello\r\n" % self.changes)
                self.changes += 1
            known = client.uid("SEARCH", "ALL")[1][0].split()
            for uid in self.rnd.sample(known, min(len(known), self.rnd.randrange(1, 4))):
                client.uid("STORE", uid.decode(), "+FLAGS.SILENT", "(\\Deleted)")
            client.expunge()
        client.logout()


@pytest.mark.skipif(not available(), reason="needs Dovecot")
def test_at_a_real_server_neither() -> None:
    with Dovecot() as source, Dovecot() as destination:
        for server in (source, destination):
            server.add_user(wired.LOGIN, wired.PASSWORD)
        mail = make_mailbox(5, {"INBOX": 200}, size=300)
        populate(source.host, source.port, wired.LOGIN, wired.PASSWORD, mail)
        in_process = wired.InProcessImport(source, destination)
        people = People(source)
        people.start()
        try:
            for _ in range(REAL_PASSES):
                in_process.to_the_end()
                assert in_process.tally().withheld == 0
                assert "failed" not in in_process.outcomes()
        finally:
            people.over.set()
            people.join(180)
        assert people.changes > 50, "something went on"
