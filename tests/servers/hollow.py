"""Extensions that the scripted server announces and refuses when they are used, each in its own way.

Example:

    server.behaviour.hollow["CONDSTORE"] = b"BAD Unrecognised option condstore on Examine"
    server.behaviour.hollow["MULTIAPPEND"] = CLOSE
    server.behaviour.one_at_a_time = DROP        # no extension: several commands in one flight
"""

from __future__ import annotations

import re

from tests.servers.imap_syntax import Command

#: Stands for an answer: the connection is closed.
CLOSE = b"* BYE"
#: Stands for an answer to commands that came too early: the server drops them.
DROP = b"(thrown away)"

#: LITERAL+ that works for LIST, but that APPEND refuses after it has read the literal.
AFTER_ALL = "LITERAL+ of APPEND"

#: Pattern of commands that use an extension. Literals are refused line by line: see `Connection`.
_USES = {
    "SASL-IR": rb"^AUTHENTICATE \S+ \S",
    "ID": rb"^ID\b",
    "ENABLE": rb"^ENABLE\b",
    "NAMESPACE": rb"^NAMESPACE\b",
    "LIST-EXTENDED": rb"^LIST .*RETURN",
    "CHILDREN": rb"^LIST .*RETURN.*CHILDREN",
    "SPECIAL-USE": rb"^LIST .*RETURN.*SPECIAL-USE",
    "CONDSTORE": rb"^(?:EXAMINE|SELECT) .*CONDSTORE",
    "QRESYNC": rb"^EXAMINE .*QRESYNC",
    "HIGHESTMODSEQ": rb"^STATUS .*HIGHESTMODSEQ",
    "CHANGEDSINCE": rb"CHANGEDSINCE",
    "STATUS=SIZE": rb"^STATUS .*\bSIZE",
    "APPENDLIMIT": rb"^STATUS .*APPENDLIMIT",
    "ESEARCH": rb"^UID SEARCH RETURN",
    "PARTIAL": rb"^UID SEARCH RETURN \(PARTIAL",
    "X-GM-EXT-1": rb"X-GM-",
    "QUOTA": rb"^GETQUOTA",
}


def uses(name: str, command: Command) -> bool:
    """Tells whether the command uses this extension."""
    if name == AFTER_ALL:
        return command.name == b"APPEND" and bool(command.hurried)
    if name in ("LITERAL+", "LITERAL-"):
        return bool(command.hurried)
    if name == "MULTIAPPEND":
        return command.name == b"APPEND" and len(command.parts) > 3
    return re.search(_USES[name], command.text, re.IGNORECASE) is not None


def refusal(hollow: dict[str, bytes], command: Command) -> bytes | None:
    """Returns the answer to a command that uses one of these extensions; None for any other command."""
    for name, answer in hollow.items():
        if (name in _USES or name == AFTER_ALL) and uses(name, command):
            return answer
    return None
