"""Strikes real processes with random faults of every kind during an import, and judges the result.

It counts lost, doubled and changed messages.

    make chaos RUNS=30 SEED=1          # the trials of seeds 1 to 30
    make chaos RUNS=1 SEED=17          # seed 17 again
    make chaos RUNS=30 ARGS='--only worker_killed,redis_killed'

Each trial has two Dovecots behind fault proxies, a Redis, three workers and a coordinator of its own. The seed decides
the mail, the faults, and how far the import is when each one strikes. A killed process is started again, as a
supervisor would do.
"""
