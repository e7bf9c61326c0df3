"""Secrets at rest and in memory.

In memory a password is a `Secret`, which prints as `***` and cannot be pickled or turned into JSON by accident. At rest
it is sealed by a `Vault` and bound to its mailbox, its side and its ends (`shared.model.binding`). Fernet has no
associated data, so these are put inside and compared on opening. A sealed password that is copied to another mailbox's
key does not open there, nor does one whose server or login was changed in the state store.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from shared.content.json_text import read_json
from shared.model.errors import CredentialsError, UsageError
from shared.nouns import dataclass
from shared.runtime.secret import Secret
from shared.wording.phrases import Phrase

if TYPE_CHECKING:  # loaded when a vault is made: many commands make none
    from cryptography.fernet import MultiFernet

    from shared.runtime.config import Settings

SEALED_FOR_ANOTHER_MAILBOX: Final = Phrase(
    "sealed_for_another_mailbox",
    "what is stored as the {side_word} credentials of mailbox {id} was sealed for another: the state "
    "store has been tampered with or mixed up; run the import again with its manifest to store them "
    "anew",
)
CREDENTIALS_OF_AN_OLDER_VERSION: Final = Phrase(
    "credentials_of_an_older_version",
    "the {side} credentials of mailbox {mailbox} were stored by an older version, which did not bind "
    "them to their servers: run the import again with its manifest to store them anew",
)
STATE_STORE_NAMES_ANOTHER_SERVER: Final = Phrase(
    "state_store_names_another_server",
    "the state store names another server, TLS mode, certificate, login or destination for mailbox "
    "{mailbox} than its passwords were given for, so nothing was sent: find out who can write to "
    "Redis, then run the import again with its manifest",
)
CREDENTIALS_DO_NOT_OPEN: Final = Phrase(
    "credentials_do_not_open",
    "the {side_word} credentials of mailbox {id} do not open with any key of this process: give "
    "every worker and the command line the same MAILHAUL_SECRET_KEY (the old key after the new one), "
    "or run the import again with its manifest to store the passwords anew",
)
SEAL_DOES_NOT_OPEN: Final = Phrase(
    "seal_does_not_open",
    "sealed credentials do not open with any key of this process: keep the old key in "
    "MAILHAUL_SECRET_KEY, after the new one, until all have been rotated",
)

READ_BY_OTHERS: Final = Phrase(
    "key_read_by_others",
    "{path} can be read by others (mode {mode}): run chmod 600 {path}, and consider a new key",
)
KEY_EMPTY: Final = Phrase(
    "key_empty",
    "{path} is empty: put the key back, or remove the file and import with the manifest again",
)
NO_KEY: Final = Phrase(
    "key_impossible",
    "{where} is not a Fernet key (32 random bytes in base64, 44 characters): make one with: {command}",
)
KEY_OF_SETTING: Final = Phrase("key_of_setting", "MAILHAUL_SECRET_KEY: key {num}")
UNWRITABLE: Final = Phrase("key_unwritable", "{path} cannot be written ({cause}): nothing was changed")
UNREADABLE: Final = Phrase(
    "key_unreadable",
    "{path} cannot be read ({cause}): it holds the key that seals the passwords",
)

_KEY_FILE = "secret.key"
_COMMAND: Final = "python3 -c 'import base64, os; print(base64.urlsafe_b64encode(os.urandom(32)).decode())'"


class EndsChanged(CredentialsError):
    """The credentials were sealed for other ends than the store names now."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Credentials:
    """The login and password that are shown to a server to sign in."""

    #: The login as sent to the server.
    login: str
    #: The password.
    password: Secret
    #: Whether the account signs in with this password; otherwise it signs in by the import's own way
    #: (`shared.model.sign_in`), and the password is for an account that is to be made.
    own: bool = True


class _Held(NamedTuple):
    """Keys, ready for use."""

    fernet: MultiFernet
    signing: tuple[bytes, ...]


class Vault:
    """Seals and opens credentials. The first key seals, every key opens. Thread-safe."""

    def __init__(self, keys: Sequence[bytes], changed: Callable[[], Sequence[bytes]] = tuple) -> None:
        """`changed` gives other keys once they are others, and is asked each time: a key file may change during a run."""
        self._changed = changed
        self._use(keys)

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        """Makes a vault with the keys that `load_keys` finds; those of a key file are read again when it changes."""
        keys = load_keys(settings)
        return cls(keys) if settings.secret_key is not None else cls(keys, _Watched(key_file(settings)))

    def _use(self, keys: Sequence[bytes]) -> None:
        from cryptography.fernet import Fernet, MultiFernet

        self._held = _Held(
            MultiFernet([Fernet(key) for key in keys]),
            tuple(hashlib.blake2b(b"mailhaul rows that give rights", key=key).digest() for key in keys),
        )

    @property
    def _keys(self) -> _Held:
        if keys := self._changed():
            self._use(keys)
        return self._held

    def seal(self, mailbox_id: str, side: str, credentials: Credentials, *, bound: str = "") -> bytes:
        """Seals credentials for just this mailbox, side ("source" or "destination") and ends (`bound_to`)."""
        held = [mailbox_id, side, credentials.login, credentials.password.reveal(), credentials.own, bound]
        return self._keys.fernet.encrypt(json.dumps(held).encode())

    def open(self, mailbox_id: str, side: str, sealed: bytes, *, bound: str = "") -> Credentials:
        """Opens credentials.

        Raises `CredentialsError` when no key fits, or when they were sealed for another mailbox or side; `EndsChanged`
        when they were sealed for other ends.
        """
        from cryptography.fernet import InvalidToken

        try:
            sealed_for, sealed_side, login, password, *more = read_json(self._keys.fernet.decrypt(sealed))
        except InvalidToken:
            raise CredentialsError(CREDENTIALS_DO_NOT_OPEN.says(side_word=side, id=mailbox_id)) from None
        if (sealed_for, sealed_side) != (mailbox_id, side):
            raise CredentialsError(SEALED_FOR_ANOTHER_MAILBOX.says(side_word=side, id=mailbox_id))
        if bound and len(more) < 2:
            raise CredentialsError(CREDENTIALS_OF_AN_OLDER_VERSION.says(side=side, mailbox=mailbox_id))
        if len(more) > 1 and more[1] != bound:
            raise EndsChanged(STATE_STORE_NAMES_ANOTHER_SERVER.says(mailbox=mailbox_id))
        return Credentials(login=login, password=Secret(password), own=more[0] if more else True)

    def sign(self, text: str) -> str:
        """Returns a signature of the text by the first key, for rows that give rights (`shared.store.records.signed`)."""
        return _signature(self._keys.signing[0], text)

    def signed(self, text: str, signature: str) -> bool:
        """Tells whether any key made this signature of this text."""
        return any(hmac.compare_digest(_signature(key, text), signature) for key in self._keys.signing)

    def rotate(self, sealed: bytes) -> bytes:
        """Seals the same content with the first key, so that an old key can be dropped."""
        from cryptography.fernet import InvalidToken

        try:
            return self._keys.fernet.rotate(sealed)
        except InvalidToken:
            raise CredentialsError(SEAL_DOES_NOT_OPEN.says()) from None


def _signature(key: bytes, text: str) -> str:
    return hmac.new(key, text.encode("utf-8", "surrogatepass"), hashlib.sha256).hexdigest()


def load_keys(settings: Settings) -> tuple[bytes, ...]:
    """Returns the Fernet keys, the sealing one first.

    They come from the settings, else from the state folder. There a key is made if there is none.
    """
    if settings.secret_key is not None:
        texts = [text.strip() for text in settings.secret_key.reveal().split(",")]
        return tuple(_checked(text, KEY_OF_SETTING.says(num=at)) for at, text in enumerate(texts, start=1))
    path = key_file(settings)
    if not path.exists():
        _make_key_file(path)
    return _keys_in(path)


def key_file(settings: Settings) -> Path:
    """Returns the file that holds the keys where no setting gives them."""
    return settings.state_dir / _KEY_FILE


def _new_key() -> bytes:
    from cryptography.fernet import Fernet

    return Fernet.generate_key()


def add_key(path: Path) -> None:
    """Puts a new key before those of the file: from now on it seals. Raises `UsageError`."""
    _write_keys(path, (_new_key(), *_keys_in(path)))


def keep_first_key(path: Path) -> int:
    """Removes all keys of the file but the first; how many. Raises `UsageError`."""
    first, *others = _keys_in(path)
    if others:
        _write_keys(path, (first,))
    return len(others)


class _Watched:
    """The keys of a file, once it is another than when it was looked at last. A file that cannot be read changes nothing."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen = self._look()

    def __call__(self) -> Sequence[bytes]:
        look = self._look()
        if look in (self._seen, None):
            return ()
        try:
            keys = _keys_in(self._path)
        except UsageError:
            return ()
        self._seen = look
        return keys

    def _look(self) -> tuple[int, int] | None:
        try:
            found = self._path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns


def _keys_in(path: Path) -> tuple[bytes, ...]:
    return tuple(_checked(line, str(path)) for line in _read_private(path).split())


def _checked(text: str, where: str) -> bytes:
    from cryptography.fernet import Fernet

    # The key itself is never part of the message.
    try:
        Fernet(text)
    except ValueError:
        raise NO_KEY.error(where=where, command=_COMMAND) from None
    return text.encode()


def _make_key_file(path: Path) -> None:
    """Writes the file whole or not at all, and never over another process's.

    Two processes may start at once: a link refuses a name that is taken.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    draft = _draft_of(path, (_new_key(),))
    try:
        try:
            os.link(draft, path)
        except FileExistsError:
            return
    finally:
        os.unlink(draft)


def _write_keys(path: Path, keys: Sequence[bytes]) -> None:
    """Whole or not at all."""
    try:
        os.replace(_draft_of(path, keys), path)
    except OSError as error:
        raise UNWRITABLE.error(path=str(path), cause=str(error.strerror)) from None


def _draft_of(path: Path, keys: Sequence[bytes]) -> str:
    """A private file beside it, on disk."""
    descriptor, draft = tempfile.mkstemp(prefix=".secret-", dir=path.parent)  # O_EXCL and 0600
    with os.fdopen(descriptor, "wb") as file:
        file.write(b"".join(key + b"\n" for key in keys))
        file.flush()
        os.fsync(file.fileno())
    return draft


def _read_private(path: Path) -> str:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        with os.fdopen(descriptor, encoding="ascii", errors="replace") as file:
            mode = os.fstat(file.fileno()).st_mode & 0o777
            text = file.read()
    except OSError as error:
        raise UNREADABLE.error(path=str(path), cause=str(error.strerror)) from None
    if mode & 0o077:
        raise READ_BY_OTHERS.error(path=str(path), mode=f"{mode:03o}")
    if not text.strip():
        raise KEY_EMPTY.error(path=str(path))
    return text
