"""Plays `make demo-cutover`: two waves, mail that goes on coming, a rollback; no message is lost, and none is there twice."""

from __future__ import annotations

import re
from collections import Counter

import pytest

from producer.demo.two_waves import judged
from tests.acceptance.conftest import AdminEnvironment


@pytest.mark.slow
def test_the_demo_of_a_cutover_loses_nothing_and_doubles_nothing(admin_env: AdminEnvironment) -> None:
    process = admin_env.start("demo", "--cutover")
    _, said = process.communicate(timeout=500)
    assert process.returncode == 0, said
    told = re.findall(
        r"(\w+)@company.example: (\d+) messages at the (new|old) server, .* (\d+) lost, (\d+) twice", said
    )
    assert [(who, where) for who, _, where, _, _ in told] == [
        ("anna", "new"),
        ("ivan", "new"),
        ("li", "old"),
        ("olga", "old"),
    ]
    assert all((lost, twice) == ("0", "0") for *_, lost, twice in told)
    assert said.rstrip().endswith("0 lost, 0 twice")
    for verb in ("plan", "start", "announce", "switch", "rollback", "close"):
        assert f"$ mailhaul cutover {verb} people" in said
    assert re.search(r"\d+ copied, \d+ skipped", said), "what came to the new server was brought back"


def test_it_would_tell_of_a_message_that_is_lost_and_of_one_that_is_twice() -> None:
    assert judged(Counter({"<a>": 1, "<b>": 1}), ["<a>"], sample=1) == (0, 0)
    assert judged(Counter({"<b>": 1}), ["<a>"], sample=1) == (1, 0)
    assert judged(Counter({"<a>": 1}), ["<a>"], sample=1) == (1, 0)
    assert judged(Counter({"<a>": 1, "<b>": 2}), ["<a>"], sample=1) == (0, 1)
