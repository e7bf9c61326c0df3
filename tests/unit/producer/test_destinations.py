"""The destination of mail is named before the start, and an assumed one is marked as assumed."""

from __future__ import annotations

from producer.intake.manifest import parse_manifest
from producer.show.destinations import destination_lines


def test_every_destination_is_named_and_an_assumed_login_is_said() -> None:
    rows = parse_manifest(b"login,password,owner\nanna@x,a,\nbob@x,b,robert@y\n").rows
    assert list(destination_lines(rows)) == [
        "  anna@x → anna@x (the same login)",
        "  bob@x → robert@y",
        "  1 of 2 rows name no login at the destination: the same login is taken there",
    ]


def test_a_long_list_is_named_in_part() -> None:
    rows = parse_manifest("".join(f"u{at}@x,pw\n" for at in range(25)).encode()).rows
    lines = list(destination_lines(rows))
    assert len(lines) == 11
    assert lines[-1] == "  … and 15 more; mailhaul plan names them all"
