"""Presents an import: lines for a terminal (`lines`, `live`), one JSON document (`document`), files (`report`).

Only `live` and `report` write anywhere; the others make text of what the store holds.
"""
