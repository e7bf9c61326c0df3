"""Tests that the same options by command and by API give the same request.

The fields are those of `tests.web.parity`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from typer.testing import CliRunner

from producer.cli import app, importing
from producer.intake.account_options import AccountsAsked
from producer.intake.specification import CheckedImport, ImportSpecification, check
from producer.web.api.import_bodies import ImportBody, guarded
from shared.model import Endpoint
from shared.sign_in.reach import reach_of
from tests.web.parity import TABLE, Why

_OLD, _NEW = "imap+starttls://192.0.2.1:143", "imaps://192.0.2.2:993"
_REACH: Final = reach_of("192.0.2.0/24", "143,993")
#: Option of `mailhaul import` → its arguments, and the value of its field. None has its default.
SAID: Final[Mapping[str, tuple[tuple[str, ...], Any]]] = {
    "--source": ((_OLD,), _OLD),
    "--destination": ((_NEW,), _NEW),
    "--source-fingerprint": (("ab" * 32,), "ab" * 32),
    "--destination-fingerprint": (("cd" * 32,), "cd" * 32),
    "--allow-plaintext": ((), True),  # the second row's server needs it
    "--encoding": (("cp1251",), "cp1251"),
    "--separator": (("semicolon",), "semicolon"),
    "--ignore-column": (("shade",), ["shade"]),
    "--share-destination": ((), True),
    "--case-sensitive-logins": ((), True),
    "--same-mailbox": ((), True),
    "--name": (("office",), "office"),
    "--include": (("Work*",), ["Work*"]),
    "--exclude": (("Work/Old",), ["Work/Old"]),
    "--verify": (("full",), "full"),
    "--wave": (("rest",), "rest"),
    "--wave-rule": (("pilot=first:1",), ["pilot=first:1"]),
    "--window": (("20:00-06:00 UTC",), "20:00-06:00 UTC"),
    "--since": (("2024-02-01",), "2024-02-01"),
    "--before": (("2025-02-01",), "2025-02-01"),
    "--larger": (("1k",), "1k"),
    "--smaller": (("10MB",), "10MB"),
    "--unseen": ((), True),
    "--flagged": ((), True),
    "--not-deleted": ((), True),
    "--newest-first": ((), True),
    "--shared-folders": (("copy",), "copy"),
    "--skip-special": (("spam,trash",), ["spam", "trash"]),
    "--into": (("Old",), "Old"),
    "--folder-map": (("map.csv",), [["from", "to"], ["A", "B"]]),
    "--gmail-labels": (("primary",), "primary"),
    "--moves": (("copy",), "copy"),
    "--deletions": (("follow",), "follow"),
    "--deletions-cap": (("12",), 12),
    "--source-auth": (("authzid",), "authzid"),
    "--source-admin": (("root",), "root"),
    "--source-password-file": (("source.txt",), "the root's"),
    "--destination-auth": (("proxyauth",), "proxyauth"),
    "--destination-admin": (("boss",), "boss"),
    "--destination-password-file": (("destination.txt",), "the boss's"),
}
SHEET: Final = (
    "login;password;new_login;new_password;server;shade\nанна;a;b;c;;red\nbert;d;e;f;imap://192.0.2.3:143;blue\n"
)


def _by_command(
    monkeypatch: pytest.MonkeyPatch, place: Path, said: Mapping[str, tuple[tuple[str, ...], Any]]
) -> ImportSpecification:
    """Returns the request that `mailhaul import` would begin."""
    begun: list[ImportSpecification] = []
    monkeypatch.setattr(importing, "run_import", lambda request, *_, **__: begun.append(request) or 0)
    monkeypatch.chdir(place)
    Path("people.csv").write_bytes(SHEET.encode("cp1251"))
    Path("map.csv").write_text("from,to\nA,B\n")
    Path("source.txt").write_text("the root's\n")
    Path("destination.txt").write_text("the boss's\n")
    words = [word for option, (typed, _) in said.items() for word in (option, *typed)]
    ended = CliRunner().invoke(app, ["import", "people.csv", *words])
    assert ended.exit_code == 0, ended.output
    return begun[0]


def _by_api(said: Mapping[str, tuple[tuple[str, ...], Any]]) -> ImportBody:
    """Returns the body of POST /imports, with each value in the field that the table names."""
    body: dict[str, Any] = {"manifest": SHEET}
    for option, (_, value) in said.items():
        *parts, last = str(TABLE["import"].options[option]).split(".")[1:]
        room = body
        for part in parts:
            room = room.setdefault(part, {})
        room[last] = value
    return ImportBody.model_validate(body)


def _checked(body: ImportBody) -> CheckedImport:
    return check(body.taken_down(AccountsAsked(), body.asked()), guard=guarded(_REACH))


def _told(*ends: Endpoint) -> list[Endpoint]:
    return [replace(end, guarded=False) for end in ends]  # only servers from the API are restricted


def test_every_option_that_has_a_field_is_tried() -> None:
    fields = {option for option, there in TABLE["import"].options.items() if not isinstance(there, Why)}
    # An account service is named by its URL on the command line and by its name in the API: tests/web/test_making.py. A
    # list without a header has no headings to ignore: the option is tried below.
    assert set(SAID) == fields - {"manifest", "--accounts", "--no-header"}


def test_a_list_without_a_header_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sheet = "login;password\nanna;b\n"
    monkeypatch.setattr(f"{__name__}.SHEET", sheet)
    ends = {option: SAID[option] for option in ("--source", "--destination", "--allow-plaintext", "--name")}
    command = _by_command(monkeypatch, tmp_path, {**ends, "--no-header": ((), True)})
    body = _by_api({**ends, "--no-header": ((), True)})
    made = _checked(body).specification
    assert made is not None
    rows = made.manifest.rows
    assert [row.login for row in rows] == ["login", "anna"]
    assert rows == command.manifest.rows
    made = _checked(_by_api(ends)).specification
    assert made is not None
    assert len(made.manifest.rows) == 1


def test_the_same_is_the_same(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    command, body = _by_command(monkeypatch, tmp_path, SAID), _by_api(SAID)
    checked = _checked(body)
    assert (checked.faults, checked.row_errors) == ((), ())
    made = checked.specification
    assert made is not None
    assert _told(made.source, made.destination) == [command.source, command.destination]
    # The list of pairs has no header, so the header of the file is its first pair.
    pairs = (("from", "to"), *command.options.folder_map)
    assert made.options == replace(command.options, folder_map=pairs)
    assert (made.name, made.hours, made.sign_ins) == (command.name, command.hours, command.sign_ins)
    rows = [replace(row, server=_told(row.server)[0] if row.server else None) for row in made.manifest.rows]
    assert rows == list(command.manifest.rows)
    assert rows[1].server is not None


@pytest.mark.parametrize(
    "option", sorted(set(SAID) - {"--source", "--destination", "--name", "--encoding", "--separator"})
)
def test_each_of_them_counts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, option: str) -> None:
    """The control: a field that the API did not read would make no difference here."""
    without = {name: value for name, value in SAID.items() if name != option}
    whole, less = _by_api(SAID), _by_api(without)

    assert _checked(whole) != _checked(less)
