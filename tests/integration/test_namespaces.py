"""Tests folders of other people and public ones on real Dovecots and the scripted server.

They are left alone on both sides.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from shared.model import Options
from tests.integration.in_process_import import LOGIN, PASSWORD, InProcessImport, Wires, plain
from tests.integration.test_folders_real import WHEN, names_at
from tests.mail import Mail, populate
from tests.servers.dovecot import Dovecot
from tests.servers.wire import Wire

FRIEND = "friend@example.org"
COPY = Options(shared_folders="copy")
#: Configuration with public folders below Public, and folders that other people share below `shared`.
SHARING = """
namespace pub {{
  type = public
  prefix = Public{s}
  separator = {s}
  location = maildir:{place}/public:INDEX=~/public-index
  subscriptions = no
  list = yes
}}
namespace shared {{
  type = shared
  prefix = shared{s}%%u{s}
  separator = {s}
  location = maildir:%%h/Maildir:INDEX=~/shared/%%u
  subscriptions = no
  list = yes
}}
plugin {{
  acl = vfile
  acl_shared_dict = file:{place}/shared.db
}}
mail_plugins = acl
protocol imap {{
  mail_plugins = acl imap_acl
}}
"""


@pytest.fixture
def admin_env(dovecot: Callable[..., Dovecot]) -> Callable[[str], Dovecot]:
    """Returns a function that starts a Dovecot with shared folders.

    A friend shares two folders with `LOGIN`, and there is a public folder; each holds a message.
    """

    def make(separator: str) -> Dovecot:
        server = dovecot(separator=separator, extra="# to be said below")
        place = server.home / "mail" / "common"
        (place / "public").mkdir(parents=True)
        (place / "public" / "dovecot-acl").write_text("anyone lrwitkexps\n")
        for path in (place, place / "public", place / "public" / "dovecot-acl"):
            _give(path, server)
        server.configure(extra=SHARING.format(s=separator, place=place))
        for login in (LOGIN, FRIEND):
            server.add_user(login, PASSWORD)
        populate(server.host, server.port, FRIEND, PASSWORD, {"INBOX": [mail(1)], "Team": [mail(2)]})
        with Wire(server.host, server.port, FRIEND, PASSWORD) as wire:
            wire.command(b'SETACL INBOX "%b" lr' % LOGIN.encode())
            wire.command(b'SETACL Team "%b" lr' % LOGIN.encode())
            wire.command(b"CREATE Public%bNews" % separator.encode())
        populate(server.host, server.port, FRIEND, PASSWORD, {f"Public{separator}News": [mail(3)]})
        return server

    return make


def _give(path: Path, server: Dovecot) -> None:
    owner = server.home.stat()
    os.chown(path, owner.st_uid, owner.st_gid)


def mail(number: int) -> Mail:
    return Mail(plain(number), (), WHEN)


@pytest.mark.parametrize("separator", ["/", "."])
def test_a_dovecot_that_shows_what_others_share(
    admin_env: Callable[[str], Dovecot], dovecot: Callable[..., Dovecot], separator: str
) -> None:
    source, destination = admin_env(separator), dovecot()
    destination.add_user(LOGIN, PASSWORD)
    populate(source.host, source.port, LOGIN, PASSWORD, {"INBOX": [mail(10)], "Work": [mail(11)]})
    assert {f"Public{separator}News", f"shared{separator}{FRIEND}"} & names_at(source), "the control: LIST shows them"
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 2}
    assert {name for name in names_at(destination) if name.startswith(("Public", "shared"))} == set()
    asked = InProcessImport(source, destination, options=COPY)
    asked.to_the_end()
    assert {"Public/News"} <= names_at(destination)
    assert asked.outcomes()["copied"] >= 1


@pytest.mark.parametrize("separator", ["/", "."])
def test_nothing_is_put_among_what_a_dovecot_shares(
    admin_env: Callable[[str], Dovecot], dovecot: Callable[..., Dovecot], separator: str
) -> None:
    source, destination = dovecot(), admin_env(separator)
    source.add_user(LOGIN, PASSWORD)
    folders = {"INBOX": [mail(10)], "Public": [mail(11)], "Public/News": [mail(12)], "shared/x": [mail(13)]}
    populate(source.host, source.port, LOGIN, PASSWORD, folders)
    in_process = InProcessImport(source, destination)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}
    places = {f.display: f.destination_name.decode() for f in in_process.every_folder()}
    s = separator
    assert places == {
        "INBOX": "INBOX",
        "Public": "Public_",
        "Public/News": f"Public_{s}News",
        "shared/x": f"shared_{s}x",
    }
    with Wire(destination.host, destination.port, LOGIN, PASSWORD) as wire:
        answers, _ = wire.command(b'STATUS "Public%bNews" (MESSAGES)' % s.encode())
        assert b"MESSAGES 1)" in answers[0].line
    in_process.later(100)
    in_process.to_the_end()
    assert in_process.outcomes() == {"copied": 4}


def test_many_namespaces_and_prefixes_as_literals(wires: Wires) -> None:
    wires.old.namespace = (
        b'(("" "/")("#mh/" "/")) (("~" "/")({7}\r\nothers/ "/")("Other Users/" "/" "X-P" ("a"))) '
        b'(("Public/" "/")("#news." "."))'
    )
    own, theirs = (
        [b"#mh/list", b"Work", b"others"],
        [b"~bob/x", b"others/x", b"Other Users/y", b"Public/z", b"#news.comp"],
    )
    for number, name in enumerate((*own, *theirs)):
        wires.old.folder(name).add(plain(number))
    in_process = InProcessImport(wires.source, wires.destination)
    in_process.to_the_end()
    assert set(wires.new.folders) == {b"INBOX", b"#mh/list", b"Work"}
    assert not wires.source.matching(rb"^(EXAMINE|STATUS) .*(bob|others|Users|Public|news)"), "nobody looks into them"
