"""Cutovers: people of a wave are moved to the new server, and back. docs/cutover.md is for people.

`guards` and `telling` decide, `dns_records` and `facts` measure, `acts` does what a person asks for, `driver` what the coordinator
does by itself.
"""
