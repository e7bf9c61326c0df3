"""Keeps messages that the destination did not take as .eml files: DIR/<login>/<folder>/<uid>.eml, and DIR/index.csv.

`names` makes file names of logins and folders, `shelf` is the folder on disk, `fetch` gets the messages from the source.
It is done by who gave the command, after the copying: workers may be on other machines.
"""
