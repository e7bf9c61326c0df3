"""`mailhaul.toml`: the options that it gives to each command, and its faults; the help in groups; a dry run of import."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner, Result

from producer.cli import app
from producer.cli.grouped_help import GROUPS

SOURCE, DESTINATION = "imap://127.0.0.1:1", "imap://127.0.0.1:2"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.csv").write_text("login,password\nanna,secret\n")
    return tmp_path


def run(*arguments: str) -> Result:
    return CliRunner().invoke(app, arguments)


def test_both_servers_are_typed_once(folder: Path) -> None:
    (folder / "mailhaul.toml").write_text(f'source = "{SOURCE}"\ndestination = "{DESTINATION}"\n')
    found = run("plan", "a.csv")
    assert f"from {SOURCE} to {DESTINATION}: nothing is written" in found.stdout
    assert "mailhaul.toml gives: destination, source" in found.stderr
    assert run("plan", "a.csv", "--destination", "imap://127.0.0.1:3").stdout.startswith(
        f"from {SOURCE} to imap://127.0.0.1:3"
    )


def test_a_table_is_for_its_command_alone(folder: Path) -> None:
    (folder / "mailhaul.toml").write_text(
        f'source = "{SOURCE}"\n[check]\ndestination = "{DESTINATION}"\n[plan]\nsource = "imap://127.0.0.1:9"\n'
    )
    assert run("plan", "a.csv").exit_code == 2, "--destination is missing there"
    assert "127.0.0.1:9" in run("plan", "a.csv", "--destination", DESTINATION).stdout
    assert "127.0.0.1:1:" in run("check", "a.csv").stdout


def test_a_file_of_another_name_and_a_list(folder: Path) -> None:
    (folder / "move.toml").write_text(
        f'destination = "{DESTINATION}"\nexclude = ["Trash", "Junk"]\ninclude = "INBOX"\n'
    )
    found = run("--config", "move.toml", "plan", "a.csv", "--source", SOURCE)
    assert "move.toml gives: destination, exclude, include" in found.stderr
    assert found.exit_code == 3, "the servers are not there"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('sorce = "x"', "sorce: no command of mailhaul has an option --sorce"),
        ('[imprt]\nname = "x"', "[imprt] is no command of mailhaul"),
        ("[plan]\nworkers = 3", "[plan] workers: plan has no option --workers"),
        ('source = ["a", "b"]', "source: one value is expected, not a list"),
        ('json = "yes"', "json: true or false is expected, not 'yes'"),
        ("source =", "is no TOML"),
        ("source = \xff", "is no TOML"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(folder: Path, text: str, said: str) -> None:
    (folder / "mailhaul.toml").write_bytes(text.encode("latin-1"))
    found = run("plan", "a.csv", "--source", SOURCE, "--destination", DESTINATION)
    assert found.exit_code == 2
    assert "mailhaul: mailhaul.toml" in found.stderr
    assert said in found.stderr


def test_a_file_that_is_not_there(folder: Path) -> None:
    assert "none.toml cannot be read: No such file" in run("--config", "none.toml", "list").stderr


def test_a_file_that_anybody_may_write_is_not_used(folder: Path) -> None:
    """Refuses a file that anybody may write, since an option can name a program (`--accounts hook:…`)."""
    path = folder / "mailhaul.toml"
    path.write_text(f'source = "{SOURCE}"\ndestination = "{DESTINATION}"\n')
    path.chmod(0o666)
    found = run("plan", "a.csv")
    assert found.exit_code == 2
    assert "its options are not used" in found.stderr
    path.chmod(0o644)
    assert run("plan", "a.csv").exit_code == 3


@pytest.mark.skipif(os.geteuid() != 0, reason="gives a file to another user")
def test_a_file_of_another_user_is_not_used(folder: Path) -> None:
    path = folder / "mailhaul.toml"
    path.write_text(f'source = "{SOURCE}"\n')
    os.chown(path, 12345, 12345)
    assert "belongs to another user" in run("plan", "a.csv", "--destination", DESTINATION).stderr


def test_import_can_only_say_what_it_would_do(folder: Path) -> None:
    state = folder / "state"
    ends = ("a.csv", "--source", SOURCE, "--destination", DESTINATION, "--state-dir", str(state))
    dry = run("import", *ends, "--dry-run", "--name", "x", "--workers", "2")
    assert (dry.stdout, dry.exit_code) == (run("plan", *ends).stdout, 3)
    assert not state.exists()


def test_every_command_stands_in_one_group_with_its_whole_summary() -> None:
    commands = get_command(app).commands  # type: ignore[attr-defined]
    assert sorted(name for names in GROUPS.values() for name in names) == sorted(commands)
    said = " ".join(run("--help").output.split())
    assert "..." not in said.partition("Prepare:")[2]
    assert all(f"{heading}:" in said for heading in GROUPS)
