"""The bytes of a message: fingerprints, dates, and what servers are known to change in them. Pure."""
