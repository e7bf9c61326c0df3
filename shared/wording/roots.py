"""The roots of the tree of errors: `shared.model.errors` has the rest."""

from __future__ import annotations


class MailhaulError(Exception):
    """An error that mailhaul knows by name. Its text is a sentence that a person can act on."""

    @property
    def sentence(self) -> str:
        """Its text: a `Sentence` where it was raised with one, which `str()` of an error would make a plain text."""
        return self.args[0] if self.args and isinstance(self.args[0], str) else str(self)


class UsageError(MailhaulError):
    """The request itself is wrong: nothing was started. (Exit code 2.)"""
