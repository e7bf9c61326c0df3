"""The brake: once every login of a server was refused, the other logins are not tried."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

from producer.intake.brake import FIRST, Brake


def _tried(brake: Brake, rows: int, *, refuses: bool) -> int:
    """Returns how many of these rows sign in, sixteen at a time, where all are refused or none is."""

    def look(_: int) -> bool:
        if not brake.may_try("source imaps://h:993"):
            return False
        brake.ended("source imaps://h:993", refused=refuses)
        return True

    with ThreadPoolExecutor(16) as pool:
        return sum(pool.map(look, range(rows)))


def test_a_server_that_refuses_everybody_is_asked_a_few_times_only() -> None:
    assert _tried(Brake(), 40, refuses=True) == FIRST


def test_one_that_lets_people_in_is_asked_for_all_of_them() -> None:
    assert _tried(Brake(), 40, refuses=False) == 40


def test_another_trouble_than_a_refusal_and_another_server_release_it() -> None:
    brake = Brake()
    for _ in range(FIRST):
        assert brake.may_try("a")
        brake.ended("a", refused=True)
    assert not brake.may_try("a")
    assert brake.may_try("b")
    brake.ended("b", refused=False)
    assert brake.may_try("b")
