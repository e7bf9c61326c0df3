"""Benchmarks: `make bench` measures mailhaul beside its peers on the same mailboxes and writes bench/RESULTS.md."""
