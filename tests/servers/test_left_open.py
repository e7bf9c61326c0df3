"""Tests that what tests leave behind is noticed, and what they close is not."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack

import pytest

from tests.left_open import MOST_FILES, MOST_THREADS, nothing_is_left_open


def test_sockets_and_threads_that_stay_are_told() -> None:
    with ExitStack() as stack:
        for _ in range(MOST_FILES):
            stack.enter_context(socket.socket())
        with pytest.raises(AssertionError, match=r"socket', 4\d\d"):
            nothing_is_left_open(0)
    over = threading.Event()
    threads = [threading.Thread(target=over.wait, name="stays") for _ in range(MOST_THREADS)]
    for thread in threads:
        thread.start()
    with pytest.raises(AssertionError, match=rf"'stays', {MOST_THREADS}"):
        nothing_is_left_open(0)
    over.set()
    nothing_is_left_open()
