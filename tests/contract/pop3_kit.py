"""The kit of the POP3 source's tests: signs in, and reads a maildrop."""

from __future__ import annotations

from shared.content.maildrop import Identities, SessionIdentities
from shared.mail import Message
from shared.mail.auth.sasl import Proof
from shared.mail.pop3.pop3_source import INBOX, Pop3Source
from shared.mail.ways import Ways
from shared.model import Endpoint, Tls
from shared.model.uids import UidSet
from shared.runtime.secret import Secret

EVERY = UidSet.parse("1:10000")


WAYS = Ways(connect_timeout_seconds=5, command_timeout_seconds=5)


def sign_in(port: int, identities: Identities | None = None, *, tls: Tls = Tls.NONE, **more: str) -> Pop3Source:
    """Signs in at the maildrop of the tests."""
    end = Endpoint(protocol="pop3", host="127.0.0.1", port=port, tls=tls, **more)
    proof = Proof(login="u@example.org", secret=Secret("s3cret, pässword"))
    source = WAYS.source(end, proof, identities or SessionIdentities())
    assert isinstance(source, Pop3Source)
    return source


def bodies(source: Pop3Source) -> dict[int, bytes]:
    """Returns every message by UID."""
    source.open(INBOX)
    return {each.uid: whole(each) for each in source.fetch(EVERY)}


def whole(message: Message) -> bytes:
    """Returns the bytes of a message, with its stream read."""
    return message.body if message.body is not None else b"".join(message.stream or ())


def end(*extra: bytes) -> bytes:
    """Returns a message whose body ends with these."""
    return b"Subject: s\r\n\r\n" + b"".join(extra)
