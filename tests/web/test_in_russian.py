"""Tests the page in Russian after real mistakes: only the words of servers remain in English, and they are marked."""

from __future__ import annotations

import contextlib
import re
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import httpx2
import pytest

from producer.intake.providers import catalogue
from producer.translations.translate import Translator
from shared.store.records.principals import role_of
from tests import mail
from tests.servers.dovecot import Dovecot
from tests.servers.faults import reply
from tests.servers.faulty import FaultyServer
from tests.web.conftest import PASSWORD, WebServer, allowed, http_client
from tests.web.page_words import PageWords
from tests.web.spoken import english

Servers = tuple[Dovecot, Dovecot]
_BRANDS = [Translator("ru").word(one.title) for one in catalogue().providers]


def _english(words: PageWords) -> list[str]:
    """Returns the runs of two or more English words."""
    return [one for line in words.lines if line not in _BRANDS for one in english(line)]


class Reader:
    """A client with the language Russian. Every page that it gets is checked for English."""

    def __init__(self, web_server: WebServer, role: str = "operator") -> None:
        base = f"http://127.0.0.1:{web_server.port}"
        headers = {"Accept-Language": "ru", "Origin": base}
        self.client = http_client(base_url=base, headers=headers, follow_redirects=True)
        _, token = web_server.principals.make_token("reader", role_of(role))
        self.client.post("/sign-in", data={"token": token})

    def close(self) -> None:
        self.client.close()

    def gets(self, path: str) -> str:
        return self._read(self.client.get(path))

    def posts(self, path: str, data: dict[str, Any], file: bytes | None = None) -> str:
        fields = [(name, (None, str(value))) for name, value in data.items()]
        files: Any = [*fields, ("file", ("list.csv", file or b"", "text/csv"))] if file is not None else fields
        return self._read(self.client.post(path, files=files))

    def _read(self, answer: httpx2.Response) -> str:
        text = PageWords(answer.text)
        assert '<html lang="ru">' in answer.text
        assert _english(text) == []
        self.quoted = [one for one in text.quoted if one != "English"]
        self.url = answer.url.path
        self.status = answer.status_code
        return re.sub(r"\s+", " ", " ".join(text.lines))


@pytest.fixture
def reader(web_server: WebServer, servers: Servers) -> Iterator[Reader]:
    web_server.serve(**allowed(servers))
    with contextlib.closing(Reader(web_server)) as reader:
        yield reader


def _form(servers: Servers, **more: Any) -> dict[str, Any]:
    ends = {
        f"{side}_{name}": value
        for side, server in zip(("source", "destination"), servers, strict=True)
        for name, value in (("tls", "none"), ("host", "127.0.0.1"), ("port", server.port))
    }
    return ends | {"name": "офис", "do": "open"} | more


def test_english_would_be_seen() -> None:
    page = '<html lang="ru"><p title="over there now">It is <q lang="">NO go away</q></p><p>Порт IMAP, см. imap.x.org</html>'
    text = PageWords(page)
    assert _english(text) == ["over there now", "It is"]
    assert text.quoted == ["NO go away"]


SHEETS = {
    "a spreadsheet's own file": (b"PK\x03\x04" + b"x" * 50, "табличной программы"),
    "nothing": (b"\n\n", "пусто"),
    "no separator": (b"ivan@a.example\nanna@a.example\n", "нет запятой"),
    "no password column": (b"login,new_login\na@a.example,b\n", "нет столбца пароля"),
    "no login column": (b"password,first_name\nx,y\n", "нет столбца логина"),
    "other headings": (b"name,surname\nx,y\n", "нет столбцов логина и пароля"),
    "nearly a name": (b"login,password,new_logn\na,b,c\n", "может быть, «Владелец"),
    "two of a name": (b"login,password,pass\na,b,c\n", "2 столбца означают «Пароль»"),
    "three columns without a header": (b"a@a.example,b,c\n", "2, 4 или 6 столбцов"),
    "no text": (bytes(range(128, 256)) * 3 + b"\x81\x8d,\x98", "не текст"),
    "rows": (
        b"login,password,new_login,quota,server\na@a.example,,,,\nb@a.example,x,,many,\nc@a.example,x,one@b.example,,\n"
        b'd@a.example,x,one@b.example,,\nc@a.example,x,one@b.example,,\nc@a.example,y,,,\ne@a.example,x\nf@a.example,"x,,,\n'
        b'g@a.example,"x"y,,,\nh@a.example,x,,,imap://far.example\ni@a.example,x,,,noserver\nj@a.example,x,,,gopher://a\n'
        b"k@a.example,x\ty,,,\nl@a.example,x,,,imaps://u:p@a.example\nm@a.example," + b"x" * 1200 + b",,,\n"
        b"n@a.example,x,,,imaps://a.example:99999\n",
        "повторяет строку 4: оставьте одну из них",
    ),
    "a question": (
        b"login;password;colour\nanna@a.example;x;red\n",
        "этот заголовок неизвестен, а под ним стоят значения",
    ),
    "warnings": (
        'login;password;department;new_login\nИванов@a.example;" x ";red;Ivan@b.example\nanna@a.example;«x»;red;ivan@B.example\n'
        "olga@a.example;x\u00a0y;red;\n".encode(),
        "эти столбцы не берутся",
    ),
    "a Windows code page": (
        "login;password;имя\nivan@a.example;x;Иван Петров\n".encode("cp1251"),
        "прочитан как CP1251",
    ),
}


def test_broken_lists(reader: Reader, servers: Servers) -> None:
    for kind, (sheet, russian) in SHEETS.items():
        assert russian in reader.posts("/new", _form(servers, do="preview"), sheet), kind
        assert reader.quoted == [], kind
        reader.posts("/new", _form(servers, do="start", source_host=""), sheet)
        assert (reader.status, reader.quoted) == (200, []), kind


def test_faults_of_the_form(reader: Reader, servers: Servers) -> None:
    wrong = {
        "": ({"name": "", "sheet": ""}, "дайте импорту название"),
        "dates": ({"since": "2024-02-01", "before": "2024-01-01"}, "Начиная с даты / До даты: между ними ничего нет"),
        "no dates": ({"since": "yesterday", "before": "1066-10-14"}, "от 1970 до 2037"),
        "sizes": ({"larger": "huge", "smaller": "10 xb"}, "Больше чем: 'huge' — не размер"),
        "between": ({"larger": "10MB", "smaller": "5MB"}, "такого размера не бывает"),
        "folders": ({"into": "INBOX"}, "Сложить всё в эту папку: INBOX — не отдельная папка"),
        "long": ({"into": "x" * 121}, "длиннее 120 байт"),
        "levels": ({"into": "a//b"}, "имя или его уровень пусты"),
        "pop3": ({"source_protocol": "pop3", "unseen": "1", "flagged": "1"}, "Только с флажком: в POP3 нет флагов"),
        "host": ({"source_host": "a b", "destination_host": "1.2.3"}, "источник: 'a b' — не имя сервера"),
        "IPv4": ({"source_host": "1.2.3.999"}, "не адрес IPv4"),
        "port": ({"source_port": "99999"}, "порт — число от 1 до 65535"),
        "ports": ({"source_port": "25"}, "порт 25 не из тех, что разрешает MAILHAUL_WEB_PORTS"),
        "public": ({"source_tls": "tls", "source_host": "169.254.169.254"}, "не общедоступный адрес"),
        "plain": ({"source_host": "mail.example.org"}, "открытым текстом"),
        "url": ({"source_host": "a.example/x"}, "после сервера и порта ничего быть не должно"),
        "login": ({"source_host": "u@a.example"}, "не должно быть логина"),
        "pin": ({"source_tls": "tls", "source_fingerprint": "AB:CD"}, "источник, отпечаток: нужны 64"),
        "both": ({"source_fingerprint": "ab" * 32}, "без TLS нет и сертификата"),
        "none": ({"source_host": "", "destination_tls": "x"}, "выберите провайдера или укажите свой сервер"),
    }
    for kind, (fields, russian) in wrong.items():
        given = {"sheet": "a@a.example,x\n"} | fields
        assert russian in reader.posts("/new", _form(servers, **given)), kind
        assert (reader.status, reader.quoted) == (200, []), kind


def _tested(reader: Reader, servers: Servers, **more: Any) -> str:
    """Returns the page with the steps of a connection test of the source."""
    return reader.posts("/new", _form(servers, do="test_source", sheet=f"red1,{PASSWORD}\n") | more)


def test_doors_of_every_kind(web_server: WebServer, servers: Servers) -> None:
    source = servers[0]
    source.add_user("red1", PASSWORD)
    with (
        FaultyServer(greeting=b"220 mx.example ESMTP is ready for you\r\n") as stranger,
        FaultyServer() as full,
        socket.socket() as nobody,
    ):
        nobody.bind(("127.0.0.1", 0))
        closed = nobody.getsockname()[1]
        ports = [one.port for one in (*servers, stranger, full)] + [source.tls_port, closed]
        web_server.serve(MAILHAUL_WEB_ALLOW="127.0.0.0/8,nowhere.invalid", MAILHAUL_WEB_PORTS=",".join(map(str, ports)))
        with contextlib.closing(Reader(web_server)) as reader:
            assert "IMAP4rev1" in " ".join([_tested(reader, servers), *reader.quoted])
            assert reader.quoted[0].startswith("* OK")
            for fields, russian in (
                (
                    {"source_tls": "tls", "source_port": source.tls_port},
                    "самоподписанный, ему нет доверия",
                ),
                ({"source_tls": "starttls"}, "впишите его отпечаток SHA-256: "),
                (
                    {"source_tls": "starttls", "source_fingerprint": "ab" * 32},
                    "не тот сертификат, чей отпечаток указан",
                ),
                ({"source_tls": "tls"}, "открытый IMAP, без TLS"),
                ({"source_tls": "tls", "source_port": stranger.port}, "нет ни TLS, ни IMAP, там SMTP или FTP"),
                ({"source_port": closed}, "в соединении отказано Что делать: проверьте сервер, порт и сетевой экран"),
                ({"source_protocol": "pop3"}, "говорят по IMAP, а не по POP3"),
                ({"source_port": stranger.port}, "говорят по SMTP или FTP, а не по IMAP"),
                ({"sheet": "red1,wrong\n"}, "вход не удался"),
            ):
                found = _tested(reader, servers, **fields)
                assert russian in found, (fields, re.findall("Шаг .*? Что переносить", found))
            assert _tested(reader, servers, sheet="red1,wrong\n")
            assert any("AUTHENTICATIONFAILED" in one for one in reader.quoted)
            _tested(reader, servers, source_port=stranger.port)
            assert "220 mx.example ESMTP is ready for you" in reader.quoted
            full.add_account("red1", PASSWORD)
            full.faults.add(reply(rb"^(LOGIN|AUTHENTICATE)", b"NO [UNAVAILABLE] come back in an hour", times=None))
            assert "сейчас больше входов не принимает" in _tested(reader, servers, source_port=full.port)


def _opened(reader: Reader, servers: Servers, sheet: str, **more: Any) -> str:
    """Opens an import. Returns the path of its page."""
    reader.posts("/new", _form(servers, sheet=sheet) | more)
    assert "/imports/" in reader.url
    return reader.url


def _await(reader: Reader, path: str, russian: str) -> str:
    """Returns the page once it contains the text."""
    deadline = time.monotonic() + 180
    while russian not in (found := reader.gets(path)):
        assert time.monotonic() < deadline, found
    return found


def test_an_import_in_trouble(web_server: WebServer, servers: Servers) -> None:
    source = servers[0]
    for login in ("red2", "red3", "red4"):
        source.add_user(login, PASSWORD)
        mail.populate(source.host, source.port, login, PASSWORD, mail.make_mailbox(1, {"INBOX": 3, "Work": 1}))
    with FaultyServer() as destination:
        for login in ("red2", "red3", "red4"):
            destination.add_account(login, PASSWORD)
        ends: Any = (source, destination)
        web_server.serve(**allowed(ends))
        web_server.crew()
        with contextlib.closing(Reader(web_server)) as reader:
            # A full mailbox, whose server's words are kept; a wrong password; a refused message.
            destination.faults.add(reply(rb"^APPEND", b"NO [OVERQUOTA] Your mailbox is over quota", times=None))
            path = _opened(reader, ends, f"red2,{PASSWORD}\nred3,wrong\n")
            reader.posts(f"{path}/rehearsals", {"kind": "check"})
            _await(reader, reader.url, "С ошибками")
            assert "источник: вход не удался" in _await(reader, reader.url, "вход не удался")
            assert any("AUTHENTICATIONFAILED" in one for one in reader.quoted)
            reader.gets(path)
            reader.posts(f"{path}/rehearsals", {"kind": "plan"})
            assert "источник: вход не удался (сервер ответил:" in _await(reader, reader.url, "вход не удался")
            assert "Импорт" in reader.posts(f"{path}/start", {})
            _await(reader, path, "ящик полон и ждёт места до")
            _await(reader, path, "Вход на источник не удался: логин или пароль не подошли.")
            assert any("over quota" in one for one in reader.quoted)
            for link in re.findall(rf"{path}/mailboxes/[0-9a-f]+", reader.client.get(path).text):
                reader.gets(link)
            assert "укажите хотя бы один пароль" in reader.posts(f"{path}/credentials", {"code": ""})
            assert "нет ящика с таким логином" in reader.posts(f"{path}/credentials", {"sheet": "nobody9,x\n"})
            assert "Пароль: отсутствует" in reader.posts(f"{path}/credentials", {"sheet": "login,password\nred3,\n"})
            assert "уже есть в импорте" in reader.posts(f"{path}/add", {"sheet": f"red2,{PASSWORD}\n", "do": "add"})

            # A server that asks to wait.
            destination.faults.clear()
            words = b"NO [UNAVAILABLE] Too many messages, come back in 10 minutes"
            destination.faults.add(reply(rb"^APPEND", words, times=None))
            path = _opened(reader, ends, f"red4,{PASSWORD}\n", name="второй")
            reader.posts(f"{path}/start", {})
            assert "Продолжится само." in _await(reader, path, "Сервер просил подождать (ящик на приёмнике")
            assert "Too many messages, come back in 10 minutes" in " ".join(reader.quoted)

            assert "импорт ещё идёт" in reader.posts(f"{path}/verify", {})

            # Hours that do not include the present.
            hour = (datetime.now(UTC).hour + 3) % 23
            answer = web_server.client().put(f"{path}/window", json={"window": f"{hour:02}:00-{hour + 1:02}:00 UTC"})
            assert answer.status_code == 200, answer.text
            assert "UTC Продолжится само." in _await(reader, path, "Импорт ждёт разрешённого времени").replace(" .", "")

            # The plan shows what would be left out, and why.
            chosen = {"exclude": "Work", "before": "2000-01-01", "larger": "1kB", "name": "третий"}
            path = _opened(reader, ends, f"red3,{PASSWORD}\n", **chosen)
            reader.posts(f"{path}/rehearsals", {"kind": "plan"})
            found = _await(reader, reader.url, "исключена шаблоном «Work»")
            assert re.search("не раньше 1 янв. 2000 г.|не больше 1 000 байт", found)
            for there in ("/imports/nothing", "/rehearsals/nothing", f"{path}/mailboxes/nothing", "/nowhere"):
                reader.gets(there)
                assert reader.status == 404
            reader.posts(f"{path}/nothing", {})
            assert reader.status == 404
            reader.posts("/new/" + "0" * 24 + "/nothing", {})


def test_who_may_only_look_is_told_so(web_server: WebServer, servers: Servers) -> None:
    web_server.serve(**allowed(servers))
    with contextlib.closing(Reader(web_server, "viewer")) as reader:
        assert "нужна роль «оператор»; ваша — «наблюдатель»" in reader.posts("/new", _form(servers))
        assert reader.status == 403
