"""The command line before anything is started: help, usage, exit codes, and what it loads."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from producer.cli import app
from producer.cli.grouped_help import OPTION_GROUPS
from producer.cli.verb import verb
from shared.model.errors import CredentialsError, StoreError, UsageError
from shared.runtime.unsure_acts import PERHAPS_NOT_ON_DISK, tell

VERBS = (
    "demo",
    "check",
    "plan",
    "import",
    "list",
    "status",
    "watch",
    "errors",
    "report",
    "pause",
    "resume",
    "cancel",
    "retry",
    "verify",
    "credentials",
    "forget",
    "close",
    "erase",
    "limits",
    "worker",
    "coordinator",
    "up",
    "down",
    "doctor",
    "template",
    "providers",
    "detect",
)
ENDS = ["--source", "imap://127.0.0.1:1", "--destination", "imap://127.0.0.1:2"]


def test_help_names_every_verb_and_every_exit_code() -> None:
    said = " ".join(CliRunner().invoke(app, ["--help"]).output.split())
    assert all(f" {name} " in said for name in VERBS)
    for words in ("0 all copied", "1 an internal error", "2 bad usage", "3 finished, but", "4 interrupted"):
        assert words in said


@pytest.mark.parametrize("name", VERBS)
def test_every_verb_has_a_help(name: str) -> None:
    found = CliRunner().invoke(app, [name, "--help"])
    assert found.exit_code == 0
    assert "Usage" in found.output


def test_no_password_can_be_given_as_an_argument() -> None:
    for name in VERBS:
        assert "--password" not in CliRunner().invoke(app, [name, "--help"]).output


@pytest.mark.parametrize("arguments", [["imprt"], ["import"], ["import", "x.csv"], ["limits", "--nonsense"], []])
def test_bad_usage_is_exit_code_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


def test_every_fault_of_a_request_is_said_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("login,password\nx,y\nx,z\nq,\n")
    found = CliRunner().invoke(
        app,
        ["import", str(path), "--source", "nonsense", "--destination", "imap://elsewhere.example", "--verify", "some"],
    )
    assert found.exit_code == 2
    for words in ("--source", "--destination", "--verify", "row 3", "row 4"):
        assert words in found.stderr


def test_rows_without_a_server_need_a_source(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("login,password,server\nx,y,\na,b,imaps://one.example\nq,r,\n")
    found = CliRunner().invoke(app, ["import", str(path), "--destination", "imaps://new.example"])
    assert found.exit_code == 2
    assert "--source: these rows name no server: 2, 4" in found.stderr
    pinned = ["--destination", "imaps://new.example", "--source-fingerprint", "00" * 32]
    assert "--source-fingerprint: is of one" in CliRunner().invoke(app, ["import", str(path), *pinned]).stderr


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("u"), 2),
        (StoreError("s"), 1),
        (CredentialsError("c"), 1),
        (KeyboardInterrupt(), 130),
        (ValueError("password=hunter2"), 1),
    ],
)
def test_errors_are_a_sentence_and_an_exit_code(error: BaseException, code: int) -> None:
    def failing() -> int:
        raise error

    with pytest.raises(typer.Exit) as ended:
        verb(failing)()
    assert ended.value.exit_code == code


def test_what_is_said_cannot_steer_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    def failing() -> int:
        raise UsageError("two lines:\n  row 2: \x1b[2J\x07\u009b31m\u202e\r")

    with pytest.raises(typer.Exit):
        verb(failing)()
    said = capsys.readouterr().err
    assert said.count("\n") == 2
    assert not set("\x1b\x07\u009b\u202e\r") & set(said)


def test_help_loads_nothing_heavy() -> None:
    heavy = (
        "redis",
        "dramatiq",
        "pydantic",
        "imapclient",
        "cryptography",
        "structlog",
        "rich.live",
        "prometheus_client",
    )
    ask = f"import sys, producer.cli; print([name for name in {heavy!r} if name in sys.modules])"
    said = subprocess.run(
        [sys.executable, "-c", ask], capture_output=True, text=True, check=True, cwd=Path(__file__).parents[3]
    )
    assert said.stdout.strip() == "[]"


@pytest.mark.parametrize("name", VERBS)
def test_usage_is_written_in_the_usual_form(name: str) -> None:
    usage = CliRunner().invoke(app, [name, "--help"]).output.partition("\n\n")[0]
    assert not set("{}") & set(usage), usage
    assert "[[" not in usage


def test_required_and_optional_arguments_are_told_apart_and_the_source_comes_first() -> None:
    def usage(name: str) -> str:
        return str(CliRunner().invoke(app, [name, "--help"]).output)

    assert "Usage: mailhaul import [OPTIONS] ACCOUNTS.csv\n" in usage("import").replace("root", "mailhaul")
    assert "[OPTIONS] IMPORT [FILE.csv]\n" in usage("credentials")
    assert "[OPTIONS] [IMPORT]\n" in usage("status")
    for name in ("check", "plan", "import"):
        assert usage(name).index("  --source URL") < usage(name).index("  --destination URL")


def test_an_empty_list_is_a_result(tmp_path: Path) -> None:
    found = CliRunner().invoke(app, ["list", "--state-dir", str(tmp_path / "none")])
    assert (found.exit_code, found.stdout, found.stderr) == (0, "there is no import yet\n", "")


def test_the_manifest_with_errors_is_called_by_its_file(tmp_path: Path) -> None:
    path = tmp_path / "staff.csv"
    path.write_text("anna@x,\n")
    found = CliRunner().invoke(app, ["check", str(path), *ENDS])
    assert found.exit_code == 2
    assert "staff.csv has an error; nothing was started:\n  row 1, password: is missing" in found.stderr


def test_an_act_that_the_disk_may_not_have_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(typer.Exit):
        verb(tell)()
    assert capsys.readouterr().err == f"mailhaul: {PERHAPS_NOT_ON_DISK.says()}\n"
    tell()
    assert not capsys.readouterr().err


def test_the_help_of_a_long_command_has_what_a_first_use_needs_first_and_each_option_once() -> None:
    said = CliRunner().invoke(app, ["import", "--help"]).output
    assert said.index("\nOptions:") < said.index("\nWhich messages:") < said.index("\nSigning in:")
    first = said[said.index("\nOptions:") : said.index("\nWhich messages:")]
    assert {"--source", "--destination", "--name", "--dry-run", "--state-dir"} <= set(first.split())
    assert len([line for line in first.splitlines() if line.lstrip().startswith("-")]) <= 8
    every = [name for names in OPTION_GROUPS.values() for name in names]
    assert len(every) == len(set(every))
    for name in every:
        assert len(re.findall(rf"^  (?:-\w, )?--{name}\b(?!-)", said, re.MULTILINE)) == 1, name
