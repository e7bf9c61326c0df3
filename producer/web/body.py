"""What every body of a request is."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Body(BaseModel):
    """Nothing but what is known: a misspelled field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
