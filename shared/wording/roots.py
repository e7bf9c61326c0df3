"""The roots of the tree of errors: `shared.model.errors` has the rest."""

from __future__ import annotations


class MailhaulError(Exception):
    """An error that mailhaul knows by name. Its text is a sentence that a person can act on."""


class UsageError(MailhaulError):
    """The request itself is wrong: nothing was started. (Exit code 2.)"""
