"""Faults and sentences as JSON, for what is kept and worded later. Pure.

The text of a phrase is kept with its code: who reads it may be of another version, which words the phrase otherwise or
does not have it.

In a field that may hold any text, a sentence begins with the control character that RFC 7464 puts before a JSON text:
no words of a server hold one, and what an older version kept is a text without it, which stays as it is.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from shared.content.json_text import read_json
from shared.wording.phrases import PLAIN, Fault, FieldName, Parameter, Phrase, Sentence, ServerWords

KEPT_WORDS_CANNOT_BE_READ: Final = Phrase("kept_words_cannot_be_read", "what was noted here can no longer be read")

_MARK: Final = "\x1e"
#: The text in JSON that need not be whole, and its places.
_TEXT: Final = re.compile(r'"text":("(?:[^"\\]|\\.)*")')
_PLACE: Final = re.compile(r"\{\w*\}")


def packed(text: str) -> str:
    """Returns a text as it is kept: a sentence with its code and its parameters, any other text unchanged."""
    if isinstance(text, Sentence):
        return _MARK + json.dumps(_packed(text), separators=(",", ":"))
    return text.lstrip(_MARK)


def unpacked(text: str) -> str:
    """Returns the text of `packed`: a `Sentence` where it was one.

    Of one that was cut short, or written by nobody that we know, it returns the words that are left.
    """
    if not text.startswith(_MARK):
        return text
    try:
        return _sentence(read_json(text[1:]))
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):
        return _rest(text)


def _rest(text: str) -> str:
    for found in _TEXT.finditer(text):
        with contextlib.suppress(ValueError):
            words = _PLACE.sub("…", str(read_json(found[1])))
            if any(map(str.isalnum, words)):  # the first one that says something by itself
                return words
    return KEPT_WORDS_CANNOT_BE_READ.says()


def packed_all(value: Any) -> Any:
    """Returns JSON in which each sentence is as it is kept, and each tuple a list."""
    match value:
        case str():
            return packed(value)
        case dict():
            return {name: packed_all(one) for name, one in value.items()}
        case list() | tuple():
            return [packed_all(one) for one in value]
    return value


def unpacked_all(value: Any) -> Any:
    """Returns JSON with the sentences of `packed_all`."""
    match value:
        case str():
            return unpacked(value)
        case dict():
            return {name: unpacked_all(one) for name, one in value.items()}
        case list():
            return [unpacked_all(one) for one in value]
    return value


def as_json(fault: Fault) -> dict[str, Any]:
    """Returns a fault as JSON."""
    return {"fields": list(fault.fields), **_packed(fault.sentence)}


def from_json(kept: Mapping[str, Any]) -> Fault:
    """Returns the fault of `as_json`."""
    return Fault(_sentence(kept), tuple(kept["fields"]))


def _packed(sentence: Sentence) -> dict[str, Any]:
    phrase = sentence.phrase
    places = {place: _value(value) for place, value in sentence.parameters.items()}
    return {"code": phrase.code, "text": phrase.text, "headed": phrase.headed, "places": places}


def _sentence(kept: Mapping[str, Any]) -> Sentence:
    phrase = replace(PLAIN, code=kept["code"], text=kept["text"], headed=kept["headed"])
    return Sentence(phrase, {place: _parameter(value) for place, value in kept["places"].items()})


def _value(value: Parameter) -> Any:
    match value:
        case Sentence():
            return _packed(value)
        case FieldName():
            return {"field": str(value)}
        case ServerWords():
            return {"said": str(value)}
        case str():
            return str(value)
    return value


def _parameter(kept: Any) -> Parameter:
    match kept:
        case {"field": str(name)}:
            return FieldName(name)
        case {"said": str(words)}:
            return ServerWords(words)
        case {"code": str()}:
            return _sentence(kept)
        case str() | int():
            return kept
    raise ValueError(f"no parameter of a sentence: {kept!r}")
