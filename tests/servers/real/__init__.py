"""Starts the real servers of `make compatibility`: one module a server, and `registry` with all of them."""
