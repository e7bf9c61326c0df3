"""Tests the events of the log: a closed list, and the log of one mailbox."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

from tests import mail
from tests.conftest import DovecotPair
from tests.deploy.deployed_processes import ROOT, DeployedProcesses

PAGE = (ROOT / "docs" / "logs.md").read_text()
LISTED = set(re.findall(r"^\| `(\w+)` \| (?:info|warning|error) \|", PAGE, re.MULTILINE))
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}


def _words(node: ast.expr) -> Iterator[str]:
    """Yields the string constants that an expression may have as its value."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from _words(node.body)
        yield from _words(node.orelse)


def events(source: str) -> set[str]:
    """Returns the events that a module's loggers log."""
    found: set[str] = set()
    names: dict[str, set[str]] = {}
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            names.setdefault(node.targets[0].id, set()).update(_words(node.value))
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and node.args):
            continue
        function = node.func
        of_logger = (
            isinstance(function, ast.Attribute)
            and function.attr in _LEVELS
            and re.search(r"\b_?log(ger)?\b|get_logger", ast.unparse(function.value))
        )
        if of_logger or (isinstance(function, ast.Name) and function.id == "log"):
            event = node.args[0]
            found |= names.get(event.id, set()) if isinstance(event, ast.Name) else set(_words(event))
    return found


def logged() -> set[str]:
    """Returns all events of the code; sentences are not events."""
    files = [path for room in ("producer", "worker", "shared") for path in (ROOT / room).rglob("*.py")]
    return {event for path in files for event in events(path.read_text()) if " " not in event}


def test_the_list_is_closed() -> None:
    assert logged() == LISTED


def test_an_event_that_is_not_listed_is_found_out() -> None:
    """The negative control, in each form that the code uses."""
    assert events('_log.info("surprise", a=1)') == {"surprise"}
    assert events('log.info("one" if x else "two")') == {"one", "two"}
    assert events('event = "one" if x else "two"\n_log.warning(event)') == {"one", "two"}
    assert events('get_logger("x").error("surprise")') == {"surprise"}
    assert events('log = _log.error if bad else _log.warning\nlog("surprise")') == {"surprise"}


def test_one_search_for_a_mailbox_tells_its_story(tmp_path: Path, dovecot_pair: DovecotPair) -> None:
    login = dovecot_pair.account()
    place = ("127.0.0.1", dovecot_pair.source.port, login, dovecot_pair.password)
    mail.populate(*place, mail.make_mailbox(1, {"INBOX": 20, "Work": 5}, 800))
    with DeployedProcesses(tmp_path) as deployed:
        manifest = deployed.home / "people.csv"
        manifest.write_text(f"login,password\n{login},{dovecot_pair.password}\n")
        deployed.start("coordinator")
        deployed.start("worker", MAILHAUL_LOG_FORMAT="json")
        deployed.run(
            "import",
            manifest,
            "--source",
            f"imap://127.0.0.1:{dovecot_pair.source.port}",
            "--destination",
            f"imap://127.0.0.1:{dovecot_pair.destination.port}",
        )
        text = "".join(path.read_text() for path in deployed.home.glob("worker-*.log"))
    lines = [json.loads(line) for line in text.splitlines()]
    (mailbox,) = {line["mailbox"] for line in lines if "mailbox" in line}
    story = [line for line in lines if mailbox in json.dumps(line)]
    assert {"import_id", "mailbox", "folder", "unit", "term", "worker"} <= set(story[0])
    assert (story[0]["kind"], story[-1]["kind"]) == ("plan", "verify")
    assert {line["event"] for line in story} == {"unit_ended"}
    assert login not in text
    assert dovecot_pair.password not in text
