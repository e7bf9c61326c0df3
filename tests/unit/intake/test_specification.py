"""Tests that one check finds every fault of an import at its field, for whichever front end."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from producer.intake.account_options import AccountsAsked
from producer.intake.selection_options import SelectionOptions
from producer.intake.sign_in import NOTHING_TYPED
from producer.intake.specification import CheckedImport, ImportAsked, ServerAsked, SheetAsked, SheetRead, check
from shared.model import BY_ROW, Endpoint
from shared.model.sign_in import SignIn
from shared.runtime.secret import Secret
from shared.wording.phrases import PLAIN, Phrase

_ENDS: Mapping[str, ServerAsked] = {
    "source": ServerAsked(server="imaps://a.example"),
    "destination": ServerAsked(server="imaps://b.example"),
}


def _asked(rows: str = "login,password\nanna,x\n", **how: Any) -> ImportAsked:
    return ImportAsked(**({"sheet": SheetAsked(content=rows.encode()), "servers": _ENDS, "name": "n"} | how))


def _codes(checked: CheckedImport) -> list[tuple[str, str]]:
    return [(fault.fields[0] if fault.fields else "", fault.code) for fault in checked.faults]


def test_what_is_right_is_a_specification() -> None:
    made = check(_asked(wave="pilot", include=("Work*",))).specification
    assert made is not None
    assert (made.source.url, made.destination.url) == ("imaps://a.example:993", "imaps://b.example:993")
    assert ([row.wave for row in made.manifest.rows], made.options.include, made.hours) == (["pilot"], ("Work*",), None)


def test_all_faults_come_at_once_each_at_its_field() -> None:
    wrong = check(
        _asked(
            "login,password\nanna,\n",
            servers={
                "source": ServerAsked(server="imap://a.example", way="moon"),
                "destination": ServerAsked(server="pop3s://b.example", way="master"),
            },
            name="x" * 121,
            window="at night",
            wave=" w",
            verify="half",
            selection=SelectionOptions(since="never", larger="big", deletions_cap=0),
            accounts=AccountsAsked(),
        )
    )
    assert wrong.specification is None
    assert _codes(wrong) == [
        ("source.server", "plaintext"),
        ("destination.server", "pop3_destination"),
        ("source.sign_in.way", "sign_in_none_of"),
        ("destination.sign_in.way", "sign_in_without_admin"),
        ("window", "hours_without_zone"),
        ("wave", "wave_name"),
        ("verify", "verify"),
        ("name", "import_name"),
        ("since", "no_date"),
        ("larger", "no_size"),
        ("deletions_cap", "deletions_cap"),
    ]
    assert [(error.line, error.column) for error in wrong.row_errors] == [(2, "password")]


def test_a_wrong_rule_is_no_second_fault_of_its_wave() -> None:
    rows = "login,password,wave\nanna,x,\nbob,,last\n"
    assert _codes(check(_asked(rows, only_wave="pilot", wave_rule=("pilot=first:none",)))) == [
        ("wave_rule", "wave_rule")
    ]
    assert _codes(check(_asked(rows, only_wave="pilot"))) == [("wave", "wave_without_row")]


def test_rows_that_are_right_are_taken_only_if_that_is_asked_for() -> None:
    rows = "login,password\nanna,\nbert,y\n"
    assert check(_asked(rows)).specification is None
    taken = check(_asked(rows, good_rows_only=True))
    assert taken.specification is not None
    assert ([row.login for row in taken.specification.manifest.rows], len(taken.row_errors)) == (["bert"], 1)
    assert check(_asked("login,password\nanna,\n", good_rows_only=True)).specification is None, "none is right"


def test_a_source_without_a_server_needs_one_in_each_row() -> None:
    servers = {**_ENDS, "source": ServerAsked()}
    rows = "login,password,server\nanna,x,imaps://c.example\n"
    made = check(_asked(rows, servers=servers)).specification
    assert made is not None
    assert made.source == BY_ROW
    assert _codes(check(_asked(servers=servers))) == [("source.server", "row_without_server")]
    pinned = {**_ENDS, "source": ServerAsked(fingerprint="ab" * 32)}
    assert ("source.fingerprint", "fingerprint_without_server") in _codes(check(_asked(rows, servers=pinned)))


def _by_admin(**how: str) -> dict[str, ServerAsked]:
    return {**_ENDS, "source": replace(_ENDS["source"], **({"admin": "root"} | how))}


def test_a_secret_is_asked_for_once_nothing_else_is_wrong() -> None:
    asked: list[str] = []

    def prompt(side: str, _: SignIn) -> Secret:
        asked.append(side)
        return Secret("typed")

    rows = "login,password,new_password\nanna,,y\n"
    assert check(_asked(rows, servers=_by_admin(), wave=" w"), prompt=prompt).specification is None
    assert asked == [], "somebody would type it in vain"
    made = check(_asked(rows, servers=_by_admin()), prompt=prompt).specification
    assert made is not None
    assert (asked, made.sign_ins["source"].secret) == (["source"], Secret("typed"))


def test_nobody_can_be_asked_over_the_network_so_the_secret_is_demanded() -> None:
    rows = "login,password,new_password\nanna,,y\n"
    assert _codes(check(_asked(rows, servers=_by_admin()))) == [("source.sign_in.secret", "secret_needed")]
    given = check(_asked(rows, servers=_by_admin(secret="s"))).specification
    assert given is not None
    assert given.sign_ins["source"].secret == Secret("s")


def test_a_secret_that_nobody_typed_is_a_fault() -> None:
    def prompt(side: str, sign_in: SignIn) -> Secret:
        raise NOTHING_TYPED.error(name=sign_in.admin, side_word=side)

    rows = "login,password,new_password\nanna,,y\n"
    assert _codes(check(_asked(rows, servers=_by_admin()), prompt=prompt)) == [("", "nothing_typed")]


@pytest.mark.parametrize("remote", [False, True])
def test_only_a_request_from_here_may_name_a_program(remote: bool) -> None:
    servers = {**_ENDS, "source": ServerAsked(server="imaps://a.example", way="command:/bin/true")}
    found = _codes(check(_asked("login,password,new_password\nanna,x,y\n", servers=servers, remote=remote)))
    assert found == [("source.sign_in.way", "sign_in_program")] * remote


def test_a_guard_refuses_servers_also_those_of_rows() -> None:
    inside = Phrase("inside", "is inside")

    def guard(side: str, endpoint: Endpoint) -> Endpoint:
        if endpoint.host.startswith("10."):
            raise inside.error(f"{side}.server")
        return endpoint

    servers = {**_ENDS, "destination": ServerAsked(server="imaps://10.0.0.1")}
    found = check(_asked("login,password,server\nanna,x,imaps://10.0.0.2\n", servers=servers), guard=guard)
    assert _codes(found) == [("destination.server", "inside")]
    assert [(error.column, error.what) for error in found.row_errors] == [("server", "is inside")]


def test_a_field_that_the_front_end_found_wrong_is_not_looked_at_again() -> None:
    own = PLAIN.at("source.server", what="choose one"), PLAIN.at("name", what="give one")
    found = check(_asked(servers={**_ENDS, "source": ServerAsked(server="nonsense")}, name="x" * 121), own)
    assert found.faults == own
    assert check(_asked(sheet=None), own[:1]).faults == own[:1]


def test_rows_that_were_read_already_are_taken_as_they_are() -> None:
    made = check(_asked()).specification
    assert made is not None
    again = check(_asked(sheet=SheetRead(manifest=made.manifest)))
    assert again.specification == made


def test_new_accounts_need_a_password_unless_one_is_generated() -> None:
    rows = "login,password,new_login,new_password\nanna,x,a,\n"
    servers = _by_admin(secret="s")
    service = AccountsAsked(text="hook:/opt/make")
    made = check(_asked("login,new_login\nanna,a\n", servers=servers, accounts=service))
    assert ("accounts", "accounts_row_without_password") in _codes(made)
    assert check(_asked(rows, accounts=service)).specification is not None, "the source's password is taken"
    generated = check(_asked("login,new_login\nanna,a\n", servers=servers, accounts=replace(service, generate=True)))
    assert generated.specification is not None


def _never(side: str, _: SignIn) -> Secret:
    raise AssertionError(f"nobody is to be asked for the secret of the {side}")


@pytest.mark.parametrize(
    ("way", "field", "code"),
    [
        ("google", "secret", "key_needed"),
        ("microsoft:contoso.example", "secret", "key_needed"),
        ("command:token", "way", "no_tokens"),
        ("command:/no/such/token", "way", "no_tokens"),
    ],
)
def test_what_a_way_lacks_is_said_beside_what_rows_lack(way: str, field: str, code: str) -> None:
    """The rows have no password for the destination: both faults come at once, although a terminal could be asked."""
    servers = {**_ENDS, "source": ServerAsked(server="imaps://a.example", way=way)}
    checked = check(_asked("login\nanna\n", servers=servers), prompt=_never)
    assert sorted(_codes(checked)) == sorted([(f"source.sign_in.{field}", code), ("manifest", "row_without_password")])
    assert checked.row_errors == (), "no row needs a password for the source"


def test_a_command_that_no_row_needs_is_not_looked_for() -> None:
    servers = {**_ENDS, "source": ServerAsked(server="imaps://a.example", way="command:/no/such/token")}
    assert check(_asked("login,password,new_password\nanna,x,y\n", servers=servers)).specification is not None


@pytest.mark.parametrize("name", ["way", "admin", "secret"])
def test_a_sign_in_that_the_front_end_found_wrong_is_not_looked_at_again(name: str) -> None:
    """The front end could not read the secret's file: that is the one fault, and rows are not asked for passwords."""
    found = [PLAIN.at(f"source.sign_in.{name}", what="cannot be read")]
    servers = _by_admin(secret_file="/no/such/file")
    checked = check(_asked("login,new_password\nanna,y\n", servers=servers), found, prompt=_never)
    assert _codes(checked) == [(f"source.sign_in.{name}", "plain")]
    assert checked.row_errors == ()
