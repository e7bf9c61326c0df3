"""Tests an import with a wrong password in every row.

Each server sees only a few logins, whatever the number of workers.
"""

from __future__ import annotations

from tests.acceptance.conftest import AdminEnvironment

ROWS, FEW = 16, 5


def test_a_server_that_refuses_everybody_is_shown_a_few_logins_until_a_person_acts(admin_env: AdminEnvironment) -> None:
    names = [f"brake-{n}" for n in range(ROWS)]
    boxes = admin_env.accounts(*names)
    boxes[names[-1]][0].fill({"INBOX": 2})
    wrong = admin_env.manifest(dict.fromkeys(names, "wrong"))

    def tried() -> tuple[int, int]:
        return admin_env.source.login_attempts(), admin_env.destination.login_attempts()

    planned = admin_env.run("plan", wrong, *admin_env.ends, code=None).out
    before = tried()
    admin_env.run("plan", wrong, *admin_env.ends, code=None)
    assert tried()[0] == before[0] + FEW
    assert "every login was refused so far" in planned

    before = tried()
    found = admin_env.import_(wrong, code=3)
    assert tried()[0] == before[0] + FEW
    assert tried()[1] <= before[1] + FEW
    codes = [one["failure"]["code"] for one in found["mailboxes"]]
    assert codes.count("source_auth_refused") == FEW
    assert codes.count("source_logins_stopped") == ROWS - FEW
    said = admin_env.run("errors", code=None).out
    assert said.count("this login is not tried, since every login was refused so far") == 1
    assert "mailhaul retry" in said

    before = tried()
    admin_env.run("retry", code=3)
    assert tried()[0] == before[0] + FEW

    # With the right passwords for three, the stopped ones go on by themselves, and each is now reported on its own.
    before = tried()
    some = admin_env.manifest({name: f"pw-{name}" for name in names[:3]}, "some.csv")
    admin_env.run("credentials", "people", some, code=None)
    admin_env.run("retry", code=None)
    assert tried()[0] - before[0] >= ROWS - FEW - 3
    left = admin_env.run("errors", code=None).out
    assert "every login was refused so far" not in left

    right = admin_env.manifest({name: f"pw-{name}" for name in names}, "right.csv")
    admin_env.run("credentials", "people", right, code=None)
    admin_env.run("retry", code=None)
    assert boxes[names[-1]][1].seen() == boxes[names[-1]][0].seen()


def test_a_server_that_lets_somebody_in_is_shown_every_login(admin_env: AdminEnvironment) -> None:
    names = [f"mixed-{n}" for n in range(ROWS)]
    admin_env.accounts(*names)
    rows = {name: f"pw-{name}" if n == 0 else "wrong" for n, name in enumerate(names)}
    # Their order is not certain, so the right login is accepted before the others are on the list.
    admin_env.import_(admin_env.manifest({names[0]: rows[names[0]]}, "mixed.csv"))
    before = admin_env.source.login_attempts()
    found = admin_env.import_(admin_env.manifest(rows, "mixed.csv"), code=3)
    codes = [one["failure"]["code"] for one in found["mailboxes"] if one["failure"]]
    assert codes == ["source_auth_refused"] * (ROWS - 1)
    assert admin_env.source.login_attempts() == before + ROWS - 1
