"""POP3 (RFC 1939), a protocol of sources."""

from __future__ import annotations

from collections.abc import Iterable

from shared.model.protocols import MailProtocol, register


def _capabilities(lines: Iterable[bytes]) -> list[str]:
    found: list[str] = []
    for line in lines:
        text = line.strip().decode("ascii", "replace")
        if text == "." or text.upper().startswith("-ERR"):
            break
        if not text.startswith("+OK"):
            found.append(text)
    return found


register(
    MailProtocol(
        name="pop3",
        title="POP3",
        port=110,
        tls_port=995,
        first_bytes=b"+OK",
        greeting=b"+OK",  # RFC 1939 §4
        ask_tls=b"STLS\r\n",  # RFC 2595 §4
        tls_granted=b"+OK",
        ask_capabilities=b"CAPA\r\n",
        read_capabilities=_capabilities,
        adapter="shared.mail.ways:open_pop3_source",
        takes_mail=False,
        has_flags=False,
        common_numbers=False,
        one_session=True,  # RFC 1939 §4: the first session locks the account
    )
)
