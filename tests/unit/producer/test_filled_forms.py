"""Tests that forms are filled in again: each field gets what was typed into it, and no password goes back."""

from __future__ import annotations

from producer.web.pages.filled_forms import KeptField, filled, undotted

PAGE = """<form id="one" method="post" action="/one"><input type="hidden" name="once" value="q">
<details class="z"><summary>More</summary><input name="name" value="1" required>
<input type="password" name="word" required></details>
<select name="kind"><option>one</option><option value="2" selected>two</option></select>
<textarea name="text">
old</textarea><input type="checkbox" name="tick" value="1"><input type="checkbox" name="tick" value="2" checked></form>
<input type="checkbox" form="two" name="box" value="7"><form id="two" method="get" action="/two"></form>"""
ROWS = (
    '<form id="rows" method="post" action="/rows">'
    + "".join(
        f'<input type="hidden" name="login" value="{login}"><input type="password" name="word">'
        for login in ("{}", "{}")
    )
    + "</form>"
)


def _kept(form: str, *pairs: tuple[str, str]) -> list[KeptField]:
    return [KeptField(form=form, name=name, text=text) for name, text in pairs]


def test_nothing_kept_changes_nothing() -> None:
    assert filled(PAGE, [], "id", str) == PAGE
    assert filled(PAGE, _kept("elsewhere", ("name", "x")), "id", str) == PAGE


def test_each_kind_of_field_gets_its_text_and_its_fold_is_opened() -> None:
    typed = [("once", "w"), ("name", 'a"<b'), ("word", "secret"), ("kind", "one"), ("text", "<new>"), ("tick", "1")]
    for form in ("one", "/one"):
        page = filled(PAGE, [*_kept(form, *typed), *_kept("two", ("box", "7"))], "id", str)
        for part in (
            '<details open class="z">',
            '<input name="name" required value="a&quot;&lt;b">',
            '<input type="hidden" name="filled_dots" value="id.2"><input type="password" name="word" placeholder="••••••">',
            '<option selected>one</option><option value="2">two</option>',
            '<textarea name="text">\n&lt;new&gt;</textarea>',
            '<input type="checkbox" name="tick" value="1" checked><input type="checkbox" name="tick" value="2">',
            '<input type="checkbox" form="two" name="box" value="7" checked>',
            '<input type="hidden" name="once" value="q">',
        ):
            assert part in page, (form, part)
        assert "secret" not in page
        assert page.count('name="filled"') == 1, "an address holds no more than what was searched for"


def test_a_row_gets_its_own_text_whatever_rows_went_meanwhile() -> None:
    kept = _kept(
        "rows", ("login", "anna"), ("word", "1"), ("login", "bert"), ("word", "2"), ("login", "eve"), ("word", "")
    )
    page = filled(ROWS.format("bert", "eve"), kept, "id", str)
    assert page.count("filled_dots") == 1
    assert 'value="bert"><input type="hidden" name="filled_dots" value="id.3">' in page
    assert filled(ROWS.format("carl", "dora"), kept, "id", str).count("filled_dots") == 0


def test_of_several_forms_with_one_path_the_one_with_its_hidden_fields_is_meant() -> None:
    form = '<form id="try-{0}" method="post" action="/try"><input type="hidden" name="name" value="{0}"><input name="login"></form>'
    page = filled(form.format("a") + form.format("b"), _kept("/try", ("name", "b"), ("login", "anna")), "id", str)
    first, second = page.split("</form>")[:2]
    assert "anna" not in first
    assert 'name="login" value="anna"' in second


def test_dots_stand_for_what_was_kept_and_for_nothing_else() -> None:
    kept = {"id": _kept("one", ("name", "x"), ("word", "secret"))}

    def find(kept_id: str) -> list[KeptField]:
        return kept.get(kept_id, [])

    assert undotted([("filled_dots", "id.1"), ("word", "")], find) == [("word", "secret")]
    assert undotted([("filled_dots", "id.1"), ("word", "newer")], find) == [("word", "newer")]
    assert undotted([("word", "")], find) == [("word", "")], "one that was emptied is empty"
    for strange in ("id.0", "id.7", "id.-1", "id.x", "other.1", "id"):
        sent = [("filled_dots", strange), ("word", "")]
        assert undotted(sent, find) == sent, "the mark stays of what is not kept any more"
