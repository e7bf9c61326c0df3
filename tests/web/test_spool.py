"""Tests the ZIP of messages that the destination refused, fetched from the source while the client reads it."""

from __future__ import annotations

import base64
import csv
import io
import random
import threading
import zipfile
from collections.abc import Iterator

import httpx2
import pytest

from producer.spool.archive import Archive
from tests import mail
from tests.mail import Mail, make_message
from tests.servers.dovecot import Dovecot
from tests.servers.process import await_ready
from tests.web.conftest import PASSWORD, WebServer, allowed, ends

LIMIT = 50_000


@pytest.fixture(scope="module")
def strict() -> Iterator[Dovecot]:
    """Starts a Dovecot that refuses large messages."""
    with Dovecot(
        mail_format="sdbox", extra=f"mail_plugins = quota\nplugin {{\n  quota_max_mail_size = {LIMIT}\n}}"
    ) as server:
        yield server


def _imported(
    web_server: WebServer, source: Dovecot, strict: Dovecot, boxes: dict[str, list[bytes]]
) -> tuple[httpx2.Client, str]:
    """Runs an import to its end. Returns an administrator's client and the import's path."""
    for login, bodies in boxes.items():
        for server in (source, strict):
            server.add_user(login, PASSWORD)
        mail.populate(source.host, source.port, login, PASSWORD, {"INBOX": [Mail(body) for body in bodies]})
    web_server.serve(**allowed((source, strict)))
    web_server.crew()
    api = web_server.client("admin")
    sheet = "login,password\n" + "".join(f"{login},{PASSWORD}\n" for login in boxes)
    opened = api.post("/imports", json={"name": "strict", "manifest": sheet, **ends((source, strict))}).json()
    there = f"/imports/{opened['import']['id']}"
    api.post(f"{there}/start")
    await_ready(lambda: api.get(there).json()["state"] == "finished", 180, "the end")
    return api, there


def _opened(answer: httpx2.Response) -> tuple[dict[str, bytes], list[dict[str, str]]]:
    with zipfile.ZipFile(io.BytesIO(answer.content)) as archive:
        assert archive.testzip() is None
        files = {name: archive.read(name) for name in archive.namelist()}
    return files, list(csv.DictReader(io.StringIO(files.pop("index.csv").decode())))


def test_what_was_refused_comes_as_it_is(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot], strict: Dovecot
) -> None:
    source = servers[0]
    large = [make_message(number, LIMIT * 2) for number in (1, 2)]
    api, there = _imported(
        web_server, source, strict, {"spool one": [make_message(3, 900), large[0]], "../spool": [large[1]]}
    )
    assert api.get(there).json()["refused"] == 2

    answer = api.post(f"{there}/spool", json={})
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/zip")
    files, rows = _opened(answer)
    assert sorted(files.values()) == sorted(large)
    assert all(len(parts := name.split("/")) == 3 and ".." not in parts for name in files)
    assert {row["file"].removeprefix("./") for row in rows} == set(files)
    assert {(row["what"], row["problem"]) for row in rows} == {("refused", "")}
    assert {int(row["size_bytes"]) for row in rows} == {len(body) for body in large}

    one, _ = _opened(api.post(f"{there}/spool", json={"login": "spool one"}))
    assert list(one.values()) == [large[0]]
    assert api.post(f"{there}/spool", json={"login": "nobody"}).status_code == 422
    assert web_server.client("operator").post(f"{there}/spool", json={}).status_code == 403
    noted = [
        entry["detail"]["login"] for entry in web_server.records.audit() if entry["what"] == "refused messages kept"
    ]
    assert noted == ["", "spool one"]

    # Messages that cannot be fetched are in the index, each with its reason.
    api.delete(f"{there}/credentials")
    files, rows = _opened(api.post(f"{there}/spool", json={}))
    assert files == {}
    assert len(rows) == 2
    assert all("no longer stored" in row["problem"] and not row["file"] for row in rows)


def test_who_leaves_in_the_middle_takes_no_place_away(
    web_server: WebServer, servers: tuple[Dovecot, Dovecot], strict: Dovecot
) -> None:
    source = servers[0]
    noise = random.Random(1)
    large = [
        b"Subject: %d\r\n\r\n" % number + base64.encodebytes(noise.randbytes(2_500_000)).replace(b"\n", b"\r\n")
        for number in range(4)
    ]
    api, there = _imported(web_server, source, strict, {"leaver": large})
    for _ in range(6):  # more often than the limit of archives at a time
        with api.stream("POST", f"{there}/spool", json={}) as answer:
            if answer.status_code != 429:
                next(answer.iter_raw())
    await_ready(lambda: api.post(f"{there}/spool", json={}).status_code == 200, 180, "a place")
    whole = api.post(f"{there}/spool", json={})
    assert len(whole.content) > 8_000_000, "all of it waits in the process, and nobody leaves in the middle"
    assert sorted(_opened(whole)[0].values()) == sorted(large)
    assert '"fault"' not in (web_server.home / "producer.web.log").read_text()


def test_a_message_that_breaks_off_is_not_in_the_archive() -> None:
    sent = bytearray()

    def broken() -> Iterator[bytes]:
        yield b"half of"
        raise TimeoutError

    archive = Archive(sent.extend)
    archive.keep("a/INBOX/1.eml", [b"whole ", b"message"], {"login": "a"})
    with pytest.raises(TimeoutError):
        archive.keep("a/INBOX/2.eml", broken(), {"login": "a"})
    archive.miss({"login": "a", "problem": "=broken"})
    archive.write_index()
    with zipfile.ZipFile(io.BytesIO(bytes(sent))) as found:
        assert found.read("a/INBOX/1.eml") == b"whole message"
        assert found.namelist() == ["a/INBOX/1.eml", "index.csv"]
        assert b"'=broken" in found.read("index.csv")


def test_an_archive_that_nobody_reads_any_more_ends_quietly(capsys: pytest.CaptureFixture[str]) -> None:
    def gone(_: bytes) -> None:
        raise BrokenPipeError

    archive = Archive(gone)
    with pytest.raises(BrokenPipeError):
        archive.keep("a/INBOX/1.eml", [b"x" * 100_000], {})
    archive.write_index()
    del archive
    assert capsys.readouterr().err == ""


def test_messages_that_come_at_once_stand_one_behind_the_other() -> None:
    sent = bytearray()
    archive = Archive(sent.extend)
    threads = [
        threading.Thread(target=archive.keep, args=(f"a/b/{number}.eml", [bytes([number]) * 50_000] * 4, {}))
        for number in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    archive.write_index()
    with zipfile.ZipFile(io.BytesIO(bytes(sent))) as found:
        assert found.testzip() is None
        assert {found.read(f"a/b/{number}.eml") for number in range(8)} == {bytes([n]) * 200_000 for n in range(8)}
