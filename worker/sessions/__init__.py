"""The sessions of a mailbox at its two ends, and the account that must stand there first."""
