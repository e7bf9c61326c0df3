"""Fills the forms of a page in again, from what was typed into them before. Pure.

One place for every form: no template has to know what was typed. A password stays on the server; the page shows dots for
it, and a hidden field beside it says which one it is (`undotted`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from html import escape, unescape
from html.parser import HTMLParser
from typing import Final

from producer.web.pages.sheet import DOTS
from shared.nouns import dataclass

#: The hidden field that names what was kept of the form (`filling`) as "ID.FORM", and the one that stands before a field
#: with dots.
FILLED: Final = "filled"
DOTTED: Final = "filled_dots"
#: Hidden fields that do not say which field is meant.
_PASSING: Final = ("once", FILLED, DOTTED)
#: Kinds of inputs that a person does not type into.
_NOT_TYPED: Final = ("hidden", "submit", "button", "reset", "image")
Attributes = Sequence[tuple[str, str | None]]


@dataclass(frozen=True, kw_only=True, slots=True)
class KeptField:
    """A field as the browser sent it."""

    #: The form: its id, or the path that it is sent to.
    form: str
    #: The field's name.
    name: str
    #: The text that was typed or chosen.
    text: str


def filled(page: str, kept: Sequence[KeptField], kept_id: str, chosen: Callable[[str], str]) -> str:
    """Returns the page with its forms filled in. What the page has no field for is left out.

    A field is known by its form, its name and the hidden fields before it. So a row of a table gets what was typed into
    it, and no other row does. No page can choose a file: beside its field stands what `chosen` says of its name.
    """
    look = _Reader(page, {}, "", chosen)
    look.read()
    keys = {form: _key(look.forms, form, kept) for form in {one.form for one in kept} - {""}}
    kept = [replace(one, form=keys.get(one.form, "")) for one in kept]
    texts: dict[tuple[str, ...], list[tuple[int, str]]] = defaultdict(list)
    for key in set(keys.values()) & set(look.forms):
        hidden: dict[str, str] = {}
        for at, one in enumerate(kept):
            if one.form == key and one.name in look.forms[key].hidden:
                hidden[one.name] = one.text
            elif one.form == key:
                texts[_place(key, one.name, hidden)].append((at, one.text))
    marks = {key: f"{kept_id}.{form}" for form, key in keys.items()}
    return _Reader(page, texts, kept_id, chosen, marks).read()


def _key(forms: Mapping[str, _Form], form: str, kept: Sequence[KeptField]) -> str:
    """Returns the id of a form, which may be known by the path that it was sent to and by its hidden fields; "" for none."""
    if form in forms:
        return form
    sent = {(one.name, one.text) for one in kept if one.form == form}
    return next((key for key, one in forms.items() if one.path == form and one.first <= sent), "")


def undotted(pairs: Iterable[tuple[str, str]], kept: Callable[[str], Sequence[KeptField]]) -> list[tuple[str, str]]:
    """Returns the fields of a form, with what was kept of those that were drawn with dots and are empty.

    The mark of a field stays before it where nothing is kept of it. `kept`: returns what was kept under an id.
    """
    found, dots = [], ""
    for name, text in pairs:
        if name == DOTTED:
            dots = text
            continue
        if dots and not text:
            text = _kept_at(dots, name, kept)
            found += [(DOTTED, dots)] * (not text)
        dots = ""
        found.append((name, text))
    return found


def without(kept: Sequence[KeptField], form: str) -> list[KeptField]:
    """Returns what was kept without a form; [] for nothing else. Each field stays at its place, which dots may name."""
    rest = [replace(one, form="", name="", text="") if one.form == form else one for one in kept]
    return rest if any(one.form for one in rest) else []


def _kept_at(dots: str, name: str, kept: Callable[[str], Sequence[KeptField]]) -> str:
    kept_id, _, number = dots.partition(".")
    fields = kept(kept_id) if number.isascii() and number.isdecimal() and len(number) < 6 else ()
    at = int(number) if fields else 0
    return fields[at].text if at < len(fields) and fields[at].name == name else ""


def _place(form: str, name: str, hidden: Mapping[str, str]) -> tuple[str, ...]:
    said = (part for pair in sorted(hidden.items()) if pair[0] not in _PASSING for part in pair)
    return (form, name, *said)


@dataclass
class _Form:
    """A form while the page is read."""

    #: Its id.
    key: str
    #: The path that it is sent to.
    path: str
    #: Its hidden fields so far.
    hidden: dict[str, str] = field(default_factory=dict)
    #: Those of them that stand before every other field, and say which of several forms it is.
    first: set[tuple[str, str]] = field(default_factory=set)
    #: Whether a field was read that is not hidden.
    begun: bool = False


class _Reader(HTMLParser):
    """Reads a page, and copies it with its forms filled in. All that is not a field stays as it is, to the character."""

    def __init__(
        self,
        page: str,
        texts: Mapping[tuple[str, ...], list[tuple[int, str]]],
        kept_id: str,
        chosen: Callable[[str], str],
        marks: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(convert_charrefs=True)
        self._says_chosen = chosen
        #: The text of the hidden field of each form that is filled in.
        self._marks = marks or {}
        self._page, self._texts, self._id = page, texts, kept_id
        #: The forms that have an id, by it.
        self.forms: dict[str, _Form] = {}
        self._starts = [0]
        for line in page.split("\n"):
            self._starts.append(self._starts[-1] + len(line) + 1)
        self._done = 0
        self._out: list[str] = []
        self._open: _Form | None = None
        self._folds: list[int] = []
        self._chosen = ""
        self._selecting = False

    def read(self) -> str:
        """Reads the page to its end, and returns the copy."""
        self.feed(self._page)
        self.close()
        self._out.append(self._page[self._done :])
        return "".join(self._out)

    def _here(self) -> int:
        line, column = self.getpos()
        return self._starts[line - 1] + column

    def _put(self, text: str, length: int) -> None:
        """Copies the page up to here, and `text` in the place of the next `length` characters."""
        here = self._here()
        self._out += [self._page[self._done : here], text]
        self._done = here + length

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Reads a tag."""
        own = dict(attrs)
        match tag:
            case "form":
                self._begin(own)
            case "details":
                self._put(self.get_starttag_text() or "", len(self.get_starttag_text() or ""))
                self._folds.append(len(self._out) - 1)
            case "input" | "textarea" | "select":
                form = self._of(own["form"] or "") if "form" in own else self._open
                if form and own.get("name"):
                    self._field(tag, attrs, form)
            case "option" if self._selecting:
                self._option(attrs)

    def handle_endtag(self, tag: str) -> None:
        """Reads the end of a tag."""
        if tag == "form":
            self._open = None
        elif tag == "details" and self._folds:
            self._folds.pop()
        elif tag == "select":
            self._selecting = False

    def _of(self, key: str) -> _Form:
        """Returns the form with this id, which may stand further below."""
        return self.forms.setdefault(key, _Form(key, ""))

    def _begin(self, own: Mapping[str, str | None]) -> None:
        key = own.get("id") or ""
        self._open = self._of(key) if key else _Form("", "")
        self._open.path = own.get("action") or ""
        if self._open.key in self._marks and (own.get("method") or "").lower() == "post":
            tag = self.get_starttag_text() or ""
            self._put(
                f'{tag}<input type="hidden" name="{FILLED}" value="{escape(self._marks[self._open.key])}">', len(tag)
            )

    def _field(self, tag: str, attrs: Attributes, form: _Form) -> None:
        own = dict(attrs)
        kind, name = (own.get("type") or "text").lower() if tag == "input" else tag, own["name"] or ""
        if kind == "hidden":
            form.hidden[name] = own.get("value") or ""
            if not form.begun and name not in _PASSING:
                form.first.add((name, form.hidden[name]))
            return
        form.begun = True
        if not form.key or form.key not in self._marks or kind in _NOT_TYPED:
            return
        waiting = self._texts.get(_place(form.key, name, form.hidden), [])
        if kind in ("checkbox", "radio"):
            self._tick(attrs, [text for _, text in waiting])
        elif waiting:
            at, text = waiting.pop(0)
            self._write(tag, kind, attrs, at, text)

    def _tick(self, attrs: Attributes, ticked: Sequence[str]) -> None:
        own = dict(attrs)
        wanted = (own.get("value") or "on") in ticked
        if wanted is ("checked" in own):
            return
        self._unfold()
        rest = [pair for pair in attrs if pair[0] != "checked"]
        self._put(_tag("input", [*rest, ("checked", None)] if wanted else rest), len(self.get_starttag_text() or ""))

    def _write(self, tag: str, kind: str, attrs: Attributes, at: int, text: str) -> None:
        raw = self.get_starttag_text() or ""
        here = self._here()
        if kind == "file":
            if text:
                self._unfold()
                self._put(f'{raw}<span class="under bad">{self._says_chosen(text)}</span>', len(raw))
            return
        if tag == "select":
            self._selecting, self._chosen = True, text
            return
        if kind == "password" or "data-secret" in dict(attrs):
            if text:
                self._unfold()
                mark = f'<input type="hidden" name="{DOTTED}" value="{escape(self._id)}.{at}">'
                rest = [pair for pair in attrs if pair[0] not in ("required", "placeholder", "value")]
                self._put(mark + _tag(tag, [*rest, ("placeholder", DOTS)]), len(raw))
            return
        if tag == "textarea":
            end = self._page.find("</textarea", here)
            if unescape(self._page[here + len(raw) : end]) != text:
                self._unfold()
            # A browser drops the first line feed of a textarea.
            self._put(f"{raw}\n{escape(text)}", end - here)
            return
        if (dict(attrs).get("value") or "") != text:
            self._unfold()
            rest = [pair for pair in attrs if pair[0] != "value"]
            self._put(_tag(tag, [*rest, ("value", text)]), len(raw))

    def _option(self, attrs: Attributes) -> None:
        raw, own = self.get_starttag_text() or "", dict(attrs)
        after = self._here() + len(raw)
        value = (
            own.get("value") if "value" in own else unescape(self._page[after : self._page.find("<", after)]).strip()
        )
        wanted = (value or "") == self._chosen
        if wanted is ("selected" in own):
            return
        if wanted:
            self._unfold()
        rest = [pair for pair in attrs if pair[0] != "selected"]
        self._put(_tag("option", [*rest, ("selected", None)] if wanted else rest), len(raw))

    def _unfold(self) -> None:
        """Opens the folds around this field, so that nobody looks for what was typed."""
        for at in self._folds:
            if " open" not in self._out[at]:
                self._out[at] = self._out[at].replace("<details", "<details open", 1)


def _tag(name: str, attrs: Attributes) -> str:
    return "<" + " ".join([name, *(key if text is None else f'{key}="{escape(text)}"' for key, text in attrs)]) + ">"
