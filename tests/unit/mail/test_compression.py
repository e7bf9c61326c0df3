"""Tests of the decision whether compressing pays, by the pace of connections before and after."""

from __future__ import annotations

from shared.mail.answers.compression import (
    AGAIN_SECONDS,
    FAST,
    GAIN,
    LEAST_BYTES,
    TRIAL_SECONDS,
    Pace,
    ServerCompression,
)

PLAIN = Pace(LEAST_BYTES, 1.0)


class Connection:
    """Stands for a connection: one that is gone tries nothing any more."""


def test_a_connection_that_moved_little_is_not_compressed() -> None:
    assert not ServerCompression().due(Connection(), Pace(LEAST_BYTES - 1, 100.0), 0.0)


def test_a_connection_on_a_fast_link_is_not_compressed() -> None:
    assert not ServerCompression().due(Connection(), Pace(FAST, 1.0), 0.0)
    assert ServerCompression().due(Connection(), Pace(FAST, 1.1), 0.0)


def test_one_connection_tries_and_the_others_wait_for_what_it_finds() -> None:
    server, first, second = ServerCompression(), Connection(), Connection()
    assert server.due(first, PLAIN, 0.0)
    assert server.due(first, PLAIN, 1.0)
    assert not server.due(second, PLAIN, 1.0)
    server.tell(second, Pace(LEAST_BYTES, 0.001), 2.0)
    server.tell(first, Pace(LEAST_BYTES - 1, 0.001), 2.0)
    assert server.pays is None


def test_all_connections_are_compressed_where_one_became_fast_enough() -> None:
    told = list[tuple[bool, float, float]]()
    server, first = ServerCompression(lambda *what: told.append(what)), Connection()
    assert server.due(first, PLAIN, 0.0)
    server.tell(first, Pace(LEAST_BYTES, 1.0 / GAIN - 0.01), 5.0)
    assert server.pays
    assert server.due(Connection(), Pace(1, 1.0), 6.0)
    assert [(pays, after > before) for pays, before, after in told] == [(True, True)]


def test_no_connection_is_compressed_for_an_hour_where_one_became_hardly_faster() -> None:
    server, first = ServerCompression(), Connection()
    assert server.due(first, PLAIN, 0.0)
    server.tell(first, Pace(LEAST_BYTES, 1.0 / GAIN + 0.01), 5.0)
    second = Connection()
    assert not server.due(second, PLAIN, 5.0 + AGAIN_SECONDS - 1)
    assert server.due(second, PLAIN, 5.0 + AGAIN_SECONDS)


def test_a_trial_whose_connection_is_gone_is_taken_over() -> None:
    server, first = ServerCompression(), Connection()
    assert server.due(first, PLAIN, 0.0)
    del first
    assert server.due(Connection(), PLAIN, 1.0)


def test_a_trial_without_an_end_is_given_up() -> None:
    server, first, second = ServerCompression(), Connection(), Connection()
    assert server.due(first, PLAIN, 0.0)
    assert not server.due(second, PLAIN, TRIAL_SECONDS - 1)
    assert server.due(second, PLAIN, TRIAL_SECONDS)


def test_a_server_on_which_two_trials_came_to_no_verdict_is_left_alone_for_an_hour() -> None:
    server, first, second = ServerCompression(), Connection(), Connection()
    assert server.due(first, PLAIN, 0.0)
    del first
    assert server.due(second, PLAIN, 1.0)
    lost = 1.0 + TRIAL_SECONDS
    third = Connection()
    assert not server.due(third, PLAIN, lost)
    assert not server.due(third, PLAIN, lost + AGAIN_SECONDS - 1)
    assert server.pays is False
    assert server.due(third, PLAIN, lost + AGAIN_SECONDS)


def test_a_refusal_ends_the_trial() -> None:
    server, first = ServerCompression(), Connection()
    assert server.due(first, PLAIN, 0.0)
    server.give_up(1.0)
    assert not server.due(Connection(), PLAIN, 2.0)
