"""Rendering of pages in the reader's language: words, numbers, sizes, moments."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode, urlsplit

from babel.numbers import format_decimal, format_percent
from fastapi import Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from producer.cutover.telling import MEANINGS
from producer.intake.sheet import RowError
from producer.operations.credentials import IMPORT
from producer.operations.trouble import word
from producer.show.lines import cells
from producer.translations import LANGUAGES, language_of, translations
from producer.translations.said import (
    ADVICE,
    CAUSES,
    CUTOVERS,
    DETAILS,
    EVENTS,
    FIELDS,
    GUARDS,
    LIMITS,
    LIMITS_OF_ONE,
    NOTES,
    ON_PAGE,
    ROLES,
    SCOPES,
    STEPS,
    WAYS_IN,
    WAYS_TO_TELL,
)
from producer.translations.translate import Translator
from producer.web.pages import filled_store, results
from producer.web.pages.filled_forms import DOTTED, FILLED, KeptField, filled
from shared.mail.answers.refusals import NO_PASSWORD
from shared.model.errors import SameMailbox, StoreError
from shared.model.lifecycle import CutoverState, MailboxState
from shared.model.notices import KINDS
from shared.model.protocols import protocols
from shared.store.records.principals import Principal, Role
from shared.store.records.web_records import COMMAND_LINE
from shared.wording.kept import from_json
from shared.wording.often_said import without_side
from shared.wording.phrases import FaultsFound, Phrase, parts, several

HOLDING_ROW: Final = Phrase("holding_row", "row {name}")
CHOOSE_FILE_AGAIN: Final = Phrase("choose_file_again", "{name} was chosen: choose it again")

LANGUAGE_COOKIE: Final = "language"
#: First word of `Mailbox.behind` → what it names.
_HOLDERS: Final = {"row": HOLDING_ROW, "import": IMPORT}
#: The languages, each by its own name.
LANGUAGE_NAMES: Final = {"en": "English", "ru": "Русский"}
_UNITS: Final = ("bytes", "kB", "MB", "GB", "TB")
#: Width of a bar of mailboxes, in its own units.
CELLS: Final = 400
_SINGLE: Final = (("s", 90, 1), ("min", 5400, 60), ("h", 172_800, 3600))


class Saying(Translator):
    """The wording of values in one language."""

    def percent(self, share: float | None) -> str:
        """Formats a share in whole percent, and never as 100 before the end."""
        if share is None:
            return "–"
        return format_percent(min(share, 0.99) if share < 1 else 1, locale=self.language)

    def size(self, bytes_: float) -> str:
        """Formats bytes, as in 3.4 GB."""
        at = 0
        while bytes_ >= 1000 and at < len(_UNITS) - 1:
            bytes_, at = bytes_ / 1000, at + 1
        number = format_decimal(bytes_, format="#,##0" if at == 0 else "#,##0.0", locale=self.language)
        return f"{number}\u00a0{self.word(_UNITS[at])}"

    def duration(self, seconds: float) -> str:
        """Formats seconds, as in 40 s, 5 min, 3.5 h, 2.0 days."""
        for unit, below, divisor in _SINGLE:
            if seconds < below:
                number = max(1, round(seconds)) if divisor == 1 else seconds / divisor
                text = format_decimal(number, format="#,##0.#" if unit == "h" else "#,##0", locale=self.language)
                return f"{text}\u00a0{self.word(unit)}"
        return f"{format_decimal(seconds / 86_400, format='#,##0.0', locale=self.language)}\u00a0{self.word('days')}"

    def step(self, what: str) -> str:
        """Names a step of a connection test."""
        return self.word(STEPS.get(what, what))

    def field(self, name: str) -> str:
        """Names a column of the manifest."""
        return self.word(FIELDS.get(name, name))

    def row(self, error: RowError) -> Markup:
        """Says what is wrong with a row."""
        return self.worded(error.sentence)

    def detail(self, name: str) -> str:
        """Names a detail of an event; "" for one that is not shown."""
        return self.word(DETAILS.get(name, ""))

    def way_in(self, how: str) -> str:
        """Names how somebody signed in, or tried to."""
        return self.word(WAYS_IN.get(how, how))

    def holder(self, text: str) -> Markup:
        """Names who has the destination that a mailbox waits for: "row 3" or "import pilot"."""
        what, _, name = text.partition(" ")
        phrase = _HOLDERS.get(what)
        return self.worded(phrase.says(name=name)) if phrase else escape(text)

    def person(self, who: str) -> tuple[str, str]:
        """Returns the name of whom the audit log names, and how that person came, or under which id."""
        name, _, more = who.removesuffix(")").partition(" (")
        if name != COMMAND_LINE:
            return name, more
        number, _, login = more.partition(" ")
        return login or number, f"{self.word(COMMAND_LINE)} ({number})"

    def place(self, text: str) -> str:
        """Names from where an act came: an address, or the command line."""
        return self.word(COMMAND_LINE) if text == COMMAND_LINE else text

    def event(self, what: str) -> str:
        """Names an event of the audit log."""
        return self.word(EVENTS.get(what, what))

    def state(self, word: str) -> str:
        """Names the state of a mailbox, an import or a rehearsal."""
        return self.word(ON_PAGE.get(word, word))

    def role(self, word: str) -> str:
        """Names a role, and what it may do."""
        return self.word(ROLES.get(word, word))

    def limit(self, scope: str) -> str:
        """Names a limit: of what, and which rate of it."""
        place, _, key = scope.partition(":")
        kind, _, rate = place.partition(".")
        named = {**LIMITS, **(LIMITS_OF_ONE if key else {})}
        return ", ".join(self.word(named.get(one, one)) for one in (kind, rate) if one)

    def file_again(self, name: str) -> Markup:
        """Says that a file is to be chosen again, since no page can do that."""
        return self.worded(CHOOSE_FILE_AGAIN.says(name=name))

    def way(self, name: str) -> str:
        """Names the way by which somebody is told."""
        return self.word(WAYS_TO_TELL.get(name, name))

    def cutover(self, state: str) -> str:
        """Names the state of a cutover."""
        return self.word(CUTOVERS.get(state, state))

    def meaning(self, state: CutoverState) -> str:
        """Returns the English sentence that says what the state of a cutover means."""
        return MEANINGS[state]

    def guard(self, name: str) -> str:
        """Names a guard of a cutover."""
        return self.word(GUARDS.get(name, name))

    def kind(self, what: str) -> str:
        """Names the kind of a notice."""
        return self.word(KINDS.get(what, what))

    def note(self, what: str) -> str:
        """Names the kind of a note on a single message."""
        return self.word(NOTES.get(what, what))

    def scope(self, name: str) -> str:
        """Names the scope of a hold."""
        return self.word(SCOPES.get(name, name))

    def states(self, mailboxes: Mapping[MailboxState, int]) -> list[tuple[str, int, int, int]]:
        """Divides a bar among the states: each with where its piece begins, its length, and its number of mailboxes."""
        found, at = [], 0
        for state, count in cells(mailboxes, CELLS):
            found.append((state.value, at, count, mailboxes[state]))
            at += count
        return found

    def cause(self, code: str, sentence: str) -> Markup:
        """Says what a failure means: by its code if the page has a label for it, else by the stored sentence.

        A login that is refused for another reason than its password keeps its sentence.
        """
        known = None if without_side(sentence) in NO_PASSWORD else CAUSES.get(code)
        return escape(self.word(known)) if known else self.sentence(sentence)

    def failed(self, rehearsal: Mapping[str, Any]) -> list[Markup]:
        """Says why a rehearsal failed, or was lost."""
        if faults := rehearsal.get("faults"):
            return [self.fault(from_json(one)) for one in faults]
        return self.told(rehearsal["error"])

    def problem(self, text: str) -> Markup:
        """Says what a rehearsal found wrong with a mailbox, and what to do about it."""
        *what, last = parts(text)
        if last != SameMailbox.advice:
            return self.sentence(text)
        return self.sentence(several(what)) + ". " + self.advice("same_mailbox", "")

    def advice(self, code: str, text: str) -> Markup:
        """Says what to do about a failure: by its code if the page has an advice for it, else by the stored one."""
        known = ADVICE.get("same_mailbox" if text == SameMailbox.advice else code)
        if text.startswith(tuple(NO_PASSWORD.values())):
            known = None
        return escape(self.word(known)) if known else self.sentence(text)


def once() -> str:
    """Returns the text of the hidden field by which a second click is known for one (`page_routes`)."""
    return secrets.token_hex(8)


#: The first part of a fault's field → the id of the field on the page.
_PLACES: Final = {"name": "at-name", "source": "at-source", "destination": "at-destination", "manifest": "mailboxes"}


def places_of(detail: str | Exception) -> list[str]:
    """Returns of each fault the id of the field that it is about; "" where it is about none."""
    faults = detail.faults if isinstance(detail, FaultsFound) else ()
    return [_PLACES.get(fault.fields[0].partition(".")[0], "") if fault.fields else "" for fault in faults]


def _environment(language: str) -> Environment:
    env = Environment(
        loader=PackageLoader("producer.web"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.install_gettext_translations(translations(language), newstyle=False)  # type: ignore[attr-defined]
    say = Saying(language)
    env.globals.update(
        protocols=protocols,
        several=several,
        lang=language,
        say=say,
        state_bar=say.states,
        CELLS=CELLS,
        number=say.number,
        size=say.size,
        duration=say.duration,
        moment=say.moment,
        hour=say.hour,
        ago=say.ago,
        percent=say.percent,
        some=say.some,
        sentence=say.sentence,
        told=say.told,
        FaultsFound=FaultsFound,
        places_of=places_of,
        heard=say.heard,
        quoted=say.quoted,
        Role=Role,
        word=word,
        SWAPPED=SameMailbox.SWAPPED,
        once=once,
        language_names=LANGUAGE_NAMES,
    )
    return env


_SAYINGS: Final = {language: Saying(language) for language in LANGUAGES}
_ENVIRONMENTS: Final = {language: _environment(language) for language in LANGUAGES}


def language(request: Request) -> str:
    """Returns the reader's language: clicked now, clicked before, or the browser's."""
    return language_of(
        request.query_params.get("lang", ""),
        request.cookies.get(LANGUAGE_COOKIE, ""),
        request.headers.get("accept-language", ""),
    )


def saying(request: Request) -> Saying:
    """Returns the wording in the reader's language."""
    return _SAYINGS[language(request)]


def rendered(request: Request, name: str, /, **values: Any) -> str:
    """Renders a template as text."""
    return _ENVIRONMENTS[language(request)].get_template(name).render(**values)


def draw(request: Request, name: str, who: Principal | None, status: int = 200, /, **values: Any) -> Response:
    """Renders a page. A language that was clicked is stored in a cookie.

    A page that answers a POST is kept in every language, and the browser is led to it. What was typed into its forms is
    in them again: after a fault what was sent, and else what was kept (`filling`).
    """
    asked = {key: text for key, text in request.query_params.items() if key != "lang"}
    in_languages = {one: f"?{urlencode({**asked, 'lang': one})}" for one in LANGUAGES}
    values |= {"who": who, "path": request.url.path, "in_languages": in_languages}
    if request.method == "POST" and who is not None and request.headers.get("hx-request") != "true":
        result_id = results.fresh()
        values["address"] = f"/results/{result_id}"
        pages = {one: env.get_template(name).render(**values) for one, env in _ENVIRONMENTS.items()}
        if status >= 400:
            pages = _filled_again(request, who, pages)
        # A page that shows a secret is shown for a minute.
        result = results.Result(status=status, pages=pages, once=bool(values.get("secret")))
        return results.led_to(request, who, result_id, result, language(request))
    values["address"] = request.url.path + (f"?{urlencode(asked)}" if asked else "")
    answer = HTMLResponse(as_kept(request, who, rendered(request, name, **values)), status)
    if request.query_params.get("lang") in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language(request), max_age=365 * 86400, samesite="lax", httponly=True)
    return answer


def as_kept(request: Request, who: Principal | None, page: str) -> str:
    """Returns the page with what was typed into its forms before, if its address names that."""
    kept_id = request.query_params.get(FILLED, "")
    kept = filled_store.find(request.app.state.web_context, who, kept_id) if kept_id else []
    return filled(page, kept, kept_id, saying(request).file_again) if kept else page


def came_from(request: Request, who: Principal | None) -> str:
    """Returns the page that sent the form, with what was typed into it; "" where the browser does not say."""
    there = urlsplit(request.headers.get("referer", ""))
    ours = there.netloc == request.url.netloc and not there.path.startswith("//")
    if request.method != "POST" or who is None or not ours:
        return ""
    asked = [pair for pair in parse_qsl(there.query) if pair[0] not in (FILLED, "lang")]
    sent, kept_id = _sent(request), results.fresh()
    if sent and _is_kept(request, who, kept_id, sent):
        asked.append((FILLED, kept_id))
    return there.path + (f"?{urlencode(asked)}" if asked else "")


def _sent(request: Request) -> list[KeptField]:
    """Returns what the form sent, but for what the page itself had kept of it."""
    pairs = getattr(request.state, "sent", ())
    return [
        KeptField(form=request.url.path, name=name, text=text) for name, text in pairs if name not in (FILLED, DOTTED)
    ]


def _filled_again(request: Request, who: Principal, pages: dict[str, str]) -> dict[str, str]:
    """Returns the pages that say what is wrong with a form, with what was sent in it."""
    request.state.fault = True
    sent, kept_id = _sent(request), results.fresh()
    if not sent:
        return pages
    found = {one: filled(page, sent, kept_id, _SAYINGS[one].file_again) for one, page in pages.items()}
    return found if found != pages and _is_kept(request, who, kept_id, sent) else pages


def _is_kept(request: Request, who: Principal, kept_id: str, sent: list[KeptField]) -> bool:
    """Keeps what was sent. Returns False while the store does not answer."""
    try:
        return filled_store.keep(request.app.state.web_context, who, kept_id, sent)
    except StoreError:
        return False


def back_to(to: str, section: str = "", language: str = "") -> Response:
    """Redirects to a page after an act, in the language that was chosen with it."""
    answer = RedirectResponse(to + (f"#{section}" if section else ""), 303)
    if language in LANGUAGES:
        answer.set_cookie(LANGUAGE_COOKIE, language, max_age=365 * 86400, samesite="lax", httponly=True)
    return answer
