"""Follows imports to their end. The coordinator decides little and owns nothing: the store is authoritative.

**What it does.** One turn takes about half a second. The coordinator takes back units whose lease expired, makes
delayed units ready, sends jobs for ready units that have none, lets Dramatiq bring back the jobs of dead processes, and
publishes metrics. A missed or doubled turn costs a moment's delay and nothing else, since each step is one script in
the store that may be repeated.

**Lease and term.** Coordinators may run on several hosts. `Store.lead` makes one of them the leader until
`LEAD_SECONDS` after it asked; each new leadership has a higher term. The others stand by and ask again. Unlike a
worker's lease, this one fences nothing: two coordinators that both believe they lead for a moment (after a long pause
or a jump of the clock) do the same harmless things twice. The lease spares the store the double work, and makes the
metrics of all coordinators summable.

**Trust window.** A worker may go on until its lease ends by its own clock, counted from when it *asked*. The store
counts from when it *answered*, so the worker stops first. `GRACE_SECONDS` on top of that let the worker close its
sockets before another worker may claim the unit. Whatever the worker still sends to the store after that carries an old
term and is refused.

**When a process dies.** The coordinator: workers go on with ready units and send jobs for each other; only rescue,
delayed retries without a lane at work, and metrics wait for the next coordinator. Redis: no message is appended without
an intent, so copying stops; the coordinator keeps asking and goes on with the first answer. A worker: its leases
expire, and the coordinator reaps them.

`tally` and `rescue` decide and are pure; `tick` reads, asks them, writes and sends jobs; `__main__` is the process.
"""
