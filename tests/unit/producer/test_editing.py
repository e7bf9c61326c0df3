"""Tests that an import is changed before its start, whole or not at all, and that no password is lost wherever it breaks off."""

from __future__ import annotations

from dataclasses import replace
from itertools import count
from typing import Any

import pytest

from producer.intake.account_options import AccountsAsked
from producer.intake.allowed import Allowed
from producer.intake.editing import as_manifest, changed, with_rows, with_unshown, with_unshown_sign_in
from producer.intake.manifest import sift_manifest
from producer.intake.manifest_row import Row
from producer.intake.preparing import prepare_import
from producer.intake.selection_options import SelectionOptions
from producer.intake.sheet import ManifestInvalid
from producer.intake.sign_in import SignInAsked
from producer.intake.specification import ImportAsked, ServerAsked, SheetRead, check
from shared.model import Endpoint, Import, Options, Tls
from shared.model.errors import UsageError
from shared.model.lifecycle import Control, ImportState
from shared.model.sides import Side
from shared.model.sign_in import SignIn, Way
from shared.runtime.secret import Secret
from shared.store.memory.memory_store import MemoryStore
from tests.resources import GivenResources

OLD = Endpoint(host="old.example", port=993, tls=Tls.IMPLICIT, ca_file="/ca.pem", guarded=True)
NEW = Endpoint(host="new.example", port=993, tls=Tls.IMPLICIT)
OPTIONS = Options(
    since=1_700_000_123,
    larger=1234,
    skip_special=("junk", "drafts"),
    folder_map=(('A "b", c', "D/E"),),
    include=("Work*",),
    verify="full",
    deletions="follow",
    deletions_cap=7,
    destination_sign_in=SignIn(way=Way.MASTER, admin="chief", detail="{user}*{admin}"),
)
CHIEF = SignInAsked(sign_in=OPTIONS.destination_sign_in, secret=Secret("chief's"))
NOTHING = {Side.SOURCE: ServerAsked(), Side.DESTINATION: ServerAsked()}


def _row(line: int, login: str, **more: Any) -> Row:
    usual: dict[str, Any] = {
        "line": line,
        "login": login,
        "password": Secret(f"pw {login}"),
        "new_login": login,
        "new_password": Secret(f"pw {login}"),
    }
    return Row(**(usual | more))


ROWS = (
    _row(2, "anna", wave="first", priority=3, group="board"),
    _row(3, "bert", new_login="bob", new_password=Secret(' o"w,n '), own_new_password=True, quota_bytes=5 << 20),
    _row(4, "carl"),
)


def _opened(store: Any) -> tuple[GivenResources, Import]:
    desk = GivenResources(store=store)
    whole, mailboxes = prepare_import(ROWS, OLD, NEW, OPTIONS, "office")
    desk.operations.submit(whole, mailboxes, ROWS, hold=True, sign_ins={Side.DESTINATION: CHIEF})
    store.set_wave(whole.import_id, "first", starts_at=2_000_000_000, weight=5)
    return desk, store.import_(whole.import_id)


def _edit(
    desk: GivenResources, found: Import, by: ImportAsked, given: set[str], *rows: Row, remove: Any = ()
) -> Import:
    version = desk.operations.version_of(found)
    asked = changed(desk.operations.asked_again(found), given, by)
    read = SheetRead(manifest=replace(_EMPTY, rows=rows))
    checked = check(with_rows(asked, read, remove))
    assert checked.specification is not None, checked.faults
    return desk.operations.rewritten(found, checked.specification, version)


_EMPTY = sift_manifest(b"login,password\n")[0]


def _asked(**more: Any) -> ImportAsked:
    return ImportAsked(sheet=None, **({"servers": NOTHING} | more))


def test_without_a_change_nothing_changes() -> None:
    desk, found = _opened(MemoryStore())
    before = desk.operations.rows_of(found)
    now = _edit(desk, found, _asked(), set())
    assert now == found, "the CA file, the guard, the moment and the pairs of folders too"
    assert desk.operations.rows_of(now) == before
    assert desk.operations.sign_ins_of(now) == {Side.SOURCE: SignInAsked(), Side.DESTINATION: CHIEF}


def test_rows_are_changed_added_and_removed_and_choices_set() -> None:
    desk, found = _opened(MemoryStore())
    by = _asked(selection=SelectionOptions(since="2025-01-01", into="Old"), window="20:00-06:00 UTC")
    now = _edit(
        desk,
        found,
        by,
        {"since", "into", "window"},
        _row(9, "anna", password=Secret(""), new_password=Secret(""), new_login="ann", wave="second", group="staff"),
        _row(10, "dora"),
        remove=["carl"],
    )
    assert now.import_id == found.import_id
    assert (now.options.since, now.options.into, now.options.larger) == (1_735_689_600, "Old", 1234)
    assert now.window == "20:00-06:00 UTC"
    rows = {row.login: row for row in desk.operations.rows_of(now)}
    assert list(rows) == ["anna", "bert", "dora"]
    assert (rows["anna"].new_login, rows["anna"].wave, rows["anna"].group) == ("ann", "second", "staff")
    assert rows["anna"].password == Secret("pw anna"), "a row without a password keeps it"
    assert rows["bert"] == desk.operations.rows_of(found)[1]
    assert rows["dora"].line == 5


def test_a_wave_and_a_priority_of_the_same_mailbox_are_set() -> None:
    desk, found = _opened(MemoryStore())
    now = _edit(
        desk, found, _asked(), set(), _row(1, "anna", wave="", priority=0), _row(1, "carl", wave="last", priority=9)
    )
    assert [(row.wave, row.priority) for row in desk.operations.rows_of(now)] == [("", 0), ("", 0), ("last", 9)]


def test_another_way_to_sign_in_deletes_the_secret_of_the_old_one() -> None:
    desk, found = _opened(MemoryStore())
    by = _asked(servers={**NOTHING, Side.DESTINATION: ServerAsked(way="password")})
    with pytest.raises(AssertionError, match=r"anna|2, 4"):  # its rows gave no password for the destination
        _edit(desk, found, by, {"destination.sign_in.way", "destination.sign_in.admin"})
    given = [_row(1, name, own_new_password=True, new_password=Secret("there")) for name in ("anna", "carl")]
    now = _edit(desk, found, by, {"destination.sign_in.way", "destination.sign_in.admin"}, *given)
    assert desk.store.sealed(now.import_id, now.import_id, "destination") is None
    assert desk.operations.sign_ins_of(now)[Side.DESTINATION].by_rows


def test_two_rows_that_cannot_be_in_one_import_are_refused() -> None:
    desk, found = _opened(MemoryStore())
    with pytest.raises(ManifestInvalid, match="row 3"):
        _edit(desk, found, _asked(), set(), _row(1, "eve", new_login="bob"))
    now = _edit(
        desk,
        found,
        _asked(allowed=Allowed(share_destination=True)),
        {"share_destination"},
        _row(1, "eve", new_login="bob"),
    )
    assert len(desk.operations.rows_of(now)) == 4
    with pytest.raises(UsageError, match="no mailbox with the login 'zoe'"):
        _edit(desk, found, _asked(), set(), remove=["zoe"])
    with pytest.raises(UsageError, match="no mailbox would be left"):
        _edit(desk, found, _asked(), set(), remove=["anna", "bert", "carl", "eve"])


def test_what_was_started_is_refused_and_a_taken_name_too() -> None:
    desk, found = _opened(MemoryStore())
    whole, mailboxes = prepare_import(ROWS[:1], OLD, NEW, Options(), "yard")
    desk.operations.submit(whole, mailboxes, ROWS[:1])
    with pytest.raises(UsageError, match="an import called yard"):
        _edit(desk, found, _asked(name="yard"), {"name"})
    with pytest.raises(UsageError, match="yard was started"):
        _edit(desk, whole, _asked(name="other"), {"name"})
    assert len(desk.operations.rows_of(found)) == 3


class Died(Exception):
    """Raised where the process dies."""


class _Mortal:
    """The store, whose nth changing call is the last, before or after its effect."""

    CHANGING = (
        "at_once",
        "open_import",
        "seal",
        "set_wave",
        "set_window",
        "set_standing",
        "close",
        "erase",
        "move",
        "set_usual",
    )

    def __init__(self, store: MemoryStore) -> None:
        self._store, self.left = store, -1

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._store, name)
        if name not in self.CHANGING:
            return real

        def call(*arguments: Any, **more: Any) -> Any:
            if self.left == 0:
                raise Died
            found = real(*arguments, **more)
            if self.left == 1:
                raise Died
            self.left -= 2 if self.left > 0 else 0
            return found

        return call


@pytest.mark.parametrize("name", ["office", "another"])
def test_wherever_it_breaks_off_all_of_it_is_there_or_nothing(name: str) -> None:
    for step in count():
        mortal = _Mortal(MemoryStore())
        desk, found = _opened(mortal)
        before = desk.operations.version_of(found)
        by, given = _asked(name=name, selection=SelectionOptions(into="Old")), {"name", "into"}
        mortal.left = step
        try:
            _edit(desk, found, by, given, _row(1, "dora"), remove=["carl"])
            died = False
        except Died:
            died = True
        mortal.left = -1
        (now,) = mortal.imports()
        assert now.state is ImportState.OPENING, "and nothing runs"
        if desk.operations.version_of(now) != before:
            assert (now.name, now.options.into) == (name, "Old")
            assert [one.login for one in desk.operations.rows_of(now)] == ["anna", "bert", "dora"]
            assert mortal.waves(now.import_id)[0].weight == 5
            assert desk.operations.sign_ins_of(now)[Side.DESTINATION] == CHIEF
        if not died:
            assert desk.operations.version_of(now) != before
            break
    assert step >= 4


def test_what_somebody_changed_meanwhile_is_not_overwritten() -> None:
    def password(desk: GivenResources, found: Import) -> None:
        desk.operations.replace_credentials(found, [_row(2, "anna", password=Secret("newer"))])

    def erasure(desk: GivenResources, found: Import) -> None:
        desk.store.erase(found.import_id, desk.store.mailboxes(found.import_id)[0][0].mailbox_id)

    def start(desk: GivenResources, found: Import) -> None:
        desk.operations.set_going(found.import_id)

    for act, said in ((password, "changed meanwhile"), (erasure, "changed meanwhile"), (start, "was started")):
        for name in ("office", "another"):
            desk, found = _opened(MemoryStore())
            version = desk.operations.version_of(found)
            checked = check(changed(desk.operations.asked_again(found), {"name"}, _asked(name=name)))
            assert checked.specification is not None
            act(desk, found)
            after = desk.operations.version_of(found)
            with pytest.raises(UsageError, match=said):
                desk.operations.rewritten(found, checked.specification, version)
            assert [one.import_id for one in desk.store.imports()] == [found.import_id]
            assert desk.operations.version_of(found) == after


@pytest.mark.parametrize("name", ["office", "another"])
@pytest.mark.parametrize("how", ["mailbox", "wave", "import"])
def test_what_was_cancelled_stays_so_whatever_else_is_changed(how: str, name: str) -> None:
    desk, found = _opened(MemoryStore())
    match how:
        case "mailbox":
            desk.operations.control(found, Control.CANCEL, "anna")
        case "wave":
            desk.operations.control(found, Control.CANCEL, wave="first")
        case _:
            desk.operations.control(found, Control.CANCEL)
    by, given = _asked(name=name, selection=SelectionOptions(into="Old")), {"name", "into"}
    now = _edit(desk, found, by, given, _row(1, "dora"), _row(1, "anna", priority=7))
    assert (now.name, now.options.into) == (name, "Old")
    states = {mailbox.source.login: mailbox.state.value for mailbox, _ in desk.store.mailboxes(now.import_id)}
    others = "cancelled" if how == "import" else "queued"
    assert states == {"anna": "cancelled", "bert": others, "carl": others, "dora": others}
    # The control: with another owner it is another mailbox. And what was given up is taken up again.
    if how != "import":
        now = _edit(desk, now, _asked(), set(), _row(1, "anna", new_login="ann"))
        states = {mailbox.destination.login: mailbox.state.value for mailbox, _ in desk.store.mailboxes(now.import_id)}
        assert states["ann"] == "queued"
        return
    assert desk.operations.control(now, Control.RUN) == 4
    assert {mailbox.state.value for mailbox, _ in desk.store.mailboxes(now.import_id)} == {"queued"}


def test_stored_passwords_are_not_shown_to_another_host() -> None:
    desk, found = _opened(MemoryStore())
    elsewhere = _asked(servers={**NOTHING, Side.SOURCE: ServerAsked(server="imaps://theirs.example")})
    with pytest.raises(AssertionError, match="give no password for the source: 2, 3, 4"):
        _edit(desk, found, elsewhere, {"source.server"})
    given = [_row(1, name, password=Secret("again")) for name in ("anna", "bert", "carl")]
    now = _edit(desk, found, elsewhere, {"source.server"}, *given)
    assert {row.password for row in desk.operations.rows_of(now)} == {Secret("again")}
    theirs = _asked(servers={**NOTHING, Side.DESTINATION: ServerAsked(server="imaps://theirs.example")})
    with pytest.raises(AssertionError, match=r"destination\.sign_in\.secret"):
        _edit(desk, now, theirs, {"destination.server"})


def test_the_same_server_may_be_written_in_another_way() -> None:
    desk, found = _opened(MemoryStore())
    pin = "ab" * 32
    by = _asked(servers={**NOTHING, Side.DESTINATION: ServerAsked(fingerprint=pin)})
    pinned = _edit(desk, found, by, {"destination.fingerprint"})
    alike = _asked(servers={**NOTHING, Side.DESTINATION: ServerAsked(server="imaps://NEW.example")})
    now = _edit(desk, pinned, alike, {"destination.server"})
    assert (now.import_id, now.destination.certificate_sha256) == (found.import_id, pin)
    assert len(desk.operations.rows_of(now)) == 3


def test_a_token_command_stays_and_comes_from_no_request() -> None:
    desk = GivenResources(store=MemoryStore())
    way = SignIn(way=Way.COMMAND, detail="/bin/tokens")
    options = replace(OPTIONS, source_sign_in=way)
    whole, mailboxes = prepare_import(ROWS, OLD, NEW, options, "office")
    desk.operations.submit(
        whole,
        mailboxes,
        ROWS,
        hold=True,
        sign_ins={Side.SOURCE: SignInAsked(sign_in=way), Side.DESTINATION: CHIEF},
    )
    now = _edit(desk, whole, _asked(name="yard", remote=True), {"name"})
    assert now.options.source_sign_in == way
    by = _asked(servers={**NOTHING, Side.SOURCE: ServerAsked(way="command:/bin/theirs")}, remote=True)
    with pytest.raises(AssertionError, match="is for the command line"):
        _edit(desk, now, by, {"source.sign_in.way"})
    shown = ServerAsked(server="imaps://old.example:993")
    before = desk.operations.asked_again(now).servers[Side.SOURCE]
    assert with_unshown_sign_in(Side.SOURCE, shown, before).way == "command:/bin/tokens"
    assert not with_unshown_sign_in(Side.SOURCE, replace(shown, server="imaps://theirs.example"), before).kept


def test_a_request_without_the_secret_of_the_account_service_keeps_it() -> None:
    desk = GivenResources(store=MemoryStore())
    for accounts, secret, kept in (
        ("hook:/bin/one", "key", "key"),
        ("hook:/bin/one", "", "key"),
        ("hook:/bin/two", "", ""),
    ):
        whole, mailboxes = prepare_import(ROWS, OLD, NEW, replace(OPTIONS, accounts=accounts), "office")
        desk.operations.submit(
            whole, mailboxes, ROWS, hold=True, sign_ins={Side.DESTINATION: CHIEF}, accounts_secret=Secret(secret)
        )
        assert desk.operations.accounts_secret_of(whole) == Secret(kept)


def test_rows_are_the_same_after_they_were_a_list() -> None:
    data = as_manifest(ROWS)
    manifest, errors = sift_manifest(data, allowed=Allowed())
    assert errors == ()
    plain = [replace(row, own_new_login=False) for row in manifest.rows]
    assert plain == [replace(row, own_new_login=False) for row in ROWS]


def test_what_the_form_has_no_field_for_stays() -> None:
    filled = replace(OPTIONS, skip_special=("junk", "trash"), folder_map=(), since=1_700_000_123 // 86_400 * 86_400)
    kept = with_unshown(filled, OPTIONS)
    assert kept.skip_special == ("junk", "trash", "drafts")
    assert (kept.folder_map, kept.since) == (OPTIONS.folder_map, OPTIONS.since)
    assert with_unshown(replace(filled, since=5), OPTIONS).since == 5


def test_the_secret_of_an_account_that_is_to_be_made_is_among_what_is_asked_again() -> None:
    desk = GivenResources(store=MemoryStore())
    options = replace(OPTIONS, accounts="hook:/bin/true")
    whole, mailboxes = prepare_import(ROWS, OLD, NEW, options, "office")
    desk.operations.submit(
        whole, mailboxes, ROWS, hold=True, sign_ins={Side.DESTINATION: CHIEF}, accounts_secret=Secret("key")
    )
    asked = desk.operations.asked_again(whole)
    assert asked.accounts == AccountsAsked(text="hook:/bin/true", secret=Secret("key"))
    assert isinstance(asked.sheet, SheetRead)
    assert asked.sheet.manifest is not None
    assert [row.new_password for row in asked.sheet.manifest.rows] == [row.new_password for row in ROWS]
