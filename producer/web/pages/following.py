"""The page of an import: the whole, the part that changes as server-sent events, and the report's files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated, Any, Final
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from fastapi.responses import Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from producer.cutover.telling import back_words, not_back
from producer.operations import forecasting
from producer.operations.trouble import HARMLESS
from producer.show.cutover_lines import overruled_words, shown_guards
from producer.show.lines import BAR
from producer.web.api import report_routes as counterpart
from producer.web.api.imports import OneWave
from producer.web.api.mailboxes import Order
from producer.web.pages import drafts
from producer.web.pages.changed import changed_by, told
from producer.web.pages.cutting_over import acts_for, by_hand_of, known_switches
from producer.web.pages.drawing import draw, language, rendered
from producer.web.pages.glance import Glances, ImportView
from producer.web.pages.headline import PASSWORD_CODES, ImportFacts, acts, headline
from producer.web.pages.page_routes import page_routes
from producer.web.pages.sign_in_page import Who, there
from producer.web.problems import Refused
from producer.web.security.access import Known
from producer.web.security.streams import Seat
from shared.model.errors import MailhaulError
from shared.model.forecasts import KeptForecast
from shared.model.lifecycle import ImportState, MailboxState
from shared.model.search import Search
from shared.model.waves import MOST_NAME
from shared.store.records.principals import Principal

routes = page_routes()
_COUNT: Final = 50
_FILES: Final = ("results.csv", "failures.csv", "notes.csv", "folders.csv", "failed-rows.csv", "summary.json")
#: Codes of trouble that a retry cannot repair.
_NOTHING_TO_TRY: Final = (*HARMLESS, "altered")


class Table:
    """The reader's view of the table of mailboxes: its filter, its order and its place."""

    def __init__(
        self,
        import_id: str,
        start: Annotated[int, Query(ge=0, le=10_000_000)] = 0,
        text: Annotated[str, Query(max_length=200)] = "",
        state: Annotated[str, Query(max_length=20)] = "",
        wave: Annotated[str, Query(max_length=MOST_NAME)] = "",
        order: Order = "row",
        descending: bool = False,
    ) -> None:
        self.import_id, self.start, self.text, self.state = import_id, start, text, state
        self.order, self.descending, self.wave = order, descending, wave

    @property
    def wanted(self) -> Search:
        """The view as a query to the store."""
        chosen = MailboxState(self.state) if self.state in list(MailboxState) else None
        return Search(
            state=chosen,
            text=self.text,
            wave=self.wave,
            order=self.order,
            descending=self.descending,
            start=self.start,
            count=_COUNT,
        )

    def link(self, **changed: Any) -> str:
        """Returns the URL of the page with some values changed. Default values are left out."""
        all_ = {
            "text": self.text,
            "state": self.state,
            "order": self.order,
            "descending": self.descending,
            "start": self.start,
            "wave": self.wave,
        } | changed
        usual = {"text": "", "state": "", "order": "row", "descending": False, "start": 0, "wave": ""}
        query = urlencode(
            {
                name: str(value).lower() if value is True else value
                for name, value in all_.items()
                if value != usual[name]
            }
        )
        return f"/imports/{self.import_id}" + (f"?{query}" if query else "")

    def sorted_by(self, order: str) -> str:
        """Returns the URL of the page sorted by `order`; in the other direction if it is sorted by it already."""
        return self.link(order=order, descending=self.order == order and not self.descending, start=0)

    def direction(self, order: str) -> str:
        """Returns the value of aria-sort for a column."""
        return "none" if self.order != order else "descending" if self.descending else "ascending"


Shown = Annotated[Table, Depends()]


def _values(known: Known, glance: ImportView, table: Table, who: Principal) -> dict[str, Any]:
    total, rows = known.store.find_mailboxes(table.import_id, table.wanted)
    import_, progress = glance.import_, glance.progress
    began = import_.first_claim_at
    return {
        "import_": import_,
        "glance": glance,
        "progress": progress,
        "table": table,
        "rows": rows,
        "total": total,
        "count": _COUNT,
        "states": tuple(BAR),
        "head": headline(progress, glance.groups, _facts(glance)),
        "actions": acts(progress),
        "took": import_.finished_at - began if progress.finished and 0 < began < import_.finished_at else 0,
        "shown_guards": shown_guards,
        "overruled_words": overruled_words,
        "cutover_acts": acts_for(known),
        "by_hand": by_hand_of(known),
        "not_back": not_back,
        "back_words": back_words,
        "password_codes": PASSWORD_CODES,
        "nothing_to_try": _NOTHING_TO_TRY,
        "who": who,
        "here": table.link(),
        "report_wave": f"?{urlencode({'wave': table.wave})}" if table.wave else "",
    }


def _facts(glance: ImportView) -> ImportFacts:
    stands = any(glance.standing.values())
    return ImportFacts(
        cutovers=[one.cutover.state for one in glance.cutovers],
        found=int(glance.checked.get("broken", 0)) if glance.checked else 0,
        stands=stands,
        running=glance.running["kind"] if glance.running else "",
        looked_at=int(glance.running["done"]) if glance.running else 0,
    )


@routes.get("/imports/{import_id}")
def one_import(
    request: Request, known: Known, who: Who, table: Shown, wrong: Annotated[str, Query(max_length=24)] = ""
) -> Response:
    """Shows the whole page of an import. `wrong` is the draft with the rows that were not taken."""
    glances: Glances = request.app.state.glances
    glances.forget(table.import_id)  # a reload must show the effect of the last act
    values = _values(known, glances.of(table.import_id), table, who)
    stream = table.link().replace(f"/imports/{table.import_id}", f"/imports/{table.import_id}/stream", 1)
    values.pop("who")
    changed = changed_by(request)
    left = drafts.find_wrong(known, who, wrong) and wrong
    offered, may_begin = known_switches(known, who)
    page = draw(
        request,
        "import.html",
        who,
        **values,
        files=_FILES,
        stream=stream,
        changed=changed,
        wrong=left,
        forecasts=_first_and_last(known.store.forecasts(table.import_id)),
        scores=forecasting.scored(known.store, values["import_"]),
        finished=values["import_"].state is ImportState.FINISHED,
        switches=offered,
        rehearsals=known.records.rehearsals_of(table.import_id),
        may_begin=may_begin,
    )
    return told(page, table.import_id) if changed else page


def _first_and_last(kept: list[KeptForecast]) -> list[KeptForecast]:
    """Returns the forecast that is scored, and the newest."""
    return [kept[0], kept[-1]] if len(kept) > 1 else kept


def _place(known: Known, request: Request, table: Shown) -> Table:
    """Refuses an unknown import before the stream begins, since no error can be sent afterwards.

    A reader who is signed out is not refused here: a stream does not follow a redirect, so the stream itself tells.
    """
    if who := there(known, request, touch=False):
        request.state.who = who.principal_id
        known.import_(table.import_id)
    return table


@routes.get("/imports/{import_id}/stream", response_class=EventSourceResponse)
async def stream(
    request: Request, known: Known, table: Annotated[Table, Depends(_place)], streams: Seat
) -> AsyncIterator[ServerSentEvent]:
    """Sends the part of the page that changes, whenever it has changed.

    Sends event "ended" once the session is over or the import is gone.
    """
    glances: Glances = request.app.state.glances

    def drawn() -> str | None:
        who = there(known, request, touch=False)
        if who is None:
            return None
        return rendered(request, "live.html", **_values(known, glances.of(table.import_id), table, who))

    last, going_on = "", True
    while going_on:
        try:
            now = await asyncio.to_thread(drawn)
        except MailhaulError:
            now = last  # the store does not answer now
        except Refused:
            yield ServerSentEvent(event="ended", raw_data="gone")
            return
        if now is None:
            yield ServerSentEvent(raw_data=rendered(request, "signed_out.html", here=table.link()))
            yield ServerSentEvent(event="ended", raw_data="signed out")
            return
        if now != last:
            yield ServerSentEvent(raw_data=now)
            last = now
        going_on = await streams.wait()


@routes.get("/imports/{import_id}/report/{file}")
def report(
    request: Request,
    known: Known,
    who: Who,
    import_id: str,
    file: counterpart.ReportFile,
    wave: OneWave = "",
) -> Response:
    """Returns a file of the report, as the API does, in the reader's language."""
    return counterpart.report(known, who, import_id, file, wave, language(request))
