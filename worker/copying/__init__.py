"""Copying a batch: the order of effects that keeps every message exactly once, and what it reads to recognise copies."""
