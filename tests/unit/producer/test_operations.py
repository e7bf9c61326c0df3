"""The operations of an operator, over the store in memory."""

from __future__ import annotations

from dataclasses import replace

import pytest

from producer.intake.manifest_row import Row
from producer.intake.preparing import import_name, prepare_import
from producer.intake.sign_in import SignInAsked
from producer.operations.finding import errors_of, find_import, find_mailboxes
from producer.operations.limits import read_limit
from producer.operations.trouble import trouble_at_a_glance
from shared.mail.answers.refusals import BEYOND
from shared.model import Endpoint, Failure, Folder, Import, Mailbox, Options, Tally, Tls, Unit
from shared.model.binding import bound_to
from shared.model.errors import UsageError
from shared.model.lifecycle import Control, CutoverState, MailboxState, Outcome
from shared.model.search import Search
from shared.model.sign_in import SignIn, Way
from shared.runtime.credentials import Credentials, Vault
from shared.runtime.secret import Secret
from shared.store.memory.memory_store import MemoryStore
from tests.contract.store_kit import intent, other, plan_of, take
from tests.crash.cutover_stage import CutoverStage
from tests.resources import GivenResources

SOURCE = Endpoint(host="old.example", port=993, tls=Tls.IMPLICIT)
DESTINATION = Endpoint(host="new.example", port=993, tls=Tls.IMPLICIT)
KEY = b"MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="


class RungResources(GivenResources):
    """A store, a vault, and the jobs that were sent."""

    def __init__(self) -> None:
        super().__init__(store=MemoryStore(), vault=Vault([KEY]), ring=self._rang)
        self.rung: list[str] = []

    def _rang(self, unit: Unit, import_id: str) -> None:
        self.rung.append(unit.unit_id)

    def submit(
        self, *logins: str, name: str = "people", source: Endpoint = SOURCE, most: dict[str, int] | None = None
    ) -> Import:
        rows = [_row(at, login) for at, login in enumerate(logins, start=2)]
        import_, mailboxes = prepare_import(rows, source, DESTINATION, Options(), name)
        self.own_limits = most or {}
        self.operations.submit(import_, mailboxes, rows)
        return find_import(self.store, import_.import_id)

    def park(
        self, import_: Import, login: str, sentence: str = "authentication failed", advice: str = "see IMPORT"
    ) -> None:
        ((mailbox, _),) = find_mailboxes(self.store, import_, login)
        lease = self.store.claim("w/1", hint=f"{mailbox.mailbox_id}.plan")
        assert lease is not None
        assert lease.mailbox.source.login == login
        failure = Failure(code="source_auth_refused", sentence=sentence, advice=advice)
        self.store.release(lease, how="park", failure=failure)

    def opened(self, import_: Import, login: str, side: str) -> Credentials:
        ((mailbox, _),) = find_mailboxes(self.store, import_, login)
        sealed = self.store.sealed(import_.import_id, mailbox.mailbox_id, side)
        assert sealed is not None
        return self.vault.open(mailbox.mailbox_id, side, sealed, bound=bound_to(import_, mailbox))


def _row(line: int, login: str, password: str = "", new_password: str = "") -> Row:
    secret = password or f"pw-{login}"
    return Row(
        line=line, login=login, password=Secret(secret), new_login=login, new_password=Secret(new_password or secret)
    )


def test_the_same_request_twice_is_the_same_import() -> None:
    resources = RungResources()
    first, again = resources.submit("a", "b"), resources.submit("a", "b")
    assert first.import_id == again.import_id
    assert len(resources.store.imports()) == 1
    assert len(resources.store.mailboxes(first.import_id)) == 2


def test_credentials_are_there_before_anything_is_served() -> None:
    resources = RungResources()
    request = resources.submit("a")
    assert resources.opened(request, "a", "source").password == Secret("pw-a")
    assert resources.rung


def test_an_import_is_found_by_name_and_by_the_beginning_of_its_id() -> None:
    resources = RungResources()
    one, other = resources.submit("a", name="one"), resources.submit("a", name="other")
    assert find_import(resources.store, "one").import_id == one.import_id
    assert find_import(resources.store, other.import_id[:6]).import_id == other.import_id
    assert find_import(resources.store).import_id in (one.import_id, other.import_id)
    with pytest.raises(UsageError, match="no import is called") as said:
        find_import(resources.store, "none")
    assert one.import_id[:8] in str(said.value)
    resources.operations.control(one, Control.CANCEL)
    with pytest.raises(UsageError, match=r"one  \(cancelled\)"):
        find_import(resources.store, "none")


def test_without_any_import_the_sentence_says_how_to_start_one() -> None:
    with pytest.raises(UsageError, match="mailhaul import"):
        find_import(RungResources().store)


def test_new_credentials_wake_the_parked_mailbox_and_replace_both_sides_when_they_were_alike() -> None:
    resources = RungResources()
    request = resources.submit("a", "b")
    resources.park(request, "a")
    done = resources.operations.replace_credentials(
        request, [_row(1, "a", "right"), _row(2, "nobody")], ("login", "password")
    )
    assert (done.mailboxes, done.queued, done.unknown_rows) == (1, 1, (2,))
    assert resources.opened(request, "a", "source").password == Secret("right")
    assert resources.opened(request, "a", "destination").password == Secret("right")
    ((mailbox, _),) = find_mailboxes(resources.store, request, "a")
    assert mailbox.state is MailboxState.QUEUED
    assert mailbox.failure is None


def test_a_destination_password_of_its_own_is_left_alone_by_a_file_without_one() -> None:
    resources = RungResources()
    rows = [_row(2, "a", "old-pw", "new-pw")]
    import_, mailboxes = prepare_import(rows, SOURCE, DESTINATION, Options(), "people")
    resources.operations.submit(import_, mailboxes, rows)
    resources.operations.replace_credentials(import_, [_row(1, "a", "right")], ("login", "password"))
    assert resources.opened(import_, "a", "source").password == Secret("right")
    assert resources.opened(import_, "a", "destination").password == Secret("new-pw")


def test_errors_come_by_kind_with_rows_and_advice() -> None:
    resources = RungResources()
    request = resources.submit("a", "b", "c")
    resources.park(request, "a")
    resources.park(request, "c")
    (group,) = errors_of(resources.store, request)
    assert (group.code, group.parked) == ("source_auth_refused", True)
    assert [(who.row, who.login) for who in group.sufferers] == [(2, "a"), (4, "c")]
    assert request.import_id[:8] in group.advice


def test_a_locked_account_stands_apart_from_wrong_passwords() -> None:
    resources = RungResources()
    request = resources.submit("a", "b", "c")
    what, advice = BEYOND["CONTACTADMIN"]
    resources.park(request, "a")
    resources.park(request, "b", f"source: {what}", advice)
    resources.park(request, "c", "source: authentication failed (another way)")
    groups = {group.sentence: group for group in errors_of(resources.store, request)}
    assert [who.login for who in groups["authentication failed"].sufferers] == ["a", "c"]
    assert [who.login for who in groups[f"source: {what}"].sufferers] == ["b"]
    assert "password need not be wrong" in groups[f"source: {what}"].advice


def test_nothing_is_advised_about_what_is_over() -> None:
    resources = RungResources()
    request = resources.submit("a")
    lease = resources.store.claim("w/1")
    assert lease is not None
    failure = Failure(
        code="destination_unreachable", sentence="destination: cannot connect", advice="check host", at=1.0
    )
    resources.store.release(lease, how="wait", failure=failure)
    assert errors_of(resources.store, request)[0].advice == "check host", "the control"
    row = resources.store._rows.mailboxes[lease.mailbox.mailbox_id]
    row.set(over_at=2.0)
    (group,) = errors_of(resources.store, request)
    assert (group.code, group.advice, group.sufferers[0].over_at) == ("destination_unreachable", "", 2.0)


def test_retry_wakes_what_is_parked_and_nothing_else() -> None:
    resources = RungResources()
    request = resources.submit("a", "b")
    resources.park(request, "a")
    assert resources.operations.retry(request) == (1, 0)
    assert resources.operations.retry(request) == (0, 0)


def test_pause_concerns_one_mailbox_or_all() -> None:
    resources = RungResources()
    request = resources.submit("a", "b")
    assert resources.operations.control(request, Control.PAUSE, "a") == 1
    assert resources.operations.control(request, Control.PAUSE) == 2
    with pytest.raises(UsageError, match="no mailbox"):
        resources.operations.control(request, Control.PAUSE, "nobody")


def test_what_changed_since_the_import_was_read_counts() -> None:
    resources = RungResources()
    read_before = resources.submit("a", "b")
    assert resources.operations.control(read_before, Control.PAUSE) == 2
    assert resources.operations.control(read_before, Control.PAUSE) == 0, "it is paused already"
    assert resources.operations.control(read_before, Control.RUN) == 2
    assert find_import(resources.store, read_before.import_id).control is Control.RUN
    assert resources.operations.control(read_before, Control.CANCEL) == 2
    assert resources.operations.control(read_before, Control.RUN) == 2, "cancelled, they are queued again"


def test_limits_have_names() -> None:
    resources = RungResources()
    resources.operations.set_limit("source_host:mail.example", 3)
    assert resources.store.limits() == {"source_host:mail.example": 3}
    resources.operations.set_limit("source_host:mail.example", None)
    assert resources.store.limits() == {}
    for wrong in ("threads", "source_account.bytes_per_week", "threads.bytes_per_day", "source_host."):
        with pytest.raises(UsageError, match="source_account"):
            resources.operations.set_limit(wrong, 3)


def test_a_rate_is_set_as_a_limit_is() -> None:
    resources = RungResources()
    name = "source_account.bytes_per_day"
    for text, most in (("2GB", 2 * 10**9), ("500", 500), ("0", 0)):
        resources.operations.set_limit(name, read_limit(name, text))
        assert resources.store.limits() == {name: most}
    resources.operations.set_limit(name, read_limit(name, "default"))
    assert resources.store.limits() == {}
    for scope, text in (("source_host", "2GB"), ("source_host.messages_per_second", "2GB"), (name, "much"), (name, "")):
        with pytest.raises(UsageError):
            resources.operations.set_limit(scope, read_limit(scope, text))
    with pytest.raises(UsageError, match="10000"):
        resources.operations.set_limit("source_host", 10_001)


def test_forgotten_passwords_are_gone_and_verify_says_so() -> None:
    resources = RungResources()
    request = resources.submit("a")
    resources.park(request, "a")
    assert resources.operations.forget(request).there
    assert not resources.operations.forget(request).there
    with pytest.raises(UsageError, match="no longer stored"):
        resources.operations.verify(request, full=True)


def test_what_a_cutover_needs_is_neither_forgotten_nor_closed() -> None:
    in_process = CutoverStage()
    store, request = in_process.store, in_process.request
    operations = GivenResources(store=store).operations

    def refused(words: str) -> None:
        for act in (operations.forget, operations.close):
            with pytest.raises(UsageError, match=words):
                act(request)
        assert store.sealed(request.import_id, in_process.people[0].mailbox_id, "source")

    in_process.to(CutoverState.SYNCED)
    with pytest.raises(UsageError, match="has a cutover under way"):
        operations.forget(request)
    in_process.send("announce")
    in_process.send("switch")
    in_process.turn()
    in_process.store.set_standing(request.import_id, "", None)
    refused("import move has a cutover under way: close it or roll it back first")
    in_process.send("rollback")
    refused("import move is being rolled back: wait until everybody is back")
    in_process.not_proved = "asked for too early"
    in_process.turn()
    refused("is being rolled back")
    in_process.not_proved = ""
    in_process.send("rollback")
    in_process.turn()
    assert operations.forget(request).there


@pytest.mark.parametrize("all_of_them", [True, False])
def test_retry_without_passwords_is_refused_and_changes_nothing(all_of_them: bool) -> None:
    resources = RungResources()
    request = resources.submit("a", "b")
    for login in ("a", "b"):
        resources.park(request, login)
    before = resources.store.mailboxes(request.import_id)
    resources.operations.forget(request)
    said = "the passwords of import people are"
    if not all_of_them:
        ((mailbox, _),) = find_mailboxes(resources.store, request, "a")
        sealed = {(mailbox.mailbox_id, side): b"sealed" for side in ("source", "destination")}
        resources.store.seal(request.import_id, sealed)
        said = "the passwords of 1 of 2 mailboxes of import people are"
    rung = len(resources.rung)
    with pytest.raises(UsageError, match=f"{said} no longer stored: run the same import command again"):
        resources.operations.retry(request)
    assert resources.store.mailboxes(request.import_id) == before
    assert len(resources.rung) == rung
    if not all_of_them:
        assert resources.operations.retry(request, "a") == (1, 0)


def test_retry_with_nothing_to_try_again_needs_no_passwords() -> None:
    resources = RungResources()
    request = resources.submit("a")
    resources.operations.forget(request)
    assert resources.operations.retry(request) == (0, 0)


def test_what_is_under_way_is_not_verified_anew() -> None:
    resources = RungResources()
    request = resources.submit("a", "b")
    resources.park(request, "a")
    with pytest.raises(UsageError, match="import people is under way"):
        resources.operations.verify(request, full=True)
    with pytest.raises(UsageError, match="import people is under way"):
        resources.operations.verify(request, full=True, login="a")
    assert find_import(resources.store).options == request.options


def test_the_import_command_goes_on_with_what_verify_began() -> None:
    resources = RungResources()
    request = resources.submit("a")
    resources.park(request, "a")
    assert resources.operations.verify(find_import(resources.store), full=True) == (1, 0)
    going_on = resources.submit("a")
    assert (going_on.options.verify, going_on.passes) == ("full", 2)
    resources.park(request, "a")
    assert resources.submit("a").options.verify == "default", "the next pass is what it says itself"


def test_the_name_is_the_files_unless_it_is_given() -> None:
    assert import_name("", "/tmp/people.csv") == "people"
    assert import_name("autumn", "people.csv") == "autumn"
    with pytest.raises(UsageError):
        import_name("a\nb", "people.csv")


def test_who_goes_on_while_errors_are_counted_is_in_no_group() -> None:
    """Checks mailboxes that were counted as parked, and all retried before their rows were read.

    There is no group, and no fault.
    """

    class Late(MemoryStore):
        """A store in which somebody retries between the count and the rows."""

        def find_mailboxes(self, import_id: str, wanted: Search) -> tuple[int, list[tuple[Mailbox, Tally]]]:
            total, found = super().find_mailboxes(import_id, wanted)
            return total, [
                (replace(mailbox, state=MailboxState.QUEUED, failure=None), tally) for mailbox, tally in found
            ]

    for store, named in ((MemoryStore(), 1), (Late(), 0)):
        resources = RungResources()
        resources.store = store
        request = resources.submit("anna", "bert", "cora")
        for login in ("anna", "bert", "cora"):
            resources.park(request, login)
        groups = trouble_at_a_glance(store, request, 1)
        assert [(len(group.sufferers), group.more) for group in groups] == [(1, 2)] * named


def test_trouble_with_messages_of_many_mailboxes_is_counted_and_some_are_named() -> None:
    resources = RungResources()
    request = resources.submit("anna", "bert", "cora")
    for number in range(3):
        lease = take(resources.store, f"lane{number}")
        resources.store.plan_folders(lease, [(plan_of(lease.mailbox, "INBOX", (1, 4)), 1)])
        resources.store.finish(lease)
        batch = take(resources.store, f"lane{number}", prefer=lease.mailbox.mailbox_id)
        resources.store.progress(batch, intents=[intent(f"i{number}", batch.unit.uids)])
        resources.store.progress(batch, settled=[other(Outcome.REFUSED, batch.unit.uids, f"i{number}")])
    for named, more in ((1, 2), (2, 1), (9, 0)):
        (group,) = trouble_at_a_glance(resources.store, request, named)
        assert (group.code, len(group.sufferers), group.more) == ("refused", min(named, 3), more)
        assert (group.sufferers[0].messages, group.sufferers[0].detail) == (4, "because")
    assert errors_of(resources.store, request) == trouble_at_a_glance(resources.store, request, 9), (
        "as a look at all of them"
    )


@pytest.mark.parametrize("withheld", [0, 3], ids=["nothing", "control: some"])
def test_the_folders_of_a_mailbox_without_trouble_are_not_read(monkeypatch: pytest.MonkeyPatch, withheld: int) -> None:
    resources = RungResources()
    import_ = resources.submit("ann")
    store = resources.store
    lease = take(store)
    store.plan_folders(lease, [(replace(plan_of(lease.mailbox, "INBOX", (1, 4)), withheld=withheld), 1)])
    read: list[str] = []
    folders = MemoryStore.folders

    def reading(self: MemoryStore, mailbox_id: str) -> list[tuple[Folder, Tally]]:
        read.append(mailbox_id)
        return folders(self, mailbox_id)

    monkeypatch.setattr(MemoryStore, "folders", reading)
    assert [group.code for group in errors_of(store, import_)] == ["withheld"] * bool(withheld)
    assert len(read) == bool(withheld)


def test_what_signs_in_for_all_is_sealed_anew_and_those_go_on_who_need_it() -> None:
    """Seals an administrator's credentials anew.

    A mailbox with a password of its own, or one that waits for something else, does not go on.
    """
    resources = RungResources()
    sign_in = SignIn(way=Way.AUTHZID, admin="chief")
    rows = [replace(_row(at, login), password=Secret("")) for at, login in enumerate(("anna", "bert"), start=2)]
    rows.append(_row(4, "cora", "her own"))
    import_, mailboxes = prepare_import(rows, SOURCE, DESTINATION, Options(source_sign_in=sign_in), "people")
    asked = {"source": SignInAsked(sign_in=sign_in, secret=Secret("wrong"))}
    resources.operations.submit(import_, mailboxes, rows, sign_ins=asked)
    for login in ("anna", "cora"):
        resources.park(import_, login)

    given = resources.operations.shared_anew(import_, {"source": lambda way: Secret(f"right for {way}")})
    resources.rung.clear()
    assert resources.operations.replace_shared(import_, given) == 1
    assert resources.rung
    states = {one.source.login: one.state for one, _ in resources.store.mailboxes(import_.import_id)}
    assert states == {"anna": MailboxState.QUEUED, "bert": MailboxState.QUEUED, "cora": MailboxState.PARKED}
    now = resources.operations.sign_ins_of(import_)
    assert now["source"].secret.reveal() == "right for authzid"
    with pytest.raises(UsageError, match="destination: the import signs in with each mailbox's own password"):
        resources.operations.shared_anew(import_, {"destination": lambda way: Secret("x")})
    resources.store.forget(import_.import_id)
    with pytest.raises(UsageError, match="no longer stored"):
        resources.operations.shared_anew(import_, {"source": lambda way: Secret("x")})


@pytest.mark.parametrize("side", ["source", "destination"])
def test_a_new_password_of_one_side_leaves_the_other(side: str) -> None:
    resources = RungResources()
    request = resources.submit("anna")
    resources.park(request, "anna")
    ((mailbox, _),) = resources.store.mailboxes(request.import_id)
    before = {one: resources.opened(request, "anna", one).password for one in ("source", "destination")}
    given = {side: Secret("new")}
    assert resources.operations.replace_passwords(request, mailbox, given) is True
    after = {one: resources.opened(request, "anna", one).password for one in ("source", "destination")}
    assert after == before | given
    ((mailbox, _),) = resources.store.mailboxes(request.import_id)
    assert mailbox.state is MailboxState.QUEUED
    assert resources.operations.replace_passwords(request, mailbox, given) is False


def test_a_wave_does_not_begin_in_the_past() -> None:
    resources = RungResources()
    request = resources.submit("anna")
    with pytest.raises(UsageError, match=r"2001-09-09 01:46 UTC is over; give a moment to come, or: now"):
        resources.operations.set_wave(request, "first", starts_at=1_000_000_000)
    resources.operations.set_wave(request, "first", starts_at=32_503_680_000)
    assert resources.store.waves(request.import_id)[0].starts_at == 32_503_680_000
    resources.operations.set_wave(request, "first", starts_at=0)
