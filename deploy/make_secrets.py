"""Makes the secrets of one installation: Redis passwords, the ACL file, the key that seals mail passwords.

    python deploy/make_secrets.py DIR [--redis redis://redis:6379]

Writes DIR/redis/users.acl, DIR/<role>/{redis-url,secret-key}, DIR/producer/web-token (the first sign-in at the page)
and DIR/grafana/admin-password. Each role has a folder of its own and is given that alone, so the coordinator never sees
the key.

Existing files stay as they are, so it may be run at every start. To change a password, remove its redis-url, run it
again, and restart Redis and the role. It needs nothing but Python.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import secrets
import sys
from pathlib import Path
from urllib.parse import quote, urlsplit

#: Whether each role has the key: it seals or opens mail passwords, or knows cutovers by their signature.
ROLES = {"worker": True, "coordinator": True, "producer": True, "admin": False}
_TEMPLATE = Path(__file__).resolve().parent / "redis" / "users.acl.template"


def make_secrets(folder: Path, redis: str, *, mode: int = 0o400, keda: bool = False) -> list[Path]:
    """Writes the missing files. Returns their paths, the ACL file last."""
    written: list[Path] = []

    def write(path: Path, text: str) -> None:
        """Writes the file whole or not at all."""
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.new")
        draft.unlink(missing_ok=True)
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            os.fchmod(file.fileno(), mode)
        draft.replace(path)
        written.append(path)

    key_file = folder / "worker" / "secret-key"
    key = key_file.read_text() if key_file.exists() else base64.urlsafe_b64encode(os.urandom(32)).decode() + "\n"
    passwords = {}
    for role, sealing in ROLES.items():
        url_file = folder / role / "redis-url"
        if not url_file.exists():
            scheme, _, place = redis.partition("://")
            password = secrets.token_urlsafe(32)
            write(url_file, f"{scheme}://{role}:{quote(password, safe='')}@{place}\n")
        passwords[role] = urlsplit(url_file.read_text().strip()).password or ""
        if sealing and not (folder / role / "secret-key").exists():
            write(folder / role / "secret-key", key)
    counter = folder / "keda" / "password"
    if keda and not counter.exists():
        write(counter, secrets.token_urlsafe(32))
        write(folder / "keda" / "username", "keda")
    if counter.exists():
        passwords["keda"] = counter.read_text()
    acl = folder / "redis" / "users.acl"
    token = folder / "producer" / "web-token"
    if not token.exists():
        write(token, f"mh_{secrets.token_hex(6)}_{secrets.token_urlsafe(32)}\n")
    admin = folder / "grafana" / "admin-password"
    if not admin.exists():
        write(admin, secrets.token_urlsafe(24) + "\n")
    if not acl.exists() or written:
        write(acl, users(_TEMPLATE.read_text(), passwords))
    return written


def users(template: str, passwords: dict[str, str]) -> str:
    """Returns the ACL file: the template without comments, with the SHA-256 of each password.

    Users without a password are left out.
    """
    lines = [line for line in template.splitlines() if line and not line.startswith("#")]
    text = "\n".join(lines) + "\n"
    for role, password in passwords.items():
        text = text.replace(f"#{{{role}}}", f"#{hashlib.sha256(password.encode()).hexdigest()}")
    return "".join(line for line in text.splitlines(keepends=True) if "#{" not in line)


def main() -> int:
    """Runs the command. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Makes the secrets of one installation; what is there is left alone.")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--redis", default="redis://redis:6379", help="how the roles reach Redis")
    parser.add_argument(
        "--readable",
        action="store_true",
        help="files that every user may read (as Docker's own secrets are): the volume or folder is what guards them",
    )
    parser.add_argument(
        "--keda", action="store_true", help="a user for KEDA too (deploy/kubernetes/overlays/production)"
    )
    asked = parser.parse_args()
    if not asked.folder.exists():
        asked.folder.mkdir(mode=0o700, parents=True)
    written = make_secrets(asked.folder, asked.redis, mode=0o444 if asked.readable else 0o400, keda=asked.keda)
    for path in written:
        print(f"made {path}")
    print("secrets are there" if not written else "keep worker/secret-key: without it stored mail passwords are lost")
    return 0


if __name__ == "__main__":
    sys.exit(main())
