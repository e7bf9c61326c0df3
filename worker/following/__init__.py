"""Follows what changed at both sides since the last pass: moves, deletions, flags."""
