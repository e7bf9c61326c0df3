"""Follows imports to their end. It decides little and owns nothing: the store is authoritative, always.

**What it does.** One turn takes about half a second: take units back whose lease ran out, wake what is due, ring for
what is ready and has no doorbell, let Dramatiq bring back the jobs of dead processes, publish numbers. A missed or
doubled turn costs a moment's delay and nothing else, since each step is one script in the store that may be repeated.

**Lease and term.** Coordinators may run on several hosts. `Store.lead` makes one of them the leader until
`LEAD_SECONDS` from the moment it asked; each new leadership has a higher term. The others stand by and ask again.
Unlike a worker's lease, this one fences nothing: two coordinators that both believe to lead for a moment (a long
pause, a clock that jumps) do the same harmless things twice. It only spares the store the double work, and lets the
metrics be summed.

**Trust window.** A worker may go on until its lease ends by its own clock, counted from when it *asked*. The store
counts from when it *answered*, so the worker stops first. `GRACE_SECONDS` on top of that let it shut its sockets
before anybody else may claim the unit; whatever it still sends to the store after that carries an old term and is
refused.

**When something dies.** The coordinator: workers go on with what is ready and ring for each other; only rescue,
delayed retries without a lane at work, and metrics wait for the next coordinator. Redis: nothing is appended without
an intent, so copying stops; the coordinator keeps asking and goes on with the first answer. A worker: its leases run
out and are reaped here.

`tally` and `rescue` decide and are pure; `tick` reads, asks them, writes and rings; `__main__` is the process.
"""
