"""Tests waves as an administrator uses them: from the manifest to the report, by command line alone."""

from __future__ import annotations

import csv
import json

from tests.acceptance.conftest import AdminEnvironment, until


def test_two_waves_from_the_manifest_to_the_report(admin_env: AdminEnvironment) -> None:
    admin_env.variables |= {"MAILHAUL_COORDINATOR_PORT": "0"}
    boxes = admin_env.accounts("ann", "bob", "cyd", "dan")
    for source, _ in boxes.values():
        source.fill({"INBOX": 12})
    manifest = admin_env.manifest(
        [
            "login,password,Волна,priority,group",
            "ann,pw-ann,pilot,5,sales",
            "bob,pw-bob,pilot,,",
            "cyd,pw-cyd,,,",
            "dan,pw-dan,last,,",
        ]
    )
    up = admin_env.start("up", "--workers", "1", "--threads", "4")
    until(lambda: admin_env.run("limits", code=None).code == 0, "the embedded Redis")
    # Before there is any mailbox to claim, the last wave is put off.
    admin_env.run("limits", "source_host", "0")
    running = admin_env.start("import", manifest, *admin_env.ends, "--wave", "rest", "--json")
    until(lambda: "dan" in admin_env.run("status", code=None).out, "the rows")
    admin_env.run(
        "waves", "people", "--wave", "last", "--start-at", "2999-01-01T00:00Z", "--weight", "3", "--order", "2"
    )
    admin_env.run("pause", "people", "--wave", "rest")
    admin_env.run("limits", "source_host", "default")
    admin_env.run("watch", "people", "--wave", "pilot")

    shown = admin_env.run("waves", "people").out
    assert "pilot: 2 complete" in shown
    assert "rest: 1 queued; paused" in shown
    assert "last: 1 queued; starts " in shown
    assert "weight 3; order 2" in shown
    waves = {one["wave"]: one for one in json.loads(admin_env.run("waves", "people", "--json").out)}
    assert [waves[name]["mailboxes"]["queued"] for name in ("pilot", "rest", "last")] == [0, 1, 1]
    status = admin_env.run("status", "people").out
    assert "wave rest is paused (1 mailbox): mailhaul resume --wave rest" in status
    assert "wave last begins " in status
    of_pilot = json.loads(admin_env.run("status", "people", "--wave", "pilot", "--json").out)
    assert [m["login"] for m in of_pilot["mailboxes"]] == ["ann", "bob"]
    assert of_pilot["import"]["messages"] == of_pilot["import"]["copied"] == 24
    assert [of_pilot["mailboxes"][0][name] for name in ("wave", "priority", "group")] == ["pilot", 5, "sales"]
    assert "its waves are: pilot, rest, last" in admin_env.run("status", "people", "--wave", "nobody", code=2).said

    admin_env.run("move", "people", "--mailbox", "cyd", "--wave", "pilot", "--front")
    until(lambda: "pilot: 3 complete" in admin_env.run("waves", "people").out, "the one that was moved")
    assert "say where it goes" in admin_env.run("move", "people", "--mailbox", "cyd", code=2).said
    admin_env.run("cancel", "people", "--wave", "last", "--yes")
    admin_env.ended(running, code=3)
    assert "1 mailbox queued again" in admin_env.run("retry", "people", "--wave", "last").said
    admin_env.run("waves", "people", "--wave", "last", "--start-at", "now")
    admin_env.run("watch", "people")
    for source, destination in boxes.values():
        assert destination.seen() == source.seen()

    out = admin_env.home / "report"
    admin_env.run("report", "people", "--out", out, "--wave", "last")
    rows = list(csv.DictReader((out / "results.csv").open()))
    assert [(row["login"], row["wave"]) for row in rows] == [("dan", "last")]
    assert "no errors" in admin_env.run("errors", "people", "--wave", "pilot").said
    admin_env.run("verify", "people", "--wave", "last")
    admin_env.run("watch", "people")
    assert "wave set" in admin_env.run("audit").out
    admin_env.run("down")
    admin_env.ended(up)


def test_what_is_wrong_with_a_wave_is_said_with_its_row(admin_env: AdminEnvironment) -> None:
    manifest = admin_env.manifest(
        ["login,password,wave,priority", f"a,b,{'x' * 65},", "c,d,one,high", "e,f,two,100", "g,h,three,-99"]
    )
    said = admin_env.run("import", manifest, *admin_env.ends, code=2).said
    assert "row 2, wave: must be at most 64 printable characters" in said
    assert "row 3, priority: is not a whole number from -99 to 99" in said
    assert "row 4, priority" in said
    assert "row 5" not in said
    assert (
        "--wave: must be 1 to 64" in admin_env.run("import", manifest, *admin_env.ends, "--wave", "x" * 65, code=2).said
    )
