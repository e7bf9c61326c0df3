"""Forecasts: when each mailbox of an import is done under the limits that count, and which of them binds.

`loads` and `simulation` are pure; `binding` says what binds and for whom; `gathering` reads an import from the store.
"""
