"""Tests what the page's form asks for."""

from __future__ import annotations

import pytest

from producer.intake.account_options import AccountsAsked
from producer.intake.specification import SIDES, SheetAsked, check, read_rows
from producer.web.pages.form import Form, form_of
from shared.wording.phrases import Faults, FaultsFound

ROWS = b"login,password\nanna,of-the-source\n"


def _form(side: str, way: str) -> Form:
    ends = {f"{end}_host": f"{end}.example" for end in SIDES}
    return form_of({"name": "n", **ends, f"{side}_way": way})


def _codes(form: Form, **secrets: str) -> list[tuple[tuple[str, ...], str]]:
    faults = Faults()
    sheet = read_rows(SheetAsked(content=ROWS), form.server("source", "", ""))
    asked = form.taken_down({side: secrets.get(side, "") for side in SIDES}, sheet, AccountsAsked(), faults, good=False)
    return [(fault.fields, fault.code) for fault in check(asked, faults).faults]


@pytest.mark.parametrize("side", SIDES)
def test_one_password_for_all_is_never_each_rows_own(side: str) -> None:
    """Without that password a row would sign in at the destination with its password of the source."""
    form = _form(side, "password")
    assert _codes(form) == [((f"{side}.sign_in.secret",), "secret_needed")]
    with pytest.raises(FaultsFound):
        form.demand(side, "")
    assert _codes(form, **{side: "one for all"}) == []


@pytest.mark.parametrize("side", SIDES)
def test_where_each_row_has_its_password_none_is_demanded(side: str) -> None:
    assert _codes(_form(side, "")) == []
