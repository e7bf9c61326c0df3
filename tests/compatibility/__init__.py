"""Runs one contract over many real servers and writes docs/compatibility.md: `python -m tests.compatibility`."""
