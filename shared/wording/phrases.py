"""The faults of a request as values: a code, the fields and parameters. Each front end words them. Pure.

A phrase is the English text of a code. `{place}` in it stands for a parameter, which may be a sentence again, the name
of a field, or the words of a server. The name of the fault's own field stands in front, with a colon, or within the
text as `{field}`. The names differ: the command line says ``--source-admin``, the API
``source.sign_in.admin``, the page shows a label.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Final, Self, overload

from shared.wording.roots import UsageError

PLACE: Final = re.compile(r"\{(\w+)\}")
#: Field → its option of the command line, where that is not the field's name.
_NAMED: Final[Mapping[str, str]] = {
    "domains": "--domain",
    "least_seconds": "--least",
    "login": "--mailbox",
    "most_seconds": "--most",
    "secret": "--secret-file",
    "starts_at": "--start-at",
    "url": "URL",
}
#: Field of one side → its option of the command line, with the side in the place.
_OPTIONS: Final[Mapping[str, str]] = {
    "server": "--{}",
    "sign_in.way": "--{}-auth",
    "sign_in.admin": "--{}-admin",
    "sign_in.secret": "--{}-password-file",
    "allow_plaintext": "--allow-plaintext",
}


class FieldName(str):
    """The path of a field of a request, as in ``source.sign_in.admin``."""

    __slots__ = ()


class ServerWords(str):
    """Words of a server or of the system: no front end translates them."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Phrase:
    """A code and its English text, which is also the key of its translations."""

    #: The code; no two phrases have one.
    code: str
    #: The English text.
    text: str
    #: Whether the name of the field stands in front; False for a text that speaks of it itself.
    headed: bool = True

    def says(self, **parameters: Parameter) -> Sentence:
        """Returns the sentence with these parameters."""
        return Sentence(self, parameters)

    def at(self, *fields: str, **parameters: Parameter) -> Fault:
        """Returns the fault of these fields, of the whole request without any."""
        return Fault(self.says(**parameters), fields)

    def error(self, *fields: str, **parameters: Parameter) -> FaultsFound:
        """Returns the fault as an error."""
        return FaultsFound([self.at(*fields, **parameters)])


class Sentence(str):
    """A thing that mailhaul tells a person: its text is English, in the words of the command line.

    So it goes wherever a text goes: into errors, logs and answers of the API. Who words it for somebody else asks for its
    phrase and its parameters. `str()`, f-strings and `join` keep the text alone: `several` puts sentences together.
    """

    #: Its phrase.
    phrase: Phrase
    #: The parameters by the places of the phrase.
    parameters: Mapping[str, Parameter]

    def __new__(cls, phrase: Phrase, parameters: Mapping[str, Parameter]) -> Self:
        """Words the phrase in English."""
        sentence = super().__new__(cls, _filled(phrase, parameters, option))
        sentence.phrase, sentence.parameters = phrase, parameters
        return sentence

    def __getnewargs__(self) -> tuple[Phrase, Mapping[str, Parameter]]:  # type: ignore[override]
        """Returns what a copy is made of."""
        return self.phrase, self.parameters


Parameter = str | int


@dataclass(frozen=True, slots=True)
class Fault:
    """A thing that is wrong with a request."""

    #: The fault, in a sentence.
    sentence: Sentence
    #: The paths of the fields that it concerns; none for the whole request.
    fields: tuple[str, ...] = ()

    @property
    def code(self) -> str:
        """The code of its phrase."""
        return self.sentence.phrase.code

    def under(self, heads: str, text: str) -> bool:
        """Tells whether the names of the fields stand in front of this text of its phrase, in whatever language."""
        return bool(heads) and self.sentence.phrase.headed and "{field}" not in text


class FaultsFound(UsageError):
    """Raised for everything that is wrong with a request. Its text is that of the command line, a line for each fault."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(worded(fault, option) for fault in self.faults))


#: A sentence of a module that has no codes yet.
PLAIN: Final = Phrase("plain", "{what}")
#: Two sentences, one after the other.
BOTH: Final = Phrase("both", "{what}; {more_what}")
#: Two lines.
LINES: Final = Phrase("lines", "{what}\n{more_what}")


def faults_of(error: BaseException, *fields: str) -> tuple[Fault, ...]:
    """Returns the faults of an error. Those that name no field are of `fields`."""
    if isinstance(error, FaultsFound):
        return tuple(fault if fault.fields else replace(fault, fields=fields) for fault in error.faults)
    text = text_of(error)
    if isinstance(text, Sentence):
        return (Fault(text, fields),)
    return tuple(PLAIN.at(*fields, what=line) for line in text.splitlines())


class Faults(list[Fault]):
    """A list of faults that fills while a request is looked at."""

    def at(self, *fields: str) -> _Taking:
        """Takes the faults that a `with` block raises, which ends there; those that name no field are of `fields`."""
        return _Taking(self, fields)

    def concern(self, field_: str) -> bool:
        """Tells whether a fault of this field was found."""
        return any(field_ in fault.fields for fault in self)


@dataclass(frozen=True, slots=True)
class _Taking:
    """The end of a block whose faults are taken."""

    faults: Faults
    fields: tuple[str, ...]

    def __enter__(self) -> None: ...

    def __exit__(self, _: object, error: BaseException | None, __: object) -> bool:
        if not isinstance(error, UsageError):
            return False
        self.faults.extend(faults_of(error, *self.fields))
        return True


def option(path: str) -> str:
    """Returns the option of the command line for a field: ``source.fingerprint`` is ``--source-fingerprint``."""
    side, dot, rest = path.partition(".")
    if not dot:
        return _NAMED.get(path, "--" + path.replace("_", "-"))
    return _OPTIONS.get(rest, "--{}-" + rest.replace("_", "-")).format(side)


def worded(fault: Fault, name: Callable[[str], str]) -> str:
    """Returns the fault in English. `name` gives a field's name, "" for one that is not named."""
    heads = " and ".join(filter(None, map(name, fault.fields)))
    text = in_english(fault.sentence, name, heads)
    return f"{heads}: {text}" if fault.under(heads, fault.sentence.phrase.text) else text


def in_english(sentence: Sentence, name: Callable[[str], str], field_: str = "") -> str:
    """Returns a sentence in English, with `field_` as the name of its own field."""
    return _filled(sentence.phrase, sentence.parameters, name, field_)


def text_of(error: BaseException) -> str:
    """Returns what an error says: a `Sentence` where it was raised with one, of which `str()` makes a plain text."""
    if isinstance(error, FaultsFound) and not any(fault.fields for fault in error.faults):
        return several((fault.sentence for fault in error.faults), LINES)
    first = error.args[0] if error.args else ""
    return first if isinstance(first, Sentence) else str(error)


def several(texts: Iterable[str], joint: Phrase = BOTH) -> str:
    """Returns texts as one, with "; " between them or what `joint` has there. Those that are "" count for nothing."""
    told = list(filter(None, texts))
    if len(told) < 2:
        return told[0] if told else ""
    # In halves: a chain of as many sentences as a server gives reasons would be too deep to be read.
    half = len(told) // 2
    return joint.says(what=several(told[:half], joint), more_what=several(told[half:], joint))


def parts(text: str, joint: Phrase = BOTH) -> list[str]:
    """Returns the texts of `several`; those of a plain text are what stands between "; "."""
    if not isinstance(text, Sentence):
        return list(filter(None, text.split(PLACE.split(joint.text)[2])))
    if text.phrase.code != joint.code:
        return [text]
    return [one for value in text.parameters.values() if isinstance(value, str) for one in parts(value, joint)]


@overload
def changed(text: Sentence, change: Callable[[str], str]) -> Sentence: ...
@overload
def changed(text: str, change: Callable[[str], str]) -> str: ...
def changed(text: str, change: Callable[[str], str]) -> str:
    """Returns a text changed, of a sentence each text among its parameters."""
    if isinstance(text, Sentence):
        values = text.parameters.items()
        return Sentence(text.phrase, {at: changed(one, change) if isinstance(one, str) else one for at, one in values})
    if isinstance(text, FieldName):
        return text
    return ServerWords(change(text)) if isinstance(text, ServerWords) else change(text)


def _filled(phrase: Phrase, parameters: Mapping[str, Parameter], name: Callable[[str], str], field_: str = "") -> str:
    told = {"field": field_} | {place: _told(value, name) for place, value in parameters.items()}
    return PLACE.sub(lambda place: told[place[1]], phrase.text)


def _told(value: Parameter, name: Callable[[str], str]) -> str:
    if isinstance(value, Sentence):
        return in_english(value, name)
    return name(value) if isinstance(value, FieldName) else str(value)
