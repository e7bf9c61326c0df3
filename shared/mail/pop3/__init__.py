"""The POP3 adapter: a source only."""
