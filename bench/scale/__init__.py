"""How mailhaul scales: with workers, with hosts, with a backlog. `python -m bench.scale` writes the tables of docs/scaling.md."""
