"""Tests lists with nothing in them: a sentence for the reader, and nothing on standard output for a program."""

from __future__ import annotations

import pytest

from tests.acceptance.conftest import AdminEnvironment


@pytest.mark.parametrize("what", ["user", "token", "reach"])
def test_an_empty_list_says_how_to_fill_it(admin_env: AdminEnvironment, what: str) -> None:
    listed = admin_env.run(what, "list")
    assert listed.out == ""
    assert f"mailhaul {what} " in listed.said
