"""Tests which imports are asked whether they brought mail from one account to another."""

from __future__ import annotations

from dataclasses import replace

from shared.model import Account, Endpoint, Import, Mailbox, Tls, import_id, mailbox_id
from shared.store.ports.brought import between

OLD, NEW, THIRD = (Endpoint(host=host, port=993, tls=Tls.IMPLICIT) for host in ("old.example", "new.example", "third"))


def _import(name: str, source: Endpoint, destination: Endpoint) -> Import:
    return Import(import_id=import_id(name, source, destination), name=name, source=source, destination=destination)


class AskedBooks:
    """Books that note which mailboxes they were asked for."""

    def __init__(self, *requests: Import) -> None:
        self.requests, self.asked = requests, list[str]()
        self.mailboxes: dict[str, Mailbox] = {}

    def imports(self) -> list[Import]:
        """Returns the imports."""
        return list(self.requests)

    def mailbox(self, mailbox_id: str) -> Mailbox | None:
        """Returns the mailbox, if there is one."""
        self.asked.append(mailbox_id)
        return self.mailboxes.get(mailbox_id)


def test_only_imports_to_that_server_are_asked_for_the_mailbox() -> None:
    there = [_import(f"wave {n}", OLD, NEW) for n in range(20)]
    back = _import("wave 1 (back)", NEW, replace(OLD, port=143, tls=Tls.STARTTLS))
    books = AskedBooks(*there, back, _import("elsewhere", NEW, THIRD))
    new, old = Account(endpoint=NEW, login="ann"), Account(endpoint=OLD, login="ann")
    one = mailbox_id(back.import_id, "ann", "ann")
    books.mailboxes[one] = Mailbox(
        mailbox_id=one, import_id=back.import_id, row=1, source=new, destination=replace(old, endpoint=back.destination)
    )
    assert between(books, new, old) == [one]
    assert len(books.asked) == 2
