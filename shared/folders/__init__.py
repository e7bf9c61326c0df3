"""Folders: their names, their tree, and the place that each gets at the destination. Pure."""
