"""Every Redis key of the state database, spelled once. LAYOUT_VERSION is part of each; change it with the layout.

| key (after the prefix)            | type | holds |
|-----------------------------------|------|-------|
| edits                             | HASH | import → token of a change that was decided and is not wholly made yet |
| edit:T                            | LIST | the calls of the change T that are left, "number call" (`redis_at_once`); |
|                                   |      | expires while it is only being written down |
| on_disk                           | STRING | written and waited for: what was acknowledged before is on the disk then |
| imports                           | ZSET | import id, scored by when it was opened (ms) |
| import:I                          | HASH | request, state, control, times, passes, retention; counters; |
|                                   |      | window, opens_at, shuts_at: the hours in which it may work, where there are any; |
|                                   |      | fresh: the next `submit` begins a pass; looks, looks_found: those that ended; |
|                                   |      | by_trouble: its mailboxes are kept by their trouble with messages; |
|                                   |      | sweep: what its mailboxes have yet to follow, "word:how many did:wave" |
| import:I:mailboxes                | ZSET | mailbox id, scored by its row in the manifest |
| import:I:in:S                     | ZSET | mailboxes in the state S, scored by row |
| import:I:code:C                   | ZSET | mailboxes with the failure code C, or with trouble C with messages, scored by row |
| import:I:codes                    | HASH | failure code → mailboxes |
| import:I:found:H                  | ZSET | "row" (10 digits) and mailbox id of what fits the search with the digest H, in its |
|                                   |      | order, for five seconds; only where it is much |
| import:I:found:H:at               | STRING | up to which row it was looked for, or all; expires |
| import:I:ranked_source, :ranked_destination | ZSET | mailboxes by rank among that side's logins; made at the first such query |
| import:I:names                    | STRING | "login\\0other login\\0mailbox id\\n" of each, in lower case; made with the ranks |
| import:I:sorting_source, :sorting_destination | ZSET | names that were read for the ranks, while these are made |
| import:I:sorting_trouble          | STRING | how many were entered by their trouble, while these are |
| import:I:credentials              | HASH | "mailbox:side" → sealed credentials; expires a while after the end |
| import:I:waves                    | ZSET | names of its waves, in the order of their appearance |
| import:I:wave:W                   | HASH | control, starts_at (ms), weight, order; pass: how much it was served; |
|                                   |      | window, opens_at, shuts_at; s:<mailbox state> |
| import:I:of:W                     | ZSET | mailboxes of the wave W, scored by row |
| import:I:forecasts                | HASH | "made:<ms>" → forecast, JSON; "end:<pass>:<wave>" → when that was, s |
| import:I:tokens                   | HASH | name → "until:sealed token"; name# → its fetch, "until:holder" (ms) |
| import:I:brake                    | HASH | "side:own server" → in (let an account in), loose (no refusal, but trouble); and with |
|                                   |      | "\\0account" behind it: r (refused), or until when it is tried (ms) |
| import:I:cutovers                 | HASH | wave → the row of its cutover, signed (`shared.store.records.cutovers`) |
| import:I:cutover:W                | HASH | mailbox → what that cutover knows of it, JSON; "#…": what it knows of all |
| import:I:standing                 | HASH | wave, or "" for the import → "least:most:switch" (`Standing`, ms), |
|                                   |      | or off: a wave that stays out of it |
| import:I:looks                    | ZSET | complete mailboxes that stand, scored by when they are looked at next (ms) |
| import:I:looking                  | ZSET | mailboxes whose look is due or at work, scored by since when (ms) |
| import:I:behind                   | ZSET | mailboxes that wait for their destination mailbox, scored by row |
| import:I:again                    | ZSET | its part of again |
| import:I:settling                 | ZSET | mailboxes that wait for mail that may still arrive, scored by until when, ms |
| destination:K                     | ZSET | every mailbox with this destination (`account_key`), scored 0 |
| destinations                      | HASH | destination → the mailbox that has it: from its claim until it writes no more |
| parting                           | ZSET | destination of a settled mailbox that may have messages on the way, until (ms) |
| mailbox:M                         | HASH | import, row, logins, source (if its own), route, scopes, state, control, failure;
|                                   |      | profile, account, account_at; account_turn: when it may ask the service, ms;
|                                   |      | again_at: when a parked one is tried again by itself, ms; counters;
|                                   |      | other_folders, public_folders: left out by the last plan; |
|                                   |      | more_lanes: what its folders have of writers above one each;                |
|                                   |      | wave, priority, group; stands: the place in which it is queued; moved_at, ms |
|                                   |      | destination_key, source_key (`account_key`); behind: who has the destination |
|                                   |      | compared: messages read back on both sides in this pass; of an import their sum |
|                                   |      | over_at: since when it makes progress after `failure`, ms |
|                                   |      | planned_at, synced_at, looked_at, mail_at, look_at: see `Mailbox`, ms; |
|                                   |      | looking: since when its look is due, look_again: when one that failed is |
|                                   |      | tried again, ms; seen: its messages when a pass |
|                                   |      | last ended; unplanned: `Mailbox.unplanned`; after_look: its pass follows a look |
| mailbox:M:folders                 | ZSET | folder id, scored by order |
| mailbox:M:open                    | SET  | units that are not finished |
| mailbox:M:ready                   | ZSET | units that may be claimed, scored by order |
| mailbox:M:failures                | LIST | the last 50 failures, JSON, newest first |
| mailbox:M:marks                   | STRING | packed: the numbers of its destination folders just before it was switched |
| mailbox:M:maildrop                | HASH | POP3: generation; identities, 8 bytes each, in the order of their numbers |
| mailbox:M:maildrop:said           | STRING | what was read of each of them, 8 bytes each, in the same order |
| mailbox:M:shared                  | SET  | every B that there is; until the mailbox is verified, or it expires |
| mailbox:M:shared:B                | HASH | Gmail: low bits of X-GM-MSGID of a message in several folders (B: high bits) → "s" and
|                                   |      | where a copy stands at the destination, or "r<unit>:since" (s); expires |
| folder:F                          | HASH | names, the snapshot's numbers, verified, head, writers, alone, plan; counters; |
|                                   |      | rests: until when its batches wait for a plan that voids it (ms);           |
|                                   |      | taken_away: source UIDs whose copies went with a folder that its user removed; |
|                                   |      | moving: copies that are about to be moved into other folders, JSON |
| folder:F:waiting                  | LIST | batches behind the folder's heads |
| folder:F:ledger                   | HASH | batch → its records, text or packed; "batch#" → sum of marks, and "!" once checked |
| folder:F:taken                    | ZSET | "low:high" of destination UIDs in the ledger, merged, scored by low |
| folder:F:notes                    | HASH | "uid:what" → note, JSON |
| folder:F:flags                    | STRING | packed flags as last carried over; only without CONDSTORE |
| folder:F:skipped                  | STRING | packed: reason → source UIDs that the request left out, as ranges |
| unit:U                            | HASH | what it is, messages, done, state, attempts, term, holder, used, others;  |
|                                   |      | began: what was done when it was claimed; ended: when the last lease ended  |
|                                   |      | that left an intent (ms); lane_of: line of `lanes_of` that counts its lease |
| unit:U:intents                    | HASH | intent id → intent, JSON |
| ready:L\\0Q                        | ZSET | mailboxes that may be served, by how much they were served. L: line, |
|                                   |      | "import:wave"; Q: queue, "tier:route"; both are a place |
| lines                             | ZSET | lines in which a mailbox stands, by how much they were served, over their weight |
| orders                            | HASH | line → the order of its wave, where that is not 0 |
| starting                          | ZSET | line of a wave that has not begun, or with "\\0hours" behind it waits for its hours; |
|                                   |      | scored by when they begin (ms) |
| standing                          | SET  | import of which anything stands |
| ready:\\0looks\\0R                 | ZSET | mailboxes of route R whose look is due and that may be served, scored by since |
|                                   |      | when; of one that failed by when it was to be tried again (ms) |
| routes:\\0looks                    | ZSET | those routes, scored by the first of each (ms) |
| looks                             | HASH | looker: the lane that was given a look last; late_at: when another may go |
|                                   |      | before other work (ms); begun: the import whose looks were begun last |
| urgent                            | ZSET | mailbox that was moved and waits for a lane, scored by when one gives way (ms) |
| lanes_of                          | HASH | "import:wave" → number of leases |
| starving                          | HASH | import with fewer lanes than its share → "at:lanes": when another import's lane |
|                                   |      | gives way (ms), how many it had when one last did, or -1 |
| ready_units                       | STRING | units that stand ready in those; the field ready of each mailbox is its share |
| routes:L                          | ZSET | every queue of the line, by how much it was served |
| served:L                          | HASH | queue → where the mailbox chosen last stood; "" → the same of queues; "#" → mailboxes |
|                                   |      | that stand in it |
| served                            | HASH | "lines" → where the line chosen last stood |
| routes, ready:R                   | ZSET | the same of a version without waves: what stands there is queued anew |
| delayed                           | ZSET | unit, scored by when it is due (ms) |
| again                             | ZSET | parked mailbox that goes on by itself, scored by when it is tried again (ms) |
| leases                            | ZSET | unit, scored by when its lease expires (ms) |
| holders                           | HASH | lane → the one unit that it holds |
| permits:scope:key                 | ZSET | lane that holds a connection, scored by when that expires (ms) |
| lanes                             | ZSET | "scope:key" of which lanes told something, scored by when last (ms) |
| lanes:scope:key                   | HASH | work, answers, append_ms, refused: sums over all workers, which grew at told_at |
|                                   |      | (ms); how many lanes are let in there (`LaneSearch`, ms); heard; expires an hour |
|                                   |      | after that |
| beat:W                            | STRING | the last beat of worker W whose measurements were added; expires |
| holds                             | ZSET | "scope:key" that a server asked to leave alone, until (ms) |
| look_holds                        | ZSET | host of a source whose looks a server asked to leave alone, until (ms) |
| whys                              | HASH | "scope:key" on hold → "import id:what the server said" |
| sweeping                          | ZSET | import whose mailboxes have yet to follow, scored by since when (ms) |
| opening                           | ZSET | import that waits for its hours, scored by when they begin (ms) |
| limits                            | HASH | "scope" or "scope:key" → most connections; "usual:scope:server" → a preset's |
| rates                             | HASH | the same of rates: "scope.rate", "scope.rate:key", "usual:scope.rate:server" |
| owing                             | ZSET | "scope:key" that owes more than a lane waits for, until (ms), for people |
| meter:scope.rate:key              | STRING | "level:at" (ms): what was moved; expires when nothing is owed |
| accounts:service                  | HASH | next: the first free turn at this account service; until: not asked before (ms) |
| workers                           | ZSET | worker process, scored by its last heartbeat (ms) |
| leader                            | HASH | holder and term of the coordinator that leads, until (ms) |
| sender                            | HASH | holder and term of the process that sends notices, until (ms) |
| terms                             | STRING | the last term given out |
| restarted                         | HASH | term: the last one when the server started; at: when that was noticed (ms); |
|                                   |      | run_id, master_replid: which server that was (INFO) |
| told:G                            | STRING | G: digest of what was told; until when it is not told again (ms); expires then |
| marks:G                           | STRING | G: digest of a mark; how high it was when something was told under it; expires |
| notices                           | HASH | notice id → notice, JSON, until it is spread to the targets |
| notices:at                        | ZSET | notice id, scored by when it was told (ms) |
| delivery:D                        | HASH | notice, target, attempts, first_at (ms), why |
| outbox                            | ZSET | delivery, scored by when it is tried next (ms) |
| undelivered                       | ZSET | delivery that was given up, scored by when (ms); the last 200 |
| desk:targets                      | HASH | target id → who is told what, how, JSON (`shared.store.records.targets`) |
| desk:services                     | HASH | name → an account service, JSON (`shared.store.records.named_services`) |
| desk:tokens                       | HASH | token id → name, role, hash of the token, JSON (`shared.store.records.principals`) |
| desk:audit:M                      | LIST | acts of people in month M (202612), JSON; only added to; nothing else under desk:a |
| desk:audit                        | STREAM | the same, as written by versions before 0.2.0; read and never written |
| desk:guesses:N                    | STRING | refused sign-ins in the hour N since the epoch; expires |
| desk:once:K                       | STRING | a request that may be repeated: its digest, its answer; expires |
| desk:rehearsals:I                 | HASH | rehearsal → its kind, and when it began; expires |
| desk:rehearsal:R                  | STRING | a check or plan that the API runs, JSON; expires |
| desk:rehearsal:R:boxes            | LIST | what it found, a mailbox each, those with trouble first; JSON; expires |
| desk:users                        | HASH | user name → role, hash, since when, JSON (`shared.store.records.principals`) |
| desk:session:H                    | STRING | SHA-256 of a browser's session → principal, until when, JSON; expires when idle |
| desk:sessions                     | ZSET | SHA-256 of a browser's session, scored by when its time is over (s) |
| desk:draft:D                      | STRING | mailboxes for an import that is being filled in on the page, sealed; expires |
| desk:forms:P                      | ZSET   | ids of the forms that a person is filling in, by the time they were kept; expires |
| desk:link:H                       | STRING | SHA-256 of a sign-in link that works once → principal, JSON; expires |
| desk:events:I                     | STREAM | what was done to this import, the last 500; expires a month after the last |
| desk:samples:I                    | STRING | samples of the import's progress, JSON; expires a month after the last |
| desk:sampled:I                    | STRING | a process has just written a sample; expires |
| desk:reach                        | HASH | place that may be connected to → who allowed it and when, signed; workers read it |
| desk:way:H                        | STRING | SHA-256 of a number that came back from the identity provider; expires |
| desk:tries:H                      | STRING | wrong guesses from an address, or at a name, lately; expires |

An import and a mailbox also hold login:source and login:destination, what is known of the shared and of the own login:
"digest:state:refusals:until:holder:words", as in `_logins.lua`.

Counters: messages, size_bytes, done_bytes, o:<outcome>, withheld, unreadable, altered, normalised, dates_changed, watched,
keywords_lost, resized, missing, moved, removed, deleted_at_source, moved_at_source,
doubled, undone; of an import also mailboxes and s:<mailbox state>.
Times are milliseconds by the server's clock.
"""

from __future__ import annotations

from typing import Final

LAYOUT_VERSION: Final = 1
PREFIX: Final = f"mailhaul:{LAYOUT_VERSION}:"

IMPORTS: Final = f"{PREFIX}imports"
EDITS: Final = f"{PREFIX}edits"
ON_DISK: Final = f"{PREFIX}on_disk"
DELAYED: Final = f"{PREFIX}delayed"
LEASES: Final = f"{PREFIX}leases"
PROBE: Final = f"{PREFIX}probe"
LIMITS: Final = f"{PREFIX}limits"
RATES: Final = f"{PREFIX}rates"
#: The prefix of a scope where a preset's limit is meant.
USUAL: Final = "usual:"
HOLDERS: Final = f"{PREFIX}holders"
HOLDS: Final = f"{PREFIX}holds"
WORKERS: Final = f"{PREFIX}workers"
LEADER: Final = f"{PREFIX}leader"
SENDER: Final = f"{PREFIX}sender"
NOTICES: Final = f"{PREFIX}notices"
NOTICES_AT: Final = f"{PREFIX}notices:at"
OUTBOX: Final = f"{PREFIX}outbox"
UNDELIVERED: Final = f"{PREFIX}undelivered"
LINES: Final = f"{PREFIX}lines"
ORDERS: Final = f"{PREFIX}orders"
URGENT: Final = f"{PREFIX}urgent"
#: The routes of mailboxes whose look is due.
LOOK_ROUTES: Final = f"{PREFIX}routes:\0looks"
TOKENS: Final = f"{PREFIX}desk:tokens"
USERS: Final = f"{PREFIX}desk:users"
SESSIONS: Final = f"{PREFIX}desk:sessions"
AUDIT: Final = f"{PREFIX}desk:audit"
TARGETS: Final = f"{PREFIX}desk:targets"
NAMED_SERVICES: Final = f"{PREFIX}desk:services"
REACH: Final = f"{PREFIX}desk:reach"


def import_(import_id: str, part: str = "") -> str:
    """Returns the key import:I, or that of one of its parts."""
    return f"{PREFIX}import:{import_id}{part and ':' + part}"


def mailbox(mailbox_id: str, part: str = "") -> str:
    """Returns the key mailbox:M, or that of one of its parts."""
    return f"{PREFIX}mailbox:{mailbox_id}{part and ':' + part}"


def folder(folder_id: str, part: str = "") -> str:
    """Returns the key folder:F, or that of one of its parts."""
    return f"{PREFIX}folder:{folder_id}{part and ':' + part}"


def edit(token: str) -> str:
    """Returns the key edit:T."""
    return f"{PREFIX}edit:{token}"


def delivery(delivery_id: str) -> str:
    """Returns the key delivery:D."""
    return f"{PREFIX}delivery:{delivery_id}"


def shared(message: int) -> tuple[str, bytes]:
    """Returns (B of mailbox:M:shared:B, field) of a message.

    The high bits are a period of about nine hours: one hash holds the messages of that period, few enough for Redis to
    store it compactly.
    """
    return f"{message >> 45:x}", (message & (1 << 45) - 1).to_bytes(6)


def unit(unit_id: str, part: str = "") -> str:
    """Returns the key unit:U, or that of one of its parts."""
    return f"{PREFIX}unit:{unit_id}{part and ':' + part}"


def ready(place: str) -> str:
    """Returns the key ready:L\\0Q."""
    return f"{PREFIX}ready:{place}"


def place(line: str, queue: str) -> str:
    """Returns where a mailbox of this line and queue stands."""
    return f"{line}\0{queue}"


def looks(route: str) -> str:
    """Returns the key ready:\\0looks\\0R."""
    return ready(place("\0looks", route))


def routes(line: str) -> str:
    """Returns the key routes:L."""
    return f"{PREFIX}routes:{line}"


def once(key: str) -> str:
    """Returns the key desk:once:K."""
    return f"{PREFIX}desk:once:{key}"


def rehearsals(import_id: str) -> str:
    """Returns the key desk:rehearsals:I."""
    return f"{PREFIX}desk:rehearsals:{import_id}"


def rehearsal(rehearsal_id: str) -> str:
    """Returns the key desk:rehearsal:R."""
    return f"{PREFIX}desk:rehearsal:{rehearsal_id}"


def rehearsed(rehearsal_id: str) -> str:
    """Returns the key desk:rehearsal:R:boxes."""
    return f"{rehearsal(rehearsal_id)}:boxes"


def tries(digest: str) -> str:
    """Returns the key desk:tries:H."""
    return f"{PREFIX}desk:tries:{digest}"


def session(digest: str) -> str:
    """Returns the key desk:session:H."""
    return f"{PREFIX}desk:session:{digest}"


def draft(draft_id: str) -> str:
    """Returns the key desk:draft:D."""
    return f"{PREFIX}desk:draft:{draft_id}"


def forms(digest: str) -> str:
    """Returns the key desk:forms:P."""
    return f"{PREFIX}desk:forms:{digest}"


def way(digest: str) -> str:
    """Returns the key desk:way:H."""
    return f"{PREFIX}desk:way:{digest}"


def link(digest: str) -> str:
    """Returns the key desk:link:H."""
    return f"{PREFIX}desk:link:{digest}"


def audit(month: str) -> str:
    """Returns the key desk:audit:M."""
    return f"{AUDIT}:{month}"


def guesses(hour: int) -> str:
    """Returns the key desk:guesses:N."""
    return f"{PREFIX}desk:guesses:{hour}"


def events(import_id: str) -> str:
    """Returns the key desk:events:I."""
    return f"{PREFIX}desk:events:{import_id}"


def samples(import_id: str) -> str:
    """Returns the key desk:samples:I."""
    return f"{PREFIX}desk:samples:{import_id}"


def sampled(import_id: str) -> str:
    """Returns the key desk:sampled:I."""
    return f"{PREFIX}desk:sampled:{import_id}"
