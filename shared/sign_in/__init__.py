"""Signing in to a stored mailbox's ends, within the limits that keep accounts from being locked out."""
