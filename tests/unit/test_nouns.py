"""A noun that is made quickly behaves as one that the standard library made; what is unusual is left to the standard library."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
import typing
from collections.abc import Callable
from dataclasses import field
from types import FunctionType
from typing import Any, ClassVar, Generic, TypeVar

import pytest
from pydantic import TypeAdapter

from shared import nouns
from shared.nouns import dataclass

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Quick:
    """A noun."""

    name: str
    size: int = 3
    tags: list[str] = field(default_factory=list)

    @property
    def twice(self) -> int:
        """The size, twice."""
        return self.size * 2


@dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
class Usual:
    """A noun."""

    name: str
    size: int = 3
    tags: list[str] = field(default_factory=list)

    @property
    def twice(self) -> int:
        """The size, twice."""
        return self.size * 2


@dataclass(frozen=True, kw_only=True, slots=True)
class Alone(Generic[T]):
    """A noun with one field."""

    value: T


def _fault(act: Callable[[], object]) -> str:
    with pytest.raises((TypeError, AttributeError)) as caught:
        act()
    return f"{type(caught.value).__name__}: {caught.value}".replace("Quick", "Usual")


def test_it_was_made_quickly() -> None:
    assert Quick.__eq__.__qualname__.startswith("_methods"), "negative control: else nothing here tests it"
    assert not Usual.__eq__.__qualname__.startswith("_methods")


@pytest.mark.parametrize(
    "ask",
    [
        repr,
        lambda noun: [(one.name, one.type, one.default, one.kw_only, one.init) for one in dataclasses.fields(noun)],
        dataclasses.asdict,
        dataclasses.astuple,
        dataclasses.is_dataclass,
        lambda noun: dataclasses.asdict(dataclasses.replace(noun, size=4)),
        lambda noun: noun == noun,
        lambda noun: noun != dataclasses.replace(noun, size=4),
        lambda noun: noun == "another",
        lambda noun: dataclasses.asdict(copy.copy(noun)),
        lambda noun: dataclasses.asdict(copy.deepcopy(noun)),
        lambda noun: dataclasses.asdict(pickle.loads(pickle.dumps(noun))),
        lambda noun: noun.twice,
        lambda noun: type(noun).__slots__,
        lambda noun: type(noun).__match_args__,
        lambda noun: type(noun).__doc__,
        lambda noun: type(noun).__module__,
        lambda noun: hasattr(noun, "__dict__"),
        lambda noun: TypeAdapter(type(noun)).dump_python(noun),
        lambda noun: dataclasses.asdict(TypeAdapter(type(noun)).validate_python({"name": "b", "size": "7"})),
        lambda noun: TypeAdapter(type(noun)).json_schema()["properties"],
    ],
)
def test_it_answers_as_the_usual_one(ask: Callable[[Any], object]) -> None:
    quick, usual = Quick(name="a", tags=["x"]), Usual(name="a", tags=["x"])
    assert str(ask(quick)).replace("Quick", "Usual") == str(ask(usual))


@pytest.mark.parametrize(
    "act",
    [
        lambda kind: setattr(kind(name="a"), "size", 4),
        lambda kind: delattr(kind(name="a"), "size"),
        lambda kind: kind(),
        lambda kind: kind("a"),
        lambda kind: kind(name="a", colour="red"),
        lambda kind: hash(kind(name="a")),  # a list has no hash
    ],
)
def test_it_refuses_as_the_usual_one(act: Callable[[Any], object]) -> None:
    assert _fault(lambda: act(Quick)) == _fault(lambda: act(Usual))


def test_equal_nouns_have_one_hash() -> None:
    assert len({Alone(value=1), Alone(value=1), Alone(value=2)}) == 2
    nan = float("nan")
    assert Alone(value=nan) == Alone(value=nan), "identity comes first, as in the tuples of the standard library"


def test_each_has_its_own_list() -> None:
    assert Quick(name="a").tags is not Quick(name="a").tags


def test_one_can_follow_another() -> None:
    @dataclasses.dataclass(frozen=True, kw_only=True, slots=True)
    class Longer(Quick):
        """A noun with one field more."""

        colour: str = "red"

    assert repr(Longer(name="a")).endswith("Longer(name='a', size=3, tags=[], colour='red')")


def _unusual(**inside: object) -> type[Any]:
    hints = {"name": "str", "kind": "ClassVar[int]"} if "kind" in inside else {"name": "str"}
    return dataclass(frozen=True, kw_only=True, slots=True)(
        type("Unusual", (), {"__annotations__": hints, "__doc__": "", **inside})
    )


@pytest.mark.parametrize(
    "inside",
    [
        {"kind": 3},
        {"__post_init__": lambda noun: None},
        {"__eq__": lambda noun, other: True},
        {"__repr__": lambda noun: "***"},
        {"name": field(default="", compare=False)},
        {"name": field(default="", repr=False)},
        {"name": field(default="", init=False)},
    ],
)
def test_what_is_unusual_is_left_to_the_standard_library(inside: dict[str, object]) -> None:
    made = _unusual(**inside)
    assert not made.__repr__.__qualname__.startswith("_methods")
    assert "__repr__" not in inside or repr(made(name="a")) == "***"
    assert dataclasses.is_dataclass(made)


def test_a_default_that_could_be_changed_is_refused() -> None:
    with pytest.raises(ValueError, match="mutable default"):
        _unusual(name=[])


def test_other_kinds_of_dataclasses_are_those_of_the_standard_library() -> None:
    @dataclass
    class Changing:
        """A dataclass that changes."""

        number: int
        kind: ClassVar[int] = 1

    one = Changing(3)
    one.number = 4
    assert one == Changing(4)
    assert nouns.dataclass(frozen=True)(type("Empty", (), {"__annotations__": {}}))() is not None


def test_the_init_is_compiled_when_it_is_first_needed() -> None:
    @nouns.dataclass(frozen=True, kw_only=True, slots=True)
    class Waiting:
        """A noun of which there is no object yet."""

        number: int
        name: str = "a"

    assert not isinstance(vars(Waiting)["__init__"], FunctionType)
    one = Waiting(number=3)
    assert isinstance(vars(Waiting)["__init__"], FunctionType)
    assert (one.number, one.name) == (3, "a")
    with pytest.raises(TypeError):
        Waiting(number=3, unknown=1)  # type: ignore[call-arg]


def test_who_looks_at_a_noun_sees_its_fields() -> None:
    @nouns.dataclass(frozen=True, kw_only=True, slots=True)
    class Seen:
        """A noun whose signature is read before there is an object."""

        number: int
        name: str = "a"

    assert list(inspect.signature(Seen).parameters) == ["number", "name"]
    assert typing.get_type_hints(Seen.__init__)["return"] is type(None)
