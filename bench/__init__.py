"""The benchmarks: `make bench` measures mailhaul and its peers on the same mailboxes and writes bench/RESULTS.md."""
