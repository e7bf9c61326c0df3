"""Tests a first use: from `mailhaul up` to three imported mailboxes, following only what the screen says."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.process import free_port
from tests.web.conftest import PASSWORD, ROOT, allowed
from tests.web.test_page import browser  # noqa: F401 - a fixture

Servers = tuple[Dovecot, Dovecot]


@contextmanager
def up(home: Path, **more: str) -> Iterator[str]:
    """Runs `mailhaul up` on a terminal. Yields the link that it prints."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    env |= {
        "MAILHAUL_STATE_DIR": str(home),
        "MAILHAUL_COORDINATOR_PORT": "0",
        "MAILHAUL_WEB_PORT": str(free_port()),
        "PYTHONPATH": str(ROOT),
        **more,
    }
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "producer", "up", "--threads", "4"], env=env, stdin=theirs, stdout=theirs, stderr=theirs
    )
    os.close(theirs)
    said = b""
    try:
        while not (found := re.search(rb"page at (http://\S+)\s", said)):
            said += os.read(ours, 4096)
        yield found.group(1).decode()
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        os.close(ours)


def test_three_mailboxes_by_what_stands_on_the_screen(servers: Servers, browser: Any) -> None:  # noqa: F811
    source, destination = servers
    for number in range(3):
        for server in servers:
            server.add_user(f"newcomer{number}", PASSWORD)
        messages = mail.make_mailbox(number, {"INBOX": 20, "Sent": 5})
        mail.populate(source.host, source.port, f"newcomer{number}", PASSWORD, messages)
    with tempfile.TemporaryDirectory(prefix="new-", ignore_cleanup_errors=True) as home:
        began = time.monotonic()
        with up(Path(home), **allowed(servers)) as link:
            context = browser.new_context(locale="en")
            page = context.new_page()
            page.set_default_timeout(60_000)
            page.goto(link)
            page.get_by_role("link", name="New import").first.click()
            for legend, server in (("Where mail comes from", source), ("Where mail goes to", destination)):
                section = page.get_by_role("group", name=legend)
                section.get_by_label("Security").select_option(label="none (this machine only)")
                section.get_by_label("Host").fill("127.0.0.1")
                section.get_by_label("Port").fill(str(server.port))
            for number in range(3):
                page.get_by_label(f"Login {number + 1}", exact=True).fill(f"newcomer{number}")
                page.get_by_label(f"Password {number + 1}", exact=True).fill(PASSWORD)
            page.get_by_label("Name of the import").fill("my first")
            page.get_by_role("button", name="Start the import").click()
            page.locator("#live h1 .state.complete").wait_for()
            # A person needs two seconds for each of 21 fields and clicks; what the page needs beside them is measured.
            assert 21 * 2 + time.monotonic() - began < 90
            assert page.get_by_role("rowheader", name="newcomer2").count() == 1
            context.close()
    for number in range(3):
        login = (f"newcomer{number}", PASSWORD)
        wanted = mail.snapshot(source.host, source.port, *login, canon=mail.canon_dovecot)
        assert mail.snapshot(destination.host, destination.port, *login) == wanted
