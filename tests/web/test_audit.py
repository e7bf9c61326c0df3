"""Tests the audit log: acts by command and by API are in one log, written before they are done.

It can be read as files.
"""

from __future__ import annotations

import ast
import csv
import html
import io
import json
import os
import pwd
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from producer import cli
from producer.operations.operations import Operations
from producer.show.audit import csv_lines, table_lines
from shared.model.lifecycle import ImportState
from shared.store.records.web_records import WebRecords
from shared.store.redis import keys
from shared.store.redis.redis_store import connect
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends, serve_with

#: Operations that change something.
CHANGING = (
    "submit",
    "set_going",
    "control",
    "retry",
    "verify",
    "replace_credentials",
    "forget",
    "rotate",
    "set_window",
    "set_limit",
    "archive",
)
ME = f"command line ({os.getuid()} {pwd.getpwuid(os.getuid()).pw_name})"


def _opened(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> str:
    web_server.serve(**allowed(servers))
    body = {"name": "office", "manifest": f"login,password\nanna,{PASSWORD}\n", **ends(servers)}
    return str(web_server.client().post("/imports", json=body).json()["import"]["id"])


def test_every_verb_that_changes_something_is_in_the_log(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    import_id = _opened(web_server, servers)
    right = web_server.home / "right.csv"
    right.write_text(f"login,password\nanna,new-{PASSWORD}\n")
    place = str(web_server.home / "kept")
    for arguments in (
        ("pause",),
        ("resume", "office", "--mailbox", "anna"),
        ("retry",),
        ("credentials", "office", str(right)),
        ("window", "office", "20:00-06:00 UTC"),
        ("spool", "--out", place),
        ("limits", "source_host", "3"),
        ("cancel",),
        ("forget", "--yes"),
    ):
        web_server.command(*arguments)
    web_server.command("verify", code=2)  # its passwords are gone; the log has the request and its refusal
    # There is no such mailbox, so nothing is in the log.
    web_server.command("pause", "--mailbox", "http://anna:s3cret@x", code=2)

    entries = [entry for entry in web_server.records.audit() if entry["who"] == ME]
    assert [(entry["what"], entry["detail"].get("import_id", "")) for entry in entries] == [
        ("import pause", import_id),
        ("import run", import_id),
        ("import retried", import_id),
        ("act changed nothing", import_id),
        ("credentials replaced", import_id),
        ("hours set", import_id),
        ("refused messages kept", import_id),
        ("limit set", ""),
        ("import cancel", import_id),
        ("credentials deleted", import_id),
        ("verification asked for", import_id),
        ("act refused", import_id),
    ]
    assert entries[1]["detail"]["login"] == "anna"
    assert entries[7]["detail"] | {"scope": "source_host", "most": 3} == entries[7]["detail"]
    assert PASSWORD not in json.dumps(entries)
    assert "s3cret" not in json.dumps(entries)
    # The import's events show these acts beside those of page and API.
    page = web_server.page(f"/imports/{import_id}")
    assert (
        f'<span class="faint" title="command line ({os.getuid()})">{pwd.getpwuid(os.getuid()).pw_name}</span>' in page
    )
    assert "hours set" in page


def test_who_may_sign_in_is_in_the_log_by_the_same_name(web_server: WebServer) -> None:
    web_server.command("token", "add", "robot")
    web_server.command("token", "revoke", "0123456789ab", code=2)
    (web_server.home / "password").write_text("a long enough one\n")
    web_server.command("user", "set", "anna", "--password-file", "password")
    web_server.command("session", "end", "anna", code=2)
    web_server.command("link", USER="somebody else")  # the environment can name anybody
    web_server.command("user", "remove", "anna")
    found = [(entry["what"], entry["who"]) for entry in web_server.records.audit()]
    words = ("token made", "token revoked", "act refused", "user set", "sessions ended", "act refused", "link made")
    words += ("user removed",)
    assert found == [(what, ME) for what in words]
    refused = [one["detail"] for one in web_server.records.audit() if one["what"] == "act refused"]
    assert [one["act"] for one in refused] == ["token revoked", "sessions ended"]
    assert refused[0]["token_id"] == "0123456789ab", "what the act was about is kept"
    assert "0123456789ab" in refused[0]["why"]


def test_an_import_by_command_is_in_the_log_as_often_as_it_is_given(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    for server in servers:
        server.add_user("audited", PASSWORD)
    (web_server.home / "people.csv").write_text(f"login,password\naudited,{PASSWORD}\n")
    command = [
        "import",
        "people.csv",
        *(word for end, to in ends(servers).items() for word in (f"--{end}", to["server"])),
    ]
    for _ in range(2):
        web_server.command(*command, "--workers", "1", "--threads", "2")
    found = [(entry["what"], entry["who"], entry["detail"]["mailboxes"]) for entry in web_server.records.audit()]
    assert found == [("import begun", ME, 1), ("import begun again", ME, 1)]


def test_a_verification_is_told_apart_when_it_is_queued_done_and_refused(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    for server in servers:
        server.add_user("told-apart", PASSWORD)
    web_server.serve(**allowed(servers))
    api = web_server.client()
    body = {"name": "apart", "manifest": f"login,password\ntold-apart,{PASSWORD}\n", **ends(servers)}
    import_id = str(api.post("/imports", json=body).json()["import"]["id"])
    there = f"/imports/{import_id}"

    def log() -> list[tuple[str, str]]:
        about = ("verification asked for", "verification queued", "verification done", "act refused")
        return [
            (one["what"], one["detail"].get("act", "")) for one in web_server.records.audit() if one["what"] in about
        ]

    assert api.post(f"{there}/verify", json={}).status_code == 409, "it has not even begun"
    assert log() == [("verification asked for", ""), ("act refused", "verification asked for")]
    web_server.crew()
    api.post(f"{there}/start")
    await_ready(lambda: api.get(there).json()["status"] == "complete", 180, "the first pass")
    assert api.post(f"{there}/verify", json={}).json()["mailboxes"] == 1
    await_ready(lambda: log()[-1][0] == "verification done", 180, "the end of the verification")
    assert log()[2:] == [("verification asked for", ""), ("verification queued", ""), ("verification done", "")]
    queued, done = web_server.records.audit()[-2:]
    assert (queued["detail"]["mailboxes"], done["detail"]["status"], done["who"]) == (1, "complete", "mailhaul")
    assert "verification queued" in web_server.page(there)


def _verified_elsewhere(web_server: WebServer, servers: tuple[Dovecot, Dovecot], login: str) -> Callable[[], list[str]]:
    """Imports a mailbox, and has a crew verify it that `verify --detach` does not wait for, while no page runs.

    Returns a function that reads the log's entries about verifications.
    """
    for server in servers:
        server.add_user(login, PASSWORD)
    (web_server.home / "people.csv").write_text(f"login,password\n{login},{PASSWORD}\n")
    to = [word for end, at in ends(servers).items() for word in (f"--{end}", at["server"])]
    web_server.command("import", "people.csv", *to, "--workers", "1", "--threads", "2")
    web_server.command("verify", "--detach")
    web_server.crew()
    _until_verified(web_server)
    words = ("verification asked for", "verification queued", "verification done")
    return lambda: [entry["what"].split()[1] for entry in web_server.records.audit() if entry["what"] in words]


def _until_verified(web_server: WebServer) -> None:
    def finished() -> bool:
        (request,) = web_server.store.imports()
        return request.state is ImportState.FINISHED

    await_ready(finished, 180, "the end of the verification")


def test_a_verification_that_nobody_waited_for_is_done_in_the_log_when_it_is_read(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    log = _verified_elsewhere(web_server, servers, "nobody-waits")
    assert log() == ["asked", "queued"], "nobody with a right to the log has looked yet"
    for _ in range(2):
        entries = [json.loads(line) for line in web_server.command("audit", "--format", "jsonl").splitlines()]
        (done,) = (entry for entry in entries if entry["what"] == "verification done")
        assert (done["who"], done["detail"]["status"]) == ("mailhaul", "complete")
        assert datetime.fromisoformat(done["detail"]["ended"]).timestamp() == int(
            web_server.store.imports()[0].finished_at
        )
    assert log() == ["asked", "queued", "done"]
    # The end of the next one is noted before the act that follows it, whatever that act is.
    web_server.command("verify", "--detach")
    _until_verified(web_server)
    web_server.command("verify", "--detach")
    assert log() == ["asked", "queued", "done"] * 2 + ["asked", "queued"]


def test_a_page_that_starts_later_notes_the_end_too(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> None:
    log = _verified_elsewhere(web_server, servers, "page-later")
    # Every end counts as long ago.
    serve_with(web_server, "import producer.web.pages.glance as glance\nglance._ENDED_SECONDS = 0.0\n")
    await_ready(lambda: log()[-1] == "done", 180, "the page's note")
    assert log() == ["asked", "queued", "done"]


def test_what_cannot_be_written_down_does_not_happen(web_server: WebServer, servers: tuple[Dovecot, Dovecot]) -> None:
    import_id = _opened(web_server, servers)
    now = datetime.now(UTC)
    months = [keys.audit(f"{day:%Y%m}") for day in (now, now + timedelta(days=1))]
    for month in months:
        connect(web_server.state_url).delete(month)
        connect(web_server.state_url).set(month, "no list")  # so that the log cannot be written
    web_server.command("pause", code=1)
    web_server.command("limits", "source_host", "3", code=1)
    assert web_server.client().post(f"/imports/{import_id}/pause", json={}).status_code == 503
    assert web_server.store.import_(import_id).control.value == "run"  # type: ignore[union-attr]
    assert web_server.store.limits() == {}
    # The control: with a log it happens.
    connect(web_server.state_url).delete(*months)
    web_server.command("pause")
    assert web_server.store.import_(import_id).control.value == "pause"  # type: ignore[union-attr]


#: Entries of acts that are over, or that nobody refuses any more.
_TOLD_LATER = {
    "verification queued",
    "erasure done",
    "signed in",
    "act changed nothing",
    "import edited",  # the second entry, under the new id
    "refused messages kept",
    "what",  # given by the caller
}


def _never_refused(sources: dict[str, str]) -> list[str]:
    """Returns the acts that are noted by themselves: refused, they would stand in the log as done."""
    found = []
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Expr) and isinstance(node.value, ast.Call):
                words = [ast.unparse(one).strip("'") for one in node.value.args]
                if ast.unparse(node.value.func).split(".")[-1] in ("note", "_note") and not set(words) & _TOLD_LATER:
                    found.append(f"{name}: {words[-1]}")
    return found


def test_each_act_that_is_refused_is_noted_as_refused() -> None:
    sources = {}
    for room in ("cli", "web"):
        for path in (Path(cli.__file__).parents[1] / room).rglob("*.py"):
            if re.search(r"(noting|security.access) import .*\bnote", text := path.read_text()):
                sources[path.name] = text
    assert len(sources) > 15
    assert _never_refused(sources) == []
    assert _never_refused({"new.py": "note(known, request, who, 'user set')"}) == ["new.py: user set"]


#: Methods of the store that may be called without an entry in the log.
READING = (
    "cutover_rows",
    "lane_places",
    "import_",
    "imports",
    "import_tally",
    "mailboxes",
    "mailbox",
    "folders",
    "notes",
    "failures",
    "overview",
    "workers",
    "limits",
    "usual",
    "waits",
    "stranded",
    "sealed",
    "find_mailboxes",
    "maildrop",
    "processes",
    "forecasts",
    "deliveries",
    "undelivered",
    "standings",
    "standing_tally",
    "bury",  # releases leases of dead workers, without anybody's request
)


def _beside_the_log(sources: dict[str, str]) -> list[str]:
    """Returns calls of changing operations, or of the store itself, that make no entry in the log."""
    found = []
    for name, text in sources.items():
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of, word = ast.unparse(node.func.value), node.func.attr
                place = of.split(".")[-1]
                if (place == "operations" and word in CHANGING) or (place == "store" and word not in READING):
                    found.append(f"{name}: {word}")
    return found


def test_only_acts_changes_something() -> None:
    folder = Path(cli.__file__).parent
    sources = {path.name: path.read_text() for path in folder.glob("*.py")}
    assert all(hasattr(Operations, word) for word in CHANGING)
    acts = sources.pop("acts.py")
    assert _beside_the_log(sources) == []
    assert {line.split(": ")[1] for line in _beside_the_log({"acts.py": acts})} == set(CHANGING) - {"set_going"}
    # The control: a verb that bypasses the log is found.
    assert _beside_the_log({"new.py": "context.operations.forget(import_)"}) == ["new.py: forget"]
    assert _beside_the_log({"new.py": "ground.store.hold('x', 1)"}) == ["new.py: hold"]


def test_the_whole_log_as_files(web_server: WebServer) -> None:
    web_server.serve()
    records = web_server.records
    for number in range(1203):  # more than two pages
        records.note("=cmd()", "limit set", {"from": "@there", "scope": f"+{number}", "import_id": "-1"})
    admin = web_server.client("admin")

    table = admin.get("/audit.csv")
    assert table.headers["content-type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(table.text)))
    assert [json.loads(row["detail"])["scope"] for row in rows] == [f"+{number}" for number in range(1203)]
    assert {(row["who"], row["from"], row["import_id"], row["what"]) for row in rows} == {
        ("'=cmd()", "'@there", "'-1", "limit set")
    }
    lines = [json.loads(line) for line in admin.get("/audit.jsonl").text.splitlines()]
    assert lines == records.audit(count=5000)

    later = rows[-1]["time"].replace("T", " ").removesuffix("Z")
    assert web_server.command("audit", "--format", "csv") == table.text.replace("\r\n", "\n")
    assert [json.loads(line) for line in web_server.command("audit", "--format", "jsonl").splitlines()] == lines
    assert web_server.command("audit", "--since", "2037-01-01") == ""
    since = web_server.command("audit", "--since", later, "--format", "jsonl").splitlines()
    assert 0 < len(since) <= 1203
    assert json.loads(since[-1]) == lines[-1]
    assert len(admin.get("/audit.jsonl", params={"since": later}).text.splitlines()) == len(since)
    assert admin.get("/audit.jsonl", params={"since": "2037-01-01"}).text == ""
    assert admin.get("/audit.jsonl", params={"since": "tomorrow"}).status_code == 422
    assert web_server.client("operator").get("/audit.csv").status_code == 403
    web_server.command("audit", "--format", "xml", code=2)
    web_server.command("audit", "--since", "tomorrow", code=2)


def test_without_anything_there_is_no_log_and_none_is_made(web_server: WebServer) -> None:
    bare = {"MAILHAUL_REDIS_URL": "", "MAILHAUL_STATE_DIR": str(web_server.home / "nothing")}
    assert web_server.command("audit", **bare) == ""
    assert not (web_server.home / "nothing").exists()


def test_a_line_for_people_names_who_from_where_and_what() -> None:
    entry: dict[str, Any] = {
        "id": "1-0",
        "at": 1_700_000_000.5,
        "who": "anna (1f)",
        "what": "import pause",
        "detail": {"from": "192.0.2.1", "import_id": "0123456789abcdef", "login": "bert\x1b[2J", "code": ""},
    }
    (line,) = table_lines([entry])
    assert line.startswith("2023-11-14T22:13:20Z  anna (1f) from 192.0.2.1  import pause  import 01234567  login=bert")
    assert "\x1b" not in line
    assert next(iter(csv_lines([]))).startswith("time,id,who")


def test_pages_of_the_log_follow_one_another(web_server: WebServer) -> None:
    records = WebRecords(connect(web_server.state_url), 365)
    for number in range(7):
        records.note("x", str(number), {})
    pages = list(records.audit_pages(count=3))
    assert [[entry["what"] for entry in page] for page in pages] == [["0", "1", "2"], ["3", "4", "5"], ["6"]]


def test_the_page_says_in_each_language_why_an_act_was_refused_and_programs_get_the_english(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot]
) -> None:
    _opened(web_server, servers)
    admin = web_server.client("admin")
    assert admin.put("/limits/nonsense", json={"most": 3}).status_code == 422
    web_server.command("verify", code=2)
    refused = [one["detail"] for one in admin.get("/audit").json()["entries"] if one["what"] == "act refused"]
    assert len(refused) == 2
    assert all("faults" not in one for one in refused)
    # What the last release wrote has no codes.
    web_server.records.note("vera (user:vera)", "act refused", {"act": "import pause", "why": "so there"})
    english, russian = (
        html.unescape(web_server.signed_in("admin").get("/admin/audit", params={"lang": one}).text)
        for one in ("en", "ru")
    )
    for why in (one["why"] for one in refused):
        assert why.split("; ")[0].split(": ")[0] in english
        assert why.split("; ")[0].split(": ")[0] not in russian
    assert ("so there" in english, "so there" in russian) == (True, True)
    assert ("command line" in russian, "командная строка" in russian) == (False, True)
