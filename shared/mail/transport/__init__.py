"""Connections to mail servers: dialing, TLS, the buffered wire, commands and their answers by tag."""
