"""Generated passwords, and the file in which they are handed over."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from producer.intake import passwords
from producer.intake.manifest import parse_manifest
from producer.intake.manifest_row import Row
from producer.intake.passwords import hand_over, new_password, passwords_path, read_passwords
from shared.model.errors import UsageError
from shared.runtime.secret import Secret


def _rows(text: str) -> tuple[Row, ...]:
    return parse_manifest(text.encode()).rows


ROWS = "login,password,new_login,new_password\na,x,a@new,\nb,y,b@new,own\nc,z,,\n"


def test_only_what_is_missing_is_made(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "p.csv"
    rows, made = hand_over(path, _rows(ROWS), {})
    assert made == 2
    assert [row.new_login for row in rows] == ["a@new", "b@new", "c"]
    assert rows[1].new_password == Secret("own")
    assert rows[0].new_password not in (Secret("x"), rows[2].new_password)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert read_passwords(path) == {"a@new": rows[0].new_password, "c": rows[2].new_password}


def test_again_they_are_the_same_and_the_file_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    first, _ = hand_over(path, _rows(ROWS), {})
    before = path.read_bytes(), path.stat().st_ino
    second, made = hand_over(path, _rows(ROWS), {})
    assert (second, made) == (first, 0)
    assert (path.read_bytes(), path.stat().st_ino) == before


def test_a_new_row_is_added_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    first, _ = hand_over(path, _rows(ROWS), {})
    more, made = hand_over(path, _rows("login,password\nd,x\n"), {})
    assert made == 1
    assert read_passwords(path) == {
        "a@new": first[0].new_password,
        "c": first[2].new_password,
        "d": more[0].new_password,
    }


def test_without_the_file_what_is_stored_is_used_and_handed_over_no_second_time(tmp_path: Path) -> None:
    path = tmp_path / "p.csv"
    first, _ = hand_over(path, _rows(ROWS), {})
    stored = {"a@new": first[0].new_password, "c": first[2].new_password}
    path.unlink()
    assert hand_over(path, _rows(ROWS), stored) == (first, 0)
    assert not path.exists()


@pytest.mark.parametrize("damage", [b"", b"login,password\na", b"\xff\xfe", b"other,header\n"])
def test_a_damaged_file_stops_everything_and_stays(tmp_path: Path, damage: bytes) -> None:
    path = tmp_path / "p.csv"
    path.write_bytes(damage)
    with pytest.raises(UsageError, match=r"p\.csv"):
        hand_over(path, _rows(ROWS), {})
    assert path.read_bytes() == damage


def test_a_crash_while_writing_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.csv"
    hand_over(path, _rows(ROWS), {})
    before = path.read_bytes()

    def crash(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(passwords.os, "rename", crash)
    with pytest.raises(KeyboardInterrupt):
        hand_over(path, _rows("login,password\nd,x\n"), {})
    assert path.read_bytes() == before
    assert [one for one in os.listdir(tmp_path) if one.startswith(".passwords")] == []


def test_a_password_pleases_every_policy() -> None:
    for text in {new_password() for _ in range(300)}:
        assert len(text) == 23
        assert text[0].isalpha()
        assert any(map(str.islower, text))
        assert any(map(str.isupper, text))
        assert any(map(str.isdigit, text))
        assert not set(text) & set("lIO01\",;:'\\ ")
    assert len({new_password() for _ in range(300)}) == 300


def test_a_name_of_an_import_is_no_path(tmp_path: Path) -> None:
    path = passwords_path(tmp_path, "../../etc/x y", "0123456789abcdef")
    assert path.parent == tmp_path / "passwords"
    assert path.name == "etc_x_y-01234567.csv"
