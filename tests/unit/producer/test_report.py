"""The report: no cell is a formula, whatever a folder or a server is called; and its files are written while rows are read."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from producer.operations.finding import every_mailbox
from producer.reports.reporting import one_page
from producer.show import document
from producer.show.report import CSV_FILES, csv_lines, safe_cell, summary_pieces
from producer.web.api.mended import failed_rows
from shared.model import Account, Endpoint, Import, Mailbox, Tls, import_id, mailbox_id
from shared.model.lifecycle import MailboxState
from shared.model.search import Search
from shared.store.memory.memory_store import MemoryStore


@pytest.mark.parametrize(
    "text",
    [
        "=1+1",
        "+1",
        "-1",
        "@SUM(A1)",
        "\tx",
        "\rx",
        "＝1",
        "＋1",
        "－1",
        "＠x",
        "  =1",
        "\u00a0=cmd|' /C calc'!A0",
        "|x",
    ],
)
def test_what_a_spreadsheet_would_run_gets_an_apostrophe(text: str) -> None:
    assert safe_cell(text) == f"'{text}"


@pytest.mark.parametrize("begins", ["\t", "\r"])
def test_a_text_that_begins_with_an_empty_cell_gets_two(begins: str) -> None:
    assert safe_cell(f"{begins}=1") == f"'{begins}'=1"


@pytest.mark.parametrize("separator", [";", "\t"])
@pytest.mark.parametrize("text", ["x{}=HYPERLINK(1)", "x{} +1", 'x{}"=1+1"', "x{}@SUM(A1);-1"])
def test_a_text_holds_no_cell_that_another_spreadsheet_would_run(text: str, separator: str) -> None:
    """Reads a line as a spreadsheet does where cells end with semicolons or tabs, and nothing is quoted."""
    line = io.StringIO()
    csv.writer(line).writerow(["1", "anna", safe_cell(text.format(separator)), "INBOX"])
    cells = line.getvalue().replace(";", separator).split(separator)
    assert len(cells) > 1
    assert not [cell for cell in cells if cell.lstrip(' "').startswith(("=", "+", "-", "@"))]
    assert [cell for cell in text.format(separator).split(separator) if cell.lstrip(' "')[:1] in "=+-@"], "the control"


@pytest.mark.parametrize("text", ["INBOX", "Отправленные", "a=b", "<1@x>", "", "row 1: a, b", "a; b", "a;b=c"])
def test_what_is_only_text_stays_as_it_is(text: str) -> None:
    assert safe_cell(text) == text


def test_our_own_numbers_stay_numbers() -> None:
    assert safe_cell(-1) == "-1"
    assert safe_cell(None) == ""


class _Counting(MemoryStore):
    """A store that counts the rows that were read."""

    rows = 0

    def find_mailboxes(self, import_id: str, wanted: Search) -> Any:
        total, rows = super().find_mailboxes(import_id, wanted)
        self.rows += len(rows)
        return total, rows


Many = tuple[_Counting, Import]


@pytest.fixture
def many() -> Many:
    """Returns a store with an import of 1,201 mailboxes."""
    server = Endpoint(host="old.example", port=993, tls=Tls.IMPLICIT)
    whole = Import(import_id=import_id("many", server, server), name="many", source=server, destination=server)
    boxes = [
        Mailbox(
            mailbox_id=mailbox_id(whole.import_id, f"p{row}", f"p{row}"),
            import_id=whole.import_id,
            row=row,
            source=Account(endpoint=server, login=f"p{row}"),
            destination=Account(endpoint=server, login=f"p{row}"),
        )
        for row in range(1, 1202)
    ]
    store = _Counting()
    store.open_import(whole, boxes, 14)
    return store, whole


def test_a_file_is_written_while_the_mailboxes_are_read(many: Many) -> None:
    store, whole = many
    rows = partial(every_mailbox, store, whole)
    head = {"import": {}, "mailboxes": None, "errors": []}
    files: dict[str, Iterator[str]] = {file: csv_lines(store, file, rows()) for file in CSV_FILES}
    files |= {"summary.json": summary_pieces(store, head, rows()), "failed": failed_rows(box for box, _ in rows())}
    for file, lines in files.items():
        store.rows = 0
        assert next(lines)
        assert store.rows <= 500, f"{file}: the first line needs no more than the first rows"
        if file in ("results.csv", "summary.json"):
            next(lines)
            assert store.rows == 500
        rest = list(lines)
        assert store.rows == 1201
        assert len(rest) == {"results.csv": 1200, "summary.json": 1201}.get(file, 0)


def test_the_summary_in_pieces_is_the_document(many: Many) -> None:
    store, whole = many
    for boxes in (list(every_mailbox(store, whole)), []):
        fields = [document.mailbox_fields(store, *pair) for pair in boxes]
        head = {"import": {"mailboxes": None}, "mailboxes": None, "errors": [{"mailboxes": None}]}
        text = "".join(summary_pieces(store, head, boxes))
        assert text == json.dumps({**head, "mailboxes": fields}, ensure_ascii=False, indent=2) + "\n"


def test_no_mailbox_is_left_out_that_others_leave_while_it_is_read(many: Many) -> None:
    store, whole = many

    # Between the script and the read a row was erased: the page is short, and not the last.
    class Erased(_Counting):
        def find_mailboxes(self, import_id: str, wanted: Search) -> Any:
            total, rows = store.find_mailboxes(import_id, wanted)
            return total, rows[1:]

    assert len(list(every_mailbox(Erased(), whole))) == 1201 - 3
    # And who is tried again meanwhile is parked no more.
    for one in store._rows.mailboxes.values():
        one.mailbox = replace(one.mailbox, state=MailboxState.PARKED)
    parked = every_mailbox(store, whole, state=MailboxState.PARKED)
    seen = [next(parked)[0].row]
    for one in list(store._rows.mailboxes.values())[:400]:
        one.mailbox = replace(one.mailbox, state=MailboxState.QUEUED)
    assert [*seen, *(box.row for box, _ in parked)] == list(range(1, 1202))


def test_the_one_page_looks_ahead_as_it_is_told(many: Many) -> None:
    store, whole = many
    asked: list[Import] = []
    one_page(store, whole, look_ahead=lambda _, import_: asked.append(import_))
    assert asked == [whole]
