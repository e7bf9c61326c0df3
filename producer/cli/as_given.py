"""Values of parameters that need no converting.

Typer builds a pydantic adapter for each parameter before it looks whether anybody gave a value: a sixth of the time that a
verb takes to start (docs/performance.md).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any


def leave_as_given(params: Iterable[Any]) -> list[Any]:
    """Lets each parameter of typer take a value as it is, where converting would not change it. Returns the parameters."""
    found = list(params)
    for param in found:
        if not isinstance(param.process_value, partial):
            param.process_value = partial(_processed, param, param.process_value)
    return found


def _processed(param: Any, convert: Any, context: Any, value: Any) -> Any:
    wanted, many = param.type_descriptor.annotation, param.multiple or param.nargs == -1
    if value is None and many:
        found: Any = ()
    elif wanted is Path and type(value) is str:
        found = Path(value)  # whoever opens it says what is wrong with it
    elif value is None or type(value) is wanted:
        found = value
    else:
        return convert(context, value)
    if param.required and param.value_is_missing(found):
        return convert(context, value)
    return param.callback(context, param, found) if param.callback else found
