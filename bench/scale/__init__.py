"""Measures how mailhaul scales with workers, hosts and a backlog. `python -m bench.scale` writes docs/scaling.md."""
