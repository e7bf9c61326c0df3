"""Renders docs/compatibility.md from the results of the contract and the table of cases."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.compatibility.contract import Result
from tests.servers.real.registry import KINDS

CASES = Path(__file__).with_name("cases.md")
_ORDER = ["source", "destination", "pop3", "quota"]
_DIRECTIONS = {
    "source": "from it by IMAP",
    "destination": "to it",
    "pop3": "from it by POP3",
    "quota": "to it, full at a third",
}
_HEAD = """# Compatibility

Made by `make compatibility` (`python -m tests.compatibility`); do not edit.

The contract runs `mailhaul import` itself over each server, with a Dovecot (maildir) at the other end. The mail is the
public corpus with flags, keywords, odd dates and zones, in nested and oddly named folders; each tenth message is in its
folder twice. A trial fills the source, kills every process of the import with SIGKILL in the middle, lets it go on, runs it
a second time, and a third time with an empty state folder. After each run the standard library's clients read both accounts.

The contract holds when no message is lost or twice, each alteration and refusal is in mailhaul's report, the second run
brings nothing, the run without its state brings nothing twice, and the source is as it was. It is told where a server
makes that impossible, and mailhaul's report names each message.

## Servers

"""
_CASES = """
## Cases

The 135 cases of the catalogue of odd mail and faults, then the ten scripts of hostile dialogues, then dialogues of vendors whose
servers cannot be run here (played by a scripted server): what mailhaul does, and the test that proves it. Where no test proves it,
the row says so.

"""


def page(results: Iterable[Result], without: Iterable[tuple[str, str, str]]) -> str:
    """Returns the whole page; `without` names the trials without a result: (server, direction, reason)."""
    names = [kind.name for kind in KINDS]
    rows = sorted(results, key=lambda result: (names.index(result.server), _ORDER.index(result.direction)))
    lines = [
        "| server | version | direction | played on | messages | arrived unchanged "
        "| what the server alters or refuses | contract |",
        "|---|---|---|---|--:|--:|---|---|",
        *(_row(result) for result in rows),
        *(f"| {name} | – | {_DIRECTIONS[way]} | – | – | – | – | not run: {reason} |" for name, way, reason in without),
    ]
    total = (
        f"\n{len({row.server for row in rows})} servers, {len(rows)} trials, {sum(row.messages for row in rows):,} messages. "
        f"{sum(not row.faults for row in rows)} trials hold, of which {sum(bool(row.told) and not row.faults for row in rows)} "
        f"with something told; {sum(bool(row.faults) for row in rows)} do not.\n"
    )
    notes = _notes(rows)
    return _HEAD + "\n".join(lines) + "\n" + total + notes + _CASES + CASES.read_text("utf-8")


def _row(result: Result) -> str:
    told = "holds" if not result.told else "told: " + "; ".join(_short(one) for one in result.told)
    if result.faults:
        told = "does not hold: " + "; ".join(_short(fault) for fault in result.faults)
    cells = [
        result.server,
        result.version,
        _DIRECTIONS[result.direction],
        result.day,
        f"{result.messages:,}",
        f"{result.exact:,}",
        _altered(result),
        told,
    ]
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _altered(result: Result) -> str:
    said = [f"{kind}: {number}" for kind, number in result.altered.items()]
    if result.refused:
        said.append(f"refused: {result.refused}")
    if result.redated:
        said.append(f"another date: {result.redated}")
    if result.flags_lost:
        said.append(f"flags not kept: {', '.join(f'`{name}`' for name in sorted(result.flags_lost))}")
    if result.renamed:
        said.append(f"other names: {len(result.renamed)} folders, such as `{result.renamed[-1]}`")
    if result.not_taken and result.direction in ("source", "pop3"):
        said.append(
            "it did not take when it was filled: " + ", ".join(f"{k} ({n})" for k, n in result.not_taken.items())
        )
    return "; ".join(said) or "nothing"


def _short(fault: str) -> str:
    return " ".join(fault.split())[:160].replace("`", "'")


def _notes(rows: Sequence[Result]) -> str:
    return (_CONDUCT if rows else "") + "".join(f"- **{name}**: {text}\n" for name, text in NOTES.items())


_CONDUCT = """
### What mailhaul does about it

A message that the destination alters is named in failures.csv with what changed, or in notes.csv where only the ends of
lines or the date changed. A refused message is named with the server's words and can be kept with `--spool-refused`. A
folder whose name the destination does not take gets the nearest name that it takes, named in folders.csv. Flags that it does
not keep are counted.

A message whose ends of lines change without another size is found by `--verify full` only.

"""
#: What is to be known of a server beyond the figures.
NOTES = {
    "Dovecot mbox": "a folder with mail has no folders below it: they stand beside it. The first line `From ` of a message "
    "and fields such as Status are not kept; such messages are recognised without them. Of a message without "
    "LF whose first line begins with `From ` it keeps nothing: after a loss of the state it is sent again, "
    "and the copy of before is removed. An empty folder that took messages of a refused group back is closed "
    "before the next one: otherwise Dovecot fills the file with NULs.",
    "Cyrus": "refuses bare LF, NUL and messages without a header; replaces 8-bit bytes of the header by X (munge8bit).",
    "Courier": "stores no CR without LF, and shows the first 300 parts of a message only: after a loss of the state such"
    " a message is sent again, and the copy of before is removed. Without the POP3 command UTF8 (RFC 6856), "
    "which mailhaul sends, it gives a notice in place of each message with 8-bit bytes in its header.",
    "GNU Mailutils": "announces SCRAM for accounts of which it has only hashed passwords: without TLS it needs `--source-auth "
    "password:PLAIN`. It keeps no keywords, takes no date with a zone of 12 hours or more, and adds fields of"
    " its own to messages. It loses what is appended to the folder that the connection has open: mailhaul "
    "closes it before. It has no UIDPLUS, so second copies cannot be removed: what it altered beyond "
    "recognition stands twice after a loss of the state, or of a connection, and not every such message is "
    "told; whether such an import calls itself complete was not looked at. In the trial none of 110 messages kept "
    "its bytes. Do not import into it: choose another server as the destination. Over POP3 it notes that a "
    "message was read in its header, and TOP adds a "
    "blank line: such messages are recognised, and read by RETR. Of a message with two fields `From` it "
    "rewrites one at each session: the report says that the message of before is gone. QUIT removes what is "
    "marked as deleted over IMAP: where LIST leaves messages out, mailhaul ends without it.",
    "pymap": "keeps every byte, and no keywords.",
    "go-imap": "each folder has the UIDVALIDITY 1, and it has neither UIDPLUS nor LITERAL+. It never shows messages that"
    " begin with `From `: from it they are told as failed, and SEARCH breaks the connection where they stand."
    " It shows line ends more than RFC822.SIZE tells at the end of a message that has CRs only: such messages"
    " are read back whole.",
    "hoodiecrow-imap": 'has neither UIDPLUS nor quotas; its mail is in memory, and all accounts have the same. A folder `quo"te`'
    " is `quo\\te` there, and is known again.",
}
