"""What codes are called on the page, in English: the msgids of what is not written in a template. A test holds that each has a
translation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

#: Step of a connection (`producer.intake.knock`).
STEPS: Final[Mapping[str, str]] = {
    "name": "Name",
    "tcp": "Connection (TCP)",
    "tls": "Encryption (TLS)",
    "greeting": "Greeting",
    "capabilities": "Capabilities",
    "sign_in": "Signing in",
}
#: Column of the manifest.
FIELDS: Final[Mapping[str, str]] = {
    "login": "Login",
    "password": "Password",
    "new_login": "Owner (login at the destination)",
    "new_password": "Owner's password",
    "first_name": "First name",
    "last_name": "Last name",
    "quota": "Quota",
}
#: What stands in the audit log about an import.
EVENTS: Final[Mapping[str, str]] = {
    "import opened": "opened",
    "import started": "started",
    "import pause": "paused",
    "import run": "resumed",
    "import cancel": "cancelled",
    "import retried": "tried again",
    "import verified": "begun again, to bring what is new",
    "import check": "accounts checked",
    "import plan": "rehearsed",
    "mailboxes added": "mailboxes added",
    "credentials replaced": "new passwords given",
    "credentials deleted": "passwords deleted",
}
#: State of a mailbox, an import or a rehearsal.
STATES: Final[tuple[str, ...]] = (
    "opening", "running", "finished", "queued", "planning", "copying", "verifying", "complete", "parked", "cancelled",
    "incomplete", "paused", "cancelling", "done", "failed", "lost",
)  # fmt: skip
#: What a note on a single message says.
NOTES: Final[tuple[str, ...]] = (
    "copied", "already_present", "skipped", "refused", "vanished", "failed", "altered", "keywords_lost", "missing",
    "date_clamped",
)  # fmt: skip
#: What may ask to be left alone.
SCOPES: Final[Mapping[str, str]] = {
    "source_account": "account at the source",
    "source_host": "source",
    "destination_account": "account at the destination",
    "destination_host": "destination",
}
#: Labels of buttons, and separators.
LABELS: Final[tuple[str, ...]] = (
    "Start", "Cancel", "Pause", "Resume", "Retry", "Bring what is new", "comma", "semicolon", "tab", "bytes", "kB", "MB",
    "GB", "TB", "s", "min", "h", "days",
)  # fmt: skip
