"""Feeds random answers to the parsers of `shared.mail` with atheris. It is run by hand, outside the test suite.

    .venv/bin/python -m pip install atheris      (Linux on x86-64; it is not part of the lock)
    .venv/bin/python -m bench.fuzz_answers -max_total_time=600

Any error but `Unreadable` ends the run and shows the input that caused it.
"""

from __future__ import annotations

import contextlib
import importlib
import sys

from shared.mail.answers.fetch_answer import FetchAnswer, flags_of, uid_of
from shared.mail.answers.folder_answers import listed_folder, status_answer
from shared.mail.answers.responses import (
    Selected,
    appended_uids,
    copied_uids,
    searched_uids,
)
from shared.mail.answers.tokens import Unreadable
from shared.mail.imap.namespaces import namespaces

_HEADS = (b"* LIST ", b"* LSUB ", b"* STATUS ", b"* SEARCH ", b"* ESEARCH ", b"* NAMESPACE ", b"* FLAGS ", b"* ", b"")


def once(data: bytes) -> None:
    """Runs all parsers over one input: its first byte chooses the answer, NUL separates the pieces."""
    first, *rest = data[1:].split(b"\0")
    pieces = [_HEADS[data[0] % len(_HEADS)] + first if data else b"", *rest]
    for read in (listed_folder, status_answer, searched_uids, namespaces):
        with contextlib.suppress(Unreadable):
            read(pieces)
    Selected().take(pieces)
    appended_uids(pieces[0])
    copied_uids(pieces[0])
    answer = FetchAnswer()
    with contextlib.suppress(Unreadable):
        for at in range(0, len(pieces), 2):
            if answer.feed(pieces[at]) is None or at + 1 >= len(pieces):
                break
            answer.literal(pieces[at + 1])
    uid_of(answer.items())
    flags_of(answer.items())


def main() -> None:
    """Runs until it is stopped or finds an error."""
    atheris = importlib.import_module("atheris")
    atheris.instrument_all()
    atheris.Setup(sys.argv, once)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
