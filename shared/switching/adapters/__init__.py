"""The kinds of switches, one module each, which registers itself. A new kind is a new file here, and nothing else."""
