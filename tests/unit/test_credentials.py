"""A password is never seen by accident, and opens only for the mailbox and side that it was sealed for."""

from __future__ import annotations

import base64
import copy
import dataclasses
import json
import os
import pickle
import stat
import threading
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from hypothesis import given
from hypothesis import strategies as st

from shared.model.errors import CredentialsError, UsageError
from shared.runtime.config import load_settings
from shared.runtime.credentials import (
    Credentials,
    EndsChanged,
    Vault,
    add_key,
    keep_first_key,
    key_file,
    load_keys,
)
from shared.runtime.secret import Secret

CREDENTIALS = Credentials(login="ann@example.org", password=Secret("hunter2"))


def _vault() -> Vault:
    return Vault([Fernet.generate_key()])


def test_a_secret_does_not_show() -> None:
    secret = CREDENTIALS.password
    shown = f"{secret} {secret!r} {secret:>10} {CREDENTIALS} {[secret]} {{}}".format(secret) + str(secret)
    assert "hunter2" not in shown
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize("leak", [pickle.dumps, json.dumps, copy.copy, copy.deepcopy, vars])
def test_a_secret_is_not_written_out_by_accident(leak: object) -> None:
    with pytest.raises(TypeError):
        leak(CREDENTIALS.password)  # type: ignore[operator]
    with pytest.raises(TypeError):
        dataclasses.asdict(CREDENTIALS)


def test_secrets_compare_by_what_they_hold() -> None:
    assert Secret("é\ud800") == Secret("é\ud800") != Secret("b")
    assert hash(Secret("a")) == hash(Secret("a"))
    assert Secret("a") != "a"
    assert not Secret("")


@given(login=st.text(), password=st.text(st.characters(codec=None)))
def test_what_was_sealed_opens_again(login: str, password: str) -> None:
    vault, credentials = _vault(), Credentials(login=login, password=Secret(password))
    assert vault.open("m1", "source", vault.seal("m1", "source", credentials)) == credentials


@pytest.mark.parametrize(("mailbox", "side"), [("m2", "source"), ("m1", "destination")])
def test_it_does_not_open_elsewhere(mailbox: str, side: str) -> None:
    vault = _vault()
    with pytest.raises(CredentialsError, match="sealed for another"):
        vault.open(mailbox, side, vault.seal("m1", "source", CREDENTIALS))


def test_a_changed_byte_is_noticed_everywhere() -> None:
    vault = _vault()
    sealed = base64.urlsafe_b64decode(vault.seal("m1", "source", CREDENTIALS))
    for at in range(len(sealed)):
        changed = sealed[:at] + bytes([sealed[at] ^ 1]) + sealed[at + 1 :]
        with pytest.raises(CredentialsError):
            vault.open("m1", "source", base64.urlsafe_b64encode(changed))


def test_an_unknown_key_says_what_to_do() -> None:
    with pytest.raises(CredentialsError, match="MAILHAUL_SECRET_KEY") as refused:
        _vault().open("m1", "source", _vault().seal("m1", "source", CREDENTIALS))
    assert refused.value.__cause__ is None


def test_a_new_key_takes_over_from_an_old_one() -> None:
    old, new = Fernet.generate_key(), Fernet.generate_key()
    sealed = Vault([old]).seal("m1", "source", CREDENTIALS)
    both = Vault([new, old])
    assert both.open("m1", "source", sealed) == CREDENTIALS
    assert Vault([new]).open("m1", "source", both.rotate(sealed)) == CREDENTIALS
    assert Vault([new]).open("m1", "source", both.seal("m1", "source", CREDENTIALS)) == CREDENTIALS
    with pytest.raises(CredentialsError):
        Vault([new]).rotate(sealed)


def test_keys_come_from_the_setting_in_order(tmp_path: Path) -> None:
    keys = [Fernet.generate_key(), Fernet.generate_key()]
    settings = load_settings(state_dir=tmp_path, secret_key=b" , ".join(keys).decode())  # type: ignore[arg-type]
    assert load_keys(settings) == tuple(keys)
    assert not (tmp_path / "secret.key").exists()


@pytest.mark.parametrize(
    "text",
    ["hunter2", "", f"{Fernet.generate_key().decode()},", "é" * 44],
    ids=["word", "nothing", "one too many", "no ascii"],
)
def test_what_is_no_key_is_refused_unseen(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError, match=r"MAILHAUL_SECRET_KEY: key \d is not a Fernet key") as refused:
        load_keys(load_settings(state_dir=tmp_path, secret_key=text))  # type: ignore[arg-type]
    assert "hunter2" not in str(refused.value)


def test_a_key_file_is_made_once_for_the_owner_alone(tmp_path: Path) -> None:
    settings = load_settings(state_dir=tmp_path / "state")
    keys = load_keys(settings)
    assert load_keys(settings) == keys
    assert stat.S_IMODE(os.stat(tmp_path / "state" / "secret.key").st_mode) == 0o600
    assert os.listdir(tmp_path / "state") == ["secret.key"]


def test_two_that_start_at_once_agree_on_the_key(tmp_path: Path) -> None:
    settings, found = load_settings(state_dir=tmp_path), set[tuple[bytes, ...]]()
    barrier = threading.Barrier(8)

    def load() -> None:
        barrier.wait(180)
        found.add(load_keys(settings))

    threads = [threading.Thread(target=load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(180)
    assert len(found) == 1


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660])
def test_a_key_file_that_others_may_read_is_refused(tmp_path: Path, mode: int) -> None:
    load_keys(settings := load_settings(state_dir=tmp_path))
    (tmp_path / "secret.key").chmod(mode)
    with pytest.raises(UsageError, match=rf"mode {mode:03o}.*chmod 600"):
        load_keys(settings)


def test_an_empty_key_file_and_a_link_are_refused(tmp_path: Path) -> None:
    settings, path = load_settings(state_dir=tmp_path), tmp_path / "secret.key"
    path.touch(mode=0o600)
    with pytest.raises(UsageError, match="is empty"):
        load_keys(settings)
    path.unlink()
    (tmp_path / "elsewhere").write_bytes(Fernet.generate_key())
    path.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="cannot be read"):
        load_keys(settings)


def test_a_password_opens_only_for_the_ends_that_it_was_sealed_for() -> None:
    vault = _vault()
    sealed = vault.seal("m1", "source", CREDENTIALS, bound="as given")
    assert vault.open("m1", "source", sealed, bound="as given") == CREDENTIALS
    for other in ("as changed", ""):
        with pytest.raises(EndsChanged, match="nothing was sent"):
            vault.open("m1", "source", sealed, bound=other)


def test_what_an_older_version_sealed_asks_for_the_manifest() -> None:
    key = Fernet.generate_key()
    sealed = Fernet(key).encrypt(json.dumps(["m1", "source", "anna", "pw", True]).encode())
    with pytest.raises(CredentialsError, match="older version"):
        Vault([key]).open("m1", "source", sealed, bound="ends")


def test_a_signature_is_of_one_text_and_one_key() -> None:
    old, new, stranger = (Fernet.generate_key() for _ in range(3))
    signature = Vault([old]).sign("row")
    assert Vault([new, old]).signed("row", signature)
    assert not Vault([old]).signed("another row", signature)
    assert not Vault([stranger]).signed("row", signature)


def test_a_key_that_is_added_during_a_run_is_taken_up(tmp_path: Path) -> None:
    settings = load_settings(state_dir=tmp_path)
    running = Vault.from_settings(settings)
    sealed, signature = running.seal("m1", "source", CREDENTIALS), running.sign("row")
    before = load_keys(settings)
    add_key(key_file(settings))
    after = load_keys(settings)
    assert (len(after), after[1:]) == (2, before)
    assert stat.S_IMODE(key_file(settings).stat().st_mode) == 0o600
    # By the process that runs already: it seals by the new key, and opens by both.
    assert Vault(after[:1]).open("m1", "source", running.seal("m1", "source", CREDENTIALS)) == CREDENTIALS
    assert running.open("m1", "source", sealed) == CREDENTIALS
    assert running.signed("row", signature)
    assert running.sign("row") != signature
    anew = running.rotate(sealed)
    assert keep_first_key(key_file(settings)) == 1
    assert running.open("m1", "source", anew) == CREDENTIALS
    with pytest.raises(CredentialsError):
        running.open("m1", "source", sealed)
    assert keep_first_key(key_file(settings)) == 0


def test_a_key_file_that_cannot_be_read_changes_nothing(tmp_path: Path) -> None:
    settings = load_settings(state_dir=tmp_path)
    running = Vault.from_settings(settings)
    sealed = running.seal("m1", "source", CREDENTIALS)
    key_file(settings).write_text("no key")
    assert running.open("m1", "source", sealed) == CREDENTIALS
    key_file(settings).unlink()
    assert running.open("m1", "source", sealed) == CREDENTIALS
