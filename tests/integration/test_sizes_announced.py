"""Tests sources that send more or fewer bytes of a message than they announce: it is copied as sent, and told."""

from __future__ import annotations

import pytest

from tests.integration.in_process_import import InProcessImport, Wires, plain
from tests.servers.faults import cut
from tests.servers.faulty import Quirk
from worker.decisions import sent


@pytest.mark.parametrize("multiappend", [True, False])
@pytest.mark.parametrize("more", [24, -24, 2_000_000])
def test_another_size_than_announced_is_told(wires: Wires, more: int, *, multiappend: bool) -> None:
    if not multiappend:
        wires.destination.behaviour.capabilities.discard("MULTIAPPEND")
    wires.fill(4)
    body = plain(50, text="x" * 1_200)
    odd = wires.old.folder(b"INBOX").add(body, size=len(body) + more)
    wires.fill(4, first=100)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 9}
    assert wires.bodies() == wires.sent()
    said = f"the source announced {len(body) + more:,} bytes and sent {len(body):,}"
    assert in_process.noted("resized") == {odd.uid: said}
    assert in_process.tally().resized == 1
    in_process.to_the_end()
    assert in_process.tally().resized == 1, "what a pass found stays told"


def test_a_large_body_is_told_too(wires: Wires) -> None:
    body = plain(1, text="line of a large message\r\n" * 40_000)
    odd = wires.old.folder(b"INBOX").add(body, size=len(body) + 5)
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert wires.bodies() == wires.sent()
    assert in_process.noted("resized").keys() == {odd.uid}


def test_true_sizes_and_none_are_not_told(wires: Wires) -> None:
    wires.fill(4)
    wires.old.folder(b"INBOX").add(plain(50), quirks=frozenset({Quirk.SIZE_ABSENT}))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert not in_process.noted("resized")
    assert in_process.tally().resized == 0


def test_a_server_that_announces_wrong_sizes_everywhere_is_told_of_in_few_words(
    wires: Wires, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sent, "MOST_RESIZED", 5)
    for number in range(1, 21):
        wires.old.folder(b"INBOX").add(plain(number), size=7)
    in_process = InProcessImport(wires.source, wires.destination, batch_messages=20)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 20}
    told = in_process.noted("resized")
    assert len(told) == 5
    assert "others that came with it are not named" in told[5]
    assert in_process.tally().resized == 5


def test_a_body_that_is_cut_off_with_the_connection_is_asked_for_again(wires: Wires) -> None:
    wires.fill(4)
    wires.source.faults.add(cut(rb"^UID FETCH \S+ \(UID FLAGS", 700))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    assert wires.bodies() == wires.sent()
    assert not in_process.noted("resized")
