"""Words how many connections are let in where that is searched for: "7 of at most 15 connections to …: more did not help"."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Final

from shared.model.lanes import LanePlace, Reason
from shared.wording.phrases import Phrase, Sentence, ServerWords, in_english

LET_IN: Final = Phrase("lanes_let_in", "{lanes} of at most {most} connections to {where}: {why}")
#: The reasons for the number of connections.
REASONS: Final[Mapping[Reason, Phrase]] = {
    Reason.BEGUN: Phrase("lanes_begun", "whether more help is looked at"),
    Reason.TRYING: Phrase("lanes_trying", "another number is being tried"),
    Reason.MORE_HELPS: Phrase("lanes_more_helps", "more helped so far"),
    Reason.NO_HELP: Phrase("lanes_no_help", "more did not help"),
    Reason.FEWER_DO: Phrase("lanes_fewer_do", "fewer do as well"),
    Reason.SLOWER: Phrase("lanes_slower", "the server became slower"),
    Reason.REFUSED: Phrase("lanes_refused", "the server refused one more"),
    Reason.ASKED: Phrase("lanes_asked", "the server asked for less"),
}


def lane_sentence(place: LanePlace) -> Sentence:
    """Words one place."""
    assert place.search is not None, "only places at which something was found"
    return LET_IN.says(
        lanes=let_in(place),
        most=place.most,
        where=ServerWords(place.name.partition(":")[2]),
        why=REASONS[place.search.reason].says(),
    )


def let_in(place: LanePlace) -> int:
    """Returns how many lanes a place lets in."""
    search = place.search
    return min(search.limit, place.most) if search and search.most in (0, place.most) else place.start


def lane_lines(places: Iterable[LanePlace]) -> list[str]:
    """Returns a line for each place."""
    return [in_english(lane_sentence(place), str) for place in places]


def lane_fields(places: Iterable[LanePlace]) -> list[dict[str, Any]]:
    """Returns the places for JSON."""
    return [
        {
            "scope": place.name.partition(":")[0],
            "key": place.name.partition(":")[2],
            "lanes": place.lanes,
            "let_in": let_in(place),
            "most": place.most,
            "why": place.search.reason.value if place.search else "",
            "said": in_english(lane_sentence(place), str),
        }
        for place in places
        if place.search
    ]
