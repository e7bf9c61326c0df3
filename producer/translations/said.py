"""English labels of codes that the page shows: the msgids of what is not written in a template.

A test holds that each has a translation. Sentences made by other modules are in `*.sentences.po` alone; a test finds
them in the sources.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from shared.model.sides import Scope

#: Step of a connection test (`producer.intake.connection_test`) → its label.
STEPS: Final[Mapping[str, str]] = {
    "name": "Name of the server",
    "tcp": "Connection (TCP)",
    "tls": "Encryption (TLS)",
    "greeting": "Greeting",
    "capabilities": "Capabilities",
    "sign_in": "Signing in",
}
#: Column of the manifest → its label.
FIELDS: Final[Mapping[str, str]] = {
    "login": "Login",
    "password": "Password",
    "new_login": "Owner (login at the destination)",
    "new_password": "Owner's password",
    "first_name": "First name",
    "last_name": "Last name",
    "server": "Server of its own at the source",
    "quota": "Quota",
    "wave": "Wave",
    "priority": "Priority",
    "group": "Group",
}
#: Subject of a sentence, as it stands before the colon → its label on the page.
HEADS: Final[Mapping[str, str]] = {
    "source": "source",
    "destination": "destination",
    "source-fingerprint": "source, fingerprint",
    "destination-fingerprint": "destination, fingerprint",
    "since": "From this date on",
    "before": "Before this date",
    "larger": "Larger than",
    "smaller": "Smaller than",
    "unseen": "Only unread",
    "flagged": "Only flagged",
    "into": "Put everything below this folder",
    "gmail-labels": "Gmail's labels",
    "moves": "What was moved at the source since the last pass",
    "deletions": "What was deleted at the source since the last pass",
    "deletions-cap": "The most that a pass removes from a mailbox",
    "skip-special": "What to import",
    "shared-folders": "Also folders of other people and public folders",
    "folder-map": "Folders",
    "name": "Name of the import",
    "wave": "wave",
    "accounts": "Accounts that are not there",
    "URL": "Its address",
    "secret-file": "Its secret",
    "weight": "Weight",
    "order": "Order",
    "priority": "Priority",
    "least": "At the shortest after",
    "most": "At the longest after",
    "synced-minutes": "In sync: at most so many minutes behind",
    "ttl": "Longest TTL of MX and SPF, seconds",
    "quiet-hours": "Quiet hours before it is closed",
}
#: Messages of the system about a file or a connection (errno, getaddrinfo, OpenSSL).
SYSTEM: Final[tuple[str, ...]] = (
    "Connection refused",
    "Connection reset by peer",
    "Connection timed out",
    "Broken pipe",
    "No route to host",
    "Network is unreachable",
    "Host is unreachable",
    "timed out",
    "The read operation timed out",
    "_ssl.c: The handshake operation timed out",
    "Name or service not known",
    "No address associated with hostname",
    "Temporary failure in name resolution",
    "Permission denied",
    "No such file or directory",
    "UNEXPECTED_EOF_WHILE_READING",
    "UNSUPPORTED_PROTOCOL",
    "WRONG_VERSION_NUMBER",
    "Not Found",
    "Method Not Allowed",
)
#: Word of a route or a button of an import → the event of the audit log that it makes.
ACTS: Final[Mapping[str, str]] = {
    "archive": "import archived",
    "unarchive": "import taken back",
    "pause": "import pause",
    "resume": "import run",
    "cancel": "import cancel",
    "start": "import started",
    "retry": "import retried",
    "verify": "verification queued",
    "check": "import check",
    "plan": "import plan",
    "credentials": "credentials replaced",
    "passwords": "credentials replaced",
    "forget": "credentials deleted",
    "edit": "import edited",
    "close": "import closed",
    "erase": "erasure done",
    "forecast": "forecast made",
    "window": "hours set",
    "cutovers": "cutover begun",
    "announce": "cutover announce",
    "switch": "cutover switch",
    "rollback": "cutover rollback",
    "spool": "refused messages kept",
}
#: Event of the audit log about an import → its label.
EVENTS: Final[Mapping[str, str]] = {
    "import opened": "opened",
    "import begun": "begun",
    "import begun again": "begun again",
    "import started": "started",
    "import pause": "paused",
    "import run": "resumed",
    "import cancel": "cancelled",
    "import retried": "tried again",
    "verification asked for": "verification asked for",
    "verification queued": "verification queued",
    "verification done": "verification done",
    "act refused": "asked for, and refused",
    "act changed nothing": "it changed nothing",
    "import check": "accounts checked",
    "import plan": "rehearsed",
    "forecast made": "forecast made",
    "hours set": "hours set",
    "wave set": "wave set",
    "mailbox moved": "mailbox moved",
    "cutover begun": "cutover begun",
    "cutover announce": "cutover announced",
    "cutover switch": "cutover: switched",
    "cutover rollback": "cutover rolled back",
    "cutover close": "cutover closed",
    "cutover give up": "cutover given up",
    "mailboxes added": "mailboxes added",
    "credentials replaced": "new passwords given",
    "credentials deleted": "passwords deleted",
    "import archived": "put into the archive",
    "import taken back": "taken back from the archive",
    "import edited": "edited before its start",
    "import closed": "closed: the ledger and the report are gone",
    "erasure begun": "erasure begun",
    "erasure done": "erased",
    "refused messages kept": "refused messages kept as files",
    "connection tested": "connection tested",
    "keys rotated": "keys rotated",
    "limit set": "limit set",
    "link made": "link made",
    "notices dropped": "notices dropped",
    "notices retried": "notices tried again",
    "place allowed": "server allowed",
    "place refused": "server no longer allowed",
    "sessions ended": "signed out by an administrator",
    "sign-in refused": "sign-in refused",
    "signed in": "signed in",
    "standing set": "looks by itself set",
    "account service set": "service that makes accounts set up",
    "account service removed": "service that makes accounts removed",
    "account service tried": "service that makes accounts tried",
    "target set": "told from now on",
    "target removed": "told no more",
    "target tried": "test message sent",
    "token made": "token made",
    "token revoked": "token revoked",
    "user removed": "user removed",
    "user set": "user set",
}
#: Detail of an event that the audit log shows → its label.
DETAILS: Final[Mapping[str, str]] = {
    "login": "login",
    "name": "name",
    "role": "role",
    "wave": "wave",
    "server": "server",
    "service": "service",
    "place": "server",
    "act": "act",
    "why": "why",
    "scope": "limit",
    "most": "at most",
    "how": "by",
    "mailboxes": "mailboxes",
    "in_this_hour": "in this hour",
}
#: Way in which somebody signed in, or tried to → its label.
WAYS_IN: Final[Mapping[str, str]] = {
    "token": "a token",
    "password": "name and password",
    "link": "the link of this machine",
    "oidc": "the identity provider",
}
#: State of a cutover → its label.
CUTOVERS: Final[dict[str, str]] = {
    "drafted": "drafted",
    "checked": "checked",
    "staging": "staging",
    "synced": "in sync",
    "announced": "announced",
    "switched": "being switched",
    "draining": "draining",
    "closed": "closed",
    "rolled_back": "rolled back",
}
#: Event that a person sends to a cutover → the label of its button.
CUTOVER_ACTS: Final[Mapping[str, str]] = {
    "announce": "Announced",
    "switch": "Switch",
    "rollback": "Roll back",
    "close": "Close the cutover",
    "give_up": "Give it up",
}
#: Guard of a cutover → its label.
GUARDS: Final[Mapping[str, str]] = {
    "copied": "Copied",
    "synced": "In sync",
    "switch": "The switch",
    "ttl": "MX and SPF",
    "turned": "Turned",
    "quiet": "Quiet",
    "empty": "Empty looks",
}
#: Option of an account service → its label.
SERVICE_OPTIONS: Final[Mapping[str, str]] = {
    "settle": "Seconds that a new account may refuse its password",
    "department": "Department of new accounts, a number",
    "unit": "Organisational unit of new accounts",
    "sku": "Licence that gives a mailbox (sku)",
    "location": "Country of new accounts, two letters",
}
#: States of a mailbox, an import or a rehearsal.
STATES: Final[tuple[str, ...]] = (
    "running",
    "finished",
    "queued",
    "planning",
    "copying",
    "verifying",
    "complete",
    "cancelled",
    "interrupted",
    "incomplete",
    "paused",
    "waiting",
    "cancelling",
    "done",
    "failed",
    "lost",
)
#: State whose label on the page is another than its word → the label.
ON_PAGE: Final[dict[str, str]] = {"opening": "ready to start", "parked": "needs you"}
#: Code of a note on a single message → its label.
NOTES: Final[Mapping[str, str]] = {
    "copied": "copied",
    "already_present": "already there",
    "skipped": "left out",
    "refused": "refused",
    "vanished": "vanished",
    "failed": "failed",
    "altered": "not what was copied",
    "normalised": "line endings or date normalised",
    "watched": "to be read back",
    "keywords_lost": "flags or keywords lost",
    "resized": "sent in another size than announced",
    "missing": "missing",
    "moved": "moved by its user",
    "removed": "removed by its user",
    "deleted_at_source": "deleted at the source",
    "moved_at_source": "moved at the source",
    "date_clamped": "date moved to the nearest that the destination keeps",
    "date_unusable": "no usable date",
    "odd": "oddity",
    "undone": "second copy removed",
    "doubled": "perhaps twice at the destination",
}
#: Scope of a hold (the account or host that asked for it) → its label.
SCOPES: Final[Mapping[str, str]] = {
    Scope.SOURCE_ACCOUNT: "account at the source",
    Scope.SOURCE_HOST: "source",
    Scope.DESTINATION_ACCOUNT: "account at the destination",
    Scope.DESTINATION_HOST: "destination",
}
#: Role → its label.
ROLES: Final[Mapping[str, str]] = {
    "viewer": "viewer: looks",
    "operator": "operator: moves mail",
    "admin": "administrator: everything",
}
#: Scope of a limit, or kind of a rate → its label.
LIMITS: Final[Mapping[str, str]] = {
    Scope.SOURCE_ACCOUNT: "each account at the source",
    Scope.SOURCE_HOST: "each source server",
    Scope.DESTINATION_ACCOUNT: "each account at the destination",
    Scope.DESTINATION_HOST: "each destination server",
    "bytes_per_second": "bytes a second",
    "messages_per_second": "messages a second",
    "bytes_per_day": "bytes a day",
}
#: Scope of a limit that is of one account or server alone → its label.
LIMITS_OF_ONE: Final[Mapping[str, str]] = {
    Scope.SOURCE_ACCOUNT: "one account at the source",
    Scope.SOURCE_HOST: "one source server",
    Scope.DESTINATION_ACCOUNT: "one account at the destination",
    Scope.DESTINATION_HOST: "one destination server",
}
#: Way by which somebody is told (`shared.store.records.targets.WAYS`) → its label.
WAYS_TO_TELL: Final[Mapping[str, str]] = {
    "email": "e-mail",
    "webhook": "a webhook of your own",
    "slack": "Slack",
    "teams": "Microsoft Teams",
}
#: Labels of buttons, and separators.
LABELS: Final[tuple[str, ...]] = (
    "Start",
    "Cancel",
    "Pause",
    "Resume",
    "Go on",
    "Retry",
    "Sync again",
    "comma",
    "semicolon",
    "tab",
    "bytes",
    "kB",
    "MB",
    "GB",
    "TB",
    "s",
    "min",
    "h",
    "days",
    "just now",
    "command line",
)
#: Code of a failure (`worker.decisions.failures`, `producer.operations.trouble`) → what happened. For a code that is
#: missing here, the stored sentence is shown, which names the folder or host.
CAUSES: Final[Mapping[str, str]] = {
    "source_auth_refused": "Authentication failed at the source.",
    "destination_auth_refused": "Authentication failed at the destination.",
    "source_logins_stopped": "These logins are not tried: the source has refused every login so far.",
    "destination_logins_stopped": "These logins are not tried: the destination has refused every login so far.",
    "credentials_missing": "The passwords are no longer stored.",
    "source_throttled": "The source asked to wait.",
    "destination_throttled": "The destination asked to wait.",
    "source_connection_lost": "The connection to the source broke.",
    "destination_connection_lost": "The connection to the destination broke.",
    "source_unreachable": "The source cannot be reached.",
    "destination_unreachable": "The destination cannot be reached.",
    "destination_over_quota": "The mailbox at the destination is full.",
    "destination_takes_nothing": "The destination takes no message any more: its disk may be full.",
    "destination_foreign_writer": "Somebody else brings the same mail into this mailbox.",
    "perhaps_swapped": "The source is empty and the destination is not: it is looked whether that is so of all.",
    "return_in_doubt": "Its copy back stopped before it knew which of its messages stand at the source.",
    "nothing_known": "What was there before the switch is no longer known.",
    "account_waiting": "The account at the destination is being made.",
    "account_rejected": "The account at the destination could not be made.",
    "failed": "Messages could not be copied after all attempts.",
    "refused": "The destination does not take these messages.",
    "missing": "Messages were copied, and the destination no longer shows them.",
    "moved": "Users moved these messages at the destination (harmless).",
    "removed": "Users removed these messages at the destination. They are not copied again (harmless).",
    "moved_at_source": "Messages were moved at the source. Their copies were moved with them (harmless).",
    "deleted_at_source": "Messages were deleted at the source after they were copied (harmless).",
    "altered": "Messages at the destination are not what was copied.",
    "normalised": "The destination normalised line endings or dates of messages (harmless).",
    "doubled": "Messages may stand twice at the destination. Both copies were left.",
    "undone": "A second copy of ours was removed at the destination.",
    "dates_changed": "Messages have another date, since the source's cannot be used or kept (harmless).",
    "keywords_lost": "The destination did not keep all flags or keywords of these messages.",
    "resized": "The source sent more or fewer bytes of messages than it announced.",
    "unreadable_folder": "These folders cannot be read at the source.",
    "withheld": "The source counts messages that it does not show.",
}
#: Code of a failure → what to do about it on the page.
ADVICE: Final[Mapping[str, str]] = {
    "source_auth_refused": "Give the right password: for one mailbox or for all of them at once. Each is tried once "
    "and never again by itself. Some providers need an app password.",
    "destination_auth_refused": "Give the right password of the owner: for one mailbox or for all of them at once. Each is tried "
    "once and never again by itself.",
    "source_logins_stopped": "Check whether the wrong column was taken, or the server wants another form of the login "
    "(name or address). Then give the right passwords, or retry. As soon as one login is accepted, all go on.",
    "destination_logins_stopped": "Check whether the wrong column was taken, or the server wants another form of the login "
    "(name or address). Then give the right passwords, or retry. As soon as one login is accepted, all go on.",
    "credentials_missing": "Give the passwords again.",
    "source_throttled": "Nothing: it goes on by itself.",
    "destination_throttled": "Nothing: it goes on by itself.",
    "source_connection_lost": "Nothing: it is tried again by itself.",
    "destination_connection_lost": "Nothing: it is tried again by itself.",
    "source_unreachable": "Check the server and the firewall; it is tried again by itself.",
    "destination_unreachable": "Check the server and the firewall; it is tried again by itself.",
    "destination_takes_nothing": "See what the server says, and make room: it goes on by itself then, or at once when you try "
    "again.",
    "destination_over_quota": "Give the mailbox more room: it goes on by itself then, or at once when you try again.",
    "destination_foreign_writer": "Stop whatever else writes there, or let it end, then try again. What it brought is not "
    "copied again.",
    "perhaps_swapped": "Nothing: it goes on by itself.",
    "same_mailbox": "Check both servers and the logins. Where it is meant, make the import anew and say so.",
    "return_in_doubt": "Try the mailbox again in the import that brings mail back: this one goes on by itself then.",
    "nothing_known": "Bring back what came since the switch by an import of its own, of mail since then.",
    "account_waiting": "Nothing: it goes on by itself.",
    "failed": "See failures.csv of the report, then try again.",
    "refused": "See failures.csv of the report; when the limit of the destination is changed, try again.",
    "missing": "The server lost them, or somebody removed them before they were verified. "
    "Say that they were removed on purpose, or have them copied again.",
    "altered": "failures.csv of the report names each, and what differs; the originals are still at the source.",
    "normalised": "Nothing; notes.csv of the report names each.",
    "moved": "Nothing; notes.csv of the report names each, and where it is now.",
    "removed": "Nothing; notes.csv of the report names each.",
    "deleted_at_source": "Nothing; notes.csv of the report names each, and says whether its copy stays.",
    "moved_at_source": "Nothing; notes.csv of the report names each.",
    "doubled": "A person or another program may have put the second copy there; notes.csv of the report names both.",
    "undone": "Nothing; each message stands there once.",
    "dates_changed": "Nothing; notes.csv of the report names each.",
    "keywords_lost": "The messages themselves are there; notes.csv of the report says of each what it lacks.",
    "resized": "Where the source sent fewer bytes, see there whether the message is whole; notes.csv of the report names each.",
    "unreadable_folder": "See what the server says; when it is mended, try again.",
    "withheld": "Ask the operator of the source for the limit on what it shows, and have it lifted; then begin again.",
}
