"""The objects that every route needs: the store, the key, the job queue, the audit log and what may be reached."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from time import monotonic
from typing import Final

import redis
from fastapi import Request

from producer.coordinator.pace import Sample, Window, may_move
from producer.coordinator.tally import Progress
from producer.intake.account_options import AccountsAsked
from producer.notices.notifier import Notifier, notifier_of
from producer.operations.finding import progress_of
from producer.operations.operations import Operations
from producer.operations.outages import waits_of
from producer.operations.resources import Ring
from producer.web.problems import Refused
from producer.web.security.roles import Roles
from producer.web.security.turns import RequestsAtWork
from shared.model import Import, Mailbox, Tally
from shared.model.lifecycle import MailboxState
from shared.runtime.config import Settings
from shared.runtime.credentials import Vault
from shared.runtime.processes import process_name
from shared.sign_in.allowed_places import AllowedPlaces
from shared.sign_in.reach import Reach
from shared.store import Store
from shared.store.records.named_services import NamedServices
from shared.store.records.page_state import PageState
from shared.store.records.principals import Principals
from shared.store.records.sessions import BrowserSessions
from shared.store.records.targets import Targets
from shared.store.records.web_records import WebRecords
from shared.wording.phrases import Phrase

THERE_IS_NO_IMPORT_WITH_THIS_ID: Final = Phrase("there_is_no_import_with_this_id", "there is no import with this id")
IMPORT_HAS_NO_MAILBOX_WITH_THIS_ID: Final = Phrase(
    "import_has_no_mailbox_with_this_id", "the import has no mailbox with this id"
)


@dataclass(kw_only=True)
class WebContext:
    """The shared objects of one process."""

    #: The settings.
    settings: Settings
    #: The store of imports.
    store: Store
    #: The vault, which seals passwords.
    vault: Vault
    #: Enqueues a job for the workers.
    ring: Ring
    #: The audit log and the rehearsals.
    records: WebRecords
    #: The connection to the state database, for what reads all its keys.
    client: redis.Redis
    #: Tokens and users.
    principals: Principals
    #: Sessions of browsers that are signed in.
    sessions: BrowserSessions
    #: The targets that are told without looking.
    targets: Targets
    #: Account services that administrators set up.
    services: NamedServices
    #: Drafts of forms, what was done to imports, and samples of their throughput.
    page_state: PageState
    #: Mail servers that may be connected to.
    reach: Reach
    #: Places that administrators allowed.
    places: AllowedPlaces
    #: Roles of people whom a proxy or an identity provider authenticates.
    roles: Roles
    #: Account services of the settings, by name.
    makers: Mapping[str, AccountsAsked] = field(default_factory=dict)
    #: Connection limits and rates that the operator set for all servers, by scope.
    own_limits: dict[str, int] = field(default_factory=dict)
    #: A monotonic clock.
    clock: Callable[[], float] = monotonic
    #: The requests that are at work in this process.
    at_work: RequestsAtWork = field(default_factory=RequestsAtWork)
    _windows: dict[str, Window] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def operations(self) -> Operations:
        """The operations on this store."""
        return Operations(self)

    def import_(self, import_id: str) -> Import:
        """Returns the import. Raises `Refused` (404)."""
        found = self.store.import_(import_id)
        if found is None:
            raise Refused(404, THERE_IS_NO_IMPORT_WITH_THIS_ID.says())
        return found

    def mailbox(self, import_id: str, mailbox_id: str) -> tuple[Mailbox, Tally]:
        """Returns the mailbox with the sum of its folders' tallies. Raises `Refused` (404)."""
        import_ = self.import_(import_id)
        found = self.store.mailbox(mailbox_id)
        if found is None or found.import_id != import_.import_id:
            raise Refused(404, IMPORT_HAS_NO_MAILBOX_WITH_THIS_ID.says())
        return found, Tally.total(tally for _, tally in self.store.folders(mailbox_id))

    def notifier(self) -> Notifier:
        """Returns the notifier of this process."""
        return notifier_of(self.settings, self.store, self.targets, process_name(), rest=self.at_work.rest)

    def progress(self, import_id: str) -> Progress:
        """Returns the progress, with a rate and an estimate from the last minute of samples, whoever asked for them."""
        import_ = self.import_(import_id)
        counts, mailboxes = self.store.import_tally(import_id)
        sample = Sample(
            at=self.clock(),
            messages=sum(counts.outcomes.values()) + counts.compared,
            size_bytes=counts.done_bytes,
            mailboxes=mailboxes.get(MailboxState.COMPLETE, 0),
        )
        waits = waits_of(self.store, import_)
        with self._lock:
            before = self._windows.get(import_id, Window())
            window = before.with_sample(sample, moving=may_move(import_, waits, before, sample.at))
            self._windows[import_id] = window
        return progress_of(self.store, import_, window)


def web_context(request: Request) -> WebContext:
    """Returns the `WebContext` of this process."""
    found: WebContext = request.app.state.web_context
    return found
