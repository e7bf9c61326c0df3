"""Tests which address a cutover turns, and what its plan says of it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.cutover.facts import domains_of
from producer.cutover.planning import plan
from producer.cutover.turning import switched
from shared.model import Mailbox
from shared.model.cutover import CutoverOptions
from shared.model.sides import Side
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import person, request
from tests.crash.cutover_stage import CutoverStage


def _mailbox(old: str, new: str) -> Mailbox:
    found = person(request(), 1)
    return replace(
        found, source=replace(found.source, login=old), destination=replace(found.destination, login=new)
    )  # as a row of a list gives them


@pytest.mark.parametrize(
    ("old", "new", "address"),
    [
        ("anna@corp.example", "anna@corp.onmicrosoft.example", "anna@corp.example"),
        ("anna", "anna@corp.example", "anna@corp.example"),
        ("anna@corp.example", "anna", "anna@corp.example"),
        ("anna", "anna2", "anna"),
    ],
)
def test_the_address_at_the_old_server_is_turned(old: str, new: str, address: str) -> None:
    in_process, mailbox = CutoverStage(), _mailbox(old, new)
    in_process.begin()
    assert switched(in_process.view.cutover, mailbox, Side.DESTINATION).address == address
    assert domains_of(CutoverOptions(), [mailbox]) == (("corp.example",) if "@" in address else ())


def test_the_plan_says_whose_address_is_another_one() -> None:
    in_process, store, whole = CutoverStage(), MemoryStore(), request()
    logins = {
        1: ("anna@corp.example", "anna@new.example"),
        2: ("Bob@corp.example", "bob@corp.example"),
        3: ("eva", "eva@x.example"),
    }
    rows = [replace(_mailbox(*both), mailbox_id=f"m{row}", row=row) for row, both in logins.items()]
    store.open_import(whole, rows, 14)
    found = plan(
        store, whole, "", CutoverOptions(switch="table"), open_switch=in_process.open_switch, ask=in_process.ask, at=1.0
    )  # as the command does
    assert found.renamed == (("anna@corp.example", "anna@new.example"),)
