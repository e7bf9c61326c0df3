"""The base class of all bodies of requests, and the texts that several of them have."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from shared.model.waves import MOST_NAME

#: A word or two.
Said = Annotated[str, Field(max_length=100)]
#: A login, or the id of a mailbox.
Login = Annotated[str, Field(max_length=1000)]
#: The name of a wave; "" for none.
WaveName = Annotated[str, Field(max_length=MOST_NAME)]


class Body(BaseModel):
    """A body that rejects unknown fields, so that a misspelled field is an error."""

    model_config = ConfigDict(extra="forbid", frozen=True)
