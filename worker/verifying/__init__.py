"""Verifying a mailbox: the destination is counted and compared with the ledger."""
