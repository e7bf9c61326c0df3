"""Settings come from the environment, are checked at once, and a fault names its variable."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from shared.model.errors import UsageError
from shared.runtime.config import load_settings, redis_urls, unknown_variables


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith("MAILHAUL_")]:
        monkeypatch.delenv(name)


def test_an_empty_environment_gives_the_defaults(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    settings = load_settings()
    assert settings.redis_url is None
    assert settings.state_dir == tmp_path / "mailhaul"
    assert (settings.worker_threads, settings.batch_bytes) == (16, 134_217_728)


def test_a_relative_xdg_folder_does_not_count(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "here")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_settings().state_dir == tmp_path / ".local" / "state" / "mailhaul"


def test_variables_are_read_and_arguments_win(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHAUL_WORKERS", "3")
    monkeypatch.setenv("MAILHAUL_WORKER_THREADS", "7")
    settings = load_settings(workers=5, worker_threads=None)
    assert (settings.workers, settings.worker_threads) == (5, 7)


def test_every_fault_is_told_at_once_with_its_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHAUL_WORKERS", "many")
    monkeypatch.setenv("MAILHAUL_LEASE_SECONDS", "-1")
    with pytest.raises(UsageError) as refused:
        load_settings()
    assert [line.partition(":")[0] for line in str(refused.value).splitlines()] == [
        "MAILHAUL_WORKERS",
        "MAILHAUL_LEASE_SECONDS",
    ]
    assert "'many'" in str(refused.value)


@pytest.mark.parametrize("seconds", ["nan", "inf", "0"])
def test_a_time_is_a_finite_positive_number(monkeypatch: pytest.MonkeyPatch, seconds: str) -> None:
    monkeypatch.setenv("MAILHAUL_COMMAND_TIMEOUT_SECONDS", seconds)
    with pytest.raises(UsageError, match="MAILHAUL_COMMAND_TIMEOUT_SECONDS"):
        load_settings()


def test_a_lease_must_outlive_two_missed_renewals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHAUL_RENEW_SECONDS", "25")
    with pytest.raises(UsageError, match="MAILHAUL_RENEW_SECONDS must be at most a third"):
        load_settings()


def test_a_wrong_url_is_refused_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHAUL_REDIS_URL", "http://me:hunter2@host")
    with pytest.raises(UsageError, match=r"MAILHAUL_REDIS_URL: write it as redis://") as refused:
        load_settings()
    assert "hunter2" not in str(refused.value)


def test_a_secret_does_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MAILHAUL_REDIS_URL", "redis://me:hunter2@host")
    monkeypatch.setenv("MAILHAUL_SECRET_KEY", "hunter3")
    settings = load_settings()
    shown = f"{settings!r} {vars(settings)}"
    assert "hunter" not in shown


def test_a_secret_is_read_from_its_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://host:1234\n")
    monkeypatch.setenv("MAILHAUL_REDIS_URL_FILE", str(tmp_path / "url"))
    assert redis_urls(load_settings(), None)[0] == "redis://host:1234/0"


def test_a_secret_is_given_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "url").write_text("redis://host")
    monkeypatch.setenv("MAILHAUL_REDIS_URL_FILE", str(tmp_path / "url"))
    monkeypatch.setenv("MAILHAUL_REDIS_URL", "redis://other")
    with pytest.raises(UsageError, match="both set"):
        load_settings()


def test_a_missing_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MAILHAUL_SECRET_KEY_FILE", str(tmp_path / "none"))
    with pytest.raises(UsageError, match=r"MAILHAUL_SECRET_KEY_FILE: .*none cannot be read \(No such file"):
        load_settings()


def test_unknown_variables_are_told_with_what_was_meant(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("MAILHAUL_WORKER_THREAD", "4")
    with caplog.at_level(logging.WARNING):
        load_settings()
    assert "MAILHAUL_WORKER_THREAD is not a setting" in caplog.text
    assert "did you mean MAILHAUL_WORKER_THREADS?" in caplog.text


def test_only_ours_are_unknown() -> None:
    environ = {"PATH": "", "MAILHAUL_TEST_CORPUS": "", "MAILHAUL_SECRET_KEY_FILE": "", "MAILHAUL_WORKERS_FILE": ""}
    assert list(unknown_variables(environ)) == ["MAILHAUL_WORKERS_FILE"]


@pytest.mark.parametrize(
    ("redis_url", "broker_url", "expected"),
    [
        ("redis://h:1", None, ("redis://h:1/0", "redis://h:1/1")),
        ("redis://h/0", None, ("redis://h/0", "redis://h/1")),
        ("rediss://u:p%40@h?ssl_cert_reqs=required", None, None),
        ("unix:///run/r.sock", None, ("unix:///run/r.sock?db=0", "unix:///run/r.sock?db=1")),
        ("unix://u:p@/run/r.sock?db=0", None, ("unix://u:p@/run/r.sock?db=0", "unix://u:p@/run/r.sock?db=1")),
        ("redis://h/5", "redis://q/2", ("redis://q/2", "redis://h/5")),
        ("redis://h", "redis://q", ("redis://q/0", "redis://h/1")),
    ],
)
def test_queue_and_state_get_a_database_each(
    redis_url: str, broker_url: str | None, expected: tuple[str, str] | None
) -> None:
    expected = expected or tuple(f"rediss://u:p%40@h/{db}?ssl_cert_reqs=required" for db in (0, 1))  # type: ignore[assignment]
    assert redis_urls(load_settings(redis_url=redis_url, broker_url=broker_url), None) == expected


def test_the_embedded_socket_is_used_when_nothing_is_set() -> None:
    assert redis_urls(load_settings(), Path("/a b/r.sock")) == (
        "unix:///a%20b/r.sock?db=0",
        "unix:///a%20b/r.sock?db=1",
    )


@pytest.mark.parametrize(
    ("redis_url", "broker_url", "complaint"),
    [
        (None, None, "no Redis is set"),
        ("redis://h/3", None, "names database 3"),
        ("redis://h/1", "redis://h/1", "the same database"),
    ],
)
def test_what_cannot_work_is_refused(redis_url: str | None, broker_url: str | None, complaint: str) -> None:
    with pytest.raises(UsageError, match=complaint):
        redis_urls(load_settings(redis_url=redis_url, broker_url=broker_url), None)
