"""The base class of all bodies of requests."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """A body that rejects unknown fields, so that a misspelled field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
