"""Tests the operations on imports that are signed in to by an administrator or at a provider with limits."""

from __future__ import annotations

from dataclasses import replace

from producer.intake.preparing import prepare_import
from producer.intake.sign_in import SignInAsked
from producer.operations.finding import errors_of, find_import
from shared.model import Endpoint, Import, Options, Tls
from shared.model.sign_in import SignIn, Way
from shared.runtime.secret import Secret
from tests.unit.producer.test_operations import DESTINATION, SOURCE, RungResources, _row

ZOHO = Endpoint(host="imap.zoho.com", port=993, tls=Tls.IMPLICIT)


def _let_in(resources: RungResources) -> int:
    """Returns the number of lanes that may work at the same time."""
    count = 0
    while resources.store.claim(f"w/{count}"):
        count += 1
    return count


def test_a_preset_limits_connections_of_its_host() -> None:
    logins = [f"u{n}" for n in range(40)]
    resources = RungResources()
    resources.submit(*logins, source=ZOHO)
    assert resources.store.usual() == {"source_account:imaps://imap.zoho.com:993": 2, "source_host:imap.zoho.com": 20}
    assert _let_in(resources) == 20
    resources.operations.set_limit("source_host:imap.zoho.com", 25)
    assert _let_in(resources) == 25, "what a person sets for this host goes before"
    control = RungResources()
    control.submit(*logins)
    assert _let_in(control) == 32, "a host that nobody knows has the default"


def test_a_lower_setting_of_a_person_is_not_raised_by_a_preset() -> None:
    resources = RungResources()
    resources.submit(*[f"u{n}" for n in range(9)], source=ZOHO, most={"source_host": 4})
    assert _let_in(resources) == 4


def test_a_refused_login_is_told_what_its_provider_wants() -> None:
    for source, told in ((ZOHO, True), (SOURCE, False)):
        resources = RungResources()
        request = resources.submit("anna", source=source)
        resources.park(request, "anna")
        (group,) = errors_of(resources.store, request)
        assert ("Zoho Mail: Switch on IMAP" in group.advice) is told


def _by_admin(resources: RungResources, *logins: str) -> Import:
    how = SignIn(way=Way.AUTHZID, admin="chief")
    rows = [replace(_row(at, login), password=Secret("")) for at, login in enumerate(logins, start=2)]
    import_, mailboxes = prepare_import(rows, SOURCE, DESTINATION, Options(source_sign_in=how), "by admin")
    asked = {"source": SignInAsked(sign_in=how, secret=Secret("chief's"))}
    resources.operations.submit(import_, mailboxes, rows, sign_ins=asked)
    return find_import(resources.store, import_.import_id)


def test_what_the_import_signs_in_with_is_sealed_once_and_rows_have_nothing() -> None:
    resources = RungResources()
    request = _by_admin(resources, "a", "b")
    assert request.options.source_sign_in == SignIn(way=Way.AUTHZID, admin="chief")
    for login in ("a", "b"):
        given = resources.opened(request, login, "source")
        assert (given.own, given.password) == (False, Secret(""))
        assert resources.opened(request, login, "destination").own
    sealed = resources.store.sealed(request.import_id, request.import_id, "source")
    assert sealed is not None
    assert resources.vault.open(request.import_id, "source", sealed).password == Secret("chief's")


def test_a_password_that_is_given_later_is_the_rows_own() -> None:
    resources = RungResources()
    request = _by_admin(resources, "a", "b")
    resources.park(request, "a")
    done = resources.operations.replace_credentials(request, [_row(2, "a", "now known")])
    assert (done.mailboxes, done.queued) == (1, 1)
    assert resources.opened(request, "a", "source").password == Secret("now known")
    assert resources.opened(request, "a", "source").own
    assert resources.opened(request, "a", "destination").password == Secret("pw-a"), "which was another"
    assert not resources.opened(request, "b", "source").own


def test_retry_lets_an_administrators_login_be_tried_again_once() -> None:
    resources = RungResources()
    request = _by_admin(resources, "a", "b")
    store, i = resources.store, request.import_id
    turn = lambda holder: store.login_turn(i, "m", "source", "d", holder, shared=True, seconds=9).state  # noqa: E731
    assert turn("x") == "trial"
    store.login_told(i, "m", "source", "d", "x", shared=True, result="refused")
    for login in ("a", "b"):
        resources.park(request, login)
    assert resources.operations.retry(request) == (2, 0)
    assert turn("y") == "trial"
    assert turn("z") == "wait"
