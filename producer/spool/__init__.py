"""Keeps messages that the destination refused as .eml files: DIR/<login>/<folder>/<uid>.eml, and DIR/index.csv.

`names` makes file names of logins and folders, `spool_folder` is the folder on disk, `fetch` reads the messages from the
source. The process that runs the command does this after the copying, since workers may run on other machines.
"""
