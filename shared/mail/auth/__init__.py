"""Ways to authenticate at a mail server (SASL, LOGIN)."""
