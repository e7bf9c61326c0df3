"""Tests that messages the destination refuses are kept as files, byte for byte.

The tests use real processes and a real Dovecot.
"""

from __future__ import annotations

import csv
import hashlib
import json
import os
import poplib
import re
import stat
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import mail
from tests.acceptance.conftest import ROOT, AdminEnvironment, Box, Ended
from tests.acceptance.test_pop3 import stand
from tests.mail import Mail, corpus_messages, make_message
from tests.servers.dovecot import Dovecot
from tests.servers.faulty import FaultyServer
from tests.servers.wire import Wire

LIMIT = 100_000


@pytest.fixture(scope="module")
def maildrops() -> Iterator[Dovecot]:
    with Dovecot(pop3=True) as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[Dovecot]:
    """Starts a Dovecot that refuses large messages without announcing it."""
    with Dovecot(
        mail_format="sdbox", extra=f"mail_plugins = quota\nplugin {{\n  quota_max_mail_size = {LIMIT}\n}}"
    ) as server:
        yield server


def kept(place: Path) -> dict[str, bytes]:
    """Returns the content of each .eml by its path below the folder."""
    return {str(path.relative_to(place)): path.read_bytes() for path in place.rglob("*.eml")}


def index(place: Path) -> list[dict[str, str]]:
    with (place / "index.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def raw(box: Box) -> Counter[bytes]:
    """Counts the bodies that the account holds, as an independent client reads them."""
    found: Counter[bytes] = Counter()
    with Wire(box.server.host, box.server.port, box.login, box.password) as wire:
        for name in wire.folders():
            wire.command(b'EXAMINE "%b"' % name.replace(b"\\", b"\\\\").replace(b'"', b'\\"'))
            for answer in wire.command(b"UID FETCH 1:* (BODY.PEEK[])")[0]:
                found.update(answer.literals)
    return found


def sha(body: bytes) -> str:
    return hashlib.sha256(body).hexdigest()


def retrieved(server: Dovecot, box: Box) -> list[bytes]:
    """Returns the messages that the maildrop gives, as the standard library reads them."""
    poplib._MAXLINE = 64 << 20  # type: ignore[attr-defined]
    drop = poplib.POP3(server.host, server.pop3_port, timeout=180)
    drop.user(box.login)
    drop.pass_(box.password)
    found = [b"".join(line + b"\r\n" for line in drop.retr(n)[1]) for n in range(1, len(drop.list()[1]) + 1)]
    drop.quit()
    return found


def refusing(admin_env: AdminEnvironment, login: str, password: str, server: FaultyServer) -> list[str]:
    """Returns the options of an import to a destination that refuses every message."""
    server.add_account(login, password)
    server.behaviour.append.refuse = lambda message: b"[CANNOT] not here"
    return ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{server.port}"]


def test_everything_that_is_refused_is_kept_byte_for_byte(
    admin_env: AdminEnvironment, faulty_server: FaultyServer
) -> None:
    source, _ = admin_env.accounts("kept")["kept"]
    odd = [Mail(body) for _, body in corpus_messages() if body.strip(b"\0\r\n ")][:60]
    names = ["INBOX", "..up", "Work/Old", 'quo"te', "&BBgENAQ1BDg-", "-rf", "%2E%2E"]
    mail.populate(*source._place, {name: odd[n :: len(names)] for n, name in enumerate(names)})
    ends = refusing(admin_env, "kept", "pw-kept", faulty_server)
    place = admin_env.home / "refused"
    whole = json.loads(
        admin_env.run(
            "import", admin_env.manifest({"kept": "pw-kept"}), *ends, "--json", "--spool-refused", place, code=3
        ).out
    )
    assert whole["import"]["refused"] == len(odd)

    files = kept(place)
    assert Counter(files.values()) == raw(source)
    rows = index(place)
    assert {row["file"] for row in rows} == {f"./{name}" for name in files}
    for row in rows:
        content = files[row["file"].removeprefix("./")]
        assert (row["sha256"], int(row["size_bytes"])) == (hashlib.sha256(content).hexdigest(), len(content))
        assert (row["login"], row["what"]) == ("kept", "refused")
        assert "not here" in row["reason"]
    assert {row["folder"] for row in rows} == {"INBOX", "..up", "Work/Old", 'quo"te', "Идеи", "'-rf", "'%2E%2E"}
    assert {name.split("/")[0] for name in files} == {"kept"}
    assert all(len(Path(name).parts) == 3 for name in files)
    assert not [path for path in place.parent.rglob("*.eml") if place not in path.parents]
    for path in place.rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path

    times = {path: path.stat().st_mtime_ns for path in place.rglob("*.eml")}
    logins = admin_env.source.logins("kept")
    said = admin_env.run("spool", "--out", place).said
    assert f"({len(odd)} from before)" in said
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*.eml")} == times
    assert admin_env.source.logins("kept") == logins, "nothing is fetched again"

    damaged = min(times)
    damaged.write_bytes(b"cut off")
    admin_env.run("spool", "--out", place)
    assert kept(place) == files


def test_a_hostile_source_cannot_write_elsewhere(admin_env: AdminEnvironment, faulty_server: FaultyServer) -> None:
    with FaultyServer() as source:
        login = "../../evil"
        account = source.add_account(login, "pw")
        hostile = [b"..", b"../../up", b"/etc/x", b".", b"a\x01b", b"%2F"]
        for name in hostile:
            account.folder(name).add(b"Subject: " + name.hex().encode() + b"\r\n\r\nx\r\n")
        faulty_server.add_account(login, "pw")
        faulty_server.behaviour.append.refuse = lambda message: b"[CANNOT] not here"
        place = admin_env.home / "deep" / "down" / "refused"
        ends = [
            "--source",
            f"imap://127.0.0.1:{source.port}",
            "--destination",
            f"imap://127.0.0.1:{faulty_server.port}",
        ]
        admin_env.run("import", admin_env.manifest({login: "pw"}), *ends, "--spool-refused", place, code=3)
    assert len(kept(place)) == len(hostile)
    assert len(list(admin_env.home.rglob("*.eml"))) == len(hostile)
    assert all(re.fullmatch(r"%2E\.%2F\.\.%2Fevil/[^/]+/1\.eml", name) for name in kept(place))


def test_too_large_messages_are_kept_whatever_says_so(
    admin_env: AdminEnvironment, strict: Dovecot, faulty_server: FaultyServer
) -> None:
    small, large = make_message(1, 5_000), make_message(2, 3 * LIMIT)
    strict.add_user("large", "pw-large")
    source, _ = admin_env.accounts("large")["large"]
    mail.populate(*source._place, {"INBOX": [Mail(small), Mail(large), Mail(small)]})
    manifest = admin_env.manifest({"large": "pw-large"})
    faulty_server.add_account("large", "pw-large")
    faulty_server.behaviour.capabilities.add(f"APPENDLIMIT={LIMIT}")
    dry = admin_env.run(
        "plan", manifest, "--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{faulty_server.port}"
    )
    assert f"1 message is larger than the destination takes (limit {LIMIT} bytes)" in dry.out
    for port, words in (
        (strict.port, "larger|LIMIT|too (?:big|large)"),
        (faulty_server.port, rf"\(limit {LIMIT} bytes\)"),
    ):
        place = admin_env.home / f"refused-{port}"
        ends = ["--source", admin_env.ends[1], "--destination", f"imap://127.0.0.1:{port}", "--name", f"to-{port}"]
        whole = json.loads(admin_env.run("import", manifest, *ends, "--json", "--spool-refused", place, code=3).out)
        assert (whole["import"]["copied"], whole["import"]["refused"]) == (2, 1)
        assert kept(place) == {"large/INBOX/2.eml": large}
        assert re.search(words, index(place)[0]["reason"]), index(place)


def test_a_maildrop_gives_them_too(
    admin_env: AdminEnvironment, maildrops: Dovecot, faulty_server: FaultyServer
) -> None:
    bodies = [re.sub(rb"\0", b"", body) for _, body in corpus_messages() if body.strip(b"\0\r\n ")][:30]
    bodies.append(b"Subject: dots\r\n\r\n.\r\n..\r\n.x" + b"y" * 2_000_000 + b"\r\n.\r\n")
    source, _ = stand(admin_env, maildrops, "drop@pop.example", bodies)
    faulty_server.add_account(source.login, source.password)
    faulty_server.behaviour.append.refuse = lambda message: b"[CANNOT] not here"
    place = admin_env.home / "refused"
    ends = [
        "--source",
        f"pop3://127.0.0.1:{maildrops.pop3_port}",
        "--destination",
        f"imap://127.0.0.1:{faulty_server.port}",
    ]
    manifest = admin_env.manifest({source.login: source.password})
    admin_env.run("import", manifest, *ends, "--spool-refused", place, code=3)
    assert Counter(map(sha, kept(place).values())) == Counter(map(sha, retrieved(maildrops, source)))


def test_what_is_gone_is_told_and_the_rest_is_kept(admin_env: AdminEnvironment, faulty_server: FaultyServer) -> None:
    source, _ = admin_env.accounts("gone")["gone"]
    source.fill({"INBOX": 4})
    ends = refusing(admin_env, "gone", "pw-gone", faulty_server)
    admin_env.run("import", admin_env.manifest({"gone": "pw-gone"}), *ends, code=3)
    with Wire(source.server.host, source.server.port, source.login, source.password) as wire:
        wire.command(b"SELECT INBOX")
        wire.command(b"UID STORE 2 +FLAGS (\\Deleted)")
        wire.command(b"EXPUNGE")
    place = admin_env.home / "refused"
    ended = admin_env.run("spool", "--out", place, code=3)
    assert "1 of them could not be had: no longer at the source" in ended.said
    assert sorted(kept(place)) == ["gone/INBOX/1.eml", "gone/INBOX/3.eml", "gone/INBOX/4.eml"]
    missed = [row for row in index(place) if not row["file"]]
    assert [(row["uid"], row["problem"]) for row in missed] == [("2", "no longer at the source")]

    faulty_server.behaviour.append.refuse = None
    admin_env.run("forget", "--yes")
    again = admin_env.home / "again"
    assert "no longer stored" in admin_env.run("spool", "--out", again, code=3).said


@pytest.mark.parametrize("fault", ["a file", "below a file", "somebody else's", "another import's"])
def test_a_folder_that_cannot_be_used_is_told_before_anything_starts(
    admin_env: AdminEnvironment, fault: str, faulty_server: FaultyServer
) -> None:
    login = re.sub("[^a-z]+", "-", fault)
    admin_env.accounts(login)[login][0].fill({"INBOX": 2})
    place = admin_env.home / "refused"
    if fault == "a file":
        place.write_text("x")
    elif fault == "below a file":
        (admin_env.home / "plain").write_text("x")
        place = admin_env.home / "plain" / "refused"
    elif fault == "somebody else's":
        place.mkdir()
        (place / "index.csv").write_text("name,age\nanna,7\n")
    else:
        ends = refusing(admin_env, login, f"pw-{login}", faulty_server)
        manifest = admin_env.manifest({login: f"pw-{login}"})
        admin_env.run("import", manifest, *ends, "--name", "first", "--spool-refused", place, code=3)
    logins = admin_env.source.logins(login)
    ended = admin_env.run(
        "import", admin_env.manifest({login: f"pw-{login}"}), *admin_env.ends, "--spool-refused", place, code=2
    )
    assert "--spool-refused: " in ended.said
    assert "choose another folder" in ended.said
    assert admin_env.source.logins(login) == logins


def limited(admin_env: AdminEnvironment, kib: int, *arguments: object) -> Ended:
    """Runs the command in a process with a limit on the size of files.

    The last line of its standard error is its peak memory.
    """
    code = (
        "import resource, sys\n"
        f"resource.setrlimit(resource.RLIMIT_FSIZE, ({kib << 10}, {kib << 10}))\n"
        "from producer.__main__ import command\n"
        "try:\n    command()\n"
        "finally:\n    peak = [line for line in open('/proc/self/status') if line.startswith('VmHWM')]\n"
        "    print(peak[0].split()[1], file=sys.stderr)\n"
    )
    env = {name: value for name, value in os.environ.items() if not name.startswith("MAILHAUL_")}
    env |= {"MAILHAUL_STATE_DIR": str(admin_env.home / "state"), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)],
        env=env,
        cwd=admin_env.home,
        text=True,
        capture_output=True,
        timeout=300,
        check=False,
    )
    return Ended(code=done.returncode, out=done.stdout, said=done.stderr)


def test_a_message_of_60_mb_takes_little_memory_and_a_full_disk_is_told(
    admin_env: AdminEnvironment, faulty_server: FaultyServer
) -> None:
    source, _ = admin_env.accounts("huge")["huge"]
    line = b"0123456789abcdef" * 4 + b"\r\n"
    huge = b"Subject: huge\r\n\r\n" + line * (60 * 2**20 // len(line))
    mail.populate(*source._place, {"INBOX": [Mail(make_message(1)), Mail(huge)]})
    faulty_server.behaviour.capabilities.add("APPENDLIMIT=1000")
    ends = refusing(admin_env, "huge", "pw-huge", faulty_server)
    admin_env.run("import", admin_env.manifest({"huge": "pw-huge"}), *ends, code=3)
    place = admin_env.home / "refused"
    full = limited(admin_env, 20 << 10, "spool", "--out", place)
    assert full.code == 3, full
    assert "cannot be written" in full.said
    assert "make room, then: mailhaul spool" in full.said
    assert list(kept(place)) == ["huge/INBOX/1.eml"], "nothing half"
    assert not list(place.rglob("*.new"))
    assert [row["uid"] for row in index(place)] == ["1"]
    done = limited(admin_env, 200 << 10, "spool", "--out", place)
    assert done.code == 0, done
    assert kept(place)["huge/INBOX/2.eml"] == huge
    assert int(done.said.split()[-1]) < 110 * 1024
